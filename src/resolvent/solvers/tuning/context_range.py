"""The box that contexts come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...operators import Array


class ContextRange:
    """A box of contexts, and the map of it to [−1, 1]^dimensions.

    Contexts outside are moved to its border: polynomials explode where they were not fitted, and a border that was
    guessed too tight costs some accuracy there and nothing elsewhere.

    Parameters
    ----------
    low, high : float or (dimensions,) array
        Its corners, low < high.

    Raises
    ------
    ValueError
        If they are not finite, of different length, or in the wrong order.

    Examples
    --------
    >>> from resolvent.solvers.tuning.context_range import ContextRange
    >>> box = ContextRange([0.0, 1.0], [1.0, 100.0])
    >>> box.normalised([0.75, 1000.0])
    array([0.5, 1. ])
    """

    def __init__(self, low: Any, high: Any) -> None:
        self.low, self.high = (np.atleast_1d(np.array(corner, dtype=float)) for corner in (low, high))
        if self.low.ndim != 1 or self.low.shape != self.high.shape or not self.low.size:
            raise ValueError(f"low and high must be numbers or vectors of one length, got {low!r} and {high!r}")
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all() and (self.low < self.high).all()):
            raise ValueError(f"low must be below high, and both finite, got {low!r} and {high!r}")

    @property
    def dimensions(self) -> int:
        """How many numbers a context has."""
        return int(self.low.size)

    def normalised(self, context: Any) -> Array:
        """Return a context in [−1, 1], (dimensions,) array.

        Raises
        ------
        ValueError
            If it is None, not finite, or of another length.
        """
        c = finite_context(context, self.dimensions)
        z: Array = (2.0 * c - (self.low + self.high)) / (self.high - self.low)
        return np.clip(z, -1.0, 1.0)

    def __repr__(self) -> str:
        low, high = self.low.tolist(), self.high.tolist()
        if self.dimensions == 1:
            low, high = low[0], high[0]
        return f"low={low}, high={high}"


def finite_context(context: Any, dimensions: int) -> Array:
    """Return a context as a (dimensions,) array, checked.

    Raises
    ------
    ValueError
        If it is None, not finite, or of another length.
    """
    if context is None:
        raise ValueError(
            "this learner needs a context, of the system to be solved: suggest(context), or observe(arm, cost, "
            "context=...) of an arm that was not suggested"
        )
    try:
        c = np.atleast_1d(np.asarray(context, dtype=float))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a context must be a number or a vector of numbers, got {context!r}") from error
    if c.shape != (dimensions,):
        raise ValueError(f"a context must hold {dimensions} numbers, got shape {np.shape(context)}")
    if not np.isfinite(c).all():
        raise ValueError(f"a context must be finite, got {context!r}")
    return c
