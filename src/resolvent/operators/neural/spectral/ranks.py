"""Ranks of a factorised weight from the fraction of its entries that is to be kept."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence


def check_fraction(rank: float) -> None:
    """Raise ValueError unless `rank` is a fraction of the dense entries."""
    if isinstance(rank, bool) or not isinstance(rank, int | float) or not 0.0 < rank <= 1.0:
        raise ValueError(f"rank must be the fraction of the dense entries to keep, above 0 and at most 1, got {rank!r}")


def ranks_on_a_scale(
    ranks: Callable[[float], Sequence[float]], entries: Callable[[Sequence[float]], float], wanted: float
) -> tuple[int, ...]:
    """Return the rounded ranks(s) for the scale s at which entries(ranks(s)) is what is wanted.

    Both functions are continuous and grow with s. Where even full ranks have fewer entries, those are returned.
    """
    low, high = 0.0, 1.0
    while entries(ranks(high)) < wanted and ranks(high) != ranks(2.0 * high):
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = 0.5 * (low + high)
        if entries(ranks(middle)) < wanted:
            low = middle
        else:
            high = middle
    return tuple(max(1, round(r)) for r in ranks(high))


def cp_rank(sizes: Sequence[int], fraction: float) -> int:
    """Return R = round(f Πn / Σn).

    Examples
    --------
    >>> cp_rank([32, 32, 16, 9], 0.1)
    166
    """
    check_fraction(fraction)
    return max(1, round(fraction * math.prod(sizes) / sum(sizes)))


def tucker_ranks(sizes: Sequence[int], fraction: float) -> tuple[int, ...]:
    """Return r_i = s n_i, of Πr + Σ r_i n_i = f Πn entries before rounding.

    Examples
    --------
    >>> tucker_ranks([32, 32, 16, 9], 0.1)
    (18, 18, 9, 5)
    """
    check_fraction(fraction)
    return ranks_on_a_scale(
        lambda s: [min(s, 1.0) * n for n in sizes],
        lambda r: math.prod(r) + sum(a * n for a, n in zip(r, sizes, strict=True)),
        fraction * math.prod(sizes),
    )


def tensor_train_ranks(sizes: Sequence[int], fraction: float) -> tuple[int, ...]:
    """Return ρ_i = s (n_i + n_{i+1}) / 2, not above the rank of a full tensor, of f Πn entries before rounding.

    Examples
    --------
    >>> tensor_train_ranks([32, 32, 16, 9], 0.1)
    (22, 17, 9)
    """
    check_fraction(fraction)
    most = [min(math.prod(sizes[:i]), math.prod(sizes[i:])) for i in range(1, len(sizes))]
    means = [(a + b) / 2.0 for a, b in itertools.pairwise(sizes)]

    def ranks(s: float) -> list[float]:
        return [min(float(m), s * mean) for m, mean in zip(most, means, strict=True)]

    def entries(r: Sequence[float]) -> float:
        chain = [1.0, *r, 1.0]
        return sum(a * n * b for a, n, b in zip(chain, sizes, chain[1:], strict=False))

    return ranks_on_a_scale(ranks, entries, fraction * math.prod(sizes))
