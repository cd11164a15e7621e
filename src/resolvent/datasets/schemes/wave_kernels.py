"""Leapfrog for u_tt = ∇·(a∇u) on a periodic square, compiled on first use and cached on disk."""

from __future__ import annotations

import numba

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def kick(u, tx, ty, factor, v):  # type: ignore[no-untyped-def]
    """v += factor · ∇·(a∇u).

    Parameters
    ----------
    u, v : (n, m) arrays
    tx, ty : (n, m) arrays
        a/h² on the face from (i, j) to (i + 1, j), and to (i, j + 1); the last ones lead back to the first points.
    """
    n, m = u.shape
    for i in range(n):
        low, high = i - 1 if i > 0 else n - 1, i + 1 if i < n - 1 else 0
        for j in range(1, m - 1):
            x = tx[i, j] * (u[high, j] - u[i, j]) - tx[low, j] * (u[i, j] - u[low, j])
            y = ty[i, j] * (u[i, j + 1] - u[i, j]) - ty[i, j - 1] * (u[i, j] - u[i, j - 1])
            v[i, j] += factor * (x + y)
        for j in (0, m - 1):
            left, right = j - 1 if j > 0 else m - 1, j + 1 if j < m - 1 else 0
            x = tx[i, j] * (u[high, j] - u[i, j]) - tx[low, j] * (u[i, j] - u[low, j])
            y = ty[i, j] * (u[i, right] - u[i, j]) - ty[i, left] * (u[i, j] - u[i, left])
            v[i, j] += factor * (x + y)


@compiled
def leapfrog(u, v, tx, ty, dt, steps):  # type: ignore[no-untyped-def]
    """Advance u and v = u_t by so many steps in place: half a kick, drifts and kicks in turn, half a kick."""
    kick(u, tx, ty, 0.5 * dt, v)
    for step in range(steps):
        for i in range(u.shape[0]):
            for j in range(u.shape[1]):
                u[i, j] += dt * v[i, j]
        kick(u, tx, ty, dt if step < steps - 1 else 0.5 * dt, v)
