"""`resolvent generate`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import DebugOption, InputError
from .ranks import first_rank_leads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..datasets import Progress
    from ..datasets.choosing.decision import Decision
    from ..datasets.estimate import Estimate
    from ..datasets.placing.placement import Placement
    from ..datasets.placing.sharding import JobShard

EXAMPLE = "Example: resolvent generate darcy --n 1000 --resolution 64 --seed 0 --workers 2 --out darcy.h5"

STRATEGIES = (
    *("multigrid", "direct", "superposition", "fft", "cg+amg", "cg+ic", "cg+ssor", "cg+fft"),
    *("gmres+ilu", "gmres+ilu0", "gmres+amg", "bicgstab+ilu0", "gcrodr", "petsc"),
)
"""Names for the help, which is to appear without importing them; a test compares them with the library's."""

ORDERS = ("none", "greedy", "fft", "hilbert", "angle")
"""Names of the orderings, for the same reason."""

PER_CHUNK = "tuned"
"""The solver that is decided for each chunk."""

_LONG = 30.0
"""Seconds from which a run is announced by what it will take."""

_MANY = 32
"""Samples to be made from which that is asked at all, because the answer takes a second and the solution of some."""

_FAMILY, _CERTIFICATE, _RUN = "Family options", "Solution and certificate", "Run"


@first_rank_leads
def generate(
    family: Annotated[
        str, typer.Argument(metavar="FAMILY", help="Equation; `resolvent families` lists them.", show_default=False)
    ],
    n: Annotated[int, typer.Option("--n", "-n", help="Samples that the dataset shall have.")] = 100,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The HDF5 file to write.", show_default="FAMILY.h5")
    ] = None,
    seed: Annotated[int, typer.Option(help="Root of all random streams: same seed, same samples.")] = 0,
    resolution: Annotated[
        int | None,
        typer.Option(
            "--resolution", "-r", help="Grid points per side.", show_default="the family's", rich_help_panel=_FAMILY
        ),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            metavar="cell|vertex",
            help="Unknowns at cell centres, or at nodes with the boundary included.",
            rich_help_panel=_FAMILY,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Random law of the coefficient, such as fno_twophase.", rich_help_panel=_FAMILY
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Any option of the family; `resolvent families FAMILY` lists them. May be repeated.",
            rich_help_panel=_FAMILY,
        ),
    ] = None,
    rtol: Annotated[
        float | None,
        typer.Option(
            help="Largest ‖b − A u‖/‖b‖ accepted, in double precision and before rounding to --dtype; of trajectories, "
            "the largest evidence of error.",
            show_default="1e-08; the family's for trajectories",
            rich_help_panel=_CERTIFICATE,
        ),
    ] = None,
    solver: Annotated[
        str,
        typer.Option(
            "--solver",
            "-s",
            help=f"auto, {PER_CHUNK}, {', '.join(STRATEGIES)}. auto decides alike on every machine, see --explain; "
            f"{PER_CHUNK} decides for each chunk by what earlier ones took.",
            rich_help_panel=_CERTIFICATE,
        ),
    ] = "auto",
    order: Annotated[
        str,
        typer.Option(
            metavar="|".join(ORDERS),
            help="Order in which the systems of a chunk are solved, for methods that carry something from one to the "
            "next; samples stay where they are.",
            rich_help_panel=_CERTIFICATE,
        ),
    ] = "none",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="float64|float32",
            help="Precision of stored fields. --rtol holds before rounding; float32 stores the residual after it too.",
            rich_help_panel=_CERTIFICATE,
        ),
    ] = "float64",
    on_failure: Annotated[
        str,
        typer.Option(
            metavar="raise|flag",
            help="A sample above --rtol stops the run, or is stored and marked.",
            rich_help_panel=_CERTIFICATE,
        ),
    ] = "raise",
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            "-w",
            help=f"Processes; never changes a result, except which method makes a chunk with --solver {PER_CHUNK}.",
            rich_help_panel=_RUN,
        ),
    ] = 1,
    executor: Annotated[
        str,
        typer.Option(
            metavar="local|dask|dask://HOST:PORT|mpi",
            help="Where chunks are made: processes here, a Dask cluster for this run, the workers of a Dask scheduler, "
            "or the ranks of `mpiexec -n N python -m mpi4py.futures -m resolvent generate …`.",
            rich_help_panel=_RUN,
        ),
    ] = "local",
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N|auto",
            help="Make only the chunks I, I+N, … from 0 beside --out, for `resolvent merge`; auto takes I and "
            "N from a SLURM job array.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    chunk: Annotated[
        int, typer.Option(help="Samples in a unit of work: what an interruption can lose.", rich_help_panel=_RUN)
    ] = 64,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST",
            help=f"Take the decisions of a set made with --solver {PER_CHUNK}: a finished file, or the parts folder or "
            "manifest of an unfinished one. Same options, same checksum.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Print which method would solve the systems and why, and what it would take, and generate nothing.",
            rich_help_panel=_CERTIFICATE,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Discard a dataset of another configuration at --out.", rich_help_panel=_RUN),
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Generate a dataset of certified solutions; the same command resumes an interrupted run.

    Every sample is solved until its relative residual, measured in double precision on the problem assembled anew from
    the stored inputs, is at most --rtol; float32 rounds the solution afterwards. Sample i is the same problem whatever
    --n, --workers and interruptions; a finished file grows when the command is repeated with a larger --n. Work in
    progress lies in OUT.parts.

    On one machine with the same versions, checksums are the same for every run of the same options, and for every
    --replay. With --solver tuned they are not: the problems are the same and all solutions are within --rtol, but
    which method makes a chunk, and so the last digits, depends on measured times. Its decisions are stored before each
    chunk starts, and an interrupted or extended set keeps them.
    """
    from .. import datasets
    from ..datasets.pipeline import requested_run
    from ..datasets.placing.placement import placed
    from ..datasets.placing.sharding import as_shard
    from .certificate import print_certificate, print_shares
    from .compilation import compilation_announced
    from .console import counted, note, write, write_pairs
    from .progress import duration, rate, samples_shown
    from .registry import nearest

    strategies = _strategies()
    if solver not in strategies:
        near = nearest(solver, strategies)
        raise InputError(
            f"unknown solver {solver!r}: expected one of {', '.join(strategies)}",
            f"did you mean {near}?" if near else "choose a --solver from this list",
        )
    if rtol is not None and not 0.0 < rtol < 1.0:
        raise InputError(f"rtol must be a number between 0 and 1, such as 1e-8, got {rtol!r}", "correct --rtol")
    if order not in ORDERS:
        near = nearest(order, ORDERS)
        raise InputError(
            f"unknown order {order!r}: expected one of {', '.join(ORDERS)}",
            f"did you mean {near}?" if near else "choose an --order from this list",
        )
    if replay is not None and solver not in ("auto", PER_CHUNK):
        raise InputError("--replay takes the methods of the set that it repeats", "leave --solver out")
    if shard is not None and overwrite:
        raise InputError(
            "--overwrite discards what other shards may need", "remove the output by hand, or leave it out"
        )
    made = _family(family, resolution, grid, preset, option or [])
    path = Path(f"{family}.h5") if out is None else out
    if not path.name:
        raise InputError("--out holds no file name", f"for example --out {family}.h5")
    if path.suffix.lower() not in (".h5", ".hdf5") and not path.is_dir():
        raise InputError(f"--out {path}: expected a file name that ends in .h5 or .hdf5", f"for example {family}.h5")
    job = None if shard is None else as_shard(shard)
    options: dict[str, Any] = {
        "out": path,
        "seed": seed,
        "rtol": rtol,
        "solver": solver,
        "order": order,
        "chunk": chunk,
        "workers": workers,
        "executor": executor,
        "dtype": dtype,
        "on_failure": on_failure,
        "replay": replay,
    }
    ahead = {name: options[name] for name in ("out", "seed", "rtol", "solver", "chunk", "dtype")}
    if explain:
        run = requested_run(made, n, shard=job, **options)  # refuses what cannot be made
        _write_method(made, run.decision)
        samples = n if job is None else _samples(job, n, chunk)
        if samples:
            write_pairs(_estimated(made, samples, 0, job, run.placement, ahead).rows, indent=0)
        return
    states: list[Progress] = []
    spent = 0.0

    with samples_shown() as show, compilation_announced(workers=workers):

        def follow(state: Progress) -> None:
            nonlocal spent
            if not states and state.resumed:
                note(f"resuming: {state.resumed} of {state.total} samples are there")
            if not states and state.phase == "generate" and state.total - state.resumed >= _MANY:
                asked = time.perf_counter()
                found = _estimated(made, state.total, state.resumed, job, placed(executor, workers), ahead)
                if found.seconds > _LONG:
                    for name, text in found.rows.items():
                        note(f"{name}: {text}")
                spent = time.perf_counter() - asked
            states[:] = [*states[:1], state]
            show(state)

        begun = time.perf_counter()
        if job is not None:
            write(str(datasets.generate_shard(made, n, job, progress=follow, **options)))
            return
        datasets.generate(made, n, overwrite=overwrite, progress=follow, **options).close()
        seconds = time.perf_counter() - begun - spent

    if states:
        new = n - states[0].resumed
        write(
            f"{path}: {counted(n, 'sample')} of {made.name}, {new} made in {duration(seconds)} "
            f"({rate(new / seconds)} samples/s)"
        )
    else:
        there = f"all {n} samples" if n > 1 else "the only sample"
        write(f"{path}: {there} of {made.name} {'were' if n > 1 else 'was'} there already")
    description = datasets.describe(path)
    print_certificate(description)
    print_shares(description)


def _estimated(
    family: Any, n: int, made: int, shard: JobShard | None, place: Placement, options: Mapping[str, Any]
) -> Estimate:
    """Return what n samples will take where `made` are there, on all that a cluster has."""
    from .. import datasets

    return datasets.estimate(family, n, made=made, shard=shard is not None, workers=place.at_once(), **options)


def _samples(shard: JobShard, n: int, chunk: int) -> int:
    """Return how many of n samples a shard makes."""
    count = -(-n // chunk)
    chunks = shard.chunks(0, count)
    return len(chunks) * chunk - (-n % chunk if count - 1 in chunks else 0)


def _write_method(family: Any, decision: Decision) -> None:
    from .console import write_pairs

    rows = {"family": repr(family), "method": decision.chosen, "why": decision.why}
    if decision.arms:
        rows |= {"arms": ", ".join(arm.name for arm in decision.arms), "safe arm": repr(decision.method)}
    else:
        rows["in full"] = repr(decision.method)
    write_pairs(rows, indent=0)


def _strategies() -> list[str]:
    from ..datasets.methods.strategies import NONE, STRATEGIES, VARIANTS

    return ["auto", PER_CHUNK, *STRATEGIES, *VARIANTS, NONE]


def _family(name: str, resolution: int | None, grid: str | None, preset: str | None, pairs: list[str]) -> Any:
    """Return the family with its options, each given once."""
    from ..datasets import families
    from .registry import fitted, parse_options

    try:
        cls = families.family_class(name)
    except ValueError as error:
        raise InputError(str(error), "`resolvent families` lists them all") from error
    options = parse_options(pairs)
    valid = {field.name for field in dataclasses.fields(cls)}
    named = {"resolution": resolution, "grid": grid, "coefficient" if "coefficient" in valid else "preset": preset}
    for key, value in named.items():
        if value is None:
            continue
        if key in options:
            raise InputError(f"{key} is given twice, once with --option", "keep one of them")
        if key == "preset" and key not in valid:
            raise InputError(
                f"{cls.name} has no presets, its options are {', '.join(sorted(valid))}", "leave --preset out"
            )
        options[key] = value
    try:
        return families.get(name, **fitted(cls, options))
    except (ValueError, TypeError) as error:
        raise InputError(
            str(error), f"`resolvent families {cls.name}` shows its options and what they may be"
        ) from error
