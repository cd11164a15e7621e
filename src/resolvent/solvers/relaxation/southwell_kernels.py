"""Compiled greedy relaxation: always the block with the largest residual."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64


@njit(cache=True, nogil=True)
def relax_greedily(A, x, r, norms, floor, limit, tree, touched, stamps, work):  # type: ignore[no-untyped-def]
    """Relax as many blocks as there are, the worst one each time, until ‖r‖ is at most `floor` or above `limit`.

    The squared residual norms of the blocks are the leaves of a binary tree whose nodes hold the larger of two
    children: finding the largest, and changing one, takes as many steps as the tree has levels.

    Parameters
    ----------
    A : Columns
    x, r : (n,) arrays
        Iterate and residual, both brought up to date with each block.
    norms : (m,) array
        ‖r‖ after each round of as many relaxations as there are blocks; at most m rounds.
    floor, limit : float
    tree : (2 l,) array
        l ≥ s a power of two; node i has the children 2 i and 2 i + 1, node l + s is block s.
    touched, stamps : (s,) int arrays
    work : array
        For the largest block.

    Returns
    -------
    rounds, relaxations : int
    """
    blocks = A.starts.size - 1
    leaves = uint64(tree.size // 2)
    tree[:] = 0.0
    for s in range(uint64(blocks)):
        tree[leaves + s] = _norm_squared(A, s, r)
    for node in range(tree.size // 2 - 1, 0, -1):
        tree[uint64(node)] = max(tree[uint64(2 * node)], tree[uint64(2 * node + 1)])
    stamps[:] = -1
    done = 0
    for turn in range(norms.size):
        for _ in range(blocks):
            if not 0.0 < tree[1] < np.inf:
                break
            _relax_worst(A, x, r, tree, leaves, touched, stamps, work, done)
            done += 1
        squares = 0.0
        for i in range(uint64(r.size)):
            squares += r[i].real * r[i].real + r[i].imag * r[i].imag
        norms[turn] = np.sqrt(squares)
        if not floor < norms[turn] <= limit:
            return turn + 1, done
    return norms.size, done


@njit(cache=True, nogil=True)
def _norm_squared(A, s, r):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(uint64(A.starts[s]), uint64(A.starts[s + uint64(1)])):
        total += r[i].real * r[i].real + r[i].imag * r[i].imag
    return total


@njit(cache=True, nogil=True)
def _relax_worst(A, x, r, tree, leaves, touched, stamps, work, stamp):  # type: ignore[no-untyped-def]
    one, two, zero = uint64(1), uint64(2), x.dtype.type(0)
    node = one
    while node < leaves:
        node = two * node if tree[two * node] >= tree[two * node + one] else two * node + one
    s = node - leaves
    first, last, place = uint64(A.starts[s]), uint64(A.starts[s + one]), uint64(A.offsets[s])
    for i in range(last - first):
        total = zero
        for j in range(first, last):
            total += A.entries[place] * r[j]
            place += one
        work[i] = A.omega * total
    count = 0
    for j in range(first, last):
        step = work[j - first]
        x[j] += step
        for p in range(uint64(A.indptr[j]), uint64(A.indptr[j + one])):
            i = uint64(A.indices[p])
            r[i] -= A.data[p] * step
            t = A.block_of[i]
            if stamps[t] != stamp:
                stamps[t], touched[count] = stamp, t
                count += 1
    for q in range(count):
        t = uint64(touched[q])
        node = leaves + t
        tree[node] = _norm_squared(A, t, r)
        while node > one:
            node = node // two
            larger = max(tree[two * node], tree[two * node + one])
            if tree[node] == larger:
                break
            tree[node] = larger
