"""Sets over all ranks of mpiexec, good ones and such that fail; rank 0 prints what happened as JSON. Argument: folder.

With a second argument, a rank fails in the middle of a solve, and nothing is to be printed.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from mpi4py import MPI

from resolvent.datasets import families, generate
from resolvent.datasets.errors import WorkerLostError
from resolvent.datasets.methods import petsc_ranks

comm = MPI.COMM_WORLD
folder = Path(sys.argv[1])
FAMILIES = {
    "darcy3d": {"resolution": 10},
    "convdiff2d": {"resolution": 16},
    "helmholtz2d": {"resolution": 32},
    "elasticity2d": {"resolution": 8},
    "thermal": {},
}
facts: dict[str, object] = {}


def outcome(name, call):
    """Note what a call gives on every rank: text, or the error's kind and message."""
    try:
        found = str(call())
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is what is looked at
        found = f"{type(error).__name__}: {error}"
    facts[name] = comm.gather(found, 0)


def fail_on(ranks, place):
    """Let the next solves fail on some ranks, before or after the part in which all of them meet."""
    inner = petsc_ranks._solve

    def solve(comm, share):
        if comm.rank in ranks and place == "before":
            raise MemoryError("no room for the rows")
        result = inner(comm, share)
        if comm.rank in ranks:
            raise MemoryError("no room for the solution")
        return result

    petsc_ranks._solve = solve
    return inner


def interrupt_the_first():
    """Let Ctrl-C reach rank 0 at the beginning and at the end of its part of a solve."""
    inner = petsc_ranks._solve

    def solve(comm, share):
        if comm.rank == 0:
            signal.raise_signal(signal.SIGINT)
        result = inner(comm, share)
        if comm.rank == 0:
            signal.raise_signal(signal.SIGINT)
        return result

    petsc_ranks._solve = solve
    return inner


def make(name, out=None, **options):
    family = families.get(name, **FAMILIES[name])
    options = {"solver": "petsc", "chunk": 2, "two_grid": 0, **options}
    return generate(family, 3, out=folder / (out or f"{name}-{comm.size}.h5"), **options)


if len(sys.argv) > 2:
    petsc_ranks._PATIENCE = 1.0
    fail_on([comm.size - 1], "before")
    make("darcy3d")
    sys.exit("not reached")

for name in FAMILIES:
    outcome(name, lambda name=name: make(name).content_sha256)
outcome("again", lambda: make("darcy3d").content_sha256)
outcome("too exact", lambda: make("darcy3d", "exact.h5", rtol=1e-17))
outcome("another configuration", lambda: make("darcy3d", seed=1))
outcome("workers", lambda: make("darcy3d", "workers.h5", workers=2))
inner = fail_on([comm.size - 1], "after")
outcome("one rank fails", lambda: make("darcy3d", "fault.h5"))
petsc_ranks._solve = inner
inner = fail_on(range(comm.size), "before")
outcome("all ranks fail", lambda: make("darcy3d", "fault.h5"))
petsc_ranks._solve = inner
inner = interrupt_the_first()
outcome("interrupted", lambda: make("darcy3d", "fault.h5"))
petsc_ranks._solve = inner
outcome("after failures", lambda: make("darcy3d", "fault.h5").content_sha256)
outcome("lost", lambda: WorkerLostError.__name__)
if comm.rank == 0:
    sys.stdout.write("RESULT " + json.dumps(facts) + "\n")
