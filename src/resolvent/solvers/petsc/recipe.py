"""PETSc's preconditioners as a recipe for our methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...operators import Array, LinearOperator, Props
from ...operators.petsc import entries
from ...operators.petsc_lifetime import destroyed_with, load_petsc
from ..preconditioners.recipe import Recipe
from .matrices import assembled
from .options import in_database, spelt, unique_prefix, unused
from .reasons import message

LINEAR = ("chebyshev", "preonly", "richardson")
"""Inner KSP types that do the same at every application."""


@dataclasses.dataclass(frozen=True)
class PETScPC(Recipe):
    """A preconditioner that PETSc builds from the entries of A: hypre's BoomerAMG, GAMG, MUMPS, block Jacobi, …

    With it our methods, sequences and refresh policies use what PETSc has; `PETScKSP` is PETSc's method as well.
    Applications are counted as those of M. A complex A is handled in real-equivalent form where PETSc is real. On
    several ranks A is a `PETScMatrix`, and PETSc builds over all of them.

    Nothing is claimed about M, since that depends on the options: for CG and MINRES choose one that is self-adjoint
    for a self-adjoint A, as jacobi, icc, gamg and hypre are by default and ilu and asm need not be. With inner Krylov
    methods in the options it is VARIABLE.

    Parameters
    ----------
    options : mapping
        PETSc options with ``pc_type``, such as ``{"pc_type": "hypre"}``; used under a prefix of their own.

    Raises
    ------
    ImportError
        Without petsc4py, when it is built.
    ValueError
        When built, for options that PETSc does not know or did not use, and where PETSc fails.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG
    >>> from resolvent.solvers.petsc import PETScPC
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> CG().solve(A, np.ones(50), M=PETScPC({"pc_type": "icc"})).iterations
    1
    """

    options: Mapping[str, Any] = dataclasses.field(hash=False)
    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.options, Mapping) or "pc_type" not in spelt(self.options):
            raise ValueError(f"options must be a mapping with pc_type, got {self.options!r}")
        object.__setattr__(self, "options", spelt(self.options))

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Built(A, self)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: nothing, but that it varies where inner Krylov methods are asked for."""
        inner = [str(value) for key, value in self.options.items() if key.endswith("ksp_type")]
        varies = any(kind not in LINEAR for kind in inner) or (self.options["pc_type"] == "ksp" and not inner)
        return Props.VARIABLE if varies else Props.NONE


class Built(LinearOperator):
    """A PETSc preconditioner built for one operator; destroyed with this object.

    Parameters
    ----------
    A : LinearOperator
    recipe : PETScPC
    """

    def __init__(self, A: LinearOperator, recipe: PETScPC) -> None:
        petsc = load_petsc()
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self._options, self._prefix = dict(recipe.options), unique_prefix()
        doubled = A.dtype.kind == "c" and np.dtype(petsc.ScalarType).kind != "c"
        self._pair = np.complex128 if doubled else None
        self._apart = A.dtype.kind != "c" and np.dtype(petsc.ScalarType).kind != "c"
        self._comm_of_A = A._communicator()
        comm = petsc.COMM_SELF if self._comm_of_A is None else self._comm_of_A
        owned: list[Any] = []
        destroyed_with(self, owned)
        try:
            mat, matrix = assembled(A, doubled=doubled, comm=comm)
            owned += [] if matrix is None else [mat]
            self._x, self._y = mat.createVecs()
            self._pc = petsc.PC().create(comm=comm)
            owned += [self._x, self._y, self._pc]
            self._pc.setOperators(mat)
            self._pc.setOptionsPrefix(self._prefix)
            self._pc.setType(str(self._options["pc_type"]))
            with in_database(self._prefix, self._options):
                self._pc.setFromOptions()
                self._pc.setUp()
                self._x.set(0.0)
                self._pc.apply(self._x, self._y)  # some read their options only now
                left = unused(self._prefix, self._options)
        except petsc.Error as error:
            raise ValueError(f"PETSc cannot build {recipe} for {A!r}: {message(error)}") from error
        if left:
            raise ValueError(f"PETSc did not use the options {', '.join(left)} of {recipe}: are they misspelt?")

    def _communicator(self) -> Any:
        return self._comm_of_A

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._through(self._pc.apply, X, out)

    def _rmatmat(self, X: Array) -> Array:
        # In real-equivalent form the transpose is the adjoint; a complex PETSc conjugates before and after.
        conjugate = self._pair is None and not self._apart
        out = np.empty_like(X)
        self._through(self._pc.applyTranspose, X.conj() if conjugate else X, out)
        return out.conj() if conjugate else out

    def _through(self, apply: Any, X: Array, out: Array) -> None:
        for c in range(X.shape[1]):
            for part in ("real", "imag") if self._apart and X.dtype.kind == "c" else ("",):
                given, wanted = (getattr(a[:, c], part) if part else a[:, c] for a in (X, out))
                entries(self._x, self._pair)[:, 0] = given
                apply(self._x, self._y)
                wanted[...] = entries(self._y, self._pair)[:, 0]

    def _summary(self) -> str:
        return f"PETSc {self._options['pc_type']}"
