"""Fast diagonalisation: eigenvectors axis by axis, and one division by the eigenvalues of all axes together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...operators import (
    Array,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    LinearOperator,
    StructureError,
    SumOfKroneckers,
)
from ...operators.kronecker_factors import outer_product, outer_sum
from ...operators.workspace import Workspace
from ..factorisations import SingularError
from .axis_bases import AxisBasis, combined_condition, diagonalise, diagonalise_pencil
from .inverse import StructuredFactors


class Diagonalisation(StructuredFactors):
    """A⁻¹ = (V_1 ⊗ … ⊗ V_d) Λ⁻¹ (L_1 ⊗ … ⊗ L_d), Λ diagonal.

    For a Kronecker product, a Kronecker sum, either of these plus a multiple of the identity, and a sum of Kronecker
    products with at most two different matrices on each axis.

    Parameters
    ----------
    A : LinearOperator
        One of these.
    replace_null : bool
        Whether eigenvalues that are zero to rounding become the smallest of the others, for a preconditioner.

    Attributes
    ----------
    values : (n,) array or tensor
        Λ, in the order of C-ordered memory.
    condition : float
        Product of the condition numbers of the V_k: the backward error is about this times the unit roundoff.

    Notes
    -----
    O(Σ n_k³) once, 4 n Σ n_k flops for each right-hand side (8 N³ on N × N points). Storage: two matrices an axis (one
    for self-adjoint factors), Λ, and two scratch vectors.

    References
    ----------
    Lynch, Rice & Thomas 1964, doi:10.1007/BF01386067.
    """

    def __init__(self, A: LinearOperator, *, replace_null: bool = False) -> None:
        self.shape, self._replace_null = A.shape, replace_null
        self._complex = A.dtype.kind == "c"
        self._torch = A._holds_torch()
        self._work = Workspace()
        self._structured = A.structured if isinstance(A, KroneckerPlusDiagonal) else A
        self._stamp = self._structured.stamp()
        try:
            self._decompose(self._structured)
        except SingularError as error:
            self.failure = str(error)
            return
        self._finish(A)

    def _decompose(self, A: LinearOperator) -> None:
        if isinstance(A, SumOfKroneckers):
            self.bases, self._unshifted = _of_terms(A)
        elif isinstance(A, Kronecker | KroneckerSum):
            self.bases = tuple(_shared(A.axes))
            values = [basis.values[0] for basis in self.bases]
            product = isinstance(A, Kronecker)
            self._unshifted = outer_product(values, self._torch) if product else outer_sum(values)
        else:
            raise StructureError(f"{A!r} has no Kronecker structure that can be diagonalised: use an iterative method")
        self.right = Kronecker(*(basis.right for basis in self.bases))
        self.left = Kronecker(*(basis.left for basis in self.bases))
        self.condition = combined_condition(self.bases)

    def _finish(self, A: LinearOperator) -> None:
        """Add the shift and look at the eigenvalues."""
        values = self._unshifted
        if isinstance(A, KroneckerPlusDiagonal):
            shift = A.constant
            if shift is None:
                raise StructureError(f"{A!r} has a diagonal that varies: use it with M=KroneckerSolver()")
            values = values + shift
        self.values, self.failure = values, ""
        self._dtype = A.dtype
        size = abs(values)
        if not bool((size < np.inf).all()):
            self.failure = "a factor holds NaN or infinity"
            return
        null = self._null(A, size)
        if bool(null.any()):
            if self._replace_null and not bool(null.all()):
                values = values + 0.0
                values[null] = float(size[~null].min())
                self.values = values
            else:
                self.failure = f"the matrix is singular: its smallest eigenvalue is {float(size.min()):.1e}"

    def _null(self, A: LinearOperator, size: Any) -> Any:
        """Return which eigenvalues cannot be told from zero: those below n_k u max|λ|, n_k the longest axis.

        Eigenvalues of a product are products, each accurate relative to its own factors: there every axis counts alone.
        """
        unit = 0.5 * float(np.finfo(A.dtype).eps)
        if not isinstance(A, Kronecker):
            return size <= max(f.shape[0] for f in self.left.axes) * unit * float(size.max())
        sizes = [abs(basis.values[0]) for basis in self.bases]
        certain = [(v > len(v) * unit * float(v.max())) * (v * 0.0 + 1.0) for v in sizes]
        return outer_product(certain, self._torch) == 0.0

    def shifted(self, A: LinearOperator) -> StructuredFactors | None:
        """Return the same bases with another shift, where the factors have not changed."""
        structured = A.structured if isinstance(A, KroneckerPlusDiagonal) else A
        if self.failure and not hasattr(self, "bases"):
            return None
        if structured.stamp() != self._stamp or A.dtype != self._dtype:
            return None
        other = object.__new__(Diagonalisation)
        other.__dict__.update(self.__dict__)
        other._finish(A)
        return other

    def solve_into(self, R: Array, out: Array, *, adjoint: bool) -> None:
        """Write A⁻¹ R, or A⁻ᴴ R = Lᴴ Λ⁻ᴴ Vᴴ R, into `out`."""
        first, second = (self.right, self.left) if adjoint else (self.left, self.right)
        if self._torch:
            Z = (first._rmatmat if adjoint else first._matmat)(R.to(_wider(R, self.left)))
            Z = Z / (self.values.conj() if adjoint else self.values)[:, None]
            Y = (second._rmatmat if adjoint else second._matmat)(Z)
            out[...] = Y.real if Y.is_complex() and not out.is_complex() else Y
            return
        dtype = np.result_type(R.dtype, self.left.dtype, self.values.dtype)
        X = R if R.dtype == dtype else R.astype(dtype)
        Z = self._work.array("modes", X.shape, dtype)
        (first._rmatmat_into if adjoint else first._matmat_into)(X, Z)
        np.divide(Z, (self.values.conj() if adjoint else self.values)[:, None], out=Z)
        if dtype == out.dtype:
            (second._rmatmat_into if adjoint else second._matmat_into)(Z, out)
            return
        Y = (second._rmatmat if adjoint else second._matmat)(Z)
        out[...] = Y.real if out.dtype.kind != "c" else Y

    def logdet(self) -> tuple[Any, float]:
        """Return sign and log|det A| = Σ log|λ| + Σ_k (n/n_k) log(1/|det L_k det V_k|)."""
        if self._torch:
            from ._torch import host

            values = host(self.values)
        else:
            values = self.values
        size = np.abs(values)
        sign: Any = complex(np.prod(values / size)) if values.dtype.kind == "c" else float(np.prod(np.sign(values)))
        log = math.fsum(np.log(size))
        for basis in self.bases:
            times = self.shape[0] // len(basis.left)
            sign = sign * basis.logdet[0] ** times
            log += times * basis.logdet[1]
        if self._complex:
            return sign / abs(sign), log
        return (1.0 if np.real(sign) > 0.0 else -1.0), log

    def describe(self) -> str:
        """Return the way of solving."""
        return "fast diagonalisation"


def _shared(factors: Sequence[LinearOperator]) -> list[AxisBasis]:
    """Diagonalise factors, those that are one object once."""
    found: dict[int, AxisBasis] = {}
    for factor in factors:
        if id(factor) not in found:
            found[id(factor)] = diagonalise(factor)
    return [found[id(factor)] for factor in factors]


def _of_terms(A: SumOfKroneckers) -> tuple[tuple[AxisBasis, ...], Any]:
    """Return the bases of a sum of products, and its eigenvalues Σ_t ⊗_k values."""
    if any(f.shape[0] != f.shape[1] for f in A.terms[0].axes):
        raise StructureError(f"{A!r} has rectangular factors: use LSQR or an iterative method")
    bases, places = [], []
    for axis in zip(*(term.axes for term in A.terms), strict=True):
        distinct: list[LinearOperator] = []
        place = []
        for factor in axis:
            found = next((i for i, other in enumerate(distinct) if _equal(factor, other)), None)
            if found is None:
                distinct.append(factor)
                found = len(distinct) - 1
            place.append(found)
        if len(distinct) > 2:
            raise StructureError(
                f"an axis of {A!r} has {len(distinct)} different matrices, and two at most can be diagonalised "
                "together: use CG or GMRES with M=KroneckerSolver()"
            )
        one = len(distinct) == 1
        bases.append(diagonalise(distinct[0]) if one else diagonalise_pencil(distinct[0], distinct[1]))
        places.append(place)
    terms = []
    for number in range(len(A.terms)):
        values = [basis.values[place[number]] for basis, place in zip(bases, places, strict=True)]
        terms.append(outer_product(values, A._holds_torch()))
    return tuple(bases), sum(terms[1:], start=terms[0])


def _equal(A: LinearOperator, B: LinearOperator) -> bool:
    """Whether two factors are one, or have the same entries."""
    if A is B:
        return True
    one, two = A.to_dense(), B.to_dense()
    return bool(one.dtype == two.dtype and (one == two).all())


def _wider(R: Any, left: LinearOperator) -> Any:
    from ...operators._torch import numpy_dtype, torch_dtype

    return torch_dtype(np.result_type(numpy_dtype(R.dtype), left.dtype))
