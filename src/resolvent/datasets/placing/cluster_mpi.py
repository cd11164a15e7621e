"""Chunks on MPI ranks, through `mpi4py.futures`: rank 0 leads, the others work.

    mpiexec -n 3 python -m mpi4py.futures -m resolvent generate darcy --n 1000 --out darcy.h5 --executor mpi

MPI has no ranks that come and go: when one dies, ``mpiexec`` ends all, and the same command resumes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

from ..worker import ChunkTask
from .executors import run_on
from .placement import OnRecord, OnSample, Placement, run_alone

_START = (
    "start the program as `mpiexec -n N python -m mpi4py.futures …`, for example `mpiexec -n 3 python -m "
    "mpi4py.futures -m resolvent generate darcy --executor mpi`: rank 0 leads, and N − 1 ranks make chunks"
)


class MPIRanks(Placement):
    """The ranks that ``python -m mpi4py.futures`` keeps waiting for work.

    Raises
    ------
    ImportError
        Without mpi4py.
    ValueError
        If the program was not started in that way, or with one rank only.
    """

    label = "mpi"

    def __init__(self) -> None:
        try:
            from mpi4py import MPI
            from mpi4py.futures import _core
        except ImportError as error:
            raise ImportError(
                'executor="mpi" needs mpi4py and an MPI library: pip install "resolvent[cluster]"'
            ) from error
        ranks = int(MPI.COMM_WORLD.Get_size())
        if ranks == 1:
            raise ValueError(f"executor='mpi' needs two MPI ranks at least, there is one: {_START}")
        if getattr(_core, "SharedPool", None) is None:
            raise ValueError(f"executor='mpi' on {ranks} ranks that all run the same program: {_START}")
        self.workers = ranks - 1

    def run(self, tasks: Iterator[ChunkTask], on_record: OnRecord, on_sample: OnSample, missing: int) -> None:
        """Make chunks on the other ranks."""
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor() as pool:
            run_on(
                pool,
                tasks,
                on_record,
                max(min(self.workers, missing), 1),
                call=run_alone,
                lost=(BrokenExecutor,),
                advice="the pool of MPI ranks broke down",
            )
