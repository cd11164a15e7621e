"""Induced dimension reduction."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator
from ..masks import all_of, any_of
from ..monitor import Monitor
from ..solver import Solver, refuse_variable
from ..vectors import Vectors
from .shadow import ORTHOGONAL, close_step, judge_step, no_losses, reject_nonfinite

ANGLE = 0.7
"""Least cosine between A M r and r with which ω minimises; below it ω is lengthened, as if the cosine were this."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class IDR(Solver):
    """IDR(s) with bi-orthogonal vectors and right preconditioning, for nonsymmetric A without its adjoint.

    Forces residuals into the shrinking spaces G_{j+1} = (I − ω_j A M)(G_j ∩ S), S the complement of s fixed random
    vectors P. In exact arithmetic and generically it ends after n + n/s products, against n of full GMRES and 2n of
    BiCGStab, to which IDR(1) is equivalent. s = 4 is close to GMRES on most problems, at fixed storage.

    An iteration is one product. Each s + 1 of them are a cycle: s steps along u_i with PᴴG lower triangular, G = AU,
    then one that minimises ‖r‖₂ along A M r, lengthened where the two are nearly orthogonal, lest the next spaces come
    to nothing.

    Where a pivot of PᴴG vanishes, the method goes on from the residual with new random vectors; the third time without
    halving the residual is a BREAKDOWN.

    Storage: 3s + 3 vectors besides x and b, one of them the best iterate so far, and 3s + 4 with a preconditioner. Each
    iteration: one product with A, one with M, and on average about 2s inner products and 2s vector updates.

    Do not use it for a self-adjoint A (CG, MINRES). Where residuals must not rise, use GMRES.

    Parameters
    ----------
    s : int
        Dimension of the shadow space. More than 8 seldom pays.
    rng : int
        Seed of the shadow space: the same solve twice gives the same numbers.

    References
    ----------
    van Gijzen & Sonneveld 2011, doi:10.1145/2049662.2049667; Sleijpen & van der Vorst 1995, doi:10.1007/BF02140769, for
    the length of ω.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import IDR
    >>> A = sp.diags_array([-2.0, 3.0, -0.5], offsets=[-1, 0, 1], shape=(100, 100))
    >>> IDR(s=4).solve(A, np.ones(100)).status.name
    'CONVERGED'
    """

    s: int = 4
    rng: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("s", 1), ("rng", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise ValueError(f"{name} must be a whole number ≥ {least}, got {value!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "IDR", "FGMRES")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, (n, k) = monitor.vectors, b.shape
        s = min(self.s, n)
        r, t = v.empty_like(b), v.empty_like(b)
        y = t if monitor.M is None else v.empty_like(b)
        norms = monitor.start(x, r, keep_best=True)
        if monitor.finished():
            return
        P, U, G = (v.stack(b, s) for _ in range(3))
        small = ORTHOGONAL * monitor.eps
        fresh, losses, omega, trust = np.ones(k, dtype=bool), no_losses(k), np.ones(k), np.zeros((2, k))
        f = np.zeros((s, k), dtype=v.dot(r[:1], r[:1]).dtype)
        pivots = np.zeros((s, s, k), dtype=f.dtype)
        j = 0
        while monitor.running:
            x, r, t, y, P, U, G, fresh, losses, omega, f, pivots, trust, norms = monitor.compact(
                x, r, t, y, P, U, G, fresh, losses, omega, f, pivots, trust, norms
            )
            if j == 0:
                if any_of(fresh):
                    norms = v.norm(r)
                    self._begin(v, fresh, losses, P, U, G)
                    omega = np.where(fresh, 1.0, omega)
                    pivots = np.where(fresh, np.eye(s, dtype=f.dtype)[:, :, None], pivots)
                    fresh = np.zeros(len(fresh), dtype=bool)
                f = _products(v, P, r)
            if j < s:
                c = _forward(pivots[j:, j:], f[j:])
                t[...] = r
                _combine(v, -c, G[j:], t)
                y = monitor.precondition(t, y)
                v.assign(c[0], U[j], U[j])
                _combine(v, c[1:], U[j + 1 :], U[j])
                v.axpy(omega, y, U[j])
                monitor.multiply(U[j], G[j])
                h = _products(v, P, G[j])
                if j:
                    a = _forward(pivots[:j, :j], h[:j])
                    _combine(v, -a, G[:j], G[j])
                    _combine(v, -a, U[:j], U[j])
                    h[j:] -= (pivots[j:, :j] * a).sum(axis=1)
                pivots[j:, j] = h[j:]
                _, u_norm, g_norm = v.dot_norms(U[j], G[j])
                step = f[j] / h[j]
                blind, trust = judge_step(monitor, trust, step, u_norm, g_norm, norms)
                lost = ~fresh & ((abs(h[j]) <= small * g_norm) | blind)
                # Columns that begin again stand still until the others have finished the cycle.
                step = np.where(fresh | lost, 0.0, step)
                if reject_nonfinite(monitor, step, "PᴴAu", x, U[j], G[j]):
                    return
                f[j + 1 :] -= step * h[j + 1 :]
                norms = v.step(step, U[j], G[j], x, r)
            else:
                y = monitor.precondition(r, y)
                monitor.multiply(y, t)
                along, t_norm, r_norm = v.dot_norms(t, r)
                lost = ~fresh & (t_norm == 0.0)
                omega = _omega(along, t_norm, r_norm)
                step = np.where(fresh | lost, 0.0, omega)
                if reject_nonfinite(monitor, step, "(AMr)ᴴr", x, t):
                    return
                norms = v.step(step, y, t, x, r)
            begun, _, losses = close_step(monitor, norms, x, r, lost, losses, "a pivot of PᴴAU", trust=trust)
            fresh |= begun
            j = 0 if j == s or all_of(fresh) else j + 1

    def _begin(self, v: Vectors, fresh: np.ndarray, losses: np.ndarray, P: Array, U: Array, G: Array) -> None:
        """Set U and G of the fresh columns to zero, and the rows of P to orthonormal random vectors.

        They depend on the seed and on how often the column was lost, not on the columns beside it.
        """
        begin, (s, n, _) = np.flatnonzero(fresh), P.shape
        kind = v.dot(P[0][:1], P[0][:1]).dtype.kind
        for i in range(s):
            v.clear(U[i], begin)
            v.clear(G[i], begin)
        for count in np.unique(losses[0, begin]):
            these = fresh & (losses[0] == count)
            positions = np.flatnonzero(these)
            rng = np.random.default_rng([self.rng, int(count)])
            for i in range(s):
                if len(positions) == len(fresh):
                    P[i][...] = v.from_host(_draw(rng, n, kind), P)
                else:
                    v.put(P[i], positions, v.from_host(_draw(rng, n, kind), P))
                for earlier in [*range(i), *range(i)]:  # twice is enough
                    v.axpy(np.where(these, -v.dot(P[earlier], P[i]), 0.0), P[earlier], P[i])
                v.assign(np.where(these, 1.0 / v.norm(P[i]), 1.0), P[i], P[i])


def _draw(rng: np.random.Generator, n: int, kind: str) -> np.ndarray:
    """Return a random (n, 1) array, complex for kind "c"."""
    real = rng.standard_normal((n, 1))
    return real + 1j * rng.standard_normal((n, 1)) if kind == "c" else real


def _omega(along: np.ndarray, t_norm: np.ndarray, r_norm: np.ndarray) -> np.ndarray:
    """Return what minimises ‖r − ωt‖, lengthened where t and r are nearly orthogonal; `along` is tᴴr."""
    cosine = abs(along) / (t_norm * r_norm)
    least = ANGLE * r_norm / t_norm
    omega: np.ndarray = np.where(cosine < ANGLE, least * along / abs(along), along / t_norm**2)
    return np.where(along == 0.0, least, omega)


def _forward(L: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Return L⁻¹ f by column for lower triangular (j, j, k) L and (j, k) f."""
    c: np.ndarray = f / L[0, 0]
    for i in range(1, len(f)):
        c[i] = (f[i] - (L[i, :i] * c[:i]).sum(axis=0)) / L[i, i]
    return c


def _products(v: Vectors, V: Array, w: Array) -> np.ndarray:
    """Return V[i]ᴴ w by column for a (j, n, k) array V and an (n, k) array w: a (j, k) array."""
    if w.shape[1] == 1:
        return v.project(V.reshape(V.shape[:2]), w).reshape(-1, 1)
    return np.stack([v.dot(row, w) for row in V])


def _combine(v: Vectors, coefficients: np.ndarray, V: Array, y: Array) -> None:
    """Add Σ coefficients[i] V[i] to y, by column."""
    if len(coefficients) and y.shape[1] == 1:
        v.combine(coefficients[:, 0], V.reshape(V.shape[:2]), y)
    else:
        for c, row in zip(coefficients, V, strict=True):
            v.axpy(c, row, y)
