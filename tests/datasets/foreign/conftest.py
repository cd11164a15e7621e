"""Small sets to export, made once a session, and Python with the loaders of other packages."""

import os
from pathlib import Path

import pytest

from resolvent import datasets
from resolvent.datasets import families

SETS = {
    "darcy2d": ({"resolution": 16}, 30, {}),
    "darcy_vertex": ({"family": "darcy2d", "resolution": 13, "grid": "vertex"}, 10, {}),
    "darcy_source": ({"family": "darcy2d", "resolution": 12, "source": "grf"}, 10, {}),
    "darcy3d": ({"resolution": 8}, 10, {}),
    "poisson_chebyshev": ({"resolution": 12}, 10, {}),
    "thermal": ({"resolution": 21}, 10, {}),
    "elasticity2d": ({"resolution": 9}, 10, {}),
    "helmholtz2d": ({"resolution": 32, "wavenumber": 15.0}, 10, {}),
    "convdiff2d": ({"resolution": 12}, 10, {}),
    "heat2d_step": ({"resolution": 10}, 10, {}),
    "heat2d": ({"resolution": 10, "frames": 4}, 10, {}),
    "advection1d": ({"resolution": 32, "frames": 4}, 30, {}),
    "burgers1d": ({"resolution": 32, "frames": 3, "viscosities": (0.02, 0.04), "most": 2, "final_time": 0.1}, 20, {}),
    "ns2d_vorticity": (
        {"resolution": 16, "frames": 3, "viscosities": (1e-2,), "final_time": 0.25},
        26,
        {"rtol": 1e-2},
    ),
    "wave2d": ({"resolution": 16, "frames": 3}, 10, {}),
    "diffreact2d": ({"resolution": 8, "frames": 4, "final_time": 0.3}, 26, {}),
}
"""Options of the family, samples, and options of the run."""


@pytest.fixture(scope="session")
def ours(tmp_path_factory):
    """Return a set by name: `ours("darcy2d")`. Do not change it."""
    folder, made = tmp_path_factory.mktemp("ours"), {}

    def get(name: str) -> datasets.Dataset:
        if name not in made:
            options, n, run = SETS[name]
            family = families.get(options.get("family", name), **{k: v for k, v in options.items() if k != "family"})
            made[name] = datasets.generate(family, n, out=folder / f"{name}.h5", chunk=16, **run)
        return made[name]

    return get


@pytest.fixture(scope="session")
def foreign_folder(repository) -> Path:
    """The folder of other people's packages, which `make test` fills."""
    folder = repository / ".venv" / "foreign"
    if not folder.is_dir():
        pytest.skip("the loaders of other packages are not installed: scripts/foreign.sh does it")
    return folder


@pytest.fixture
def run_foreign(foreign_folder, run_python, tmp_path):
    """Run code with the loaders of other packages on the path, far from ours; return what it printed."""
    pytest.importorskip("torch")

    def run(code: str, *arguments: object) -> str:
        path = os.pathsep.join([str(foreign_folder), os.environ.get("PYTHONPATH", "")])
        done = run_python("-c", code, *map(str, arguments), cwd=tmp_path, PYTHONPATH=path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
