"""Settings and fixtures that every test shares."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest

# pytest imports readline, which sets these two, and the workers of pytest-xdist inherit them: what a command prints
# would depend on how the tests are run.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# Before anything initialises MPI: MPI_Init writes into the environment of this process, and an mpiexec started
# with what it wrote takes itself for a part of the job that is already running.
ENVIRONMENT = dict(os.environ)

# What is chosen must not depend on whether `resolvent calibrate` was run on this machine.
os.environ["RESOLVENT_CALIBRATION"] = ENVIRONMENT["RESOLVENT_CALIBRATION"] = f"{os.devnull}/costs.json"

# Before anything imports matplotlib: tests have no display.
os.environ["MPLBACKEND"] = ENVIRONMENT["MPLBACKEND"] = "Agg"

# The same examples in every run, and no deadline: the first call of a numba kernel compiles it.
hypothesis.settings.register_profile("resolvent", derandomize=True, deadline=None)
hypothesis.settings.load_profile("resolvent")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with the same state at the start of every test."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def run_python(repository: Path) -> Run:
    """Run Python in a fresh process, in the repository root: `run_python("-c", code, PYTHONPATH=folder)`.

    Returns the completed process with its text output; nothing is raised for a non-zero exit.
    """

    def run(*arguments: str, cwd: Path = repository, timeout: float = 300, **environment: str):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=ENVIRONMENT | {"PYTHONSAFEPATH": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def run_mpi(repository: Path) -> Run:
    """Run a Python script on several MPI ranks: `run_mpi(2, "script.py")`; skips where there is no MPI."""
    mpiexec = shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("no mpiexec on this machine")
    pytest.importorskip("mpi4py")

    def run(ranks: int, *arguments: str, cwd: Path = repository, timeout: float = 300, **environment: str):
        allow_root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        # In Open MPI's spelling for the environment, so that other MPIs ignore it: more ranks than cores are
        # welcome, and a waiting rank leaves its core to the others.
        crowded = {"OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_mpi_yield_when_idle": "1"}
        return subprocess.run(
            [mpiexec, "-n", str(ranks), sys.executable, *arguments],
            cwd=cwd,
            env=ENVIRONMENT | {"PYTHONSAFEPATH": "1"} | allow_root | crowded | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
