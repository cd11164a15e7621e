"""The benchmarks of solvers in a tiny form: they run, what they call converged is, and their references hold."""

import importlib.util
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import as_operator

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def load(name):
    """Import a script of benchmarks/, which is no package; scripts find one another by their folder."""
    if name in sys.modules:
        return sys.modules[name]
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_sequences_run_in_a_tiny_form(tmp_path):
    load("sequences").main(["--quick", "--size", "12", "--systems", "2", "--results", str(tmp_path)])
    report = json.loads((tmp_path / "sequences-quick.json").read_text(encoding="utf-8"))
    assert (tmp_path / "sequences-quick.png").stat().st_size > 10_000
    rows = report["streams"]
    assert len({row["stream"] for row in rows}) == 8
    assert {row["group"] for row in rows} == {"cold", "warm", "recycled", "refresh", "direct"}
    assert all(row["untrue"] == 0 for row in rows)
    assert not [row for row in rows if row["missed"]], "all converge on so small a grid"
    # Set-up is charged: a space of k vectors for a new matrix costs k products.
    recycled = [r for r in rows if r["group"] == "recycled" and r["method"] == "GCRODR(30,10)" and not r["how"]]
    assert recycled and all(r["products of set-up"] >= 9 for r in recycled)
    assert all(
        row["recycled"]["with set-up"]["mean"] > row["recycled"]["iterations"]["mean"] for row in report["sweep"]
    )
    assert len(report["published"]) == 4
    exact = next(c for c in report["checks"] if c["name"].startswith("over AMG"))
    assert exact["met"], exact


def test_krylov_runs_in_a_tiny_form(tmp_path):
    load("krylov").main(["--quick", "--sizes", "20", "--results", str(tmp_path)])
    report = json.loads((tmp_path / "krylov-quick.json").read_text(encoding="utf-8"))
    assert (tmp_path / "krylov-quick.png").stat().st_size > 10_000
    ours = [row for row in report["rows"] if row["library"] == "resolvent"]
    assert len(ours) == 8 * 5
    assert all(row["residual"] <= 1e-8 for row in ours)
    found = {(r["method"], r["M"], r["library"]): r["iterations"] for r in report["rows"]}
    for method, M in (("CG", "none"), ("CG", "Jacobi"), ("CG", "IC(0)"), ("GMRES(30)", "none"), ("BiCGStab", "none")):
        assert abs(found[method, M, "resolvent"] - found[method, M, "SciPy"]) <= 1, (method, M)
    assert report["cycle"]["ratio"] > 0.0


def test_choice_runs_in_a_tiny_form(tmp_path):
    choice = load("choice")
    choice.main(["--quick", "--sizes", "10", "--sizes3d", "6", "--repeats", "1", "--results", str(tmp_path)])
    report = json.loads((tmp_path / "choice-quick.json").read_text(encoding="utf-8"))
    assert (tmp_path / "choice-quick.png").stat().st_size > 10_000
    rows = {(row["problem"], row["mode"]): row for row in report["rows"]}
    assert len(rows) == len(report["rows"]) == len(report["checks"]) == 2 * len(choice.PROBLEMS) - 2
    for (problem, mode), row in rows.items():
        own = [name for name in row["seconds"] if name not in choice.REFERENCES]
        assert set(own) >= set(choice.PROBLEMS[problem][1]) and row["best"] in own, (problem, mode)
        assert row["seconds"][row["best"]] == min(
            seconds for name, seconds in row["seconds"].items() if seconds and name in own and name not in row["failed"]
            and row["worst_residual"][name] <= 1e-8
        )  # fmt: skip
        assert row["ratio"] > 0.0 and row["chosen"] in own
    assert all(row["worst_residual"]["direct"] <= 1e-8 for row in rows.values())


def test_the_cost_model_is_fitted_in_a_tiny_form(tmp_path):
    from resolvent.solvers.costs import CostModel, measure

    output = tmp_path / "model.json"
    load("cost_model").main(["--quick", "--repeats", "1", "--output", str(output)])
    model = CostModel.from_json(json.loads(output.read_text(encoding="utf-8")))
    assert set(model.curves) == set(measure.PLAN) and "load" in model.machine


def test_the_published_matrix_is_the_laplacian_of_a_times_u():
    streams = load("_streams")
    rng = np.random.default_rng(0)
    a, u = rng.uniform(0.5, 2.0, (7, 7)), rng.standard_normal((5, 5))
    A, b = streams.published_skr(a)
    v = np.pad(a[1:-1, 1:-1] * u, 1)
    expected = 4 * v[1:-1, 1:-1] - v[:-2, 1:-1] - v[2:, 1:-1] - v[1:-1, :-2] - v[1:-1, 2:]
    np.testing.assert_allclose(A @ u.ravel(), expected.ravel(), rtol=1e-13)
    assert b.tolist() == [1.0] * 25


def test_the_sorted_order_is_a_walk_to_the_nearest_one_left():
    streams = load("_streams")
    fields = [np.full((2, 2), value) for value in (0.0, 5.0, 1.0, 4.0, -1.0)]
    order = [float(f[0, 0]) for f in streams.nearest_neighbours(fields)]
    assert order == [0.0, 1.0, -1.0, 4.0, 5.0]


def test_neighbours_on_a_path_are_correlated_as_stated():
    streams = load("_streams")
    path = list(streams.rotating(lambda rng: rng.standard_normal(40_000), 3, 0.3, seed=0))
    for one, two in itertools.pairwise(path):
        assert np.corrcoef(one, two)[0, 1] == pytest.approx(np.cos(0.3), abs=0.01)
        assert np.std(two) == pytest.approx(1.0, abs=0.02)


def test_a_false_convergence_is_counted():
    streams, ways = load("_streams"), load("_ways")
    A = as_operator(sp.diags_array([2.0, 4.0]))
    liar = ways.Way("cold", "liar", "", "", lambda: lambda A, b: ways.Solved(0 * b, 1, 1, 0, False, "CONVERGED"))
    row = ways.run(streams.Stream("any", "definite", [(A, np.ones(2))] * 2), liar)
    assert row["untrue"] == row["missed"] == 2
