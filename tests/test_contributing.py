"""The worked examples of CONTRIBUTING.md do what they promise."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from resolvent import check_operator, check_solver, datasets
from resolvent.datasets.schemes.manufactured import accurate_solution

_EXAMPLE = re.compile(r"`src/(resolvent/[\w/]+)\.py`[^`]*```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def examples(repository: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, types.ModuleType]:
    """Each example as a module, under the name of the file it says it stands in."""
    modules = {}
    for path, code in _EXAMPLE.findall((repository / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        name = path.replace("/", ".")
        module = types.ModuleType(name)
        module.__package__ = name.rpartition(".")[0]
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(code, f"CONTRIBUTING.md: {path}", "exec"), module.__dict__)
        modules[name.rpartition(".")[2]] = module
    return modules


def test_there_is_one_for_each_kind(examples: dict[str, types.ModuleType]) -> None:
    assert set(examples) == {"shift", "richardson", "reaction", "decay"}


def test_operator_example_passes_every_check(examples: dict[str, types.ModuleType]) -> None:
    A = examples["shift"].Shift(5, 2)
    assert np.array_equal(A @ np.arange(5.0), [3, 4, 0, 1, 2])
    failures = {row.name for row in check_operator(A).failures}
    assert failures <= {"pickle"}, "a module that is not a file cannot be pickled; all else must pass"


def test_solver_example_passes_every_check(examples: dict[str, types.ModuleType]) -> None:
    solver = examples["richardson"].Richardson(omega=0.3, maxiter=200)
    result = solver.solve(np.diag([1.0, 2.0, 3.0]), np.ones(3))
    assert result.converged and np.allclose(result.x, [1.0, 1 / 2, 1 / 3])
    failures = check_solver(examples["richardson"].Richardson(omega=0.2, maxiter=2000)).failures
    assert not failures, failures


def test_family_example_generates_and_verifies(examples: dict[str, types.ModuleType], tmp_path: Path) -> None:
    family = examples["reaction"].Reaction2D(resolution=12)
    inputs = family.draw(np.random.default_rng(0))
    x = accurate_solution(family.assemble(inputs))
    assert np.array_equal(family.restrict(family.expand(x, inputs)), x)
    data = datasets.generate(family, 5, out=tmp_path / "reaction.h5", seed=0)
    assert len(data) == 5 and (data.certificates["rho_stored"] <= 1e-8).all()


def test_trajectory_example_generates_verifies_and_has_its_order(
    examples: dict[str, types.ModuleType], tmp_path: Path
) -> None:
    family = examples["decay"].Decay1D(resolution=12)
    data = datasets.generate(family, 3, out=tmp_path / "decay.h5", seed=0)
    assert data.certificates["certified"].all() and datasets.verify(data.path, family=family).passed
    assert len(data.provenance["discretisation"]["two_grid_errors"]) == 3
    inputs = family.draw(np.random.default_rng(0))
    exact = np.exp(-family.axes()["t"][:, None] * inputs["c"])
    errors = [np.abs(family._simulate(inputs, steps)["u"] - exact).max() for steps in (32, 64)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)
    march = family.march(inputs, 1e-5)
    assert march.rho <= 1e-5 and march.steps > family.steps(inputs)
