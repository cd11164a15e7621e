"""Incomplete LU factorisation."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ...operators import Array, LinearOperator, Props
from .entries import host_entries
from .recipe import Recipe, is_number


@dataclasses.dataclass(frozen=True)
class ILU(Recipe):
    """Incomplete LU factorisation with threshold and pivoting (ILUTP, of SuperLU): M = (L U)⁻¹ up to permutations.

    What scipy's ``spilu`` computes: entries smaller than drop_tol times the norm of their column are dropped. For
    nonsymmetric systems of moderate size. `ILU0` is the form without fill, PETSc's default: a hundred times cheaper to
    set up, with more iterations. M is not symmetric even where A is: it claims nothing, and CG and MINRES refuse it
    (use `IC`). An `update` is a new factorisation, of which finding the ordering is about a tenth.

    Storage: at most fill_factor times the entries of A. Cost: about as many flops as the factors have entries, twice.

    Parameters
    ----------
    drop_tol : float
        Relative threshold, 0 ≤ drop_tol ≤ 1; 0 keeps what fill_factor allows.
    fill_factor : float
        Upper bound for the fill, ≥ 1.

    Raises
    ------
    ValueError
        When built for a matrix with NaN or infinity, or if a pivot vanishes: try a smaller drop_tol.

    References
    ----------
    Li & Shao 2011, doi:10.1145/1916461.1916467.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import GMRES, ILU
    >>> A = sp.diags_array([-2.0, 3.0, -0.5], offsets=[-1, 0, 1], shape=(100, 100))
    >>> GMRES().solve(A, np.ones(100), M=ILU()).iterations < 5
    True
    """

    drop_tol: float = 1e-4
    fill_factor: float = 10.0

    def __post_init__(self) -> None:
        if not (is_number(self.drop_tol) and 0.0 <= self.drop_tol <= 1.0):
            raise ValueError(f"drop_tol must lie between 0 and 1, got {self.drop_tol!r}")
        if not (is_number(self.fill_factor) and self.fill_factor >= 1.0):
            raise ValueError(f"fill_factor must be at least 1, got {self.fill_factor!r}")

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return IncompleteFactors(A, self)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: nothing."""
        return Props.NONE


class IncompleteFactors(LinearOperator):
    """The ILU preconditioner of one matrix."""

    not_self_adjoint = True

    def __init__(self, A: LinearOperator, recipe: ILU) -> None:
        super().__init__(A.shape, A.dtype, grid=A.grid)
        self.recipe = recipe
        self._matrix = host_entries(A, "ILU")
        self._factorise()

    def _factorise(self) -> None:
        try:
            self._factors = spla.spilu(
                sp.csc_array(self._matrix), drop_tol=self.recipe.drop_tol, fill_factor=self.recipe.fill_factor
            )
        except RuntimeError as error:  # SuperLU: "Factor is exactly singular"
            rows, columns = self.shape
            raise ValueError(
                f"the incomplete factorisation of a {rows} x {columns} matrix met a zero pivot ({error}): "
                f"try drop_tol below {self.recipe.drop_tol:g}, or another preconditioner if the matrix is singular"
            ) from error

    # SuperLU's factors cannot be pickled, but are the same whenever they are computed.
    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_factors"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._factorise()

    @property
    def nnz(self) -> int:
        """Entries of both factors."""
        return int(self._factors.nnz)

    def _matmat(self, X: Array) -> Array:
        return self._solve(X, "N")

    def _rmatmat(self, X: Array) -> Array:
        return self._solve(X, "H")

    def _solve(self, X: Array, trans: str) -> Array:
        if X.dtype.kind == "c" and self.dtype.kind != "c":
            return self._solve(X.real, trans) + 1j * self._solve(X.imag, trans)
        # SuperLU takes vectors of its own dtype only.
        Y = self._factors.solve(np.asfortranarray(X, dtype=self.dtype), trans)
        return np.ascontiguousarray(Y, dtype=np.result_type(self.dtype, X.dtype))

    def _summary(self) -> str:
        return f"ILU, {self.nnz} entries, drop_tol {self.recipe.drop_tol:g}"
