"""The benchmarks of datasets in a tiny form."""

import json

from .loading import load


def test_generation_runs_in_a_tiny_form(tmp_path):
    generation = load("generation")
    generation.main(["--quick", "--sizes", "12", "16", "--rounds", "1", "--results", str(tmp_path)])
    report = json.loads((tmp_path / "generation-quick.json").read_text(encoding="utf-8"))
    assert (tmp_path / "generation-quick.png").stat().st_size > 10_000
    assert set(report["results"]) == {"12", "16"}
    for result in report["results"].values():
        assert all(row["certified"] for row in result["rows"].values())
        assert {generation.FAST, "pyamg CG + Ruge-Stüben", "SciPy SuperLU, symmetric mode"} <= set(result["rows"])
        assert all(row["least"] <= row["seconds"] <= row["largest"] for row in result["rows"].values())
        # Solution and certificate, against solution and all else that `generate` does.
        assert all(row["seconds"] > row["solve"] > 0.0 < row["end to end"] for row in result["rows"].values())
    names = [check["name"] for check in report["checks"]]
    assert "12²: work units a sample" in names and "16²: times the best other" in names


def test_skr_runs_in_a_tiny_form(tmp_path):
    skr = load("skr")
    skr.main(["--quick", "--resolution", "16", "--results", str(tmp_path)])
    report = json.loads((tmp_path / "skr-quick.json").read_text(encoding="utf-8"))
    assert (tmp_path / "skr-quick.png").stat().st_size > 10_000
    assert {row["family"] for row in report["cells"]} == {"Darcy", "Thermal", "Poisson", "Helmholtz"}
    for row in report["cells"]:
        ways = row["ways"]
        assert {"GMRES(40)", "cold", "recycled", "shared"} <= set(ways)
        if row["family"] == "Darcy":
            assert {way["missed"] for way in ways.values()} == {0}, "all converge on so small a grid"
            # Cold GCRO-DR is GMRES with deflated restarting: it never needs many more iterations than GMRES(40).
            assert ways["cold"]["iterations"]["mean"] <= 1.2 * ways["GMRES(40)"]["iterations"]["mean"] + 2
            # Of a space that was not used, none of the systems after the first is charged the products.
            assert ways["cold"]["with set-up"] == ways["cold"]["iterations"]
            assert ways["recycled"]["with set-up"]["mean"] > ways["recycled"]["iterations"]["mean"]
    for row in report["default"]:
        assert row["ratio"] > 0.0 and row["worst residual"][row["best"]] <= 1e-8
        assert row["worst residual"][row["chosen"]] <= 1e-8
    orders = {"cold", "shared", "chain, none", "chain, greedy", "chain, fft", "chain, hilbert", "chain, angle"}
    assert all(set(row["ways"]) == orders for row in report["orders"])
    exhibit = {row["matrix"]: row for row in report["exhibit"]}
    assert exhibit["−∇·(a∇u)"]["checks failed"] == []
    assert {"symmetry", "interior row sums", "face coefficients"} <= set(
        exhibit["−∇·(a∇u), same error"]["checks failed by every one"]
    )
    assert len(exhibit["as released"]["checks failed by every one"]) >= 2
    least = {name: row["least real part"]["min"] for name, row in exhibit.items()}
    assert least["as released"] < 0.5 * least["corrected: −Δ(au)"] and least["−∇·(a∇u)"] > 0.0
