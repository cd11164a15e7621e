"""The recycle space of one solve: taken over, renewed after each cycle, handed on."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..monitor import Monitor
from .adoption import Basis, adopt
from .harmonic import DEPENDENT, select
from .space import RecycleSpace


class KeptSpace:
    """U, C and T with the storage for the next ones: 3 (k + 1) vectors, 5 (k + 1) with preimages.

    Parameters
    ----------
    monitor : Monitor
        Of the solve.
    b : (n, …) array
        Shows the storage of vectors.
    k, room : int
        How many vectors to keep, and how many at most.
    W : (m + 1, n) array
        Orthonormal rows of a cycle; C always stands in the first of them.
    left : bool
        Whether C = M A U.
    in_solutions : bool
        Whether to choose among solutions because M varies, rather than among the vectors before preconditioning.
    """

    def __init__(
        self, monitor: Monitor, b: Array, k: int, room: int, W: Array, *, left: bool = False, in_solutions: bool = False
    ) -> None:
        v = monitor.vectors
        self.monitor, self.k, self.room, self.W, self.left = monitor, k, room, W, left
        self.in_solutions = in_solutions
        self.preimages = monitor.M is not None and not left and not in_solutions
        # Where the next U, T and C are formed: two each, the one in use and the next; C moves on to W.
        self._U = [v.basis(b, room) for _ in range(2)]
        self._T = [v.basis(b, room) for _ in range(2)] if self.preimages else []
        self._C = v.basis(b, room)
        self.basis: Basis | None = None

    @property
    def size(self) -> int:
        """Number of vectors at present."""
        return 0 if self.basis is None else self.basis.k

    def adopt(self, b: Array, limit: int) -> None:
        """Take over the space that was given to the solve, if any."""
        if self.k:
            basis = adopt(self.monitor, b, limit=limit, left=self.left, preimages=self.preimages)
            self.monitor.extra["recycled"] = 0 if basis is None else basis.k
            if basis is not None:
                self._take(basis)

    def renew(self, V: Array, Z: Array | None, B: np.ndarray, H: np.ndarray) -> None:
        """Choose the next space from the present one and the new vectors of a cycle.

        Parameters
        ----------
        V : (p, n) array
            New vectors before preconditioning, rows of W after C.
        Z : (p, n) array or None
            The same after preconditioning.
        B : (k, p) array
            Components of their images along C.
        H : (p + s, p) array
            Components along V and the s vectors after it.
        """
        v, basis, k, p = self.monitor.vectors, self.basis, self.size, H.shape[1]
        images = self.W[: k + H.shape[0]]
        G = np.zeros((len(images), k + p), dtype=H.dtype)
        S = np.zeros_like(G)
        G[:k, k:], G[k:, k:] = B, H
        in_solutions = Z is not None and (self.in_solutions or (basis is not None and basis.T is None))
        if in_solutions and Z is not None:
            S[:, k:] = v.gram(images, Z)
        else:
            S[k : k + p, k:] = np.eye(p)
        lengths = np.ones(k)
        if basis is not None:
            # Columns of equal length: the scale of U is that of A⁻¹, far from that of V.
            lengths = 1.0 / np.array([v.norm(u.reshape(-1, 1))[0] for u in basis.U])
            lengths[~np.isfinite(lengths)] = 1.0
            G[np.arange(k), np.arange(k)] = lengths
            S[:, :k] = v.gram(images, basis.U if in_solutions or basis.T is None else basis.T) * lengths
        # What rounding of the vectors leaves of A U = C is ε over this.
        P, Q = select(G, S, self.k, self.room, max(DEPENDENT, 1e3 * self.monitor.eps))
        if not P.shape[1]:
            return
        P[:k] *= lengths[:, None]
        kept = P.shape[1]
        C = v.mix(Q, images, self._C[:kept])
        U = v.mix(P[k:], V if Z is None else Z, self._U[0][:kept])
        T = v.mix(P[k:], V, self._T[0][:kept]) if self.preimages and not in_solutions else None
        if basis is not None:
            v.mix(P[:k], basis.U, U, add=True)
            if T is not None and basis.T is not None:
                v.mix(P[:k], basis.T, T, add=True)
        self._U.reverse()
        self._T.reverse()
        self._take(Basis(U, C, U if Z is None and not self.left else T))

    def drop(self) -> None:
        """Go on without a space."""
        self.basis = None

    def hand_on(self) -> None:
        """Leave the space for the next system with the monitor."""
        basis, monitor = self.basis, self.monitor
        if basis is None:
            monitor.space = None
            return
        k = basis.k
        C = self._C[:k] if k <= self.room else monitor.vectors.rows(basis.C, np.arange(k))
        C[...] = basis.C  # out of W, so that W can go
        T = None if basis.T is None or basis.T is basis.U else basis.T.T
        monitor.space = RecycleSpace(basis.U.T, C.T, T, *monitor.stamps, left=self.left)

    def _take(self, basis: Basis) -> None:
        self.W[: basis.k] = basis.C
        self.basis = Basis(basis.U, self.W[: basis.k], basis.T)
