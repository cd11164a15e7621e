"""Generating a dataset: the public entry point."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from . import families
from .choosing.replay import read_replay
from .family import Family
from .methods.strategies import PETSC, Method
from .placing.placement import placed
from .placing.sharding import JobShard
from .progress import ProgressCallback
from .reader import Dataset
from .run import Run
from .seeding import check_shares
from .settings import TUNED, check_count, check_tolerance

if TYPE_CHECKING:
    from ..solvers.solver import Solver

logger = logging.getLogger(__name__)

_COARSE = 1e-4
"""Labels solved to 1e-2 were found to hold a model's error near 1e-2, to 1e-1 near 1e-1, to 1e-5 not to limit it
(https://arxiv.org/abs/2402.05957): a hundredth of an aim of one per cent."""


def generate(
    family: Family | str,
    n: int,
    *,
    out: str | Path,
    seed: int = 0,
    rtol: float | None = None,
    solver: str | Solver | Method = "auto",
    order: str = "none",
    chunk: int = 64,
    workers: int = 1,
    executor: Executor | str | None = None,
    threads: int = 1,
    dtype: str = "float64",
    on_failure: str = "raise",
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    two_grid: int | None = None,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
    replay: str | Path | None = None,
) -> Dataset:
    """Generate n certified samples of a family into one HDF5 file, resuming or extending what is there.

    Every sample is drawn from its own random stream, so that the problem of sample i is the same whatever `n`,
    `workers` and interruptions: 100 samples are the first 100 of 1000. Work in progress lies in ``<out>.parts`` and
    survives any kill; the same call again continues. A finished file grows when called with a larger `n`.

    **Checksums.** On one machine, with one set of versions and one number of `threads`, ``content_sha256`` is the same
    for every run of a configuration, whatever the workers and interruptions, if `solver` is ``"auto"``, a name or a
    method, or if the run is a `replay`. It is not with ``"tuned"``: inputs and certified tolerance are the same, but
    which method makes a chunk depends on measured times, and so do solutions within `rtol`, and iterations. Of one
    tuned set all that is stored stays as it is: a resumed run keeps the decisions that were entered, and an extended
    one those of the chunks that are there.

    Parameters
    ----------
    family : Family or str
        Family with its options, or the name of a registered one with default options.
    n : int
        Number of samples the set shall have.
    out : path
        The HDF5 file. Missing folders are made. All workers must see this path.
    seed : int ≥ 0
        Root of all random streams.
    rtol : float, optional
        Largest ‖b − A u‖₂/‖b‖₂ accepted, measured in float64 on the problem assembled anew from the stored inputs; of a
        trajectory, the largest of its evidence numbers. By default that of the family, 1e-8 for linear systems.
    solver : {"auto", "tuned", "multigrid", "direct", "cg+amg", "gmres+ilu", …}, Solver or Method
        How systems are solved: `methods.strategies` has all names, and `recycled` those that recycle. A solver less
        accurate than `rtol` demands is tightened. ``auto`` decides by the structure of the first systems and the costs
        stored with the package, alike on every machine (`explain` shows it); the decision is stored before the first
        chunk. ``tuned`` starts there and decides anew for each chunk, by what earlier chunks took: it tries every way
        that may be worth it once, and parameter variants of the best. What a method on trial fails on is solved by the
        one of ``auto``. It needs tens of chunks to pay. Decisions are stored before their chunk starts. Families of
        trajectories march by themselves: ``auto`` is ``"none"`` for them, and anything else is refused. ``petsc`` in a
        program that all ranks of ``mpiexec`` run solves each system over all ranks: rank 0 does everything else, and
        all ranks return the set. The checksum then depends on the number of ranks; solutions agree within `rtol`.
    order : {"none", "greedy", "fft", "hilbert", "angle"}
        In which order the systems of a chunk are solved: `resolvent.datasets.ordering` says what each does. For methods
        that carry something from one system to the next, such as ``"gcrodr"``; others only pay for it. Samples are the
        same problems in the same places; solutions agree within `rtol`. The order is that of the whole chunk, which is
        drawn, and solved as far as it leads to samples of the set, even where the set ends inside of it.
    chunk : int
        Samples in a unit of work. Solver state is reset at its border, so it can influence the last bits. A run uses
        at most n/chunk workers.
    workers : int
        Local processes; 1 works in the calling process. With an Executor, how many chunks it runs at once.
    executor : str or concurrent.futures.Executor, optional
        Where chunks run instead: ``"dask"`` (a Dask cluster of `workers` processes for this run), ``"dask://host:port"``
        (the workers of a running scheduler), ``"mpi"`` (the ranks of ``mpiexec -n N python -m mpi4py.futures …``), or
        an executor such as Dask's ``Client.get_executor()``, which is not shut down. Each worker has one thread's
        work at a time, and must see `out` under the same path.
    threads : int
        BLAS, OpenMP and numba threads of each worker: part of the configuration, since last bits can depend on it.
    dtype : {"float64", "float32"}
        Storage precision of inputs and solutions. Problems are assembled from the inputs as stored and solved in
        double precision; with float32 the certificate is that of the solution before rounding, and the
        residual after rounding and the rounding error are stored besides.
    on_failure : {"raise", "flag"}
        A sample above `rtol` stops the run and its chunk is not written, or is stored with ``certified`` False.
    splits : three floats
        Shares of train, valid and test. A sample never changes its split when the set grows.
    two_grid : int, optional
        Number of samples whose discretisation error is estimated on a grid twice as fine, before the first chunk;
        by default 4 unless that grid is large. Like the structural checks of the first matrix it becomes part of the
        provenance, not of the samples.
    overwrite : bool
        Discard a set of another configuration at `out`. Files that are not datasets are never overwritten.
    progress : callable, optional
        Called with a `Progress` now and then, in the calling thread.
    replay : path, optional
        A finished tuned file, or the parts folder, manifest or journal of an unfinished one: its decisions are taken
        chunk by chunk instead of tuning. The configuration must be the same, `n` at most what was decided.

    Returns
    -------
    dataset : Dataset
        The finished file, open for reading.

    Raises
    ------
    ConfigurationMismatch
        If `out` holds samples of another configuration; ``.differences`` says which keys.
    CertificationError
        If a sample fails and failures are refused.
    DiscretisationError
        If the matrix of the first sample fails the family's structural checks.
    GenerationInterrupted
        On Ctrl-C (it is a KeyboardInterrupt); the same call resumes.
    ReplayError
        If `replay` is of another configuration, decides too few chunks, or was not tuned.
    OutputLockedError, StorageError, FormatError, WorkerLostError
        Two runs on one output; unwritable or full; a foreign or damaged file there; a worker died.
    ValueError, TypeError
        For arguments out of range, and for fewer samples than a finished file has.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from resolvent import datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ds = datasets.generate("darcy", 4, out=Path(folder) / "darcy.h5")
    ...     ds[0]["u"].shape, bool(ds.certificates["rho_stored"].max() < 1e-8)
    ((64, 64), True)
    """
    with leading(solver) as leads:
        if leads:
            run = requested_run(
                family,
                n,
                out=out,
                seed=seed,
                rtol=rtol,
                solver=solver,
                order=order,
                chunk=chunk,
                workers=workers,
                executor=executor,
                threads=threads,
                dtype=dtype,
                on_failure=on_failure,
                splits=splits,
                two_grid=two_grid,
                progress=progress,
                replay=replay,
            )
            return run(overwrite)
    return Dataset(Path(out))


def leading(solver: object) -> AbstractContextManager[bool]:
    """Yield True where a run is made: everywhere, except where rank 0 leads the others (`petsc_ranks.session`)."""
    if solver != PETSC:
        return nullcontext(True)
    from .methods.petsc_ranks import session

    return session()


def requested_run(
    family: Family | str,
    n: int,
    *,
    out: str | Path,
    seed: int = 0,
    rtol: float | None = None,
    solver: str | Solver | Method = "auto",
    order: str = "none",
    chunk: int = 64,
    workers: int = 1,
    executor: Executor | str | None = None,
    threads: int = 1,
    dtype: str = "float64",
    on_failure: str = "raise",
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    two_grid: int | None = None,
    progress: ProgressCallback | None = None,
    replay: str | Path | None = None,
    shard: JobShard | None = None,
) -> Run:
    """Check what was requested of `generate`, or of `generate_shard`, and return the run that makes it."""
    family = as_family(family)
    rtol = family.default_rtol if rtol is None else rtol
    check_tolerance(rtol)
    if rtol > _COARSE:
        logger.warning(
            "rtol=%g: errors of the labels limit what a model learns; stay below a hundredth of the error you aim at",
            rtol,
        )
    if replay is not None and solver not in ("auto", TUNED):
        raise ValueError(f"a replay takes the methods of the set that it repeats: leave solver out, got {solver!r}")
    if shard is not None and solver == TUNED and replay is None:
        raise ValueError(
            "a tuned set decides about a chunk by all chunks before it, which shards do not know: leave tuned out, or "
            "replay the decisions of a set that was tuned"
        )
    if solver == PETSC and not (executor in (None, "local") and workers == 1):
        from .methods.petsc_ranks import ranks

        if ranks() > 1:
            raise ValueError(
                f"{ranks()} ranks solve each system together, so chunks are made one after the other: leave workers "
                "and executor out, or start without mpiexec"
            )
    place = placed(executor, check_count("workers", workers, 1))
    return Run(
        family,
        check_count("n", n, 1),
        Path(out),
        {
            "seed": check_count("seed", seed, 0),
            "rtol": float(rtol),
            "chunk": check_count("chunk", chunk, 1),
            "threads": check_count("threads", threads, 1),
            "dtype": dtype,
            "on_failure": on_failure,
            "splits": check_shares(splits),
            "order": order,
        },
        solver if replay is None else TUNED,
        None if two_grid is None else check_count("two_grid", two_grid, 0),
        place,
        progress,
        None if replay is None else read_replay(replay),
        shard,
    )


def as_family(family: Family | str) -> Family:
    """Return a family that may be given by its name."""
    if isinstance(family, str):
        family = families.get(family)
    if not isinstance(family, Family):
        raise TypeError(f"family must be a Family or the name of one, got {family!r}")
    return family
