"""The PETSc objects behind one prepared system, and the callbacks through which PETSc reaches ours."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...operators import Array, LinearOperator
from ...operators.petsc import PETScMatrix, entries, set_values
from ...operators.petsc_lifetime import destroyed_with, load_petsc
from ...operators.sparse import same_pattern
from ..monitor import Monitor
from .link import Link
from .matrices import assembled, null_space, real_form
from .options import in_database, unique_prefix, unused
from .reasons import FAULTY_OPTIONS, message

NOT_RIGHT = ("bcgsl",)
"""Types that claim to test the true norm on the right, but do not undo the preconditioner in x: measured, with a true
residual of 3 ‖b‖ where PETSc 3.18 says 4e-9."""


class System:
    """KSP, matrices and vectors of PETSc for one operator; destroyed with this object, or by `close`.

    Parameters
    ----------
    A : LinearOperator
    options : dict
        PETSc options of the KSP and its PC, without prefix.
    doubled : bool
        Whether complex numbers are to be pairs of real ones, since this PETSc is real.
    null_space, near_null_space
        As `PETScKSP` takes them.
    symmetric : bool
        Whether the null space of A is also that of its transpose: right-hand sides are then cleared of it.
    keep : bool
        Whether a preconditioner that PETSc builds stays when values change.
    """

    def __init__(
        self,
        A: LinearOperator,
        options: dict[str, Any],
        *,
        doubled: bool,
        null_space: Any = None,
        near_null_space: Any = None,
        symmetric: bool = False,
        keep: bool = False,
    ) -> None:
        petsc = load_petsc()
        self._error = petsc.Error
        self._options, self._doubled, self._keep = options, doubled, keep
        self._matrix: sp.csr_array | None = None
        self._null_space: Any = None
        self.failure = ""
        self.broken = False
        self.link = Link(A, np.complex128 if doubled else None)
        self._objects: list[Any] = []
        self._finalizer = destroyed_with(self, self._objects)
        communicator = A._communicator()
        self._comm = petsc.COMM_SELF if communicator is None else communicator
        n = A.shape[0] * (2 if doubled else 1)
        size = ((n, None), (n, None))
        self._shell = self._own(petsc.Mat().createPython(size, self.link, comm=self._comm))
        self._shell.setUp()
        self.b, self.d = (self._own(v) for v in self._shell.createVecs())
        self._prefix = unique_prefix()
        with self._faults():
            self._ksp = self._own(petsc.KSP().create(comm=self._comm))
            builds = "pc_type" in options and options["pc_type"] != "none"
            self._pmat = self._assemble(A) if builds else None
            found = self._attach(self._shell.setNullSpace, null_space)
            if symmetric:
                self._null_space = found
            if self._pmat is not None:
                self._attach(self._pmat.setNearNullSpace, near_null_space)
            self._configure(petsc)
        if not self.failure:
            self._set_up(check=True)

    def close(self) -> None:
        """Destroy everything of PETSc now."""
        self._finalizer()

    def renew(self, A: LinearOperator) -> bool:
        """Take in new values of the same pattern; return False if that cannot be done and a new system is needed."""
        if self.failure or self.broken or A.shape != self.link.A.shape:
            return False
        same_kind = isinstance(A, PETScMatrix) == isinstance(self.link.A, PETScMatrix)
        self.link.A = A
        if self._pmat is None:
            return True
        if not same_kind:
            return False
        if isinstance(A, PETScMatrix) and not self._doubled:
            self._ksp.setOperators(self._shell, A.mat)
            self._ksp.getPC().setReusePreconditioner(self._keep)
            self._pmat = A.mat
        elif not self._keep:  # otherwise PETSc sees the old entries, and products the new ones
            matrix = real_form(A, doubled=self._doubled)
            assert self._matrix is not None
            if not same_pattern(matrix, self._matrix):
                return False
            set_values(self._pmat, matrix)
            self._matrix = matrix
            self._ksp.setOperators(self._shell, self._pmat)
        self._set_up(check=False)
        return True

    def correct(self, r: Array, monitor: Monitor, norm: float, target: float) -> tuple[Array, int, bool]:
        """Let PETSc solve A d = r from zero, until it believes ‖r − A d‖ ≤ target.

        Returns
        -------
        d : (n, 1) array
            In memory of PETSc, valid until the next call.
        reason : int
            PETSc's converged reason; an error of PETSc is -11 with `failure` set.
        tested : bool
            Whether any iteration was reported to the monitor.
        """
        link = self.link
        entries(self.b, link.dtype)[...] = r
        if self._null_space is not None:
            self._null_space.remove(self.b)
        self.d.set(0.0)
        link.monitor, link.norm, link.target, link.its, link.tested = monitor, norm, target, 0, False
        monitor.counts.setup += link.setup
        link.setup = 0
        relative = min(max(target / norm, 1e-300), 0.9) if norm > 0.0 else 0.5
        self._ksp.setTolerances(rtol=relative, atol=0.0, divtol=1e300, max_it=monitor.maxiter - monitor.iteration)
        self.broken = True  # until PETSc has returned: an exception leaves its objects in the middle of something
        try:
            with in_database(self._prefix, self._options):
                self._ksp.solve(self.b, self.d)
            self.broken = False
            reason = int(self._ksp.getConvergedReason())
        except self._error as error:
            self.failure, reason = message(error), -11
        finally:
            link.monitor = None
        return entries(self.d, link.dtype), reason, link.tested

    # Internals -------------------------------------------------------------------------------------------------------

    def _own(self, thing: Any) -> Any:
        self._objects.append(thing)
        return thing

    def _faults(self) -> Any:
        return _Faults(self)

    def _configure(self, petsc: Any) -> None:
        ksp, options = self._ksp, self._options
        ksp.setOperators(self._shell, self._shell if self._pmat is None else self._pmat)
        ksp.setOptionsPrefix(self._prefix)
        kind = str(options.get("ksp_type", "gmres"))
        ksp.setType(kind)
        side = side_of_true_norm(kind)
        if side is not None and not {"ksp_norm_type", "ksp_pc_side"} & options.keys():
            ksp.setNormType(petsc.KSP.NormType.UNPRECONDITIONED)
            ksp.setPCSide(side)
        pc = ksp.getPC()
        pc.setType(str(options.get("pc_type", "python")))  # here, since PETSc cannot fail safely while it reads options
        if "pc_type" not in options:
            pc.setPythonContext(self.link)
        elif "pc_python_type" in options:
            pc.setPythonType(str(options["pc_python_type"]))
        ksp.setConvergenceTest(self.link.test)

    def _set_up(self, *, check: bool) -> None:
        """Let PETSc build its preconditioner; with `check`, refuse options that nothing asks for."""
        petsc = load_petsc()
        if self._matrix is not None and not np.isfinite(self._matrix.data).all():
            self.failure = "the matrix holds NaN or infinity"
            return
        ksp = self._ksp
        with in_database(self._prefix, self._options), self._faults():
            if check:
                ksp.setFromOptions()
            ksp.setUp()
            self.link.exact = int(ksp.getNormType()) == int(petsc.KSP.NormType.UNPRECONDITIONED)
            if check and unused(self._prefix, self._options):
                # Parts of some preconditioners are set up, and read their options, when they are first applied.
                ksp.setUpOnBlocks()
                self.d.set(0.0)
                if self._pmat is not None:
                    ksp.getPC().apply(self.d, self.b)
                left = unused(self._prefix, self._options)
                if left:
                    raise ValueError(
                        f"PETSc did not use the options {', '.join(left)} with {self._options}: they are misspelt, or "
                        "belong to another ksp_type or pc_type"
                    )

    def _assemble(self, A: LinearOperator) -> Any:
        mat, self._matrix = assembled(A, doubled=self._doubled, comm=self._comm)
        return mat if self._matrix is None else self._own(mat)

    def _attach(self, setter: Any, vectors: Any) -> Any:
        """Attach a null space, the constants or the columns of an array, and return it."""
        if vectors is None:
            return None
        n = self.link.A.shape[0]
        space, made = null_space(vectors, self.b, n, doubled=self._doubled, comm=self._comm)
        self._objects += made
        setter(space)
        return space


class _Faults:
    """PETSc's errors: ValueError where the options are to blame, the `failure` of a system where the numbers are."""

    def __init__(self, system: System) -> None:
        self._system = system

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if not isinstance(error, self._system._error):
            return False
        if error.ierr in FAULTY_OPTIONS:
            raise ValueError(f"PETSc cannot work with the options {self._system._options}: {message(error)}") from error
        self._system.failure = message(error)
        return True


@functools.cache
def side_of_true_norm(kind: str) -> Any:
    """Return the side of the preconditioner on which a KSP type can test ‖b − A x‖, None if on neither.

    PETSc has no question for that, but says so when a KSP is set up: asked of a 1 × 1 system.
    """
    if kind in NOT_RIGHT:
        return None
    petsc = load_petsc()
    matrix = petsc.Mat().createAIJ((1, 1), csr=([0, 1], [0], [1.0]), comm=petsc.COMM_SELF)
    found = None
    for side in (petsc.PC.Side.RIGHT, petsc.PC.Side.LEFT):
        ksp = petsc.KSP().create(comm=petsc.COMM_SELF)
        try:
            ksp.setOperators(matrix)
            ksp.setType(kind)
            ksp.getPC().setType("none")
            ksp.setNormType(petsc.KSP.NormType.UNPRECONDITIONED)
            ksp.setPCSide(side)
            ksp.setUp()
            found = side
        except petsc.Error as error:
            if error.ierr == 86:
                raise
            continue
        finally:
            ksp.destroy()
        break
    matrix.destroy()
    return found
