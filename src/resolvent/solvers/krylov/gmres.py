"""Restarted GMRES."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from ...operators import Array, LinearOperator
from ..monitor import Monitor
from ..solver import Solver, refuse_variable
from .restarted import run_cycles


@dataclasses.dataclass(frozen=True, kw_only=True)
class GMRES(Solver):
    """Restarted GMRES with right preconditioning, for any non-singular A.

    Minimises ‖b − A x‖₂ over x₀ + M span{r₀, AM r₀, …}; because M stands on the right, the residual of the iteration
    is that of the original system.

    Storage: restart + 1 basis vectors and 3 more. Step j of a cycle: one product with A, one with M, 4 j inner
    products or updates; one more product with M a cycle. Many right-hand sides are solved one after the other, since
    each needs a basis of its own.

    Do not use it for a self-adjoint A: CG and MINRES need no basis.

    Parameters
    ----------
    restart : int
        Length of a cycle, 30 by default. Longer cycles converge in fewer products but cost more memory and
        orthogonalisation.

    References
    ----------
    Saad & Schultz 1986, doi:10.1137/0907058.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers import GMRES
    >>> A = np.array([[2.0, 1.0], [0.0, 3.0]])
    >>> GMRES().solve(A, np.array([3.0, 3.0])).x.round(12)
    array([1., 1.])
    """

    restart: int = 30
    lockstep: ClassVar[bool] = False
    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_restart(self.restart)

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "GMRES", "FGMRES")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        run_cycles(b, x, monitor, restart=int(self.restart), flexible=False)


def check_restart(restart: Any, name: str = "restart") -> None:
    """Raise ValueError unless `restart` is a whole number ≥ 1."""
    if int(restart) != restart or restart < 1:
        raise ValueError(f"{name} must be a whole number ≥ 1, got {restart!r}")
