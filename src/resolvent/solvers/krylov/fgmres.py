"""Flexible restarted GMRES."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from ...operators import Array, LinearOperator, Props, StructureError
from ..monitor import Monitor
from ..solver import Solver
from .gmres import check_restart
from .restarted import run_cycles


@dataclasses.dataclass(frozen=True, kw_only=True)
class FGMRES(Solver):
    """Restarted GMRES whose preconditioner may change from one application to the next.

    Minimises ‖b − A x‖₂ over x₀ + span{M₁v₁, M₂v₂, …}, with v₁, v₂, … the Arnoldi vectors and M₁, M₂, … whatever the
    preconditioner was at each step: an inner iteration, a randomised or a learned operator.

    Storage: 2 restart + 1 basis vectors and 3 more. Step j of a cycle: one product with A, one with M, 4 j inner
    products or updates. Many right-hand sides are solved one after the other.

    Do not use it with a fixed preconditioner: GMRES does the same with half the storage.

    Parameters
    ----------
    restart : int
        Length of a cycle, 30 by default.

    References
    ----------
    Saad 1993, doi:10.1137/0914028.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Function, Props
    >>> from resolvent.solvers import FGMRES, GMRES
    >>> A = np.diag(np.arange(1.0, 101.0)) + np.diag(np.full(99, 0.5), 1)
    >>> inner = GMRES(rtol=0.1).prepare(A)
    >>> M = Function((100, 100), lambda r: inner.solve(r).x, props=Props.VARIABLE)
    >>> result = FGMRES().solve(A, np.ones(100), M=M)
    >>> result.status.name, result.iterations < 12
    ('CONVERGED', True)
    """

    restart: int = 30
    lockstep: ClassVar[bool] = False
    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_restart(self.restart)

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if Props.VARIABLE in A.props:
            raise StructureError(f"FGMRES needs a fixed operator, but {A!r} is VARIABLE")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        run_cycles(b, x, monitor, restart=int(self.restart), flexible=True)
