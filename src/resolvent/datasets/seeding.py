"""Which random stream belongs to which sample, and which split.

Both depend on the root seed, the family and the sample's index alone: not on the number of samples, the order in which
they are made, the number of workers or what ran before. Any sample can therefore be drawn again on its own, and a set
can grow without touching the samples it has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SPLITS = ("train", "valid", "test")


def sample_rng(seed: int, family_id: int, index: int) -> np.random.Generator:
    """Return the random stream of one sample.

    A Philox generator keyed by ``SeedSequence(seed, spawn_key=(family_id, index))``: counter-based, so that its start
    costs the same for every index.

    Parameters
    ----------
    seed : int ≥ 0
        Root seed of the set.
    family_id : int
        The family's number, so that two families of one seed share nothing.
    index : int ≥ 0
        Of the sample.

    Examples
    --------
    >>> a = sample_rng(0, 1, 41).standard_normal(3)
    >>> b = sample_rng(0, 1, 41).standard_normal(3)
    >>> bool((a == b).all()), bool((a == sample_rng(0, 1, 42).standard_normal(3)).any())
    (True, False)
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(family_id, index))))


class SplitAssigner:
    """Assigns consecutive samples to train, valid and test.

    Sample i joins the split that is furthest below its share of i + 1 samples. The counts of every prefix are then
    within one sample of the requested shares, even in a set of ten, and a longer set starts with the assignment of a
    shorter one. Samples are independent draws, so a regular pattern is as good as a random one.

    Parameters
    ----------
    shares : (3,) sequence of float
        Non-negative, with sum 1.

    Examples
    --------
    >>> import numpy as np
    >>> np.bincount(SplitAssigner((0.8, 0.1, 0.1)).take(10)).tolist()
    [8, 1, 1]
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self.shares = check_shares(shares)
        self.counts = [0, 0, 0]

    def take(self, count: int) -> np.ndarray:
        """Return the split numbers (0 train, 1 valid, 2 test) of the next `count` samples, a uint8 array."""
        assigned = np.empty(count, dtype=np.uint8)
        total = sum(self.counts)
        for i in range(count):
            total += 1
            deficits = [share * total - have for share, have in zip(self.shares, self.counts, strict=True)]
            split = deficits.index(max(deficits))
            self.counts[split] += 1
            assigned[i] = split
        return assigned


def check_shares(shares: Sequence[float]) -> tuple[float, float, float]:
    """Return the three shares of train, valid and test, checked."""
    values = tuple(float(share) for share in shares)
    if len(values) != 3 or not all(0.0 <= v <= 1.0 for v in values) or abs(sum(values) - 1.0) > 1e-9:
        raise ValueError(
            f"splits needs three shares (train, valid, test) between 0 and 1 with sum 1, such as (0.8, 0.1, 0.1), "
            f"got {tuple(shares)!r}"
        )
    return values
