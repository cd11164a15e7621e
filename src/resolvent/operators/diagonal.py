"""A diagonal operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .props import Props


class Diagonal(LinearOperator):
    """Multiplication by a vector: y = d ∘ x.

    Parameters
    ----------
    d : (n,) or grid-shaped array
        The diagonal; a grid shape is kept as the operator's grid.
    props : Props, optional
        By default what the values prove: symmetry always, definiteness and singularity by their signs.

    Examples
    --------
    >>> from resolvent.operators import Diagonal
    >>> Diagonal([1.0, 2.0, 4.0])
    Diagonal(3 x 3, float64, positive definite, m matrix)
    """

    def __init__(self, d: Any, *, props: Props | None = None, grid: tuple[int, ...] | None = None) -> None:
        d = np.asarray(d)
        if d.dtype.kind in "iub":
            d = d.astype(np.float64)
        if grid is None and d.ndim > 1:
            grid = d.shape
        d = np.ascontiguousarray(d).reshape(-1)
        super().__init__((d.size, d.size), d.dtype, props=_proved(d) if props is None else props, grid=grid)
        self._d = d
        self._proved = self.props if props is None else Props.NONE

    def _matmat(self, X: Array) -> Array:
        return self._d[:, None] * X

    def _matmat_into(self, X: Array, out: Array) -> None:
        np.multiply(self._d[:, None], X, out=out)

    def _rmatmat(self, X: Array) -> Array:
        return self._d.conj()[:, None] * X

    def diagonal(self) -> Array:
        """Return a copy of the diagonal."""
        return self._d.copy()

    def to_sparse(self) -> sp.csr_array:
        """Return the diagonal as CSR."""
        return sp.csr_array(sp.diags_array(self._d))

    def update(self, **values: Any) -> None:
        """Replace the diagonal: ``update(d=array)`` with values for which the claims still hold.

        Raises
        ------
        ValueError
            If a claim that the old values proved is lost: operators made of this one rely on it, so build a new one.
        """
        if set(values) != {"d"} or np.size(values["d"]) != self._d.size:
            raise ValueError(f"update takes d=array of {self._d.size} entries")
        d = np.ascontiguousarray(np.asarray(values["d"]).astype(self.dtype, casting="same_kind")).reshape(-1)
        lost = self._proved & ~Diagonal(d).props
        if lost:
            raise ValueError(f"the new diagonal is not {' and '.join(lost.names())}: build a new Diagonal")
        self._d = d
        self._changed()


def _proved(d: np.ndarray) -> Props:
    props = Props.SYMMETRIC
    if d.dtype.kind == "c" and d.imag.any():
        return props | (Props.SINGULAR if (d == 0).any() else Props.NONE)
    props |= Props.SELF_ADJOINT
    if (d.real > 0).all():
        return props | Props.POSITIVE_DEFINITE | Props.M_MATRIX
    return props | (Props.SINGULAR if (d == 0).any() else Props.NONE)
