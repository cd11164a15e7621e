"""Flexible conjugate gradients."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np

from ...operators import SPD, Array, LinearOperator, Props, StructureError
from ..masks import any_of
from ..monitor import Monitor
from ..preconditioners.recipe import build
from ..solver import Solver, refuse_not_self_adjoint
from ..vectors import Vectors
from .curvature import FLAT, judge_curvature
from .trust import Trust

USELESS = 1e-12
"""A direction d is given up when |dᴴr| is at most this multiple of ‖d‖‖r‖."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlexibleCG(Solver):
    """Conjugate gradients whose preconditioner may change from one application to the next, nonlinear included.

    Each new direction is made A-conjugate to the last `mmax` ones,

        d = z − Σ pᵢ (pᵢᴴA z)/(pᵢᴴA pᵢ),   z = M r,

    which for mmax = 1 is the Polak–Ribière form of CG, and for a fixed M gives CG's iterates in exact arithmetic.
    Every step minimises ‖x − x*‖_A along d, so that no preconditioner, however bad, can increase the error. Where M
    returns not-a-number, a direction orthogonal to r, or one along which dᴴAd overflows or is rounding, d is made from
    r instead; ``extra["fallbacks"]`` counts that. After three such failures running, or where an M that claims to vary
    gains less than no preconditioner would (see `Trust`), it is given up for that right-hand side, and `safe` takes its
    place; ``extra["abandoned"]`` counts the right-hand sides. A dᴴAd that is truly negative proves that A is not
    definite, whoever made d, and ends the solve.

    Storage: 4 + 2 mmax vectors besides x and b, one of them the best iterate so far. Each iteration: one product with
    A, one with M, mmax + 4 inner products and mmax + 2 vector updates.

    Do not use it with a fixed M, where CG needs less, nor for an indefinite or nonsymmetric A (FGMRES).

    Parameters
    ----------
    mmax : int
        Number of directions to keep, 2 by default. More help when M changes a lot.
    safe : operator, recipe or None
        Preconditioner to go on with where M was given up, built when that happens; by default none.

    References
    ----------
    Notay 2000, doi:10.1137/S1064827599362314; Golub & Ye 1999, doi:10.1137/S1064827597323415.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.operators import SPD, Function, Props, Sparse
    >>> from resolvent.solvers import CG, FlexibleCG
    >>> A = Sparse(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(200, 200)), props=SPD)
    >>> inner = CG(rtol=0.1).prepare(A)
    >>> M = Function(A.shape, lambda r: inner.solve(r).x, props=Props.VARIABLE)
    >>> FlexibleCG().solve(A, np.ones(200), M=M).status.name
    'CONVERGED'
    """

    mmax: int = 2
    safe: Any = None
    needs: ClassVar[Props] = SPD
    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if int(self.mmax) != self.mmax or self.mmax < 1:
            raise ValueError(f"mmax must be a whole number ≥ 1, got {self.mmax!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if Props.VARIABLE in A.props:
            raise StructureError(f"FlexibleCG needs a fixed operator, but {A!r} is VARIABLE")
        refuse_not_self_adjoint(A, "FlexibleCG")

    def _setup(self, A: LinearOperator) -> _Safe:
        return _Safe(self.safe, A)

    def _run(self, state: _Safe, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        mmax = min(int(self.mmax), max(monitor.maxiter, 1))
        r = v.empty_like(b)
        r_norm = monitor.start(x, r, keep_best=True)
        # Directions and their products, newest first; the last of each is where the next ones are made.
        P, Q = ([v.empty_like(b) for _ in range(mmax + 1)] for _ in range(2))
        for vector in (*P, *Q):
            vector[...] = 0.0
        # dᴴAd of the directions kept; infinite where there is none, so that it takes no part.
        curvatures, stiffness = np.full((mmax, k), np.inf), np.zeros(k)
        trust = Trust(r_norm, monitor)
        while monitor.running:
            x, r, r_norm, curvatures, stiffness, trust.columns, *pairs = monitor.compact(
                x, r, r_norm, curvatures, stiffness, trust.columns, *P, *Q
            )
            P, Q = pairs[: mmax + 1], pairs[mmax + 1 :]
            d, q = P[-1], Q[-1]
            probing = trust.probes(r_norm)
            _propose(r, d, trust.lost, probing, state, monitor)
            _conjugate(d, P, Q, curvatures, v)
            slope, length = v.dot(d, r), v.norm(d)
            useless = ~(abs(slope) > USELESS * length * r_norm) | ~(length**2 > np.finfo(length.dtype).tiny)
            if any_of(useless):  # not-a-number too
                slope, length = _fall_back(useless, r, d, P, Q, curvatures, v)
            monitor.multiply(d, q)
            curvature = v.dot(d, q).real
            broken = ~useless & ~(
                np.isfinite(curvature) & (abs(curvature) > FLAT * monitor.eps * stiffness * length**2)
            )
            if monitor.M is not None and any_of(broken):
                useless = useless | broken
                slope, length = _fall_back(broken, r, d, P, Q, curvatures, v)
                monitor.multiply(d, q)
                curvature = v.dot(d, q).real
            with np.errstate(all="ignore"):
                trust.learn(useless, probing, abs(slope) ** 2 / curvature, r_norm)
            finished, stiffness = judge_curvature(monitor, curvature, length**2, stiffness, d, q, x, r)
            if finished:
                if monitor.finished():
                    return
                x, r, slope, curvature, curvatures, stiffness, trust.columns, *pairs = monitor.compact(
                    x, r, slope, curvature, curvatures, stiffness, trust.columns, *P, *Q
                )
                P, Q = pairs[: mmax + 1], pairs[mmax + 1 :]
                d, q = P[-1], Q[-1]
            r_norm = v.step(slope / curvature, d, q, x, r)
            restart = monitor.step(r_norm, x, r)
            P, Q = [d, *P[:-1]], [q, *Q[:-1]]
            curvatures = np.where(restart, np.inf, np.stack((curvature, *curvatures[:-1])))


class _Safe:
    """What takes the place of a preconditioner that fails, built when it is first needed."""

    def __init__(self, given: Any, A: LinearOperator) -> None:
        self.given, self.A = given, A

    @functools.cached_property
    def operator(self) -> LinearOperator | None:
        return build(self.given, self.A)


def _propose(r: Array, d: Array, lost: np.ndarray, probing: np.ndarray, safe: _Safe, monitor: Monitor) -> None:
    """Write M r into d; where M was given up, what is safe, and r itself to see what that gains."""
    v = monitor.vectors
    if monitor.M is None:
        v.assign(np.ones(len(lost)), r, d)
        return
    if not (lost | probing).all():
        monitor.precondition(r, d)
    if any_of(lost):
        positions, z = np.flatnonzero(lost), r
        if safe.operator is not None:
            z = v.empty_like(r)
            safe.operator._matmat_into(r, z)
            monitor.counts.preconditioner += len(positions)
        v.copy(z, positions, d)
    if any_of(probing):
        v.copy(r, np.flatnonzero(probing), d)


def _fall_back(
    which: np.ndarray, r: Array, d: Array, P: list[Array], Q: list[Array], curvatures: np.ndarray, v: Vectors
) -> tuple[np.ndarray, np.ndarray]:
    """Make d from r in some columns; return dᴴr and ‖d‖ of all."""
    v.copy(r, np.flatnonzero(which), d)
    _conjugate(d, P, Q, np.where(which, curvatures, np.inf), v)
    return v.dot(d, r), v.norm(d)


def _conjugate(d: Array, P: list[Array], Q: list[Array], curvatures: np.ndarray, v: Vectors) -> None:
    """Subtract from d its A-components along the directions kept."""
    coefficients = [v.dot(q, d) / curvature for q, curvature in zip(Q, curvatures, strict=False)]
    for coefficient, p in zip(coefficients, P, strict=False):
        v.axpy(-coefficient, p, d)
