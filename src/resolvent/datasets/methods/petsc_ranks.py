"""One system over many ranks: rank 0 runs the pipeline, the others wait for their rows of each system.

All ranks of ``mpiexec`` run the same program. Inside `session` rank 0 goes on, and whatever it solves by `PETScRanks`
is scattered as slabs of rows, solved by all and gathered. The other ranks are in `session` until rank 0 leaves it. They
look for messages with pauses, because a rank that waits inside MPI would take a core from those that work.

An error on any rank becomes an error on rank 0. Where one rank fails while others are inside a common operation of
PETSc, these would wait for ever: after `_PATIENCE` seconds the rank that failed ends all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ...operators import SPD, LinearOperator, Props, Sparse
from ...operators.petsc import distribute
from ...operators.petsc_lifetime import load_petsc
from ...solvers.petsc import PETScKSP
from ...solvers.result import Result
from ..errors import DatasetError, WorkerLostError

logger = logging.getLogger(__name__)

_PATIENCE = 60.0
"""Seconds that a rank on which a solve failed waits for the others to notice."""

_TAG = 7001
_LONGEST_PAUSE = 1e-3

_comm: Any = None
"""What the ranks of the session that this process leads talk through; None outside, and on one rank."""

_LU = {"ksp_type": "preonly", "pc_type": "lu", "pc_factor_mat_solver_type": "mumps"}


class _Share(NamedTuple):
    """What a rank is sent of a system."""

    rows: sp.csr_array
    b: np.ndarray
    props: Props
    options: dict[str, Any]
    rtol: float


class _Dismissed(NamedTuple):
    """That rank 0 has left the session, and the error by which."""

    error: str


def ranks() -> int:
    """Return the number of ranks that a session has."""
    comm = _world()
    return 1 if comm is None else int(comm.size)


def rank() -> int:
    """Return the number of this rank."""
    comm = _world()
    return 0 if comm is None else int(comm.rank)


def _world() -> Any:
    load_petsc()  # starts MPI
    try:
        from mpi4py import MPI
    except ImportError:
        return None  # petsc4py works without it, on one rank
    return MPI.COMM_WORLD if MPI.COMM_WORLD.size > 1 else None


@contextlib.contextmanager
def session() -> Iterator[bool]:
    """Yield whether this rank is to go on: True on rank 0, False on others when rank 0 is through.

    Inside another session, and on one rank, it yields True and does nothing.

    Raises
    ------
    ImportError
        Without petsc4py.
    ValueError
        If the other ranks wait for chunks, as ``python -m mpi4py.futures`` makes them do.
    WorkerLostError
        On the other ranks, if rank 0 left by an error.
    """
    global _comm
    size = _pooled()
    if size > 1:  # the others will never come to what all ranks must do together, such as starting PETSc
        raise ValueError(
            f"petsc solves each system over all {size} ranks, and `-m mpi4py.futures` keeps all but one of them "
            "for chunks: start the program as `mpiexec -n N python -m resolvent generate … --solver petsc`, without "
            "`-m mpi4py.futures`, workers and executor; or choose another solver"
        )
    world = _world()
    if world is None or _comm is not None:
        yield True
        return
    # PETSc works on the world, and messages that could meet its own must not pass there.
    comm = world.Dup()
    if comm.rank:
        try:
            _serve(comm)
        finally:
            comm.Free()
        yield False
        return
    _comm, error = comm, "it ended"
    try:
        yield True
        error = ""
    except BaseException as fault:
        error = f"{type(fault).__name__}: {fault}"
        raise
    finally:
        _comm = None
        with _interrupts_held():
            for other in range(1, comm.size):
                comm.send(_Dismissed(error), other, _TAG)
            comm.Free()


def _pooled() -> int:
    """Return the number of ranks if this program leads a pool of `mpi4py.futures`, which loads that module, or 0."""
    if getattr(sys.modules.get("mpi4py.futures._core"), "SharedPool", None) is None:
        return 0
    from mpi4py import MPI

    return int(MPI.COMM_WORLD.size)


def _serve(comm: Any) -> None:
    """Take part in all solves until rank 0 leaves its session."""
    with _interrupts_to(signal.SIG_IGN):  # Ctrl-C reaches every process of a terminal, and rank 0 decides
        while True:
            message = _received(comm)
            if isinstance(message, _Dismissed):
                if message.error:
                    raise WorkerLostError(f"rank 0 failed ({message.error})")
                return
            try:
                _solved_share(comm, message)
            except DatasetError as error:
                logger.info("rank %d: %s", comm.rank, error)  # rank 0 raises the same


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block: ranks amid what all must do together would wait for this one."""
    caught: list[int] = []
    try:
        with _interrupts_to(lambda number, frame: caught.append(number)):
            yield
    finally:
        if caught:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def _interrupts_to(handler: Callable[[int, Any], Any] | signal.Handlers) -> Iterator[None]:
    """Give Ctrl-C to a handler. It only ever reaches the main thread, and only that can ask for it."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _received(comm: Any) -> Any:
    pause = 1e-5
    while not comm.iprobe(source=0, tag=_TAG):
        time.sleep(pause)
        pause = min(2.0 * pause, _LONGEST_PAUSE)
    return comm.recv(source=0, tag=_TAG)


def solve_over_ranks(A: LinearOperator, b: np.ndarray, rtol: float, strength: float) -> Result:
    """Solve A x = b with all ranks of the session.

    Parameters
    ----------
    A : LinearOperator
        With entries.
    b : (n,) array
    rtol : float
        Relative residual to reach.
    strength : float
        Threshold of BoomerAMG for strong couplings.

    Raises
    ------
    WorkerLostError
        If a rank fails, other than by not converging.
    """
    matrix, rhs = sp.csr_array(A.to_sparse()), np.asarray(b).ravel()
    paired = matrix.dtype.kind == "c" or rhs.dtype.kind == "c"
    definite = SPD in A.props and not paired
    if paired:
        turn = sp.csr_array(np.array([[0.0, -1.0], [1.0, 0.0]]))
        matrix = sp.csr_array(sp.kron(matrix.real, sp.eye_array(2)) + sp.kron(matrix.imag, turn))
        rhs = np.ascontiguousarray(rhs, dtype=np.complex128).view(np.float64)
    options: dict[str, Any] = _LU
    if definite:
        options = {"ksp_type": "cg", "pc_type": "hypre", "pc_hypre_boomeramg_strong_threshold": strength}
    props = SPD if definite else Props.NONE
    size = 1 if _comm is None else _comm.size
    cuts = [matrix.shape[0] * part // size for part in range(size + 1)]
    shares = [_Share(matrix[i:j], rhs[i:j], props, options, rtol) for i, j in itertools.pairwise(cuts)]
    with contextlib.nullcontext() if _comm is None else _interrupts_held():
        for other in range(1, size):
            _comm.send(shares[other], other, _TAG)
        result = _solved_share(_comm, shares[0])
    if result is None:
        raise WorkerLostError("rank 0 got no solution")
    x = result.x.view(np.complex128) if paired else result.x
    return dataclasses.replace(result, x=x)


def _solved_share(comm: Any, share: _Share) -> Result | None:
    """Solve together with all ranks; return the whole result on rank 0."""
    fault = ""
    result: Result | None = None
    try:
        result = _solve(comm, share)
    except (ValueError, TypeError, ArithmeticError, RuntimeError, MemoryError, OSError) as error:
        fault = f"{type(error).__name__}: {error}"
    if comm is None:
        if fault:
            raise WorkerLostError(f"PETSc failed: {fault}")
        return result
    _agree(comm, fault)
    assert result is not None
    parts = comm.gather(result.x, 0)
    return None if parts is None else dataclasses.replace(result, x=np.concatenate(parts))


def _solve(comm: Any, share: _Share) -> Result:
    """Solve on this rank alone, or its part together with the others."""
    solver = PETScKSP(options=share.options, rtol=share.rtol)
    if comm is None:
        return solver.solve(Sparse(share.rows, props=share.props), share.b)
    A = distribute(share.rows, props=share.props)
    result = solver.solve(A, np.ascontiguousarray(share.b))  # drops what PETSc holds for it, on all ranks here
    A.close()
    return result


def _agree(comm: Any, fault: str) -> None:
    """Raise WorkerLostError on all ranks if one of them has a fault; end all where the others do not hear of it."""
    from mpi4py import MPI

    mine, all_of_them = np.array([bool(fault)], dtype=np.int32), np.zeros(1, dtype=np.int32)
    request = comm.Iallreduce(mine, all_of_them, MPI.MAX)
    deadline, pause = time.monotonic() + _PATIENCE, 1e-6
    while not request.Test():
        if fault and time.monotonic() > deadline:
            logger.critical("rank %d failed in the middle of a solve (%s): ending all ranks", comm.rank, fault)
            comm.Abort(1)
        time.sleep(pause)
        pause = min(2.0 * pause, _LONGEST_PAUSE)
    if all_of_them[0]:
        told = [f"rank {at}: {text}" for at, text in enumerate(comm.allgather(fault)) if text]
        raise WorkerLostError(f"PETSc failed on {len(told)} of {comm.size} ranks ({told[0]})")
