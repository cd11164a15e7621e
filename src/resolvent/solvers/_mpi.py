"""Solvers on vectors spread over MPI ranks.

Each rank holds its block of every vector as a numpy array, and works on it as one process does. Only sums over whole
vectors are different: they are added up over the ranks, one message an operation. Every decision of a method and of its
monitor follows from such sums, which are the same number on all ranks, so that all take the same path and report the
same status.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from mpi4py import MPI

from ..operators import Array
from .progress import Callback, Progress
from .vectors import NumpyVectors, Vectors


class MPIVectors(Vectors):
    """The operations of `NumpyVectors` on this rank's block, with inner products and norms over all ranks.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        The ranks over which the vectors are spread.
    """

    def __init__(self, comm: MPI.Intracomm) -> None:
        self._comm = comm
        self._local = NumpyVectors()

    # What needs all ranks --------------------------------------------------------------------------------------------

    def total(self, count: int) -> int:
        """Return the number of unknowns of all ranks together."""
        return int(self._comm.allreduce(count, MPI.SUM))

    def before(self, count: int) -> int:
        """Return how many unknowns the earlier ranks hold."""
        return int(self._comm.exscan(count, MPI.SUM) or 0)

    def agreed(self, callback: Callback | None) -> Callback | None:
        """Return a callback that asks all ranks, stopping them together; None if none of them has one."""
        if not self._comm.allreduce(callback is not None, MPI.LOR):
            return None

        def ask(progress: Progress) -> bool:
            wish = callback is not None and bool(callback(progress))
            return bool(self._comm.allreduce(wish, MPI.LOR))

        return ask

    def dot(self, x: Array, y: Array) -> np.ndarray:
        """Return xᴴ y by column."""
        return self._summed(self._local.dot(x, y))

    def norm(self, x: Array) -> np.ndarray:
        """Return ‖x‖₂ by column, real."""
        return self._root(self._local.norm(x))

    def dot_norms(self, x: Array, y: Array, *, conjugate: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return xᴴ y, or xᵀ y, with ‖x‖₂ and ‖y‖₂ by column: one message."""
        product, x_norm, y_norm = self._local.dot_norms(x, y, conjugate=conjugate)
        squares = np.square(np.stack((x_norm, y_norm)), dtype=np.float64)
        found = self._summed(np.concatenate((product[None], squares)))
        x_norm, y_norm = np.sqrt(found[1:].real).astype(x_norm.dtype, copy=False)
        return found[0].astype(product.dtype, copy=False), x_norm, y_norm

    def largest(self, x: Array) -> np.ndarray:
        """Return max |x| by column, not-a-number where there is one."""
        here = self._local.largest(x)
        # MPI does not say what the maximum of not-a-number is.
        both = np.concatenate((np.isnan(here), np.where(np.isnan(here), 0.0, here)), dtype=np.float64)
        self._comm.Allreduce(MPI.IN_PLACE, both, MPI.MAX)
        lost, found = both.reshape(2, -1)
        result: np.ndarray = np.where(lost > 0.0, np.nan, found).astype(here.dtype)
        return result

    def step(self, alpha: np.ndarray, p: Array, q: Array, x: Array, r: Array) -> np.ndarray:
        """Set x to x + alpha p and r to r − alpha q; return ‖r‖₂ by column."""
        return self._root(self._local.step(alpha, p, q, x, r))

    def project(self, V: Array, w: Array) -> np.ndarray:
        """Return Vᴴ w for the rows of V: one message for the whole basis."""
        # BLAS does not take the empty vectors of a rank without rows.
        return self._summed(self._local.project(V, w) if w.size else np.zeros(V.shape[0], dtype=V.dtype))

    def gram(self, V: Array, W: Array) -> np.ndarray:
        """Return the (j, k) array of inner products of two bases: one message."""
        empty = (V.shape[0], W.shape[0])
        return self._summed(self._local.gram(V, W) if V.shape[1] else np.zeros(empty, dtype=V.dtype))

    def inner(self, X: Array, Y: Array) -> np.ndarray:
        """Return XᴴY: one message."""
        return self._summed(self._local.inner(X, Y))

    def _summed(self, here: np.ndarray) -> np.ndarray:
        total = np.ascontiguousarray(here, dtype=np.result_type(here, np.float64))
        if total is here:
            total = here.copy()
        self._comm.Allreduce(MPI.IN_PLACE, total, MPI.SUM)
        return total.astype(here.dtype, copy=False)

    def _root(self, here: np.ndarray) -> np.ndarray:
        """Return the norms of vectors whose blocks have these norms."""
        squares = np.square(here, dtype=np.float64)
        self._comm.Allreduce(MPI.IN_PLACE, squares, MPI.SUM)
        result: np.ndarray = np.sqrt(squares).astype(here.dtype, copy=False)
        return result

    # What each rank does alone ---------------------------------------------------------------------------------------

    def empty_like(self, x: Array) -> Array:
        """Return an uninitialised array like x."""
        return self._local.empty_like(x)

    def protected(self, x: Array) -> Array:
        """Return a read-only view of x."""
        return self._local.protected(x)

    def basis(self, x: Array, rows: int) -> Array:
        """Return a zero (rows, n) array for this rank's blocks of the vectors of a Krylov basis."""
        return self._local.basis(x, rows)

    def stack(self, x: Array, rows: int) -> Array:
        """Return zero arrays like x, one above the other."""
        return self._local.stack(x, rows)

    def from_host(self, values: np.ndarray, x: Array) -> Array:
        """Return numbers, the same on all ranks, in the dtype of x."""
        return self._local.from_host(values, x)

    def assign(self, alpha: np.ndarray, x: Array, out: Array) -> None:
        """Set out to alpha x."""
        self._local.assign(alpha, x, out)

    def widen(self, x: Array) -> Array:
        """Return x in double precision."""
        return self._local.widen(x)

    def axpy(self, alpha: np.ndarray, x: Array, y: Array) -> None:
        """Set y to y + alpha x."""
        self._local.axpy(alpha, x, y)

    def aypx(self, beta: np.ndarray, x: Array, y: Array) -> None:
        """Set y to x + beta y."""
        self._local.aypx(beta, x, y)

    def combine(self, coefficients: np.ndarray, V: Array, y: Array) -> None:
        """Add Σ coefficients[i] V[i] to y."""
        if y.size:
            self._local.combine(coefficients, V, y)

    def mix(self, coefficients: np.ndarray, V: Array, out: Array | None = None, *, add: bool = False) -> Array:
        """Return the basis of rows Σ coefficients[i, l] V[i]."""
        return self._local.mix(coefficients, V, out, add=add)

    def blend(self, X: Array, C: np.ndarray, out: Array, *, add: bool = False) -> None:
        """Set `out` to X C, or add that to it."""
        self._local.blend(X, C, out, add=add)

    def rows(self, V: Array, positions: np.ndarray) -> Array:
        """Return a copy of the given rows of a basis."""
        return self._local.rows(V, positions)

    def take(self, x: Array, columns: np.ndarray) -> Array:
        """Return a C-contiguous copy of the given columns."""
        return self._local.take(x, columns)

    def put(self, x: Array, columns: np.ndarray, values: Array) -> None:
        """Write values into the given columns of x."""
        self._local.put(x, columns, values)


@contextlib.contextmanager
def together(comm: MPI.Intracomm) -> Iterator[None]:
    """Raise an error of one rank on all of them, where the others would wait for it for ever.

    The block inside must not communicate.
    """
    fault: Exception | None = None
    try:
        yield
    except Exception as error:  # noqa: BLE001 - raised again below, on every rank
        fault = error
    first = comm.allreduce(comm.rank if fault is not None else comm.size, MPI.MIN)
    if first == comm.size:
        return
    told = comm.bcast(f"{type(fault).__name__}: {fault}" if comm.rank == first else None, root=first)
    if fault is not None:
        raise fault
    raise RuntimeError(f"rank {first} failed: {told}")
