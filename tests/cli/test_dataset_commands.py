"""`families`, `verify`, `describe` and `reproduce`."""

import pytest

from resolvent import datasets
from resolvent.cli.families import option_meanings
from resolvent.datasets import families


def test_families_lists_every_family(run):
    result = run("families")
    assert result.exit_code == 0
    for name, family in families.available().items():
        assert name in result.stdout and family.equation.split()[0] in result.stdout
    assert "(darcy)" in result.stdout and "resolution=64" in result.stdout


@pytest.mark.parametrize("name", families.names())
def test_every_family_can_be_shown_whole(run, name):
    result = run("families", name)
    assert result.exit_code == 0, result.output
    family = families.get(name)
    for text in (family.title, family.equation.split("  ")[0], "boundary", "law", "licence"):
        assert text in result.stdout
    for field in family.fields():
        assert f" {field} " in result.stdout
    for option in family.config():
        assert option == "family" or f" {option} " in result.stdout


def test_options_are_explained_in_the_words_of_the_docstring(run):
    result = run("families", "darcy")
    assert "cell | vertex" in result.stdout and "Unknowns at the centres" in result.stdout
    assert option_meanings(families.family_class("darcy"))["source"].startswith("f = 1, or a Gaussian field")


def test_verify_passes(run, dataset_path):
    result = run("verify", dataset_path)
    assert result.exit_code == 0, result.output
    assert "passed (12 samples" in result.stdout and "residuals" in result.stdout and result.stderr == ""


def test_verify_shows_both_residuals_of_a_float32_set(run, tmp_path):
    path = tmp_path / "single.h5"
    run("generate", "darcy", "-n", 4, "-r", 8, "--dtype", "float32", "--out", path)
    with datasets.open(path) as dataset:
        gate, stored = (dataset.certificates[name].max() for name in ("rho_float64", "rho_stored"))
    text = " ".join(run("verify", path).stdout.split())
    assert f"worst certified {gate:.2e} in float64 before rounding (as recorded), tolerance 1.0e-08" in text
    assert f"in float32 recomputed, worst {stored:.2e} after rounding" in text


def test_verify_of_a_set_without_certified_samples_says_none(run, tmp_path):
    path = tmp_path / "flagged.h5"
    run("generate", "darcy", "-n", 4, "-r", 8, "--rtol", 1e-17, "--on-failure", "flag", "--out", path)
    result = run("verify", path)
    assert result.exit_code == 0 and "none certified" in result.stdout and "4 samples are flagged" in result.stdout


def test_verify_names_sample_and_field_of_damage(run, damaged):
    result = run("verify", damaged)
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "problem: sample 7, solution/u: was altered" in result.stderr
    assert "hint: " in result.stderr


def test_describe(run, dataset_path):
    result = run("describe", dataset_path)
    assert result.exit_code == 0, result.output
    with datasets.open(dataset_path) as dataset:
        expected = [dataset.attributes[key] for key in ("title", "equation", "boundary", "licence")]
        expected += [dataset.content_sha256, "12 samples of darcy2d", "permeability", "pressure", "16 × 16"]
    expected += ["certificate", "provenance", "cg+ssor", "numpy", "seed        1"]
    for text in expected:
        assert text in result.stdout
    assert all(line == line.rstrip() for line in result.stdout.splitlines())
    assert run("describe", dataset_path, "--full").stdout == f"{datasets.describe(dataset_path)}\n"


def test_reproduce(run, dataset_path):
    result = run("reproduce", dataset_path, "--index", 6)
    assert result.exit_code == 0, result.output
    assert "sample 6: identical in every bit" in result.stdout and "3 samples of its chunk" in result.stdout


def test_reproduce_finds_damage(run, damaged):
    result = run("reproduce", damaged, "--index", 7)
    assert result.exit_code == 1
    assert "DIFFERENT" in result.stdout and "solution/u" in result.stdout
