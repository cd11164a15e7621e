"""Compiled multigrid cycles over levels stored one after the other, and the A-norm.

Sweeps are forward Gauss–Seidel before the coarse correction and backward after it. From a zero guess a forward sweep
reads the lower triangle only, and the residual after it is minus the upper triangle times the result: each entry of A
is read once. Unknowns whose `inverse` is zero stay as they are.

Nothing is allocated. The functions are in one file because numba looks at the caller's file alone to tell whether its
cache is stale.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import njit, uint64

V, W, H, K = 0, 1, 2, 3
"""Shapes: one visit to each coarse level; two; two and one in turn; two steps of flexible CG."""

LAST_SWEEPS = 10
"""Symmetric sweeps on a last level that is too large to be inverted: a fixed number, so that the cycle is linear."""

DEPENDENT = 1e-14
"""The second direction of a K-cycle is left out where this share of its energy, or less, is conjugate to the first."""


class Levels(NamedTuple):
    """A hierarchy of L + 1 levels in one piece; level 0 apart, since several hierarchies share it.

    Attributes
    ----------
    indptr, indices, data, inverse : arrays
        The matrix of level 0 by sorted rows, and the reciprocals of its diagonal, 0 where there is none.
    coarse_indptr, coarse_indices, coarse_data, coarse_inverse : arrays
        Those of levels 1 … L, column indices within the level; level l has rows ``rows[l − 1]`` to ``rows[l]``.
    rows : (L + 1,) int array
    P_indptr, P_indices, P_data : arrays
        Interpolation from level l + 1 to l by rows; row i of level l is number i + (0 or n_0 + rows[l − 1]).
    coarsest : (m, m) array
        Inverse of the last matrix; (0, 0) where sweeps have to do.
    """

    indptr: Any
    indices: Any
    data: Any
    inverse: Any
    coarse_indptr: Any
    coarse_indices: Any
    coarse_data: Any
    coarse_inverse: Any
    rows: Any
    P_indptr: Any
    P_indices: Any
    P_data: Any
    coarsest: Any


@njit(cache=True, nogil=True, fastmath={"contract"})
def forward_from_zero(indptr, indices, data, inverse, b, x):  # type: ignore[no-untyped-def]
    """Set x_i to (b_i − Σ_{j<i} a_ij x_j) / a_ii for i = 0, 1, …"""
    for i in range(uint64(b.size)):
        total = b[i]
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            j = uint64(indices[p])
            if j >= i:
                break
            total -= data[p] * x[j]
        x[i] = total * inverse[i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def forward(indptr, indices, data, inverse, b, x):  # type: ignore[no-untyped-def]
    """Relax each unknown in turn."""
    for i in range(uint64(b.size)):
        total = b[i]
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            total -= data[p] * x[uint64(indices[p])]
        x[i] += total * inverse[i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def backward(indptr, indices, data, inverse, b, x):  # type: ignore[no-untyped-def]
    """Relax each unknown in turn, from the last to the first."""
    n = uint64(b.size)
    for back in range(n):
        i = n - uint64(1) - back
        total = b[i]
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            total -= data[p] * x[uint64(indices[p])]
        x[i] += total * inverse[i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def restrict(indptr, indices, data, P_indptr, P_indices, P_data, upper, b, x, out):  # type: ignore[no-untyped-def]
    """Set out to Pᵀ(b − A x); with `upper`, x is what a forward sweep made of zero."""
    out[:] = 0.0
    for i in range(uint64(x.size)):
        first, last = uint64(P_indptr[i]), uint64(P_indptr[i + uint64(1)])
        if first == last:
            continue
        begin, p = uint64(indptr[i]), uint64(indptr[i + uint64(1)])
        r = 0.0 if upper else b[i]
        while p > begin:
            p -= uint64(1)
            j = uint64(indices[p])
            if upper and j <= i:
                break
            r -= data[p] * x[j]
        for q in range(first, last):
            out[uint64(P_indices[q])] += P_data[q] * r


@njit(cache=True, nogil=True, fastmath={"contract"})
def interpolate(P_indptr, P_indices, P_data, coarse, x):  # type: ignore[no-untyped-def]
    """Add P times the coarse vector to x."""
    for i in range(uint64(x.size)):
        for q in range(uint64(P_indptr[i]), uint64(P_indptr[i + uint64(1)])):
            x[i] += P_data[q] * coarse[uint64(P_indices[q])]


@njit(cache=True, nogil=True, fastmath={"contract"})
def multiply(indptr, indices, data, x, out):  # type: ignore[no-untyped-def]
    """Set out to A x."""
    for i in range(uint64(x.size)):
        total = 0.0
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            total += data[p] * x[uint64(indices[p])]
        out[i] = total


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def dot(x, y):  # type: ignore[no-untyped-def]
    """Return xᵀy."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@njit(cache=True, nogil=True, fastmath={"contract"})
def energy(indptr, indices, data, x):  # type: ignore[no-untyped-def]
    """Return xᵀA x."""
    total = 0.0
    for i in range(uint64(x.size)):
        product = 0.0
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            product += data[p] * x[uint64(indices[p])]
        total += x[i] * product
    return total


@njit(cache=True, nogil=True)
def cycle(levels, work, state, shape, zero, b, x):  # type: ignore[no-untyped-def]
    """Improve x by one cycle; without recursion, which numba cannot load from its cache.

    Parameters
    ----------
    levels : Levels
    work : (5 m,) array
        For the m unknowns of all coarse levels: right-hand sides, solutions, and three vectors of the K-cycle.
    state : (4, L + 1) array
        Of each level: visits in a row, steps of its K-cycle, and two numbers of that.
    shape : int
        V, W, H or K.
    zero : bool
        Whether x is to be taken as zero, whatever it holds.
    b, x : (n,) arrays
    """
    last, level = levels.rows.size - 1, 0
    state[:2, 0] = 0.0 if zero else 1.0
    while True:
        while level < last:
            _descend(levels, work, level, state[0, level] == 0.0, b, x)
            level += 1
            state[:2, level] = 0.0
        _solve_last(levels, work, zero, b, x)
        while level > 0:
            state[0, level] += 1.0
            if level < last:
                if shape == K and _krylov(levels, work, level, state):
                    state[0, level] = 0.0  # the second step begins from zero, too
                    break
                if state[0, level] == 1.0 and (shape == W or (shape == H and level % 2 == 1)):
                    break
            level -= 1
            _ascend(levels, work, level, b, x)
        if level == 0:
            return


@njit(cache=True, nogil=True)
def _descend(levels, work, level, zero, b, x):  # type: ignore[no-untyped-def]
    """Sweep forward, and restrict what is left."""
    m, first, stop = levels.rows[-1], levels.rows[level], levels.rows[level + 1]
    coarse_b = work[first:stop]
    if level == 0:
        A = (levels.indptr, levels.indices, levels.data)
        if zero:
            forward_from_zero(*A, levels.inverse, b, x)
        else:
            forward(*A, levels.inverse, b, x)
        restrict(*A, levels.P_indptr, levels.P_indices, levels.P_data, zero, b, x, coarse_b)
        return
    low = levels.rows[level - 1]
    A = (levels.coarse_indptr[low : first + 1], levels.coarse_indices, levels.coarse_data)
    inverse, own_b, own_x = levels.coarse_inverse[low:first], work[low:first], work[m + low : m + first]
    if zero:
        forward_from_zero(*A, inverse, own_b, own_x)
    else:
        forward(*A, inverse, own_b, own_x)
    place = levels.inverse.size + low
    P_indptr = levels.P_indptr[place : place + own_x.size + 1]
    restrict(*A, P_indptr, levels.P_indices, levels.P_data, zero, own_b, own_x, coarse_b)


@njit(cache=True, nogil=True)
def _ascend(levels, work, level, b, x):  # type: ignore[no-untyped-def]
    """Add the correction of the level below, and sweep backward."""
    m, first, stop = levels.rows[-1], levels.rows[level], levels.rows[level + 1]
    coarse_x = work[m + first : m + stop]
    if level == 0:
        interpolate(levels.P_indptr, levels.P_indices, levels.P_data, coarse_x, x)
        backward(levels.indptr, levels.indices, levels.data, levels.inverse, b, x)
        return
    low = levels.rows[level - 1]
    own_b, own_x = work[low:first], work[m + low : m + first]
    place = levels.inverse.size + low
    P_indptr = levels.P_indptr[place : place + own_x.size + 1]
    interpolate(P_indptr, levels.P_indices, levels.P_data, coarse_x, own_x)
    indptr, inverse = levels.coarse_indptr[low : first + 1], levels.coarse_inverse[low:first]
    backward(indptr, levels.coarse_indices, levels.coarse_data, inverse, own_b, own_x)


@njit(cache=True, nogil=True)
def _solve_last(levels, work, zero, b, x):  # type: ignore[no-untyped-def]
    """Solve on the last level, which may be the first."""
    last, m = levels.rows.size - 1, levels.rows[-1]
    if last == 0:
        _solve(levels.coarsest, levels.indptr, levels.indices, levels.data, levels.inverse, zero, b, x)
        return
    low = levels.rows[last - 1]
    indptr, inverse = levels.coarse_indptr[low : m + 1], levels.coarse_inverse[low:m]
    own_b, own_x = work[low:m], work[m + low : m + m]
    _solve(levels.coarsest, indptr, levels.coarse_indices, levels.coarse_data, inverse, True, own_b, own_x)


@njit(cache=True, nogil=True)
def _solve(coarsest, indptr, indices, data, inverse, zero, b, x):  # type: ignore[no-untyped-def]
    if coarsest.shape[0] == x.size:
        for i in range(x.size):
            x[i] = dot(coarsest[i], b)
        return
    if zero:
        x[:] = 0.0
    for _ in range(LAST_SWEEPS):
        forward(indptr, indices, data, inverse, b, x)
        backward(indptr, indices, data, inverse, b, x)


@njit(cache=True, nogil=True)
def _krylov(levels, work, level, state):  # type: ignore[no-untyped-def]
    """Make a step of flexible CG on this level; return whether another cycle is wanted (Notay & Vassilevski 2008)."""
    m, low, high = levels.rows[-1], levels.rows[level - 1], levels.rows[level]
    b, x, c, v = (work[low:high], work[m + low : m + high], work[2 * m + low : 2 * m + high],
                  work[3 * m + low : 3 * m + high])  # fmt: skip
    indptr = levels.coarse_indptr[low : high + 1]
    if state[1, level] == 0.0:
        c[:] = x
        multiply(indptr, levels.coarse_indices, levels.coarse_data, c, v)
        rho = dot(c, v)
        if not rho > 0.0:
            return False
        t = dot(c, b) / rho
        for i in range(c.size):
            b[i] -= t * v[i]
        state[1, level], state[2, level], state[3, level] = 1.0, t, rho
        return True
    y, t, rho = work[4 * m + low : 4 * m + high], state[2, level], state[3, level]
    multiply(indptr, levels.coarse_indices, levels.coarse_data, x, y)
    gamma, beta = dot(x, v), dot(x, y)
    rest = beta - gamma * gamma / rho
    s = dot(x, b) / rest if rest > DEPENDENT * beta else 0.0
    for i in range(c.size):
        x[i] = (t - s * gamma / rho) * c[i] + s * x[i]
    return False
