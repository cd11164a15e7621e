"""What LSQR and LSMR share: Golub–Kahan bidiagonalisation, and the judgement of least-squares solutions."""

from __future__ import annotations

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ..masks import all_of, any_of, spread
from ..monitor import Monitor
from ..solver import refuse_variable
from ..status import Status

ILL_CONDITIONED = "the estimated condition number exceeds conlim"
IMPOSSIBLE = "Mᴴ maps the residual of the normal equations to zero: M is singular"


class Bidiagonalisation:
    """Golub–Kahan process for ĀM, with Ā = [A; damp I] and x = M y, on k columns in lockstep.

    From r̄ = [b; 0] − Ā x it forms orthonormal vectors u and v with β₊u₊ = ĀM v − α u and α₊v₊ = (ĀM)ᴴu₊ − β₊v.
    Damping is carried by an n-part of u rather than by rotations: x0 and restarts need it, as r̄ then has one too.

    Parameters
    ----------
    monitor : Monitor
    b, x : (m, k) and (n, k) arrays
        Right-hand sides and initial guesses.
    damp : float
        Weight of ‖x‖ beside ‖b − A x‖.
    normal_tol : float
        A least-squares solution has ‖Āᴴr̄‖ ≤ normal_tol ‖Ā‖‖r̄‖.
    conlim : float
        Estimate of the condition number at which to give up.

    Attributes
    ----------
    z : (n, k) array
        M v, the newest direction in the space of x; v itself without a preconditioner.
    alpha, beta : (k,) arrays
        Newest coefficients; of a column that begins, the norm of (ĀM)ᴴr̄ over that of r̄, and ‖r̄‖.
    norm_A : (k,) array
        Largest ‖Ā z‖/‖z‖ met, a lower bound of ‖Ā‖₂.
    """

    def __init__(self, monitor: Monitor, b: Array, x: Array, *, damp: float, normal_tol: float, conlim: float) -> None:
        v, k = monitor.vectors, b.shape[1]
        self.monitor, self.damp, self.normal_tol, self.conlim = monitor, damp, normal_tol, conlim
        self.u, self._p = v.empty_like(b), v.empty_like(b)
        self.v, self._s = v.empty_like(x), v.empty_like(x)
        self.z = self.v if monitor.M is None else v.empty_like(x)
        self._lower = v.empty_like(x) if damp else self.u  # u stands in where there is no n-part
        self.norm_A, self._norm_AM = np.zeros(k), np.zeros(k)
        self._flat, self._small = np.full(k, max(normal_tol, monitor.eps)), np.ones(k)
        self._stalls, self._least = np.zeros(k), np.full((2, k), np.inf)
        self._normal_history: list[np.ndarray] = []
        self._normal_residual, self._norms, self._conditions = np.full(k, np.nan), np.zeros(k), np.zeros(k)
        monitor.extra["normal_residual"] = self._normal_residual
        monitor.extra["norm_A"], monitor.extra["condition"] = self._norms, self._conditions
        monitor.extra["normal_history"] = self._normal_history
        norms = monitor.start(x, self.u, final=not damp)
        self.alpha, self.beta, self._slope = np.zeros(k), norms, np.zeros(k)
        self._fresh = True
        if monitor.running:
            if damp:
                v.assign(np.full(k, -damp), x, self._lower)
                self.beta = np.hypot(norms, v.norm(self._lower))
                monitor.retire(self.beta <= monitor.tolerance, Status.CONVERGED, x)
            self._multiply_adjoint(self.u, self._lower, self._s)
            gradient = v.norm(self._s)
            self._normal_residual[:] = gradient * monitor.scale
            self._slope = gradient * _inverse(self.beta)
            monitor.retire(gradient == 0.0, Status.LEAST_SQUARES, x)
            t = monitor.precondition(self._s, self.z, adjoint=True)
            self._begin(np.arange(k), self.u, self._lower, t, self.beta, x)
        self._record(self.alpha * self.beta)

    def compact(self, *arrays: Array) -> tuple[Array, ...]:
        """Drop finished columns from the process and from the given arrays; return those."""
        kept = self.monitor.compact(
            *(self.u, self._p, self.v, self._s, self.z, self._lower),
            *(self.alpha, self.beta, self.norm_A, self._norm_AM, self._slope),
            *(self._flat, self._small, self._stalls, self._least),
            *arrays,
        )
        self.u, self._p, self.v, self._s, self.z, self._lower = kept[:6]
        self.alpha, self.beta, self.norm_A, self._norm_AM, self._slope = kept[6:11]
        self._flat, self._small, self._stalls, self._least = kept[11:15]
        return kept[15:]

    def advance(self, x: Array) -> None:
        """Make the next u, v and z; x is judged first if the process has only begun."""
        monitor, v = self.monitor, self.monitor.vectors
        monitor.multiply(self.z, self._p)
        old_alpha = self.alpha
        if self.monitor.M is not None or self.damp:
            size = v.norm(self.z)
            self.norm_A = np.fmax(self.norm_A, np.hypot(v.norm(self._p), self.damp * size) * _inverse(size))
        v.aypx(-self.alpha, self._p, self.u)
        self.beta = v.norm(self.u)
        if self.damp:
            v.assign(-self.alpha, self._lower, self._lower)
            v.axpy(np.full(len(self.beta), self.damp), self.z, self._lower)
            self.beta = np.hypot(self.beta, v.norm(self._lower))
        inverse = _inverse(self.beta)
        v.assign(inverse, self.u, self.u)
        if self.damp:
            v.assign(inverse, self._lower, self._lower)
        self._multiply_adjoint(self.u, self._lower, self._s)
        t = monitor.precondition(self._s, self.z, adjoint=True)
        v.aypx(-self.beta, t, self.v)
        self.alpha = v.norm(self.v)
        v.assign(_inverse(self.alpha), self.v, self.v)
        self.z = monitor.precondition(self.v, self.z)
        self._norm_AM = np.fmax(self._norm_AM, np.hypot(old_alpha, self.beta))
        if monitor.M is None:
            self.norm_A = np.fmax(self.norm_A, self._norm_AM)
        if self._fresh:
            monitor.retire(self._slope <= self.normal_tol * self.norm_A, Status.LEAST_SQUARES, x)
            self._fresh = False

    def judge(self, x: Array, norms: np.ndarray, gradients: np.ndarray, conditions: np.ndarray) -> np.ndarray:
        """Close one iteration: record, test, recompute what seems to be solved. Return which columns begin afresh.

        Parameters
        ----------
        x : (n, k) array
            Iterates.
        norms, gradients : (k,) arrays
            ‖r̄‖ and ‖(ĀM)ᴴr̄‖ by the recurrence.
        conditions : (k,) array
            Estimates of the condition number.
        """
        monitor, v = self.monitor, self.monitor.vectors
        own = np.sqrt(np.fmax(norms**2 - (self.damp * v.norm(x)) ** 2, 0.0)) if self.damp else norms
        running, active = monitor.unfinished, monitor.active
        monitor.advance(np.where(np.isfinite(norms), own, norms), x)
        self._record(gradients)
        self._normal_residual[active[running]] = (gradients * monitor.scale[active])[running]
        self._norms[active], self._conditions[active] = self.norm_A, conditions
        small = norms <= self._small * monitor.floor
        flat = gradients <= self._flat * self._norm_AM * norms
        last = monitor.iteration >= monitor.maxiter
        doubtful = (small | flat | last) & monitor.unfinished
        restart = np.zeros(len(norms), dtype=bool)
        if any_of(doubtful):
            restart = self._confirm(doubtful, small | flat, x, norms, gradients)
        monitor.retire(conditions > self.conlim, Status.STAGNATED, x, ILL_CONDITIONED)
        return restart & monitor.unfinished

    # Internals -------------------------------------------------------------------------------------------------------

    def _confirm(
        self, doubtful: np.ndarray, proposed: np.ndarray, x: Array, norms: np.ndarray, gradients: np.ndarray
    ) -> np.ndarray:
        """Recompute r̄ and Āᴴr̄ of the doubtful columns; finish them, or begin afresh where the recurrence was wrong."""
        monitor, v = self.monitor, self.monitor.vectors
        at = np.flatnonzero(doubtful)
        true = monitor.recompute(at, x, self._p)
        monitor.retire(spread(~np.isfinite(true), doubtful), Status.NONFINITE, x)
        size = self.damp * v.norm(v.take(x, at)) if self.damp else np.zeros(len(at))
        true = np.hypot(true, size)
        monitor.retire(spread(true <= monitor.tolerance[monitor.active[at]], doubtful), Status.CONVERGED, x)
        left = monitor.unfinished[at]
        at, true = at[left], true[left]
        if not len(at):
            return np.zeros(len(doubtful), dtype=bool)
        every = len(at) == len(doubtful)
        r, part = (self._p, x) if every else (v.take(self._p, at), v.take(x, at))
        s = self._s if every else v.empty_like(part)
        monitor.multiply_adjoint(r, s)
        if self.damp:
            v.axpy(np.full(len(at), -(self.damp**2)), part, s)
        gradient = v.norm(s)
        chosen = np.zeros(len(doubtful), dtype=bool)
        chosen[at] = True
        self._normal_residual[monitor.active[at]] = gradient * monitor.scale[monitor.active[at]]
        solved = gradient <= self.normal_tol * self.norm_A[at] * true
        monitor.retire(spread(solved, chosen), Status.LEAST_SQUARES, x)
        if monitor.iteration >= monitor.maxiter:
            monitor.retire(chosen, Status.MAXITER, x)
        least = self._least[:, at]
        gained = (true < 0.9 * least[0]) | (gradient < 0.9 * least[1])
        self._stalls[at] = np.where(gained, 0, self._stalls[at] + proposed[at])
        self._least[:, at] = np.fmin(least, np.stack((true, gradient)))
        monitor.retire(self._stalls >= 3, Status.STAGNATED, x, "the limit of rounding")
        # Where the recurrence is nearly right it goes on, and proposes again when it is well below this proposal;
        # where it is wrong the process begins afresh with what was just computed.
        self._small[at] = np.where(gained & (norms[at] < true), 0.5 * self._small[at], self._small[at])
        self._flat[at] = np.fmin(self._flat[at], 0.1 * gradients[at] * _inverse(self._norm_AM[at] * norms[at]))
        t = s if monitor.M is None else monitor.precondition(s, v.empty_like(s), adjoint=True)
        wrong = (abs(true - norms[at]) > 0.1 * true) | (v.norm(t) > 2.0 * gradients[at])
        wrong &= monitor.unfinished[at]
        if any_of(wrong):
            some = np.flatnonzero(wrong)
            r, part, t = (a if all_of(wrong) else v.take(a, some) for a in (r, part, t))
            lower = v.scaled(np.full(len(some), -self.damp), part) if self.damp else r
            self._begin(at[some], r, lower, t, true[some], x)
        return spread(wrong, chosen)

    def _multiply_adjoint(self, u: Array, lower: Array, out: Array) -> None:
        """Set out to Āᴴu."""
        self.monitor.multiply_adjoint(u, out)
        if self.damp:
            self.monitor.vectors.axpy(np.full(out.shape[1], self.damp), lower, out)

    def _begin(self, at: np.ndarray, r: Array, lower: Array, t: Array, norms: np.ndarray, x: Array) -> None:
        """Begin at the given columns with r̄ = [r; lower] of the given norms and t = (ĀM)ᴴr̄, which are overwritten."""
        monitor, v = self.monitor, self.monitor.vectors
        inverse = _inverse(norms)
        v.assign(inverse, r, r)
        if self.damp:
            v.assign(inverse, lower, lower)
        sizes = v.norm(t)
        v.assign(_inverse(sizes), t, t)
        z = t if monitor.M is None else monitor.precondition(t, v.empty_like(t))
        for whole, part in ((self.u, r), (self._lower, lower), (self.v, t), (self.z, z)):
            if part is not whole:
                v.put(whole, at, part)
        self.alpha[at], self.beta[at] = sizes * inverse, norms
        self._flat[at], self._small[at] = max(self.normal_tol, monitor.eps), 1.0
        begun = np.isin(np.arange(len(self.alpha)), at)
        monitor.retire(begun & ~np.isfinite(self.alpha), Status.NONFINITE, x, "Mᴴ Aᴴ r is not finite")
        monitor.retire(begun & (self.alpha == 0.0), Status.BREAKDOWN, x, IMPOSSIBLE)

    def _record(self, gradients: np.ndarray) -> None:
        """Add to the history of ‖(ĀM)ᴴr̄‖."""
        monitor = self.monitor
        row = np.full(len(self._normal_residual), np.nan)
        row[monitor.active] = gradients * monitor.scale[monitor.active]
        self._normal_history.append(row)


def refuse_one_way(A: LinearOperator, M: LinearOperator | None, method: str) -> None:
    """Raise StructureError for an operator or a preconditioner that is known to have no adjoint, or that may vary."""
    refuse_variable(A, M, method, "FGMRES on a square system")
    for operator in (A, M):
        one_way = operator is not None and type(operator)._rmatmat is LinearOperator._rmatmat
        if operator is not None and one_way and not operator.props & (Props.SELF_ADJOINT | Props.SYMMETRIC):
            raise StructureError(f"{method} needs products with the adjoint, and {operator!r} has none")


def check_options(normal_tol: float | None, damp: float, conlim: float) -> None:
    """Raise ValueError for options that LSQR and LSMR cannot use."""
    for name, value in (("normal_tol", normal_tol), ("damp", damp)):
        if value is not None and not 0.0 <= value < np.inf:
            raise ValueError(f"{name} must be a number ≥ 0, got {value!r}")
    if not conlim > 0.0:
        raise ValueError(f"conlim must be positive, got {conlim!r}: np.inf for no limit")


def _inverse(values: np.ndarray) -> np.ndarray:
    """Return 1/values, and 0 for 0: a vector of norm zero stays what it is."""
    result: np.ndarray = np.divide(1.0, values, out=np.zeros_like(values, dtype=float), where=values != 0.0)
    return result


def ratio(values: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """Return values/divisor, and 0 where the divisor is 0: no step is made along a direction that A maps to zero."""
    result: np.ndarray = values * _inverse(divisor)
    return result
