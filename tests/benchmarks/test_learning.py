"""The benchmarks of what learns, from Gaussian processes to neural operators, in a tiny form."""

import json

import pytest

from .loading import load


def test_gp_runs_in_a_tiny_form(tmp_path, monkeypatch):
    gp = load("gp")
    monkeypatch.setattr(gp, "POINTS", (2.1,))
    monkeypatch.setattr(gp, "SCAN", [(-2.0, 1e-10)])
    gp.main(["--quick", "--problems", "u5", "--updates", "2", "1", "--results", str(tmp_path)])
    report = json.loads((tmp_path / "gp-quick.json").read_text(encoding="utf-8"))
    assert (tmp_path / "gp-quick.png").stat().st_size > 10_000
    # The classical error and time stand in every row, and nothing is claimed beyond the estimate.
    for row in report["rows"]:
        assert row["classical seconds"] > 0.0 and row["classical"] < 1e-9
        assert row["error"] <= 1e-10 and row["error"] <= 20.0 * row["estimate"]
        assert row["adam updates"] == 2
    assert all(row["gp"] < 1e-4 < row["classical"] for row in report["few nodes"])
    assert all(case["gp"] < case["prior mean"] for case in report["cases"])
    assert all(case["tikhonov"] is not None for case in report["cases"] if "coefficients" not in case["case"])


def test_learned_preconditioners_are_compared_by_the_protocol(tmp_path):
    pytest.importorskip("torch", reason='needs the extra "learn"')
    learned, methods, protocol = load("learned"), load("_learned_methods"), load("_learned_protocol")
    costs = {"data seconds": 1.0, "training seconds": 2.0}
    cycle = learned.Trained(methods.untrained(2), None, costs)
    cases = {"inside, 2-D": methods.obstacles(24, 2, "neumann"), "outside, 2-D": learned.Darcy2D(resolution=16)}
    rows = learned.comparison(cases, {learned.CYCLE_2D: cycle}, 1, 1, petsc=False)
    assert len(rows) == 2 * 4 * 10 and not any(row["failed"] for row in rows)
    assert all(row["true residual"] <= 1.01 * row["tolerance"] for row in rows)
    assert protocol.checked(rows, learned.BASELINES) == rows
    for column in protocol.COLUMNS:
        with pytest.raises(ValueError, match=f"lacks {column}"):
            protocol.checked([*rows[1:], {k: v for k, v in rows[0].items() if k != column}], learned.BASELINES)
    trained = next(row for row in rows if row["training seconds"] > 0.0)
    with pytest.raises(ValueError, match="does not say when it pays"):
        protocol.checked([*rows, {**trained, "pays against": {}}], learned.BASELINES)
    learned.plot(rows, tmp_path / "learned")
    assert (tmp_path / "learned.png").stat().st_size > 10_000


def test_trained_networks_are_kept_with_what_they_cost(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason='needs the extra "learn"')
    training, shift = load("_learned_training"), load("_learned_shift")
    plans = training.cycles(True, 1)[:1] + training.published(True)[:2]
    first = training.all_trained(plans, tmp_path)
    monkeypatch.setattr(training, "_trained", None)  # nothing is trained again
    again = training.all_trained(plans, tmp_path)
    for name, trained in first.items():
        assert again[name].log == trained.log and trained.log["training seconds"] > 0.0
        pairs = zip(trained.recipe.network.parameters(), again[name].recipe.network.parameters(), strict=True)
        assert all(bool((a == b).all()) for a, b in pairs)
    residual, energy = (first[plan.name].log for plan in plans[1:])
    assert energy["begins with"] == residual["name"] and energy["training seconds"] > residual["training seconds"]
    assert energy["operators"] == 2 * residual["operators"]
    grown = shift.growth(again, True)
    assert {row["walls"] for row in grown} == {"dirichlet", "neumann"} and len(grown) == 2
    assert all(1.0 <= k < 10.0 for row in grown for k in row["condition"].values())
    rows = shift.published(again, True)
    assert [row["tolerance"] for row in rows] == [1e-4, 1e-8] * 2
    assert all(row["failed"] or row["iterations"] <= row["CG"] + 1 for row in rows)


def test_a_learned_preconditioner_pays_after_what_was_invested_is_saved():
    pays_after = load("_learned_protocol").pays_after
    assert pays_after(10.0, 0.5, 0.25) == 40 and pays_after(10.0, 0.375, 0.0) == 27
    assert pays_after(10.0, 0.1, 0.1) == pays_after(10.0, 0.1, float("inf")) == "never"


def test_networks_inside_of_solvers_run_in_a_tiny_form(tmp_path):
    pytest.importorskip("torch", reason='needs the extra "learn"')
    load("neural_guess").main(["--quick", "--systems", "3", "--results", str(tmp_path)])
    report = json.loads((tmp_path / "neural_guess-quick.json").read_text(encoding="utf-8"))
    assert (tmp_path / "neural_guess-quick.png").stat().st_size > 10_000
    rows = report["rows"]
    assert len(rows) == 1 + 3 * 4 + 2
    assert all(row["worst residual"] <= 1.01e-8 for row in rows)
    learned = [row for row in rows if row["learned"]]
    assert len(learned) == 3 * 2 + 2 and all(row["training"] > 0.0 and "pays after" in row for row in learned)


def test_neural_operators_run_in_a_tiny_form(tmp_path):
    pytest.importorskip("torch")
    load("neural").main(["--quick", "--samples", "60", "--results", str(tmp_path), "--data", str(tmp_path)])
    report = json.loads((tmp_path / "neural-quick.json").read_text(encoding="utf-8"))
    assert (tmp_path / "neural-quick.png").stat().st_size > 10_000
    cells = {cell["model"]: cell for cell in report["cells"]}
    assert {"fno", "mgno"} <= set(cells)
    assert cells["fno"]["parameters"] == 602_977 and cells["mgno"]["parameters"] == 363_267
    assert all(cell["training samples"] == 50 and 0 < cell["relative L2"] < 2 for cell in report["cells"])
    speeds = {row["model"]: row for row in report["speed"] if row["grid"] == 33}
    if "neuraloperator FNO" in speeds:  # installed by scripts/foreign.sh
        assert speeds["neuraloperator FNO"]["parameters"] == cells["fno"]["parameters"]
        assert cells["neuraloperator"]["relative L2"] < 2
    assert speeds["resolvent MgNO"]["kept bytes"] < speeds["resolvent FNO"]["kept bytes"]


def test_tolerances_of_labels_run_in_a_tiny_form(tmp_path):
    pytest.importorskip("torch", reason='needs the extra "learn"')
    script = load("labels")
    script.main(["--quick", "--results", str(tmp_path)])
    report = json.loads((tmp_path / "labels-quick.json").read_text(encoding="utf-8"))
    assert (tmp_path / "labels-quick.png").stat().st_size > 10_000
    rows = {(row["method"], row["rtol"]): row for row in report["rows"]}
    assert list(rows) == script.SETS
    assert all(row["label error"] < 1.5 * rtol for (_, rtol), row in rows.items())
    assert all(0.0 < row["test error"] < 1.0 for row in rows.values())
    for rtol in (1e-1, 1e-2, 1e-3):  # a residual that GMRES has made small says less about the error
        assert 2.0 * rows["CG", rtol]["label error"] < rows["GMRES", rtol]["label error"]
    target = report["certified"][0]["test error"]
    assert all(row["warned"] == (rtol > target / 100) for (_, rtol), row in rows.items())
    assert [check["met"] for check in report["checks"]] == [True, True, None, None]
