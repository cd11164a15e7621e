"""Multigrid as a solver: stationary iteration, with a full-multigrid start."""

from __future__ import annotations

import dataclasses
from typing import Literal, final

import numpy as np

from ...operators import Array, LinearOperator, StructureError
from ..monitor import Monitor
from ..separable.couplings import NonFiniteError
from ..solver import Solver
from ..status import Status
from .cycles import Shape
from .geometric import GeometricMultigrid, Smoothing
from .hierarchy import Hierarchy
from .network import Interpolation


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Multigrid(Solver):
    """x ← x + M (b − A x) with M one geometric multigrid cycle, after a start by full multigrid.

    For the systems that `GeometricMultigrid` takes; its options are the same. With smooth coefficients a V-cycle leaves
    about a third (2-D) or half (3-D) of the error, a W- or F-cycle a fourth or 0.4. The start leaves an error below
    that of the discretisation in two dimensions, of several times that in three. CG with M takes half as many cycles to
    a small residual, for two vectors more.

    Converges while M A has no eigenvalue above 2. Jumps of orders of magnitude from cell to cell can bring some, and
    the iteration then ends with DIVERGED or STAGNATED, with the best iterate: use CG with M=GeometricMultigrid(), which
    does not mind a few.

    A system that nothing grounds (insulated or periodic throughout) is singular: residuals and corrections are freed of
    their mean, so that x keeps the mean of x0. It ends CONVERGED for consistent b, else STAGNATED with a least-squares
    solution.

    An iteration costs one A and one M; full multigrid 1.8 (2-D) or 1.3 (3-D) V-cycles. Storage: 2 vectors and the
    hierarchy.

    Parameters
    ----------
    full : bool
        Start with full multigrid.
    smoother, sweeps, cycle, interpolation, coarsening, precision
        See `GeometricMultigrid`. F-cycles are of use here.
    rtol, atol, maxiter
        See `Solver`.

    Raises
    ------
    StructureError, ValueError
        As by `GeometricMultigrid`; StructureError also for a preconditioner.

    References
    ----------
    Brandt 1977, doi:10.1090/S0025-5718-1977-0431719-X; Trottenberg, Oosterlee & Schüller 2001, "Multigrid", ISBN
    978-0-12-701070-0, section 2.6 (full multigrid).

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.solvers import Multigrid
    >>> A, b = Darcy2D(resolution=64).assemble({"a": np.ones((64, 64))})
    >>> [Multigrid(rtol=rtol).solve(A, b).iterations for rtol in (1e-3, 1e-8)]
    [4, 15]
    """

    full: bool = True
    smoother: Smoothing = "red_black"
    sweeps: int = 1
    cycle: Shape = "V"
    interpolation: Interpolation = "operator"
    coarsening: Literal["auto", "full"] = "auto"
    precision: Literal["double", "single"] = "double"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._recipe()  # which looks at its options

    def _recipe(self) -> GeometricMultigrid:
        return GeometricMultigrid(
            self.smoother, self.sweeps, self.cycle, self.interpolation, self.coarsening, self.precision
        )

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("Multigrid takes no preconditioner: leave it out, or use CG with it")

    def _setup(self, A: LinearOperator) -> Hierarchy | str:
        return self._refresh(None, A)

    def _refresh(self, state: Hierarchy | str | None, A: LinearOperator) -> Hierarchy | str:
        try:
            return self._recipe().update(state, A) if isinstance(state, Hierarchy) else self._recipe()(A)
        except NonFiniteError as error:  # a status, as for every solver
            return str(error)

    def _adjoint(self, state: Hierarchy | str, A: LinearOperator) -> Hierarchy | str:
        return state  # of a symmetric operator

    def _run(self, state: Hierarchy | str, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        r, z = v.empty_like(b), v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        if isinstance(state, str):
            monitor.retire(np.ones(b.shape[1], dtype=bool), Status.NONFINITE, x, state)
            return
        correct = state.full_into if self.full else state._matmat_into
        while monitor.running:
            x, r, z = monitor.compact(x, r, z)
            if state.singular:
                r -= r.mean(0)
            correct(r, z)
            if state.singular:
                z -= z.mean(0)
            v.axpy(np.ones(r.shape[1]), z, x)
            correct = state._matmat_into
            stalled = monitor.step_recomputed(x, r, gain=0.995, patience=200 if state.singular else 20)
            if state.singular and monitor.iteration % 8 == 0:
                monitor.retire_inconsistent(stalled, x, r)
