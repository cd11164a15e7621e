"""Sparse factorisations of MUMPS, CHOLMOD and UMFPACK, through PETSc.

SuperLU_DIST is not among them: behind PETSc 3.18 its transposed solves are wrong, and processes in which some dozens of
its factors lived at a time ended in corrupted memory or did not end.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from ...operators import StructureError
from ...operators.petsc import set_values
from ...operators.petsc_lifetime import destroyed_with, load_petsc
from .analysis import Analysis, Pattern, SingularError, by_parts
from .sparse_lu import SparseLU

Package = Literal["mumps", "cholmod", "umfpack"]
Form = Literal["cholesky", "ldl", "lu"]

FORMS: dict[str, tuple[Form, ...]] = {
    "mumps": ("cholesky", "ldl", "lu"),
    "cholmod": ("cholesky",),
    "umfpack": ("lu",),
}
"""What each package factorises: A = L Lᴴ, A = L D Lᴴ with pivots of size one and two, P A Q = L U."""

WORKSPACE = (-8, -9)
"""INFOG(1) of MUMPS where pivoting needed more memory than the analysis foresaw (users' guide 5.5, chapter 8)."""

MORE_WORKSPACE = (None, 100, 400, 1600)
"""Per cent of additional memory tried in turn; MUMPS itself begins with 20."""


class WorkspaceError(SingularError):
    """Pivoting needed more memory than the analysis foresaw."""


class PETScFactorisation(Analysis):
    """A factorisation by a package behind PETSc, whose symbolic analysis is kept while the pattern stays.

    Values are written into the PETSc matrix that was analysed, and factorised again. Factors that somebody still solves
    with are never overwritten: another set, with an analysis of its own, is then made and both are kept in turn.

    A complex matrix is factorised in real-equivalent form where PETSc is real: twice the unknowns, four times the
    entries, about twice the memory and work of complex factors.

    Parameters
    ----------
    pattern : Pattern
        Of the matrices to factorise.
    package : {"mumps", "cholmod", "umfpack"}
    form : {"cholesky", "ldl", "lu"}
        For positive definite, self-adjoint, and other matrices. Only the upper triangle is used by the first two.
    """

    def __init__(self, pattern: Pattern, package: Package, form: Form) -> None:
        assert form in FORMS[package]
        self._pattern, self.package = pattern, package
        self._doubled = pattern.dtype.kind == "c" and np.dtype(load_petsc().ScalarType).kind != "c"
        # Complex LDL of MUMPS is for A = Aᵀ, not for A = Aᴴ.
        plain = package == "mumps" and pattern.dtype.kind == "c" and not self._doubled
        self.form: Form = "lu" if plain else form
        self._sets: list[Factors] = []
        self._tried = 0
        self.analyses = 0
        """How often the pattern was analysed."""

    def fits(self, matrix: Any) -> bool:
        """Whether the matrix has the analysed pattern and dtype."""
        return self._pattern.fits(matrix)

    def fallback(self) -> Analysis | None:
        """Return what needs less of the matrix: LDLᴴ after Cholesky, then LU with partial pivoting."""
        if self.package == "mumps":
            following: dict[Form, Form] = {"cholesky": "ldl", "ldl": "lu"}
            if self.form in following:
                return PETScFactorisation(self._pattern, "mumps", following[self.form])
            return None
        return SparseLU(self._pattern, symmetric=self.package == "cholmod")

    def factorise(self, matrix: sp.csr_array) -> PETScSolve:
        """Factorise; raises SingularError where the package finds no pivot."""
        from ..petsc.matrices import real_entries

        values = real_entries(matrix, doubled=self._doubled)
        if not values.has_sorted_indices:
            values = values.sorted_indices()
        factors = self._computed(values)
        self._sets.append(factors)
        solve = PETScSolve(factors, matrix.dtype, doubled=self._doubled)
        factors.lend(solve)
        return solve

    def _computed(self, values: sp.csr_array) -> Factors:
        """Return factors of these values: in a set that nobody uses, or in a new one. A set that fails is dropped."""
        free = next((one for one in self._sets if not one.lent()), None)
        # Others that nobody uses go: two sets alternate where a preconditioner replaces another.
        self._sets = [one for one in self._sets if one.lent()]
        while True:
            if free is None:
                factors = Factors(values, self.package, self.form, workspace=MORE_WORKSPACE[self._tried])
                self.analyses += 1
            else:
                factors = free
                factors.renew(values)
            try:
                factors.compute()
            except WorkspaceError:  # after which PETSc does not let MUMPS factorise again
                free = None
                self._tried += 1
                if self._tried == len(MORE_WORKSPACE):
                    self._tried = 0
                    raise
            else:
                return factors


class PETScSolve:
    """Solves with one set of factors; the set is not overwritten while this object lives."""

    def __init__(self, factors: Factors, dtype: np.dtype, *, doubled: bool) -> None:
        self._factors, self._dtype, self._doubled = factors, dtype, doubled

    def __call__(self, r: np.ndarray, trans: str) -> np.ndarray:
        """Return A⁻¹ r, or A⁻ᴴ r, for all columns of r at once."""
        # Passed as a function, not as this object's method: a cycle would keep the factors alive.
        solve = functools.partial(_solve, self._factors, self._doubled)
        found = by_parts(solve, r, trans, complex_factors=self._dtype.kind == "c")
        return np.ascontiguousarray(found, dtype=np.result_type(self._dtype, r.dtype))


def _solve(factors: Factors, doubled: bool, r: np.ndarray, trans: str) -> np.ndarray:
    """Solve for columns, each contiguous as PETSc wants them; complex ones as pairs of reals where PETSc is real."""
    if doubled:
        columns = np.ascontiguousarray(r.T, dtype=np.complex128).view(np.float64)
        return factors.solve(columns.T, trans).T.view(np.complex128).T
    return factors.solve(np.asfortranarray(r, dtype=load_petsc().ScalarType), trans)


class Factors:
    """One matrix of PETSc with its factors; destroyed with this object.

    Parameters
    ----------
    matrix : csr_array
        In the numbers of PETSc, indices sorted.
    package, form
        As for `PETScFactorisation`.
    workspace : int, optional
        Per cent of memory that MUMPS adds to what its analysis foresees.
    """

    def __init__(self, matrix: sp.csr_array, package: Package, form: Form, *, workspace: int | None = None) -> None:
        from ..petsc.options import unique_prefix

        petsc = load_petsc()
        self._error, self._package, self._form = petsc.Error, package, form
        self._lent: Any = None
        self._matrix = matrix
        self._prefix = unique_prefix()
        self._options: dict[str, Any] = {"mat_cholmod_print": 0} if package == "cholmod" else {}
        if workspace is not None:
            self._options["mat_mumps_icntl_14"] = workspace
        owned: list[Any] = []
        destroyed_with(self, owned)
        csr = (matrix.indptr.astype(petsc.IntType), matrix.indices.astype(petsc.IntType), matrix.data)
        self._mat = petsc.Mat().createAIJ(matrix.shape, csr=csr, comm=petsc.COMM_SELF)
        owned.append(self._mat)
        self._mat.assemble()
        self._mat.setOptionsPrefix(self._prefix)
        if form != "lu":
            kind = petsc.Mat.Option.HERMITIAN if matrix.dtype.kind == "c" else petsc.Mat.Option.SYMMETRIC
            self._mat.setOption(kind, True)
        if form == "cholesky":
            self._mat.setOption(petsc.Mat.Option.SPD, True)
        self._x, self._y = self._mat.createVecs()
        self._pc = petsc.PC().create(comm=petsc.COMM_SELF)
        owned += [self._x, self._y, self._pc]
        self._pc.setOptionsPrefix(self._prefix)
        self._pc.setOperators(self._mat)
        self._pc.setType("lu" if form == "lu" else "cholesky")
        self._pc.setFactorSolverType(package)

    def lend(self, solve: PETScSolve) -> None:
        """Remember who solves with these factors."""
        self._lent = weakref.ref(solve)

    def lent(self) -> bool:
        """Whether somebody may still solve with these factors."""
        return self._lent is not None and self._lent() is not None

    def renew(self, matrix: sp.csr_array) -> None:
        """Take other values in the same places."""
        self._matrix = matrix
        set_values(self._mat, matrix)
        self._pc.setOperators(self._mat)

    def compute(self) -> None:
        """Analyse if that was not done yet, and factorise; raises SingularError."""
        from ..petsc.options import in_database
        from ..petsc.reasons import message

        try:
            with in_database(self._prefix, self._options):
                self._pc.setUp()
            if self._package == "mumps":
                self._check_mumps()
            elif self._package == "umfpack" and not self._finite():  # which divides by a zero pivot
                raise SingularError("UMFPACK met a zero pivot")
        except self._error as error:
            raise SingularError(f"{self._package}: {message(error)}") from error

    def _finite(self) -> bool:
        ones = np.ones((self._matrix.shape[0], 1), dtype=self._matrix.dtype, order="F")
        return bool(np.isfinite(self.solve(ones, "N")).all())

    def _check_mumps(self) -> None:
        factor = self._pc.getFactorMatrix()
        code, detail = factor.getMumpsInfog(1), factor.getMumpsInfog(2)
        if code < 0:
            kind = WorkspaceError if code in WORKSPACE else SingularError
            raise kind(f"MUMPS reports INFOG(1) = {code}, INFOG(2) = {detail}")

    def solve(self, B: np.ndarray, trans: str) -> np.ndarray:
        """Return A⁻¹ B or A⁻ᴴ B for an (n, k) array in Fortran's order."""
        if trans == "N" or self._form != "lu":
            return self._solve_block(B)
        X = np.empty_like(B, order="F")
        for c in range(B.shape[1]):  # petsc4py has no transposed solve of a block
            self._x.setArray(B[:, c].conj())
            self._pc.getFactorMatrix().solveTranspose(self._x, self._y)
            np.conjugate(self._y.getArray(readonly=True), out=X[:, c])
        return X

    def _solve_block(self, B: np.ndarray) -> np.ndarray:
        petsc = load_petsc()
        X = np.zeros_like(B, order="F")
        blocks = [petsc.Mat().createDense(B.shape, array=array, comm=petsc.COMM_SELF) for array in (B, X)]
        try:
            for block in blocks:
                block.assemble()
            self._pc.getFactorMatrix().matSolve(*blocks)
        finally:
            for block in blocks:
                block.destroy()
        return X


@functools.cache
def require_package(package: Package) -> None:
    """Raise StructureError where this PETSc was built without a package; PETSc is asked with a 1 × 1 system."""
    one = sp.csr_array(np.ones((1, 1)), dtype=load_petsc().ScalarType)
    try:
        Factors(one, package, FORMS[package][-1]).compute()
    except SingularError as error:
        raise StructureError(
            f"this PETSc was built without {package} ({error}): choose another backend, or "
            f"--download-{package} when PETSc is built"
        ) from error
