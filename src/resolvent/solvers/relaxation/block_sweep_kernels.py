"""Compiled relaxation sweeps over compressed sparse rows, block by block.

As `row_sweep_kernels`, with small dense inverses in place of reciprocals: the unknowns of a block are consecutive and
are corrected together, for the residual that the blocks before have left.
"""

from __future__ import annotations

from numba import njit, uint64


@njit(cache=True, nogil=True)
def blocks_sweep(A, backward, b, x, y):  # type: ignore[no-untyped-def]
    """Set y_s to x_s + ω B_s⁻¹ (b − A z)_s for one block after the other; return ‖b − A x‖².

    z holds y in the blocks that the sweep has been to, x in the others.

    Parameters
    ----------
    A : Blocks
    backward : bool
        Whether to go from the last block to the first.
    b, x, y : (n,) arrays
    """
    zero, squares = y.dtype.type(0), 0.0
    count = A.starts.size - 1
    t = A.work
    for step in range(count):
        s = count - 1 - step if backward else step
        first, last = uint64(A.starts[s]), uint64(A.starts[s + 1])
        for i in range(first, last):
            old = new = b[i]
            for p in range(uint64(A.indptr[i]), uint64(A.indptr[i + uint64(1)])):
                j = uint64(A.indices[p])
                product = A.data[p] * x[j]
                old -= product
                if (j >= last) if backward else (j < first):
                    new -= A.data[p] * y[j]
                else:
                    new -= product
            squares += old.real * old.real + old.imag * old.imag
            t[i - first] = new
        place = uint64(A.offsets[s])
        for i in range(first, last):
            total = zero
            for q in range(last - first):
                total += A.entries[place] * t[q]
                place += uint64(1)
            y[i] = x[i] + A.omega * total
    return squares
