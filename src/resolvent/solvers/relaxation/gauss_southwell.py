"""Greedy relaxation."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, final

import numpy as np
import scipy.sparse as sp

from ...operators import Array, LinearOperator, Props, StructureError
from ..monitor import Monitor
from ..preconditioners.ordering import checked_blocks
from ..preconditioners.recipe import options_equal, options_text
from ..preconditioners.splitting import split
from ..preconditioners.ssor import check_omega
from ..solver import Solver
from ..status import Status
from .storage import Columns
from .stretches import STRETCH, WORK, Idle
from .sweeps import entries_finite


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GaussSouthwell(Solver):
    """x_s ← x_s + ω A_ss⁻¹ (b − A x)_s for the unknown, or the block of unknowns, whose residual is largest.

    The residual is kept up to date: a relaxation reads the columns of its block and nothing else. An iteration is as
    many relaxations as there are blocks, so that it costs about what a sweep of `SOR` does, and log₂ of their number
    more to find the largest; ``result.extra["relaxations"]`` counts them one by one. For a self-adjoint positive
    definite A each relaxation lowers the error in the energy norm, as much as any choice of block can promise.

    Better than sweeps where the residual is concentrated: after a local change of A or b, or from an x0 that is wrong
    in few places. With a residual that is spread evenly it takes somewhat fewer relaxations than Gauss–Seidel, each of
    which costs several times as much. Do not use it for those.

    Storage: 2 vectors, four to six numbers for each block, the inverses of the blocks, and A by columns unless it is
    self-adjoint and real; for given sets of unknowns 2 vectors more, and A renumbered. Columns of b are solved one
    after the other.

    Parameters
    ----------
    omega : float
        Relaxation factor, 0 < ω < 2.
    blocks : int or sequence of (m,) arrays of int, optional
        As of `SOR`.
    rtol, atol, maxiter
        See `Solver`.

    Raises
    ------
    ValueError
        For a matrix with a zero on the diagonal or a singular block, and for blocks that do not fit.
    StructureError
        For an operator without entries or on torch storage, and with a preconditioner.

    References
    ----------
    Southwell 1946, "Relaxation Methods in Theoretical Physics"; Griebel & Oswald 2012, doi:10.1007/s00211-011-0429-1.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import SOR, GaussSouthwell
    >>> A = sp.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(1000, 1000))
    >>> b = np.zeros(1000)
    >>> b[500] = 1.0
    >>> GaussSouthwell().solve(A, b).extra["relaxations"] < 1000 * SOR().solve(A, b).iterations / 20
    True
    """

    omega: float = 1.0
    blocks: Any = None

    lockstep: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_omega(self.omega)
        object.__setattr__(self, "blocks", checked_blocks(self.blocks))

    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.omega))

    def __repr__(self) -> str:
        return options_text(self)

    __str__ = __repr__

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("GaussSouthwell takes no preconditioner: leave M out, or use Richardson or CG")
        if A._holds_torch():
            raise StructureError(f"GaussSouthwell relaxes on the host, but {A!r} is on torch storage: use Richardson")

    def _setup(self, A: LinearOperator) -> tuple[Columns, np.ndarray | None] | str:
        if not entries_finite(A):
            return "A holds NaN or infinity"  # a status, as for every solver
        parts = split(A, "natural", self.blocks, "GaussSouthwell")
        matrix, n = parts.matrix, A.shape[0]
        columns: Any = matrix if Props.SELF_ADJOINT in A.props and A.dtype.kind != "c" else sp.csc_array(matrix)
        if parts.inverse is not None:
            starts, offsets, entries = np.arange(n + 1), np.arange(n + 1), parts.inverse
        else:
            assert parts.starts is not None and parts.offsets is not None and parts.entries is not None
            starts, offsets, entries = parts.starts, parts.offsets, parts.entries
        block_of = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        omega = matrix.data.real.dtype.type(self.omega)
        blocks = (starts, block_of, offsets, entries, omega)
        return Columns(columns.indptr, columns.indices, columns.data, *blocks), parts.permutation

    def _run(self, state: tuple[Columns, np.ndarray | None] | str, b: Array, x: Array, monitor: Monitor) -> None:
        from .southwell_kernels import relax_greedily

        r = monitor.vectors.empty_like(b)
        monitor.start(x, r, keep_best=True)
        if isinstance(state, str):
            monitor.retire(np.ones(1, dtype=bool), Status.NONFINITE, x, state)
            return
        A, permutation = state
        now, left = x.reshape(-1), r.reshape(-1)
        if permutation is not None:
            now, left = np.empty_like(now), np.empty_like(left)
        blocks = len(A.starts) - 1
        tree = np.empty(2 * 2 ** max(blocks - 1, 0).bit_length())
        touched, stamps = np.empty((2, blocks), dtype=np.int64)
        scratch = (tree, touched, stamps, np.empty(int(np.diff(A.starts).max(initial=1)), dtype=x.dtype))
        norms, length = np.empty(STRETCH), 1
        most = max(1, min(STRETCH, WORK // max(len(A.data), 1)))
        kernel: Any = relax_greedily
        idle, relaxations = Idle(100), 0
        while monitor.running:
            length = 1 if monitor.watched else min(2 * length, most)
            limits = float(monitor.floor[0]), float(monitor.limit[0])
            if permutation is not None:
                now[...], left[...] = x[permutation, 0], r[permutation, 0]
            looked_at = norms[: min(length, monitor.maxiter - monitor.iteration)]
            rounds, done = kernel(A, now, left, looked_at, *limits, *scratch)
            if permutation is not None:
                x[permutation, 0], r[permutation, 0] = now, left
            relaxations += done
            monitor.record(norms[: rounds - 1, None])
            monitor.step(norms[rounds - 1 : rounds].copy(), x, r)
            idle.see(norms[:rounds], monitor, x)
        monitor.extra["relaxations"] = relaxations
