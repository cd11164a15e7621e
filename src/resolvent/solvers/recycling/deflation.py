"""A subspace taken out of a self-adjoint positive definite system, and its renewal from the directions of CG."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..monitor import Monitor
from ..vectors import Vectors
from .adoption import Basis
from .collected import Collected


class Deflation:
    """The A-orthogonal projection onto span U: rows of U with UᴴAU = I, and C = A U.

    Vectors that A does not see, or that depend on others up to rounding, are left out. `lowest` is the lowest
    eigenvalue of UᴴAU as it was given: negative beyond rounding only if A is not positive definite.
    """

    def __init__(self, basis: Basis, v: Vectors) -> None:
        E = v.gram(basis.U, basis.C)
        values, vectors = np.linalg.eigh(0.5 * (E + E.conj().T))
        rounding = 10.0 * len(values) * float(np.finfo(E.dtype).eps) * float(abs(values).max())
        self.lowest = float(values[0]) if values[0] < -rounding else 0.0
        sound = values > rounding
        mixture = vectors[:, sound] / np.sqrt(values[sound])
        self.U, self.C, self._vectors = v.mix(mixture, basis.U), v.mix(mixture, basis.C), v
        self.k = int(sound.sum())

    def correct(self, x: Array, r: Array) -> None:
        """Add to x what makes r orthogonal to U: the A-norm of the error is then minimal over x + span U."""
        c = self._vectors.project(self.U, r)
        self._vectors.combine(c, self.U, x)
        self._vectors.combine(-c, self.C, r)


class Renewal:
    """The k vectors that the next system should deflate, from the present ones and the directions of the iteration.

    They span the harmonic Ritz vectors of smallest θ in (AY)ᴴM(AY) g = θ YᴴAY g, first for Y = [U, p₀ … p_{ℓ−1}], and
    then again, after each ℓ steps, for what was chosen before and the next ℓ directions. In exact arithmetic directions
    are A-orthogonal to U and to each other, and residuals M-orthogonal, so that both matrices follow from the numbers
    of the iteration without an inner product: with directions of unit A-norm YᴴAY = I, and with A p_j = (r_j −
    r_{j+1})/α_j the other one is tridiagonal in the directions, bordered by UᴴAz_j, which deflation computes anyway.

    Parameters
    ----------
    k, ell : int
        Vectors to keep; directions collected before they are merged.
    images : bool
        Whether to carry A Y along, so that the same A costs no products the next time.
    """

    def __init__(self, k: int, ell: int, images: bool, deflation: Deflation | None, b: Array, monitor: Monitor) -> None:
        v, width = monitor.vectors, 0 if deflation is None else deflation.k
        self._monitor, self._k, self._ell = monitor, k, ell
        self._collected = Collected(b, max(k, width), ell, images, monitor)
        self._open = True
        self._F = np.zeros((width, width), dtype=v.dot(b[:1], b[:1]).dtype)
        self._share = np.eye(width, dtype=self._F.dtype)
        """How much of U each chosen vector holds."""
        self._tail = np.zeros(0)
        """How much of the last direction merged each of them holds, and the numbers of that direction."""
        self._last = (1.0, 1.0)
        self._forget()
        if deflation is None:
            return
        self._collected.begin(deflation.U, deflation.C)
        image = v.empty_like(b)
        for i in range(width):
            self._F[:, i] = v.project(deflation.C, monitor.precondition(deflation.C[i].reshape(-1, 1), image))

    def _forget(self) -> None:
        self._alpha: list[float] = []
        self._sigma: list[float] = []
        self._rho: list[float] = []
        self._c: list[np.ndarray] = []

    def before(self, rho: float, c: np.ndarray) -> None:
        """Take in rᴴz and (AU)ᴴz of a step about to be made, which complete the direction of the step before."""
        if self._open:
            if len(self._alpha) == self._ell:
                self._rho.append(rho)
                self._c.append(c)
                self._merge()
            self._rho.append(rho)
            self._c.append(c)

    def after(self, p: Array, q: Array, alpha: float, sigma: float) -> None:
        """Take in the direction p, q = A p, the step alpha along it and sigma = pᴴAp."""
        if self._open:
            self._collected.add(p, q)
            self._alpha.append(alpha)
            self._sigma.append(sigma)

    def close(self) -> None:
        """Take no more directions: the next are not conjugate to those so far."""
        if self._open and len(self._rho) > 1:
            self._merge()
        self._open = False

    def _merge(self) -> None:
        """Choose the best k combinations of what was chosen before and the directions since."""
        m, kept = len(self._rho) - 1, self._collected.kept
        alpha, sigma, rho = np.array(self._alpha[:m]), np.array(self._sigma[:m]), np.array(self._rho)
        length = np.sqrt(sigma)
        beside = -rho[1:-1] / (alpha[:-1] * alpha[1:] * length[:-1] * length[1:])
        F = np.zeros((kept + m, kept + m), dtype=self._F.dtype)
        F[:kept, :kept] = self._F
        F[kept:, kept:] = np.diag((rho[:-1] + rho[1:]) / (alpha**2 * sigma)) + np.diag(beside, 1) + np.diag(beside, -1)
        if kept:
            c = np.array(self._c)
            F[:kept, kept:] = self._share.conj().T @ ((c[:-1] - c[1:]) / (alpha * length)[:, None]).T
            if len(self._tail):
                alpha_old, length_old = self._last
                F[:kept, kept] -= self._tail.conj() * (rho[0] / (alpha_old * length_old * alpha[0] * length[0]))
            F[kept:, :kept] = F[:kept, kept:].conj().T
        self._last = (float(alpha[-1]), float(length[-1]))
        self._forget()
        if not np.isfinite(F).all():
            self._open = False
            return
        theta, G = np.linalg.eigh(F)
        G = G[:, : min(self._k, len(theta))]
        self._share, self._tail = self._share @ G[:kept], G[-1]
        self._F = np.diag(theta[: G.shape[1]]).astype(F.dtype)
        self._collected.merge(np.concatenate((G[:kept], G[kept:] / length[:, None])))

    def hand_on(self) -> None:
        """Leave the vectors chosen with the monitor."""
        self.close()
        self._collected.hand_on(self._monitor)
