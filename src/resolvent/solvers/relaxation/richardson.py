"""Richardson iteration: every stationary method, by its preconditioner."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, final

import numpy as np

from ...operators import Array
from ..monitor import Monitor
from ..preconditioners.recipe import is_number
from ..solver import Solver


@final
@dataclasses.dataclass(frozen=True)
class Richardson(Solver):
    """x ← x + ω M (b − A x): with ``M=Jacobi()`` (weighted) Jacobi, with ``BlockJacobi(4)`` its block form.

    With any other recipe it is the stationary iteration of that: ``SSOR(1.5)``, ``AMG()``, ``AdditiveSchwarz(16)``. It
    converges if and only if ρ(I − ω M A) < 1. For A and M self-adjoint and definite that is 0 < ω < 2/λmax(M A), and
    the best ω is 2/(λmin + λmax), with which it needs about the square of the iterations of `CG` with the same M: it is
    for comparisons, and for judging an M. Jacobi converges for strictly diagonally dominant A with ω = 1; as a smoother
    of the 5-point Laplacian it takes ω = 4/5. For sweeps `SOR` does the same in less time.

    An iteration costs 1 A and 1 M. Storage: 3 vectors. Works on torch storage and on systems spread over MPI ranks, if
    M does.

    Parameters
    ----------
    omega : float
        ω, not zero.
    rtol, atol, maxiter
        See `Solver`.

    References
    ----------
    Saad 2003, doi:10.1137/1.9780898718003, section 4.2.1.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import AMG, Jacobi, Richardson
    >>> A = sp.diags_array([-1.0, 3.0, -1.0], offsets=[-1, 0, 1], shape=(100, 100))
    >>> [Richardson(omega).solve(A, np.ones(100), M=Jacobi()).iterations for omega in (1.0, 2 / 3)]
    [46, 74]
    >>> Richardson().solve(A, np.ones(100), M=AMG()).iterations
    5
    """

    omega: float = 1.0

    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_number(self.omega) or self.omega == 0.0:
            raise ValueError(f"omega must be a number other than zero, got {self.omega!r}")

    def _run(self, state: None, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        r, z = v.empty_like(b), v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        while monitor.running:
            x, r, z = monitor.compact(x, r, z)
            z = monitor.precondition(r, z)
            v.axpy(np.full(r.shape[1], self.omega), z, x)
            monitor.step_recomputed(x, r)
