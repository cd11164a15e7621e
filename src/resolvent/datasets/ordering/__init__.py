"""In which order related systems are solved, so that what is recycled from one serves the next.

`order` is the entry point for systems of any origin; `generate(..., order=...)` uses it inside each chunk. One ordering
is one file.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from .angle import Angle
from .features import as_samples
from .fft import TruncatedFFT
from .greedy import Greedy
from .hilbert import Hilbert
from .none import Unsorted
from .ordering import Ordering, Sample, SolvePilots

ORDERINGS: Final[dict[str, Ordering]] = {
    ordering.name: ordering for ordering in (Unsorted(), Greedy(), TruncatedFFT(), Hilbert(), Angle())
}
"""The orderings by name, with their default options."""

__all__ = [
    "ORDERINGS",
    "Angle",
    "Greedy",
    "Hilbert",
    "Ordering",
    "Sample",
    "SolvePilots",
    "TruncatedFFT",
    "Unsorted",
    "order",
]


def order(features: Any, method: str | Ordering = "fft", *, solve: SolvePilots | None = None) -> np.ndarray:
    """Return an order in which neighbours have similar inputs.

    Sorting pays only where something is carried from one system to the next, and little even there: on independent
    samples of the laws of this package it saves a few per cent of the iterations at most (benchmarks/skr.py).

    Parameters
    ----------
    features : array, mapping or sequence
        What the systems differ by: an (N, …) array; a mapping of names to (N, …) arrays, each of which then weighs the
        same whatever its units; or a sequence of N arrays, or of N mappings of names to arrays, which may make them
        when they are asked for. Real, complex, integer or boolean. Right-hand sides are better left out: matrices are
        what makes systems similar.
    method : {"none", "greedy", "fft", "hilbert", "angle"} or Ordering
        See the class of each.
    solve : callable, optional
        For ``"angle"``: takes a list of positions, returns the solutions of these systems, None where there is none.

    Returns
    -------
    order : (N,) int array
        A permutation: the positions in the order in which to solve.

    Raises
    ------
    ValueError
        For an unknown method, arrays whose shapes differ from sample to sample, or values that are not finite.
    TypeError
        For features that are no numbers, and for ``"angle"`` without `solve`.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets import order
    >>> order(np.array([0.0, 5.0, 1.0, 4.0, -1.0]), "greedy").tolist()
    [0, 2, 4, 3, 1]
    """
    if isinstance(method, str):
        if method not in ORDERINGS:
            raise ValueError(f"order must be one of {', '.join(map(repr, ORDERINGS))}, got {method!r}")
        method = ORDERINGS[method]
    if not isinstance(method, Ordering):
        raise TypeError(f"method must be the name of an ordering or an Ordering, got {method!r}")
    if method.needs_solutions and solve is None:
        raise TypeError(
            f"the order {method.name!r} looks at solutions of a few systems: pass solve=, a function that takes a list "
            "of positions and returns their solutions"
        )
    samples = as_samples(features)
    found = method(samples, solve) if len(samples) > 2 else np.arange(len(samples))
    return np.asarray(found, dtype=np.int64)
