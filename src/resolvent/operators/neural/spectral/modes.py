"""Which Fourier modes a spectral convolution stores, and which of them a grid has."""

from __future__ import annotations

from collections.abc import Sequence


def stored_modes(n_modes: Sequence[int]) -> tuple[int, ...]:
    """Return how many modes each axis stores: M on full axes (−M/2 … M/2 − 1), M/2 + 1 on the last (0 … M/2).

    Examples
    --------
    >>> stored_modes([16, 16])
    (16, 9)
    """
    return (*n_modes[:-1], n_modes[-1] // 2 + 1)


def kept_modes(n_modes: Sequence[int], grid: Sequence[int]) -> tuple[slice, ...]:
    """Return which of the stored modes of each axis a grid can carry, as slices in ascending frequency.

    Examples
    --------
    >>> kept_modes([16, 16], [8, 8])
    (slice(4, 12, None), slice(0, 5, None))
    """
    full = []
    for M, N in zip(n_modes[:-1], grid[:-1], strict=True):
        low, high = min(M // 2, N // 2), min(M - M // 2, N - N // 2)
        full.append(slice(M // 2 - low, M // 2 + high))
    return (*full, slice(0, min(n_modes[-1] // 2, grid[-1] // 2) + 1))


def frequencies(n_modes: Sequence[int], grid: Sequence[int]) -> list[range]:
    """Return the frequencies of the kept modes of each axis, ascending.

    Examples
    --------
    >>> frequencies([4, 4], [33, 33])
    [range(-2, 2), range(0, 3)]
    """
    kept = kept_modes(n_modes, grid)
    shifts = [M // 2 for M in n_modes[:-1]] + [0]
    return [range(s.start - shift, s.stop - shift) for s, shift in zip(kept, shifts, strict=True)]
