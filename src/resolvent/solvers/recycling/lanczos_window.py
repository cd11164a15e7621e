"""What RMINRES keeps of its Lanczos vectors for the next system."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from ...operators import Array
from ..monitor import Monitor
from .collected import Collected


class LanczosWindow:
    """The k vectors that the next system should take out, from the present ones and the Lanczos vectors.

    They span the harmonic Ritz vectors of smallest |θ| in F g = θ H g with F = (AY)ᴴM(AY) and H = YᴴAY, first for Y =
    [U, z₁ … z_ℓ], and then again, after each ℓ steps, for what was chosen before and the next ℓ vectors. By A z_j = C
    h_j + β_j u_{j−1} + α_j u_j + β_{j+1} u_{j+1}, with C and the u M-orthonormal, both matrices follow from the numbers
    of the iteration: of what was chosen only the parts of its images along C and the last two u are needed.

    Parameters
    ----------
    k, ell : int
        Vectors to keep; Lanczos vectors collected before they are merged.
    images : bool
        Whether to carry A Y along, so that the same A costs no products the next time.
    U, C : (i, n) arrays
        The present recycle space, rows with CᴴMC = I.
    """

    def __init__(self, k: int, ell: int, images: bool, U: Array, C: Array, b: Array, monitor: Monitor) -> None:
        v, width = monitor.vectors, len(C)
        self._monitor, self._k, self._ell = monitor, k, ell
        self._collected = Collected(b, max(k, width), ell, images, monitor)
        self._open = True
        self._dtype = v.dot(b[:1], b[:1]).dtype
        self._H = np.zeros((0, 0), dtype=self._dtype)
        if width:
            self._collected.begin(U, C)
            E = v.gram(U, C)
            self._H = 0.5 * (E + E.conj().T)
        self._along_C = np.eye(width, dtype=self._dtype)
        """Parts of the images of what was chosen along C, and along u of the last step and of the next."""
        self._along_u = np.zeros((2, width), dtype=self._dtype)
        self._numbers: list[tuple[float, float, float]] = []
        self._h: list[np.ndarray] = []

    def add(self, z: Array, q: Array) -> None:
        """Take in the Lanczos vector z = M u and q = A z, before a step."""
        if self._open and len(self._numbers) == self._ell:
            self._merge()
        if self._open:  # still: merging gives up where the vectors have become dependent
            self._collected.add(z, q)

    def step(self, beta: float, alpha: float, beta_next: float, h: np.ndarray) -> None:
        """Take in the numbers of the step: A z = C h + beta u₋ + alpha u + beta_next u₊."""
        if self._open:
            self._numbers.append((beta, alpha, beta_next))
            self._h.append(h)

    def close(self) -> None:
        """Take no more vectors: the next belong to another Lanczos process."""
        if self._open and self._numbers:
            self._merge()
        self._open = False

    def hand_on(self) -> None:
        """Leave the vectors chosen with the monitor."""
        self.close()
        self._collected.hand_on(self._monitor)

    def _merge(self) -> None:
        """Choose the best k combinations of what was chosen before and the Lanczos vectors since."""
        m, kept = len(self._numbers), self._collected.kept
        # Columns of A Z along u of the step before the window, of its steps, and of the step after it.
        T = np.zeros((m + 2, m))
        for j, numbers in enumerate(self._numbers):
            T[j : j + 3, j] = numbers
        B = np.array(self._h).T.reshape(len(self._along_C), m)
        images = np.zeros((len(B) + m + 2, kept + m), dtype=self._dtype)
        images[: len(B), :kept], images[: len(B), kept:] = self._along_C, B
        images[len(B) : len(B) + 2, :kept], images[len(B) :, kept:] = self._along_u, T
        F, H = np.eye(kept + m, dtype=self._dtype), np.zeros((kept + m, kept + m), dtype=self._dtype)
        F[:, kept:] = images.conj().T @ images[:, kept:]
        F[kept:, :kept] = F[:kept, kept:].conj().T
        H[:kept, :kept], H[kept:, kept:] = self._H, T[1:-1]
        H[:kept, kept] = self._along_u[1].conj()
        H[kept:, :kept] = H[:kept, kept:].conj().T
        self._numbers, self._h = [], []
        length = np.sqrt(np.fmax(np.diagonal(F).real, 0.0))
        if not (np.isfinite(F).all() and length.all()):
            self._open = False
            return
        try:
            inverse, G = eigh(H / np.outer(length, length), F / np.outer(length, length), check_finite=False)
        except np.linalg.LinAlgError:  # the Lanczos vectors have become dependent
            self._open = False
            return
        best = np.argsort(-abs(inverse), kind="stable")[: self._k]
        G = G[:, best] / length[:, None]
        self._H = np.diag(inverse[best]).astype(self._dtype)
        self._along_C = images[: len(B)] @ G
        self._along_u = images[-2:] @ G
        self._collected.merge(G)
