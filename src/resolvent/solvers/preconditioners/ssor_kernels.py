"""Compiled relaxation sweeps from zero over compressed sparse rows with sorted column indices.

    forward    ω (D + ωL)⁻¹
    backward   ω (D + ωU)⁻¹
    symmetric  ω (2 − ω) (D + ωU)⁻¹ D (D + ωL)⁻¹

with D the diagonal, or the diagonal blocks. From zero a forward sweep needs L alone, and the backward sweep after it U
alone, since what L does to the new unknowns is known from before: each entry is read once.

Everything happens in `out`; nothing is allocated or checked. Kernels are compiled on first use for the dtypes at hand,
cached on disk, and release the GIL. One column is passed flat, which saves the inner loop.
"""

from __future__ import annotations

from typing import Any

from numba import njit, uint64

FORWARD, BACKWARD = 0, 1


def sweeps(indptr: Any, indices: Any, data: Any, inverse: Any, omega: float, sweep: int, X: Any, out: Any) -> None:
    """Write the sweeps over X into `out`, point by point; about nnz k (forward, backward) or 2 nnz k flops.

    Parameters
    ----------
    indptr, indices, data : arrays
        The (n, n) matrix, indices sorted in each row.
    inverse : (n,) array
        The reciprocal of its diagonal: each unknown waits for the one before, and a division would make it wait long.
    omega : float
    sweep : int
        FORWARD, BACKWARD, or anything else for both.
    X, out : (n, k) C-contiguous arrays
        Must not overlap.
    """
    omega = inverse.real.dtype.type(omega)
    if X.shape[1] == 1:
        _sweeps_one(indptr, indices, data, inverse, omega, sweep, X.reshape(-1), out.reshape(-1))
    else:
        _sweeps_many(indptr, indices, data, inverse, omega, sweep, X, out)


@njit(cache=True, nogil=True)
def block_sweeps(indptr, indices, data, starts, offsets, entries, omega, sweep, work, X, out):  # type: ignore[no-untyped-def]
    """Write the sweeps over X into `out`, block by block.

    Parameters
    ----------
    indptr, indices, data : arrays
        As above.
    starts, offsets, entries : arrays
        Block s has the unknowns starts[s] … starts[s + 1] − 1; its inverse by rows begins at ``entries[offsets[s]]``.
    omega : float
    sweep : int
    work : (m,) array
        For the largest block.
    X, out : (n, k) arrays
    """
    count, zero = starts.size - 1, out.dtype.type(0)
    scale = omega if sweep in (FORWARD, BACKWARD) else omega * (2 - omega)
    for c in range(uint64(X.shape[1])):
        for s in range(count):
            first, last = uint64(starts[s]), uint64(starts[s + 1])
            for i in range(first, last):
                total = X[i, c]
                if sweep != BACKWARD:
                    for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
                        j = uint64(indices[p])
                        if j >= first:
                            break
                        total -= omega * data[p] * out[j, c]
                work[i - first] = total
            _multiply_block(entries, offsets[s], work, 0, first, last, c, out)
        if sweep == FORWARD:
            for i in range(uint64(X.shape[0])):
                out[i, c] *= scale
            continue
        for back in range(count):
            s = count - 1 - back
            first, last = uint64(starts[s]), uint64(starts[s + 1])
            for i in range(first, last):
                total = zero
                q = uint64(indptr[i + uint64(1)])
                while q > uint64(indptr[i]):
                    q -= uint64(1)
                    j = uint64(indices[q])
                    if j < last:
                        break
                    total -= omega * data[q] * out[j, c]
                work[i - first] = total
            _multiply_block(entries, offsets[s], work, scale, first, last, c, out)


@njit(cache=True, nogil=True)
def _multiply_block(entries, place, work, keep, first, last, c, out):  # type: ignore[no-untyped-def]
    # out_s = keep out_s + B_s⁻¹ work, whatever out_s holds where keep is 0
    p, zero = uint64(place), out.dtype.type(0)
    for i in range(first, last):
        total = zero
        for q in range(last - first):
            total += entries[p] * work[q]
            p += uint64(1)
        if keep != 0:
            total += keep * out[i, c]
        out[i, c] = total


@njit(cache=True, nogil=True, fastmath={"contract"})  # so that an unknown waits for the one before a little less
def _sweeps_one(indptr, indices, data, inverse, omega, sweep, x, out):  # type: ignore[no-untyped-def]
    n = uint64(x.size)
    zero = out.dtype.type(0)
    if sweep == BACKWARD:
        for i in range(n):
            out[i] = x[i] * inverse[i]
    else:
        before = zero
        for i in range(n):
            total = zero
            for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
                j = uint64(indices[p])
                if j >= i:
                    break
                total += data[p] * (before if j + uint64(1) == i else out[j])
            before = x[i] * inverse[i] - omega * inverse[i] * total
            out[i] = before
    if sweep == FORWARD:
        for i in range(n):
            out[i] *= omega
        return
    scale = omega if sweep == BACKWARD else omega * (2 - omega)
    before = zero
    for back in range(n):
        i = n - uint64(1) - back
        total = zero
        first, p = uint64(indptr[i]), uint64(indptr[i + uint64(1)])
        while p > first:
            p -= uint64(1)
            j = uint64(indices[p])
            if j <= i:
                break
            total += data[p] * (before if j == i + uint64(1) else out[j])
        before = scale * out[i] - omega * inverse[i] * total
        out[i] = before


@njit(cache=True, nogil=True)
def _sweeps_many(indptr, indices, data, inverse, omega, sweep, X, out):  # type: ignore[no-untyped-def]
    n, columns = uint64(X.shape[0]), uint64(X.shape[1])
    for i in range(n):
        factor = omega * inverse[i]
        for c in range(columns):
            out[i, c] = X[i, c] * inverse[i]
        if sweep == BACKWARD:
            continue
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            j = uint64(indices[p])
            if j >= i:
                break
            entry = factor * data[p]
            for c in range(columns):
                out[i, c] -= entry * out[j, c]
    scale = omega if sweep in (FORWARD, BACKWARD) else omega * (2 - omega)
    for back in range(n):
        i = n - uint64(1) - back
        factor = omega * inverse[i]
        for c in range(columns):
            out[i, c] *= scale
        if sweep == FORWARD:
            continue
        first, p = uint64(indptr[i]), uint64(indptr[i + uint64(1)])
        while p > first:
            p -= uint64(1)
            j = uint64(indices[p])
            if j <= i:
                break
            entry = factor * data[p]
            for c in range(columns):
                out[i, c] -= entry * out[j, c]
