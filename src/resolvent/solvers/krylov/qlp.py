"""The iterate of MINRES-QLP: directions of MINRES first, those of the factorisation T P = Q L after the transfer."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..masks import all_of
from ..monitor import Monitor
from .bidiagonalisation import ratio

ROWS = (
    *("cr2", "sr2", "gamma", "gamma_l", "theta", "theta_l", "eta", "eta_l"),
    *("tau", "tau_l", "mu", "mu_l", "mu_l2", "mu_l3", "left", "left_l", "floor", "kept_gamma_l"),
)
"""Recurrences, one number a column; l marks the row or the column before the last, l2 the one before that."""


class QLP:
    """x = W u with W = V P orthonormal, V the Lanczos vectors and L u = t, on k columns in lockstep.

    Until the transfer x is updated along D = V R⁻¹, as in MINRES: two vectors. The factor L is followed from the start,
    so that the transfer needs no more than W = D L for the last two columns.

    Parameters
    ----------
    monitor : Monitor
    x : (n, k) array
        Initial guesses.

    Attributes
    ----------
    transferred : bool
        Whether x is updated along W.
    """

    def __init__(self, monitor: Monitor, x: Array) -> None:
        v = monitor.vectors
        self.monitor, self.transferred = monitor, False
        self._w, self._w_l = v.empty_like(x), v.empty_like(x)
        self._base = self._w  # until the transfer
        self._numbers = np.zeros((len(ROWS), x.shape[1]))

    def compact(self, *arrays: Array) -> tuple[Array, ...]:
        """Drop finished columns from the directions, the recurrences and the given arrays; return those."""
        self._w, self._w_l, self._base, self._numbers, *kept = self.monitor.compact(
            self._w, self._w_l, self._base, self._numbers, *arrays
        )
        return tuple(kept)

    def begin(self, at: np.ndarray, x: Array) -> None:
        """Begin afresh at the given columns of x."""
        v = self.monitor.vectors
        for vector in (self._w, self._w_l):
            v.clear(vector, at)
        if self.transferred:
            v.copy(x, at, self._base)
        self._numbers[:, at] = 0.0
        self._numbers[ROWS.index("cr2"), at] = -1.0
        self._numbers[ROWS.index("floor"), at] = np.inf

    def transfer(self, x: Array) -> None:
        """Change from the directions of MINRES to those of QLP: one more vector from here on."""
        v, now = self.monitor.vectors, dict(zip(ROWS, self._numbers, strict=True))
        # W = D L; the stored directions are those of D times the diagonal of R.
        v.assign(ratio(now["kept_gamma_l"], now["left_l"]), self._w_l, self._w_l)
        v.axpy(ratio(now["theta"], now["left"]), self._w, self._w_l)
        v.assign(ratio(now["gamma"], now["left"]), self._w, self._w)
        self._base = v.empty_like(x)
        v.copy(x, np.arange(x.shape[1]), self._base)
        v.axpy(-now["mu_l"], self._w_l, self._base)
        v.axpy(-now["mu"], self._w, self._base)
        self.transferred = True

    def enter(self, z: Array, delta: np.ndarray, epsilon: np.ndarray, q: Array) -> None:
        """Take in the newest Lanczos vector, with its column (epsilon, delta) of R above the diagonal; overwrites q."""
        v, now = self.monitor.vectors, dict(zip(ROWS, self._numbers, strict=True))
        if self.transferred:
            # The right reflection of columns k − 2 and k: the first of them is final after it.
            v.assign(-now["cr2"], z, q)
            v.axpy(now["sr2"], self._w_l, q)
            v.assign(now["cr2"], self._w_l, self._w_l)
            v.axpy(now["sr2"], z, self._w_l)
        else:
            v.assign(-ratio(epsilon, now["left_l"]), self._w_l, q)
            v.axpy(-ratio(delta, now["left"]), self._w, q)
            v.axpy(np.ones(len(delta)), z, q)

    def advance(
        self,
        x: Array,
        q: Array,
        *,
        delta: np.ndarray,
        epsilon_next: np.ndarray,
        left: np.ndarray,
        tau: np.ndarray,
        norm_A: np.ndarray,
        singular: np.ndarray,
    ) -> tuple[Array, np.ndarray, np.ndarray]:
        """Take the last column of R, diagonal `left`, and the last entry `tau` of t; update x.

        Parameters
        ----------
        x, q : (n, k) arrays
            Iterates, and what `enter` left.
        singular : (k,) bool array
            Columns whose L ends in a zero: the last entry of u is then zero, which makes u the shortest solution.

        Returns
        -------
        q : (n, k) array
            An array that is free.
        mu : (k,) array
            Last entry of u, the length of the step.
        condition : (k,) array
            Estimate of the condition number.
        """
        now = dict(zip(ROWS, self._numbers, strict=True))
        left = np.where(singular, 0.0, left)
        cr2, sr2, gamma_l2, gamma_l = now["cr2"], now["sr2"], now["gamma_l"], now["gamma"]
        theta_l2, eta_l2, eta_l = now["theta_l"], now["eta_l"], now["eta"]
        tau_l2, tau_l = now["tau_l"], now["tau"]
        # The last row of L: the reflection of columns k − 2 and k, then that of k − 1 and k.
        theta_l, delta = cr2 * now["theta"] + sr2 * delta, sr2 * now["theta"] - cr2 * delta
        eta, gamma = sr2 * left, -cr2 * left
        cr1, sr1, gamma_l = _reflection(gamma_l, delta)
        theta, gamma = sr1 * gamma, -cr1 * gamma
        # Forward substitution; the last two entries are provisional.
        mu_l4, mu_l3 = now["mu_l3"], now["mu_l2"]
        mu_l2 = ratio(tau_l2 - eta_l2 * mu_l4 - theta_l2 * mu_l3, gamma_l2)
        mu_l = ratio(tau_l - eta_l * mu_l3 - theta_l * mu_l2, gamma_l)
        tiny = singular | (abs(gamma) <= 10.0 * self.monitor.eps * norm_A)
        mu = np.where(tiny, 0.0, ratio(tau - eta * mu_l2 - theta * mu_l, gamma))
        floor = np.where(gamma_l2 > 0.0, np.fmin(now["floor"], gamma_l2), now["floor"])
        last = np.where(tiny, np.inf, abs(gamma))
        least = np.fmin(np.fmin(floor, last), np.where(gamma_l > 0.0, gamma_l, np.inf))
        if self.transferred:
            q = self._combine(x, q, cr1, sr1, mu_l2, mu_l, mu)
        else:
            self._w, self._w_l, q = q, self._w, self._w_l
        cr2, sr2, reflected = _reflection(gamma_l, epsilon_next)
        self._numbers = np.array(
            (
                *(cr2, sr2, gamma, reflected, theta, theta_l, eta, eta_l),
                *(tau, tau_l, mu, mu_l, mu_l2, mu_l3, left, now["left"], floor, gamma_l),
            )
        )
        return q, mu, norm_A / least

    def step(self, step: np.ndarray, u: Array, x: Array, r: Array) -> np.ndarray:
        """Set x to x + step d before the transfer, and r to r − step u; return ‖r‖ by column."""
        v = self.monitor.vectors
        if self.transferred:
            v.axpy(-step, u, r)
            return v.norm(r)
        if not all_of(self.monitor.unfinished):
            v.clear(self._w, np.flatnonzero(~self.monitor.unfinished))
        return v.step(step, self._w, u, x, r)

    def _combine(
        self, x: Array, q: Array, cr1: np.ndarray, sr1: np.ndarray, mu_l2: np.ndarray, mu_l: np.ndarray, mu: np.ndarray
    ) -> Array:
        """Reflect the last two columns of W, add the one that is final to the base, and form x of running columns."""
        v, running = self.monitor.vectors, self.monitor.unfinished
        v.axpy(mu_l2, self._w_l, self._base)
        v.assign(cr1, self._w, self._w_l)
        v.axpy(sr1, q, self._w_l)
        v.assign(-cr1, q, q)
        v.axpy(sr1, self._w, q)
        self._w, q = q, self._w
        done = np.flatnonzero(~running)
        kept = None if all_of(running) else v.take(x, done)
        v.assign(mu_l, self._w_l, x)
        v.axpy(mu, self._w, x)
        v.axpy(np.ones(len(mu)), self._base, x)
        if kept is not None:
            v.put(x, done, kept)
        return q


def _reflection(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return c, s and the length of (a, b); c = −1 for (0, 0), which leaves the vector reflected second as it is."""
    size = np.hypot(a, b)
    return np.where(size > 0.0, ratio(a, size), -1.0), ratio(b, size), size
