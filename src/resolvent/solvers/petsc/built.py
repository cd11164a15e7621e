"""A preconditioner of PETSc as an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ...operators.petsc import UNSUPPORTED, PETScMatrix, entries
from ...operators.petsc_lifetime import destroyed_with, load_petsc
from .matrices import assembled, null_space
from .options import in_database, unique_prefix, unused
from .reasons import message


class Built(LinearOperator):
    """A PETSc preconditioner built for one operator; destroyed with this object.

    Parameters
    ----------
    A : LinearOperator
    options : mapping
        PETSc options with ``pc_type``, without prefix.
    name : str
        What to call it in errors.
    props : Props
        What M claims. An M that claims SELF_ADJOINT is its own adjoint, PETSc is not asked for another.
    near_null_space : (n, q) array, optional
        For algebraic multigrid.
    interpolations : sequence of petsc4py.PETSc.Mat
        For ``pc_type mg``: those between its levels, the finest last.

    Raises
    ------
    ImportError
        Without petsc4py.
    ValueError
        For options that PETSc does not know or did not use, and where it fails.
    """

    def __init__(
        self,
        A: LinearOperator,
        options: Mapping[str, Any],
        *,
        name: str,
        props: Props,
        near_null_space: Any = None,
        interpolations: Sequence[Any] = (),
    ) -> None:
        petsc = load_petsc()
        super().__init__(A.shape, A.dtype, props=props, grid=A.grid)
        self._options, self._prefix, self._error = dict(options), unique_prefix(), petsc.Error
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
            self.pc = petsc.PC().create(comm=comm)
            owned += [self._x, self._y, self.pc]
            if near_null_space is not None:
                if isinstance(A, PETScMatrix):
                    raise StructureError(
                        f"near_null_space would alter {A!r}: give it to the matrix, by A.mat.setNearNullSpace"
                    )
                space, made = null_space(near_null_space, self._x, A.shape[0], doubled=doubled, comm=comm)
                owned += made
                mat.setNearNullSpace(space)
            self.pc.setOperators(mat)
            self.pc.setOptionsPrefix(self._prefix)
            self.pc.setType(str(self._options["pc_type"]))
            if interpolations:
                self.pc.setMGLevels(len(interpolations) + 1)
                for depth, P in enumerate(interpolations, start=1):
                    self.pc.setMGInterpolation(depth, P)
            with in_database(self._prefix, self._options):
                self.pc.setFromOptions()
                self.pc.setUp()
                self._x.set(0.0)
                self.pc.apply(self._x, self._y)  # some read their options only now
                left = unused(self._prefix, self._options)
        except petsc.Error as error:
            raise ValueError(f"PETSc cannot build {name} for {A!r}: {message(error)}") from error
        if left:
            raise ValueError(f"PETSc did not use the options {', '.join(left)} of {name}: are they misspelt?")

    def _communicator(self) -> Any:
        return self._comm_of_A

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._through(self.pc.apply, X, out)

    def _rmatmat(self, X: Array) -> Array:
        if Props.SELF_ADJOINT in self.props:
            return self._matmat(X)
        kind = str(self._options["pc_type"])
        if (
            kind == "hypre"
        ):  # whose transpose is wrong for symmetric matrices, and crashes for others (2.26, PETSc 3.18)
            raise StructureError(f"{self!r} has no adjoint: hypre has none that can be trusted, use another pc_type")
        # In real-equivalent form the transpose is the adjoint; a complex PETSc conjugates before and after.
        conjugate = self._pair is None and not self._apart
        out = np.empty_like(X)
        try:
            self._through(self.pc.applyTranspose, X.conj() if conjugate else X, out)
        except self._error as error:
            if error.ierr not in UNSUPPORTED:
                raise
            raise StructureError(f"{self!r} has no adjoint: {message(error)}") from None
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
