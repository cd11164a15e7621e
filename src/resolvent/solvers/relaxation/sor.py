"""Successive over-relaxation."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, final

from ...operators import Array, LinearOperator, Props, StructureError, as_operator
from ..monitor import Monitor
from ..preconditioners.ordering import Ordering, check_ordering, checked_blocks
from ..preconditioners.recipe import Recipe, options_equal, options_text
from ..preconditioners.ssor import Sweep, Sweeps, check_omega, claims_of_sweep, sweep_code
from ..solver import Solver
from .stretches import run_in_stretches
from .sweeps import Relaxation, entries_finite


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SOR(Solver, Recipe):
    """x_i ← x_i + ω (b − A x)_i / a_ii, one unknown after the other, each with the newest values of the others.

    ω = 1 is Gauss–Seidel; with `sweep="symmetric"` it is SSOR. For a self-adjoint A with positive diagonal it converges
    for all 0 < ω < 2 if and only if A is positive definite (Ostrowski–Reich), also by blocks; for M-matrices and
    strictly diagonally dominant ones with 0 < ω ≤ 1. On the 5-point Laplacian Gauss–Seidel needs O(h⁻²) sweeps, the
    best ω O(h⁻¹): `tuning.optimal_omega` has it.

    As a solver, ``SOR(1.8).solve(A, b)``: an iteration is a sweep (two if symmetric). The residual of each iterate is
    had within the next sweep, so that a sweep reads A once and nothing else; b − A x is formed at the start and to
    confirm convergence. Conjugate gradients with SSOR need about the square root of its iterations: use this as a
    smoother, for comparisons, or where A is so well conditioned that a few sweeps do.

    As a preconditioner, ``GMRES().solve(A, b, M=SOR(1.2))``: M = ω (D + ωL)⁻¹, a sweep from zero, for half of a product
    (backward with U in place of L, symmetric as `SSOR`, for one). One-sided it is not self-adjoint, and CG refuses it.

    As a smoother, ``SOR().smoother(A).smooth(x, b, sweeps=2)``, in place.

    A `Stencil` is not assembled, unless for `multicolour` or blocks. Storage: 4 vectors and the diagonal, and the
    inverses of the blocks; in another order than that of A 5 vectors, and A once more, renumbered.

    Columns are solved one after the other.

    Parameters
    ----------
    omega : float
        Relaxation factor, 0 < ω < 2.
    sweep : {"forward", "backward", "symmetric"}
        From the first unknown to the last, from the last to the first, or forward and then backward.
    ordering : {"natural", "red_black", "multicolour"}
        The order of the unknowns, or of the blocks. Red-black for matrices whose graph has two colours, as that of 5-
        and 7-point stencils; multicolour for any, by greedy colouring. Colours change the rate little (not at all
        asymptotically, where A is consistently ordered both ways), and each unknown no longer waits for the one before.
    blocks : int or sequence of (m,) arrays of int, optional
        Relax blocks of unknowns together, by dense inverses of the diagonal blocks: consecutive unknowns, so many at a
        time, or the given sets, each unknown in exactly one, in the given order.
    rtol, atol, maxiter
        See `Solver`; of no meaning for the preconditioner.

    Raises
    ------
    ValueError
        For a matrix with a zero on the diagonal or a singular block, and for blocks or colours that do not fit.
    StructureError
        For an operator without entries or on torch storage, and as a solver with a preconditioner.

    References
    ----------
    Young 1971, "Iterative Solution of Large Linear Systems", ISBN 978-0-12-773050-9; Saad 2003,
    doi:10.1137/1.9780898718003, sections 4.1 and 12.4.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import SOR
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40))
    >>> [SOR(omega, maxiter=10_000).solve(A, np.ones(40)).iterations for omega in (1.0, 1.86)]
    [3120, 142]
    """

    omega: float = 1.0
    sweep: Sweep = "forward"
    ordering: Ordering = "natural"
    blocks: Any = None

    lockstep: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_omega(self.omega)
        sweep_code(self.sweep)
        check_ordering(self.ordering)
        object.__setattr__(self, "blocks", checked_blocks(self.blocks))

    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.omega, self.sweep, self.ordering))

    def __repr__(self) -> str:
        return options_text(self)

    __str__ = __repr__

    # The smoother ----------------------------------------------------------------------------------------------------

    def smoother(self, A: Any) -> Relaxation:
        """Return the sweeps over A for ``.smooth(x, b, sweeps)``, with all prepared that depends on A alone."""
        operator = as_operator(A)
        self._check(operator, None)
        return Relaxation(operator, self.omega, self.sweep, self.ordering, self.blocks)

    # The preconditioner ----------------------------------------------------------------------------------------------

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Sweeps(A, self.omega, self.sweep, self.ordering, self.blocks, "SOR")

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims if the sweep is symmetric, nothing if not."""
        return claims_of_sweep(self.sweep, A)

    # The solver ------------------------------------------------------------------------------------------------------

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("SOR as a solver takes no preconditioner: leave M out, or use Richardson or CG")
        if A._holds_torch():
            raise StructureError(f"SOR sweeps on the host, but {A!r} is on torch storage: use Richardson with Jacobi")

    def _setup(self, A: LinearOperator) -> Relaxation | str:
        if not entries_finite(A):
            return "A holds NaN or infinity"  # a status, as for every solver
        return Relaxation(A, self.omega, self.sweep, self.ordering, self.blocks)

    def _run(self, state: Relaxation | str, b: Array, x: Array, monitor: Monitor) -> None:
        # The residual of a sweep with ω near 2 grows for about 1/(2 − ω) sweeps before it falls.
        run_in_stretches(state, b, x, monitor, patience=100 + int(20.0 / (2.0 - self.omega)))
