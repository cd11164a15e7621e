"""Conjugate gradients with a multigrid that is fused into them, for one system or for an ensemble."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np

from ...operators import SPD, Array, LinearOperator, Props, Stencil, StructureError
from ..monitor import Monitor
from ..preconditioners.recipe import is_whole
from ..solver import Solver

if TYPE_CHECKING:
    from .ensemble_groups import EnsembleGroups
    from .ensemble_state import Outcome


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class MultigridCG(Solver):
    """Conjugate gradients with a geometric multigrid V-cycle, for diffusion on boxes.

    For the 3-, 5- and 7-point discretisations of −∇·(a∇u) + c u that `GeometricMultigrid` takes, with its levels, its
    interpolation and its red-black cycle, hence with its iteration counts, which do not grow with the grid. What
    differs is how it is done. The red half of the unknowns is eliminated, so that vectors are half as long; the
    hierarchy is in single precision inside of a double precision iteration; vector updates, products, smoothing and
    transfers are fused into three passes over the grid an iteration; and the members of an `Ensemble` are solved
    together, innermost in memory, each with its own coefficients, inner products, tolerance and verdict. A member that
    fails leaves the others alone. They share one thing, which axes are coarsened first: it is decided by the mean
    couplings of the first member, so that members whose anisotropy differs belong into ensembles of their own.

    Storage for each unknown: 100 bytes in two dimensions and 120 in three, all of it reused by `Prepared.update`
    (`precision="double"` takes 140 and 160), a few more on small grids. An iteration counts as
    one product with A and one with M.

    Do not use it for more than nearest neighbours, nonsymmetric or indefinite systems, nor for jumps of 10³ and more
    across ragged interfaces: two-phase media of that contrast take 20 to 50 iterations in two dimensions and more than
    a hundred in three (``benchmarks/multigrid.py``), algebraic multigrid about ten.

    Parameters
    ----------
    precision : {"single", "double"}
        Of the hierarchy. The iteration and the residual are in double precision.
    sweeps : int
        Smoothing sweeps before and after each coarse correction, below the finest level.

    Raises
    ------
    StructureError
        For operators that are not symmetric, complex, or have other than nearest neighbours, and for periodic axes
        whose number of points is no power of two.

    See Also
    --------
    GeometricMultigrid : the same cycle as a preconditioner, with other smoothers and cycles, on torch devices.

    References
    ----------
    Trottenberg, Oosterlee & Schüller 2001, "Multigrid", ISBN 978-0-12-701070-0; Alcouffe, Brandt, Dendy & Painter 1981,
    doi:10.1137/0902035 (interpolation by currents); Hackbusch 1985, doi:10.1007/978-3-662-02427-0, chapter 3 (reduced
    systems).

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.operators import Ensemble
    >>> from resolvent.solvers import MultigridCG
    >>> family = Darcy2D(resolution=64, coefficient="lognormal_unit")
    >>> systems = [family.assemble(family.draw(np.random.default_rng(i))) for i in range(4)]
    >>> result = MultigridCG().solve(Ensemble([A for A, b in systems]), np.stack([b for A, b in systems], axis=1))
    >>> result.status.name, [column.iterations for column in result.columns]
    ('CONVERGED', [10, 10, 10, 10])
    """

    needs: ClassVar[Props] = SPD
    lockstep: ClassVar[bool] = False

    precision: Literal["single", "double"] = "single"
    sweeps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision not in ("single", "double"):
            raise ValueError(f"precision must be 'single' or 'double', got {self.precision!r}")
        if not is_whole(self.sweeps, 1):
            raise ValueError(f"sweeps must be a whole number ≥ 1, got {self.sweeps!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("MultigridCG brings its own preconditioner: leave M out, or use CG")
        if A.device != "cpu" or A._holds_torch():
            raise StructureError(f"MultigridCG runs on the host, not on {A!r}: use CG with GeometricMultigrid() there")
        if Props.VARIABLE in A.props:
            raise StructureError(f"MultigridCG needs a fixed operator, but {A!r} is VARIABLE")

    def _setup(self, A: LinearOperator) -> EnsembleGroups:
        return self._prepare_members([A])

    def _refresh(self, state: EnsembleGroups, A: LinearOperator) -> EnsembleGroups:
        state.renew([A])
        return state

    def _prepare_members(self, members: Sequence[LinearOperator]) -> EnsembleGroups:
        # numba is imported by the first solve, not by `import resolvent`.
        from .ensemble_groups import EnsembleGroups

        dtype = np.float32 if self.precision == "single" else np.float64
        return EnsembleGroups(members, dtype, int(self.sweeps))

    def _run(self, state: EnsembleGroups, b: Array, x: Array, monitor: Monitor) -> None:
        r = np.empty_like(b)
        monitor.start(x, r, keep_best=True)
        if monitor.finished():
            return
        outcome = state.solve(b.T, x.T, monitor.tolerance, np.full(1, np.nan), monitor.maxiter - monitor.iteration)
        _record(outcome, monitor, x)
        monitor.start(x, r)
        for status, reason in zip(outcome.status, outcome.reasons, strict=True):
            if status is not None:
                monitor.retire(np.ones(1, dtype=bool), status, x, reason)


def fits(A: LinearOperator) -> bool:
    """Whether A is sure to be a system for `MultigridCG`: a definite stencil of nearest neighbours, on the host."""
    if not isinstance(A, Stencil) or A.device != "cpu" or A.dtype.kind == "c":
        return False
    definite = Props.POSITIVE_DEFINITE in A.props and Props.SINGULAR not in A.props
    return definite and all(sum(abs(d) for d in offset) <= 1 for offset in A.offsets)


def _record(outcome: Outcome, monitor: Monitor, x: Array) -> None:
    """Enter what a compiled iteration did."""
    monitor.counts.matvec += outcome.products
    monitor.counts.preconditioner += outcome.cycles
    for norm in outcome.histories[0][1:]:
        if monitor.running:
            monitor.advance(np.array([norm]), x)
