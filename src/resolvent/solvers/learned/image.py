"""What a network is shown of an operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...operators import LinearOperator, StructureError

Image = Callable[[LinearOperator], Any]


def image_for(given: Any, A: LinearOperator) -> Any:
    """Return the channels for an operator: those that were given, or what a function makes of it."""
    return given(A) if callable(given) else given


def grid_of(A: LinearOperator, grid: Sequence[int] | None) -> tuple[int, ...]:
    """Return the grid of the unknowns; StructureError where nobody knows it."""
    found = A.grid if grid is None else tuple(grid)
    if found is None:
        raise StructureError(f"a network works on fields, and {A!r} has no grid: give grid=…")
    return found


def diagonal_image(A: LinearOperator) -> np.ndarray:
    """Return the diagonal of A relative to its mean, one channel on the grid of the unknowns.

    For −∇·(a∇u) it is the local mean of a: all that a network needs to know of a coefficient that does not jump, and
    what a stream of operators can be recognised by without anything but their entries.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers.learned import diagonal_image
    >>> diagonal_image(Stencil.from_transmissibilities([np.array([1.0, 1.0, 3.0, 3.0])]))
    array([[0.5, 1. , 1.5]])
    """
    grid = grid_of(A, None)
    diagonal = A.to_sparse().diagonal() if A._holds_torch() else A.diagonal()
    field: np.ndarray = np.asarray(diagonal, dtype=np.float64).reshape(1, *grid).copy()
    field /= field.mean()
    return field
