"""Taking over a recycle space for the system at hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array
from ..monitor import Monitor
from .orthonormal import orthonormalise


@dataclasses.dataclass(slots=True)
class Basis:
    """A recycle space while a method works with it: rows are vectors, A U = C (M A U = C on the left), CᴴC = I."""

    U: Array
    C: Array
    T: Array | None
    """The vectors before preconditioning; U itself without a preconditioner, None where they are not known."""

    @property
    def k(self) -> int:
        """Number of vectors."""
        return int(self.U.shape[0])


def adopt(monitor: Monitor, b: Array, *, limit: int, left: bool = False, preimages: bool = True) -> Basis | None:
    """Return the space given to the solve as a basis for its A and M, or None if nothing is left of it.

    With A and M unchanged this costs nothing. Otherwise A U is formed anew, k products counted as set-up, after
    U = M T if M is another one than before; dependent vectors are left out. ``extra["drift"]`` becomes the mean sine of
    the angles between the old C and the new one: small where the systems are close.

    Parameters
    ----------
    limit : int
        Largest number of vectors to take.
    left : bool
        Whether C = M A U is wanted.
    preimages : bool
        Whether T serves any purpose.
    """
    if monitor.space is None:
        return None
    space, v = monitor.space.fitting(b), monitor.vectors
    k = min(space.k, limit)
    if k == 0:
        return None
    U, T = space.U.T[:k], None if space.T is None else space.T.T[:k]
    stamp_A, stamp_M = monitor.stamps
    same_A = space.A_version is not None and _same(space.A_version, stamp_A)
    same_M = _same(space.M_version, stamp_M)
    if monitor.M is None:
        T = U
    elif not preimages or left:
        T = None
    if space.C is not None and same_A and space.left == left and (same_M or (T is None and not left)):
        return Basis(U, space.C.T[:k], T)
    if T is not None and T is not U and not same_M:
        U = v.basis(b, k)
        for i in range(k):
            monitor.precondition(T[i].reshape(-1, 1), U[i].reshape(-1, 1))
    Y = v.basis(b, k)
    image = v.empty_like(b) if left and monitor.M is not None else None
    for i in range(k):
        u, y = U[i].reshape(-1, 1), Y[i].reshape(-1, 1)
        if image is None:
            monitor.multiply(u, y, setup=True)
        else:
            monitor.multiply(u, image, setup=True)
            monitor.precondition(image, y)
    C, W = orthonormalise(Y, v)
    if len(C) == 0:
        return None
    if space.C is not None and space.left == left:
        between = v.gram(space.C.T[:k], C)
        if np.isfinite(between).all():
            cosines = np.linalg.svd(between, compute_uv=False)
            monitor.extra["drift"] = float(np.sqrt(np.clip(1.0 - cosines**2, 0.0, 1.0)).mean())
    without, used = T is U, np.flatnonzero(W.any(axis=1))
    if len(used) < k:  # what was left out may hold not-a-number
        U, W, T = v.rows(U, used), W[used], None if T is None else v.rows(T, used)
    U = v.mix(W, U)
    return Basis(U, C, U if without else None if T is None else v.mix(W, T))


def project_out(basis: Basis, monitor: Monitor, x: Array, r: Array) -> None:
    """Make r orthogonal to C, and x accordingly better: x + U Cᴴr, r − C Cᴴr."""
    c = monitor.vectors.project(basis.C, r)
    monitor.vectors.combine(c, basis.U, x)
    monitor.vectors.combine(-c, basis.C, r)


def _same(stamp: Any, other: Any) -> bool:
    """Whether two stamps are equal for sure: recipes with arrays among their options may be unable to tell."""
    try:
        return bool(stamp == other)
    except ValueError:
        return False
