"""Conjugate gradients for many right-hand sides that share one Krylov space."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import SPD, Array, LinearOperator, Props
from ..masks import all_of, any_of
from ..monitor import Monitor
from ..solver import Solver, refuse_not_self_adjoint, refuse_variable
from ..status import Status
from .curvature import FLAT, NOISE, REASON, size_of_terms


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockCG(Solver):
    """Block conjugate gradients without breakdown, for self-adjoint positive definite A and M.

    Every column is minimised in the A-norm over the sum of all columns' Krylov spaces, so that k columns behave as if
    the k − 1 smallest eigenvalues of MA were absent. With P a basis of the search directions,

        X ← X + P (PᴴAP)⁻¹ PᴴR,   R ← R − AP (PᴴAP)⁻¹ PᴴR,   P ← basis of span(MR − P (PᴴAP)⁻¹ (AP)ᴴMR).

    The basis comes from a pivoted Cholesky factorisation of the Gram matrix, columns of length one, which leaves out
    directions that depend on the others: equal, dependent or almost converged columns cost fewer products instead of
    a breakdown. What is left out stays in the residual and comes back when it matters. Finished columns leave. A
    column that fails does so alone: of a semi-definite A, the columns outside its range end STAGNATED. With one column
    the iterates are those of CG.

    Storage: 5 vectors a column besides x and b, one of them the best iterates so far. Each iteration: a product with A
    for every direction, one with M for every column, and 8 matrix products of n × k by k × k (BLAS-3), 16 n k² flops.

    Do not use it where one product with A is much cheaper than those 16 n k² flops and the columns have little in
    common, nor for an indefinite A, which ends it with INDEFINITE: CG and MINRES run columns side by side.

    Parameters
    ----------
    deflation : float
        A direction is left out if less than this fraction of it is independent of the others; at least 10 √ε.

    References
    ----------
    O'Leary 1980, doi:10.1016/0024-3795(80)90247-5; Ji & Li 2017, doi:10.1007/s10543-016-0631-z.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG, BlockCG
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(60, 60))
    >>> B = np.random.default_rng(0).standard_normal((60, 4))
    >>> BlockCG().solve(A, B).iterations, CG().solve(A, B).iterations
    (15, 60)
    """

    deflation: float = 1e-6

    needs: ClassVar[Props] = SPD
    block: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.deflation < 1.0:
            raise ValueError(f"deflation must be a number in [0, 1), got {self.deflation!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "BlockCG", "FlexibleCG")
        refuse_not_self_adjoint(A, "BlockCG", M)

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        r = v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        # Flat, since fewer columns than there are now have to be contiguous too.
        memory = [v.empty_like(b).reshape(-1) for _ in range(3)]
        deflation = max(self.deflation, 10.0 * monitor.eps**0.5)
        restart, stiffness = np.ones(b.shape[1], dtype=bool), 0.0
        inverse = np.zeros((0, 0))
        p = q = _columns(memory[1], b, 0)
        while monitor.running:
            x, r, restart = monitor.compact(x, r, restart)
            k = r.shape[1]
            w = _columns(memory[0], r, k)
            z = monitor.precondition(r, w)
            if monitor.reject_nonpositive(v.dot(r, z).real, "rᴴMr", x):
                continue
            scale = 1.0 / v.norm(z)
            beta = -inverse @ v.inner(q, z) * np.where(restart, 0.0, scale) if len(inverse) else None
            v.assign(scale, z, w)
            if beta is not None:
                v.blend(p, beta, w, add=True)
            gram = v.inner(w, w)
            if monitor.retire(~np.isfinite(np.diag(gram).real), Status.NONFINITE, x, "a direction is not finite"):
                continue
            basis = independent(gram, deflation)
            p, q = (_columns(array, r, basis.shape[1]) for array in memory[1:])
            v.blend(w, basis, p)
            monitor.multiply(p, q)
            energy, slope = v.inner(p, q), v.inner(p, r)
            if not np.isfinite(energy).all():
                monitor.retire(np.ones(k, dtype=bool), Status.NONFINITE, x, "pᴴAp is not finite")
                continue
            inverse, stiffness = _curved(monitor, energy, slope, stiffness, p, x, r)
            if monitor.finished():
                return
            step = inverse @ slope
            if not all_of(monitor.unfinished):
                step[:, ~monitor.unfinished] = 0.0
            v.blend(p, step, x, add=True)
            v.blend(q, -step, r, add=True)
            restart = monitor.step(v.norm(r), x, r)


def independent(gram: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the (k, p) matrix S for which W S is nearly orthonormal and spans W, given WᴴW of columns W.

    Columns of which less than the fraction `tolerance` is independent of the others are left out.
    """
    from scipy.linalg.lapack import get_lapack_funcs

    gram = gram.astype(np.result_type(gram, np.float64))
    size = np.sqrt(np.diag(gram).real)
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0)
    factor, pivots, rank, _ = get_lapack_funcs("pstrf", (gram,))(gram * np.outer(inverse, inverse), tol=tolerance**2)
    rank = int(rank)
    chosen = pivots[:rank] - 1
    basis = np.zeros((len(gram), rank), dtype=gram.dtype)
    basis[chosen] = inverse[chosen, None] * np.linalg.inv(np.triu(factor[:rank, :rank]))
    return basis


def _curved(
    monitor: Monitor, energy: np.ndarray, slope: np.ndarray, stiffness: float, p: Array, x: Array, r: Array
) -> tuple[np.ndarray, float]:
    """Return (PᴴAP)⁻¹ without directions that A maps to zero, and the largest Rayleigh quotient so far.

    The same judgement as for one direction: what is zero up to rounding finishes the columns that would go there with
    STAGNATED, what is negative beyond rounding finishes all with INDEFINITE.
    """
    v = monitor.vectors
    energy = energy.astype(np.result_type(energy, np.float64))
    energy = 0.5 * (energy + energy.conj().T)
    sizes = abs(np.diag(energy).real)
    scale = np.where(sizes > 0.0, sizes, 1.0) ** -0.5  # a badly scaled A may leave small entries accurate
    curvature, directions = np.linalg.eigh(energy * np.outer(scale, scale))
    directions = scale[:, None] * directions
    length = np.sum(abs(directions) ** 2, axis=0)  # P is nearly orthonormal
    quotient = curvature / length
    stiffness = max(stiffness, float(quotient.max()))
    null = abs(quotient) <= FLAT * len(energy) * monitor.eps * stiffness
    null |= quotient == 0.0
    if any_of(null) and stiffness > 0.0:
        suspects = np.flatnonzero(null)
        d = v.empty_like(v.take(p, suspects))
        v.blend(p, directions[:, suspects], d)
        null[suspects] = abs(curvature[suspects]) <= NOISE * monitor.eps * size_of_terms(monitor, d)
        null |= quotient == 0.0
    negative = ~null & (curvature < 0.0)
    if any_of(negative):
        monitor.retire(np.ones(r.shape[1], dtype=bool), Status.INDEFINITE, x, "pᴴAp ≤ 0")
    if any_of(null):
        share = abs(directions[:, null].conj().T @ slope) / np.outer(np.sqrt(length[null]), v.norm(r))
        lost: np.ndarray = share.max(axis=0) > monitor.eps**0.5
        monitor.retire(lost, Status.STAGNATED, x, REASON)
    kept = directions[:, ~null]
    inverse: np.ndarray = (kept / curvature[~null]) @ kept.conj().T
    return inverse, stiffness


def _columns(memory: Array, like: Array, k: int) -> Array:
    """Return the beginning of a flat array as (n, k)."""
    n = like.shape[0]
    return memory[: n * k].reshape(n, k)
