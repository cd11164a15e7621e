"""Vectors for the next recycle space, collected and merged while a short recurrence runs."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..monitor import Monitor
from .orthonormal import orthonormalise
from .space import RecycleSpace

CHUNK = 1024
"""Entries of each vector combined at a time, so that a basis is overwritten with hardly any memory besides."""


class Collected:
    """The vectors chosen so far, the newest of the iteration, and the images of both under A if wanted.

    Parameters
    ----------
    b : (n, 1) array
        For the storage.
    top, room : int
        Largest numbers of chosen and of new vectors.
    images : bool
        Whether to carry images along, so that the same A costs no products the next time.
    """

    def __init__(self, b: Array, top: int, room: int, images: bool, monitor: Monitor) -> None:
        v = monitor.vectors
        self._vectors, self._top = v, top
        self._Y = v.basis(b, top + room)
        self._AY = v.basis(b, top + room) if images else None
        self.kept = self.new = 0
        """How many vectors have been chosen, and how many are new."""

    def begin(self, U: Array, C: Array) -> None:
        """Take the rows of U, with images C, as chosen."""
        self.kept = len(U)
        self._Y[: self.kept] = U
        if self._AY is not None:
            self._AY[: self.kept] = C

    def add(self, y: Array, image: Array) -> None:
        """Take in a new vector and its image."""
        row = self._top + self.new
        self._Y[row] = y[:, 0]
        if self._AY is not None:
            self._AY[row] = image[:, 0]
        self.new += 1

    def merge(self, G: np.ndarray) -> None:
        """Make the combinations G of the chosen vectors, and of the new ones after them, the chosen ones."""
        m = G.shape[0] - self.kept
        mixture = np.zeros((self._top + m, G.shape[1]), dtype=G.dtype)
        mixture[: self.kept], mixture[self._top :] = G[: self.kept], G[self.kept :]
        v, rows = self._vectors, np.arange(len(mixture))
        for basis in (self._Y, self._AY):
            if basis is not None:
                for start in range(0, basis.shape[1], CHUNK):
                    part = v.rows(basis[:, start : start + CHUNK], rows)
                    basis[: G.shape[1], start : start + CHUNK] = v.mix(mixture, part)
        self.kept, self.new = G.shape[1], 0

    def hand_on(self, monitor: Monitor) -> None:
        """Leave the chosen vectors with the monitor, which keeps what it has where there are none."""
        if not self.kept:
            return
        v = self._vectors
        U, C = v.rows(self._Y, np.arange(self.kept)), None
        if self._AY is not None:
            C, mixture = orthonormalise(self._AY[: self.kept], v)
            U = v.mix(mixture, U)
        if len(U):
            stamp_A, stamp_M = monitor.stamps
            monitor.space = RecycleSpace(U.T, None if C is None else C.T, None, stamp_A, stamp_M)
