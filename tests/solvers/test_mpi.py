"""Systems spread over MPI ranks: the same statuses and iterations as on one, on every rank."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MISSING = [name for name in ("petsc4py", "mpi4py") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: scripts/petsc.sh builds them"),
    pytest.mark.skipif(shutil.which("mpiexec") is None, reason="there is no mpiexec on this machine"),
]
SCRIPT = Path(__file__).with_name("mpi_ranks.py")
METHODS = ("CG", "FlexibleCG", "MINRES", "GMRES", "FGMRES", "BiCGStab", "PETSc cg", "PETSc gmres", "PETSc bcgs")
NAMES = [f"{method} {M}" for method in METHODS for M in ("none", "Jacobi", "Chebyshev")]
NAMES += ["MINRES indefinite", "CG complex", "CG columns", "GMRES columns", "CG hypre", "CG blocks"]
NAMES += ["PETSc cg hypre", "PETSc mumps", "PETSc cg complex", "PETSc cg blocks"]
NAMES += ["Richardson", "CG PETScAMG", "CG PETScAMG gamg", "CG PETScAMG kept"]


@pytest.fixture(scope="module", params=[2, 4], ids=lambda n: f"{n} ranks")
def found(request):
    """What the script found on that many ranks."""
    environment = os.environ | {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONWARNINGS": "error",
    }
    command = ["mpiexec", "--oversubscribe", "-n", str(request.param), sys.executable, "-m", "mpi4py", str(SCRIPT)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in run.stdout.splitlines() if line.startswith("RESULT ")]
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(lines) == 1, run.stdout + run.stderr
    return {"ranks": request.param} | json.loads(lines[0].removeprefix("RESULT "))


@pytest.mark.parametrize("name", NAMES)
def test_within_one_iteration_of_one_rank(found, name):
    everywhere, alone = found["cases"][name]
    assert all(outcome == everywhere[0] for outcome in everywhere)
    status, iterations, residual = everywhere[0]
    assert status == alone[0] == "CONVERGED"
    assert abs(iterations - alone[1]) <= 1
    assert residual <= 1.01e-8


def test_every_case_is_looked_at(found):
    assert found["cases"].keys() == {*NAMES, "CG indefinite", "CG maxiter", "CG rounding"}


@pytest.mark.parametrize(
    ("name", "status"), [("CG indefinite", "INDEFINITE"), ("CG maxiter", "MAXITER"), ("CG rounding", "STAGNATED")]
)
def test_failures_are_the_same_on_all_ranks(found, name, status):
    everywhere, alone = found["cases"][name]
    assert all(outcome == everywhere[0] for outcome in everywhere)
    assert everywhere[0][0] == alone[0] == status


def test_what_one_rank_alone_knows_reaches_all(found):
    facts, ranks = found["facts"], found["ranks"]
    assert facts["NaN"] == ["NONFINITE"] * ranks
    assert facts["stopped by one rank"] == [["STOPPED", 5]] * ranks
    assert facts["callback of one rank"] == 4
    # The rank at fault raises its own error, the others that it failed.
    assert facts["b of another length on rank 0"] == ["ValueError"] + ["RuntimeError"] * (ranks - 1)


def test_multigrid_over_ranks(found):
    """Claims that hold there, interpolation kept on all ranks, and an error on all where one has the reason."""
    facts, ranks = found["facts"], found["ranks"]
    assert max(facts["kept interpolation"]) <= 1e-12
    assert all("SELF_ADJOINT" in claims and "POSITIVE" not in claims for claims in facts["claims over ranks"])
    assert ["holds a zero" in fault for fault in facts["zeros on rank 0"]] == [True] * ranks


def test_what_cannot_work_is_refused(found):
    facts = found["facts"]
    assert "cannot solve a system spread over ranks" in facts["Direct"]
    assert "use LocalBlocks(SSOR())" in facts["SSOR"]
    assert "LocalBlocks(recipe)" in facts["entries"]
    assert f"over {found['ranks']} ranks, 256 x 256" in facts["repr"]


def test_operator(found):
    facts, ranks = found["facts"], found["ranks"]
    for name in ("product", "adjoint", "sum"):
        assert facts[name] < 1e-9
    assert facts["shifted"] == ["CONVERGED"] * ranks
    assert facts["diagonal"]
    assert all(facts["block"])
    assert facts["follows"] < 1e-5
    assert facts["ranks without rows"] == [["CONVERGED"] * 3] * ranks
    assert max(abs(error) for error in facts["vectors"]) < 1e-11


@pytest.mark.parametrize(
    ("name", "alone"), [("blocks", "blocks"), ("Chebyshev", "Chebyshev"), ("CG", "Jacobi"), ("both", "blocks")]
)
def test_ours_inside_petsc(found, name, alone):
    everywhere = found["facts"][f"hosted {name}"]
    assert all(outcome == everywhere[0] for outcome in everywhere)
    reason, iterations, residual = everywhere[0]
    assert reason > 0
    assert abs(iterations - found["facts"][f"{alone} alone"]) <= 1
    assert residual <= 1.01e-8
