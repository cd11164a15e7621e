"""`export`, and `verify` on what it writes."""

import h5py
import numpy as np
import pytest

from resolvent.cli import export as command
from resolvent.datasets import families, foreign, generate


def test_the_formats_of_the_help_are_those_of_the_library():
    assert command.FORMATS == foreign.DATASET_FORMATS and command.MODEL_FORMATS == foreign.MODEL_FORMATS


def test_export_names_its_files_and_verify_passes_them(run, dataset_path, tmp_path):
    out = tmp_path / "darcy.hdf5"
    result = run("export", dataset_path, "--format", "pdebench", "--out", out)
    assert result.exit_code == 0, result.output
    for text in (
        f"{dataset_path}: 12 samples exported as pdebench",
        "float32, rounding at most",
        str(out),
        f"{out}.json",
    ):
        assert text in result.stdout
    checked = run("verify", out)
    assert checked.exit_code == 0, checked.output
    text = " ".join(checked.stdout.split())
    assert "passed (12 samples" in text and "darcy of pdebench" in text and "0 of 12 farther than 1e-04" in text
    assert "harmonic face means" in text


def test_notes_are_shown(run, dataset_path, tmp_path):
    result = run("export", dataset_path, "-f", "the_well", "-o", tmp_path / "well")
    assert result.exit_code == 0, result.output
    assert "n_steps_input=0, n_steps_output=1" in result.stdout
    limit = run("export", dataset_path, "-f", "the_well", "-o", tmp_path / "other", "--steady", "limit", "--name", "d")
    assert limit.exit_code == 0 and "frame 0 is zero" in " ".join(limit.stdout.split())
    assert (tmp_path / "other/data/train/d.hdf5").is_file()
    assert run("verify", tmp_path / "other").exit_code == 0


def test_verify_flags_labels_that_are_not_steady(run, dataset_path, tmp_path):
    out = tmp_path / "darcy.hdf5"
    run("export", dataset_path, "--format", "pdebench", "--out", out)
    with h5py.File(out, "r+") as file:
        file["tensor"][3] *= 1.16
    result = run("verify", out)
    assert result.exit_code == 1
    assert "problem: sample 3, tensor: is 16 % from the steady state" in result.stderr
    assert "leave flagged samples out" in result.stderr
    assert run("verify", out, "--label-tolerance", 0.2).exit_code == 0


def test_verify_advises_otherwise_on_structure(run, dataset_path, tmp_path):
    run("export", dataset_path, "--format", "the_well", "--out", tmp_path / "well")
    (tmp_path / "well/stats.yaml").unlink()
    result = run("verify", tmp_path / "well")
    assert result.exit_code == 1 and "its loader may refuse it" in result.stderr


def test_verify_warns_of_labels_that_limit_a_model(run, dataset_path):
    result = run("verify", dataset_path, "--target-error", 1e-7)
    assert result.exit_code == 0 and "warning: labels of tolerance 1.0e-08" in result.stderr
    assert "warning" not in run("verify", dataset_path, "--target-error", 1e-3).stderr


def test_the_help_of_verify_says_what_trajectories_cost(run):
    text = " ".join(run("verify", "--help").stdout.split())
    assert "two thirds of the work" in text


def test_refusals(refused, dataset_path, tmp_path):
    out = tmp_path / "out"
    refused(
        2, "unknown format 'pdebenchs'|did you mean pdebench?", "export", dataset_path, "-f", "pdebenchs", "-o", out
    )
    refused(2, "--format onnx is for models|is not one|pdebench", "export", dataset_path, "-f", "onnx", "-o", out)
    refused(2, "there is no dataset", "export", tmp_path / "none.h5", "-f", "pdebench", "-o", out)
    refused(2, "the_well is a folder", "export", dataset_path, "-f", "the_well", "-o", tmp_path / "a.h5")
    refused(2, "call it a.hdf5", "export", dataset_path, "-f", "pdebench", "-o", tmp_path / "a.h5")
    refused(2, "steady must be", "export", dataset_path, "-f", "the_well", "-o", out, "--steady", "never")
    refused(2, "missing option|--format", "export", dataset_path, "-o", out)
    for name, option, value in (("pdebench", "--steady", "limit"), ("neuraloperator", "--loader", "multi")):
        refused(
            2,
            f"not for --format {name}|leave {option} out",
            "export",
            dataset_path,
            "-f",
            name,
            "-o",
            out,
            option,
            value,
        )
    assert not out.exists()


def test_files_that_are_there_are_kept(run, refused, dataset_path, tmp_path):
    out = tmp_path / "darcy.hdf5"
    out.write_text("mine")
    refused(2, "exists already|--overwrite", "export", dataset_path, "-f", "pdebench", "-o", out)
    assert out.read_text() == "mine"
    assert run("export", dataset_path, "-f", "pdebench", "-o", out, "--overwrite").exit_code == 0
    refused(
        2,
        "is a dataset of this package",
        "export",
        dataset_path,
        "-f",
        "pdebench",
        "-o",
        copied(dataset_path, tmp_path),
    )


def copied(path, folder):
    copy = folder / "copy.hdf5"
    copy.write_bytes(path.read_bytes())
    return copy


def test_a_format_that_cannot_hold_a_set_is_refused_with_one_that_can(refused, tmp_path):
    path = tmp_path / "heat.h5"
    generate(families.get("heat2d_step", resolution=8), 4, out=path).close()
    message = refused(2, "PDEBench's only layout", "export", path, "-f", "pdebench", "-o", tmp_path / "out")
    assert "the_well and neuraloperator hold it" in message


def test_models_are_told_from_datasets(refused, tmp_path):
    torch = pytest.importorskip("torch")
    model = tmp_path / "model.pt"
    torch.save({"weights": torch.zeros(3)}, model)
    refused(2, "is for datasets|is a model", "export", model, "-f", "pdebench", "-o", tmp_path / "o")
    refused(2, "holds tensors, but is no checkpoint", "export", model, "-f", "torch_export", "-o", tmp_path / "o.pt2")
    pairs = tmp_path / "pairs.pt"
    torch.save({"x": torch.from_numpy(np.zeros((2, 3))), "y": torch.zeros(2, 3)}, pairs)
    refused(2, "is in the format neuraloperator already", "export", pairs, "-f", "pdebench", "-o", tmp_path / "o")
