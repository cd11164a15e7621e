"""Our methods as PETSc's KSP."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, Props
from ...operators.petsc import PETScMatrix, entries, from_petsc
from ...operators.petsc_lifetime import load_petsc
from ..prepared import Prepared
from ..progress import Progress
from ..solver import Solver
from .inside_pc import checked_claims, claims_named
from .options import built_from_database
from .reasons import REASON_OF


class SolverKSP:
    """A method of ours as a Python KSP of PETSc, on one rank or many.

    From petsc4py: ``ksp.setType("python"); ksp.setPythonContext(SolverKSP(MINRES()))``. From the options database:

        -ksp_type python -ksp_python_type resolvent.solvers.petsc.SolverKSP
        -ksp_resolvent_method GMRES -ksp_resolvent_restart 50 -ksp_resolvent_claims self_adjoint

    Tolerances, the largest number of iterations and the initial guess are PETSc's; ``ksp_monitor`` and PETSc's history
    see every residual norm, and these are norms of b − A x. The KSP's PC, of whatever type, is the preconditioner;
    type "none" is none. `result` holds what the last solve returned.

    Destroy the KSP before the process ends: petsc4py 3.18 crashes at the end otherwise.

    Parameters
    ----------
    solver : Solver, optional
        GMRES, or what the options say, by default.
    claims : Props, optional
        What the matrix is, where PETSc does not know it. A method that needs a definite matrix needs no claim.
    """

    def __init__(self, solver: Solver | None = None, *, claims: Props | None = None) -> None:
        if not (solver is None or isinstance(solver, Solver)):
            raise TypeError(f"expected a solver such as GMRES(restart=50), got {solver!r}")
        self._solver = solver
        self._claims = checked_claims(claims)
        self._prepared: Prepared | None = None
        self._source: Any = None
        self._fault: Exception | None = None
        self.result: Any = None

    def setFromOptions(self, ksp: Any) -> None:  # noqa: N802 - PETSc's name
        """Read ``ksp_resolvent_method``, its fields, and ``ksp_resolvent_claims``; a mistake is raised by `solve`."""
        try:
            self._read(ksp.getOptionsPrefix() or "")
        except (TypeError, ValueError) as error:  # PETSc, in the middle of reading options, would crash later
            self._fault = error

    def _read(self, prefix: str) -> None:
        database = load_petsc().Options(prefix)
        if database.hasName("ksp_resolvent_method"):
            self._solver = method_from_database(database.getString("ksp_resolvent_method"), prefix, "ksp_resolvent")
        if database.hasName("ksp_resolvent_claims"):
            self._claims = claims_named(database.getString("ksp_resolvent_claims"))

    def solve(self, ksp: Any, b: Any, x: Any) -> None:
        """Solve A x = b, and tell PETSc how that ended."""
        from ..krylov.gmres import GMRES

        if self._fault is not None:
            raise self._fault
        rtol, atol, _, max_it = ksp.getTolerances()
        # PETSc's defaults for what was not set in solver are its own, so that options on its command line count.
        solver = dataclasses.replace(self._solver or GMRES(), rtol=rtol, atol=atol, maxiter=max_it)
        prepared = self._prepare(ksp, solver)
        guess = entries(x)[:, 0].copy() if ksp.getInitialGuessNonzero() else None

        def watch(progress: Progress) -> None:
            ksp.setIterationNumber(progress.iteration)
            ksp.logConvergenceHistory(float(progress.residual_norm[0]))
            ksp.monitor(progress.iteration, float(progress.residual_norm[0]))

        result = self.result = prepared.solve(entries(b, locked=True)[:, 0].copy(), guess, callback=watch)
        entries(x)[:, 0] = result.x
        ksp.setIterationNumber(result.iterations)
        # PETSc refuses a norm that is not a number.
        ksp.setResidualNorm(result.residual_norm if np.isfinite(result.residual_norm) else np.inf)
        ksp.setConvergedReason(REASON_OF[result.status])

    def view(self, ksp: Any, viewer: Any) -> None:
        """Say which method this is."""
        viewer.printfASCII(f"  resolvent: {self._solver or 'GMRES'}\n")

    def reset(self, ksp: Any) -> None:
        """Forget the matrix; the method stays."""
        self._prepared = self._source = None

    destroy = reset

    def _prepare(self, ksp: Any, solver: Solver) -> Prepared:
        mat, _ = ksp.getOperators()
        pc = ksp.getPC()
        M = None if pc.getType() == "none" else (mat, pc)
        source = (mat.handle, None if M is None else pc.handle, solver)
        if self._prepared is None or self._source != source:
            A = from_petsc(mat, props=self._claims)
            self._prepared = solver.prepare(A, None if M is None else PCOperator(A, pc, solver.needs))
            self._source = source
        return self._prepared


class PCOperator(LinearOperator):
    """A PETSc preconditioner as an operator; PETSc rebuilds it by itself when its matrix changes.

    Parameters
    ----------
    A : PETScMatrix
        The matrix it is for.
    pc : petsc4py.PETSc.PC
        Set up.
    props : Props
        Claims.
    """

    def __init__(self, A: PETScMatrix, pc: Any, props: Props = Props.NONE) -> None:
        kept = props & (Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)
        super().__init__(A.shape, A.dtype, props=kept, grid=A.grid)
        self._A, self._pc = A, pc
        self._x, self._y = A.mat.createVecs()

    def _communicator(self) -> Any:
        return self._A._communicator()

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._A._columns_through(self._pc.apply, self._x, self._y, X, out)


def method_from_database(name: str, prefix: str, head: str) -> Solver:
    """Return the method of this name, with its options read from PETSc's database."""
    from ... import solvers

    known = sorted(
        n
        for n in solvers.__all__
        if isinstance(found := getattr(solvers, n), type) and issubclass(found, Solver) and found is not Solver
    )
    if name not in known:
        raise ValueError(f"{prefix}{head}_method must be one of {', '.join(known)}, got {name!r}")
    cls = getattr(solvers, name)
    # Tolerances are PETSc's own options.
    solver: Solver = built_from_database(cls, prefix, head, rtol=1e-5, atol=0.0, maxiter=None)
    return solver
