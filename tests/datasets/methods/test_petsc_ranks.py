"""One system over several MPI ranks: within tolerance of one rank, and errors that reach all of them."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from resolvent import datasets
from resolvent.datasets import generate, reproduce, verify
from resolvent.datasets.errors import WorkerLostError
from resolvent.datasets.methods import petsc_ranks
from resolvent.datasets.methods.petsc_method import PETScRanks
from resolvent.operators import SPD, Sparse

MISSING = [name for name in ("petsc4py", "mpi4py") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: scripts/petsc.sh builds them"),
    pytest.mark.skipif(shutil.which("mpiexec") is None, reason="there is no mpiexec on this machine"),
]
SCRIPT = Path(__file__).with_name("petsc_run.py")
ENVIRONMENT = os.environ | {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONSAFEPATH": "1",
}
FAMILIES = ("darcy3d", "convdiff2d", "helmholtz2d", "elasticity2d", "thermal")


def mpiexec(ranks, *arguments, timeout=300):
    command = ["mpiexec", "--oversubscribe", "-n", str(ranks), sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def found(folder):
    """What the script found, by number of ranks."""
    facts = {}
    for ranks in (2, 3):
        place = folder / str(ranks)
        place.mkdir()
        run = mpiexec(ranks, SCRIPT, place)
        lines = [line for line in run.stdout.splitlines() if line.startswith("RESULT ")]
        assert run.returncode == 0 and len(lines) == 1, run.stdout + run.stderr
        facts[ranks] = json.loads(lines[0].removeprefix("RESULT "))
    return facts


@pytest.fixture(scope="module")
def alone(folder):
    """The sets of one rank, by name of the family."""
    options = {"darcy3d": 10, "convdiff2d": 16, "helmholtz2d": 32, "elasticity2d": 8}
    made = {}
    for name in FAMILIES:
        family = datasets.families.get(name, **({"resolution": options[name]} if name in options else {}))
        made[name] = generate(family, 3, out=folder / f"{name}.h5", solver="petsc", chunk=2, two_grid=0)
    return made


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("ranks", [2, 3])
def test_agrees_with_one_rank_within_the_measure_of_the_equation(folder, found, alone, name, ranks):
    path = folder / str(ranks) / f"{name}-{ranks}.h5"
    assert len(set(found[ranks][name])) == 1, "all ranks open the same set"
    assert verify(path).passed
    one = alone[name]
    with datasets.open(path) as ds:
        assert ds.content_sha256 == found[ranks][name][0]
        assert ds.config == one.config
        assert ds.provenance["sessions"][0]["ranks"] == str(ranks)
        family, rtol = ds.family(), ds.config["rtol"]
        for ours, theirs in zip(ds, one, strict=True):
            for field, spec in family.fields().items():
                if spec.role != "solution":
                    assert np.array_equal(ours[field], theirs[field])
            A, b = family.assemble(theirs)
            change = np.asarray(family.restrict(ours) - family.restrict(theirs)).ravel()
            assert np.linalg.norm(A @ change) < 10 * rtol * np.linalg.norm(b)


@pytest.mark.parametrize("ranks", [2, 3])
def test_reproduced_on_one_rank(folder, found, ranks):
    again = reproduce(folder / str(ranks) / f"darcy3d-{ranks}.h5", 2)
    assert again.passed and again.residual_change < 10 * again.tolerance
    assert again.environment["ranks"] == (str(ranks), "1")


def test_one_rank_repeats_itself(alone):
    assert reproduce(alone["darcy3d"].path, 1).identical
    assert alone["darcy3d"].provenance["decision"]["method"] == repr(PETScRanks(5e-9, 0.5))


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_finished_set_is_found_by_all_ranks(found, ranks):
    assert found[ranks]["again"] == found[ranks]["darcy3d"]


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("too exact", "CertificationError", "sample 0 of seed 0 is not certified"),
        ("another configuration", "ConfigurationMismatch", "seed: 0 there, 1 requested"),
        ("workers", "ValueError", "solve each system together"),
        ("one rank fails", "WorkerLostError", "no room for the solution"),
        ("all ranks fail", "WorkerLostError", "no room for the rows"),
        ("interrupted", "GenerationInterrupted", "interrupted before the first chunk"),
    ],
)
def test_errors_reach_all_ranks_and_nobody_waits(found, ranks, name, error, words):
    first, *others = found[ranks][name]
    assert first.startswith(f"{error}: ") and words in first
    assert len(others) == ranks - 1
    for other in others:
        assert other.startswith(f"WorkerLostError: rank 0 failed ({error}: ") and words in other


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_go_on_after_failures(found, ranks):
    assert found[ranks]["after failures"] == found[ranks]["darcy3d"]


def test_a_rank_that_fails_among_others_that_wait_for_it_ends_all(tmp_path):
    run = mpiexec(2, SCRIPT, tmp_path, "fault", timeout=150)
    assert run.returncode != 0
    assert "RESULT" not in run.stdout and "not reached" not in run.stderr
    assert "rank 1 failed in the middle of a solve (MemoryError: no room for the rows)" in run.stderr


def test_the_command_line_speaks_with_one_voice(tmp_path):
    out = tmp_path / "d.h5"
    command = ("-m", "resolvent", "generate", "darcy3d", "-r", 8, "-n", 2, "--solver", "petsc", "--out", out)
    made = mpiexec(2, *command)
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("2 of 2, 0 failed") == 1
    refused = mpiexec(2, *command, "--seed", "1")
    assert refused.returncode != 0
    assert refused.stderr.count("holds samples of another configuration") == 1
    assert "Traceback" not in refused.stderr
    explained = mpiexec(2, *command, "--explain")
    assert explained.returncode == 0 and explained.stdout.count("PETScRanks(rtol=5e-09") == 1


def test_a_pool_of_ranks_that_wait_for_chunks_is_refused_before_anything_is_done_together(tmp_path):
    command = ("generate", "darcy3d", "-r", 8, "-n", 2, "--solver", "petsc", "--out", tmp_path / "d.h5")
    run = mpiexec(2, "-m", "mpi4py.futures", "-m", "resolvent", *command, "--executor", "mpi", timeout=60)
    assert run.returncode != 0
    assert "`-m mpi4py.futures` keeps all but one of them for chunks: start the program as `mpiexec" in run.stderr
    assert "Traceback" not in run.stderr and not list(tmp_path.iterdir())


def test_ctrl_c_waits_until_the_ranks_have_agreed(monkeypatch):
    from mpi4py import MPI

    inner, agreed = petsc_ranks._agree, []

    def solve(comm, share):
        signal.raise_signal(signal.SIGINT)
        return SimpleNamespace(x=share.b)

    def agree(comm, fault):
        inner(comm, fault)
        agreed.append(fault)

    monkeypatch.setattr(petsc_ranks, "_comm", MPI.COMM_SELF)
    monkeypatch.setattr(petsc_ranks, "_solve", solve)
    monkeypatch.setattr(petsc_ranks, "_agree", agree)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        petsc_ranks.solve_over_ranks(Sparse(np.eye(3), props=SPD), np.ones(3), 1e-8, 0.5)
    assert agreed == [""]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_failure_on_one_rank_is_an_error_too(monkeypatch, tmp_path):
    def fail(comm, share):
        raise ValueError("PETSc has had enough")

    monkeypatch.setattr(petsc_ranks, "_solve", fail)
    with pytest.raises(WorkerLostError, match="PETSc failed: ValueError: PETSc has had enough"):
        generate(datasets.families.get("darcy3d", resolution=8), 2, out=tmp_path / "d.h5", solver="petsc", two_grid=0)
    assert not list(tmp_path.iterdir())
