"""`resolvent train`, `evaluate`, `predict`, `models`, and the export of models."""

import csv
import json

import numpy as np
import pytest
import torch

from resolvent import datasets
from resolvent.training import load_model, train


@pytest.fixture(scope="module")
def darcy(tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "darcy.h5"
    datasets.generate(datasets.families.get("darcy", resolution=17, grid="vertex"), 30, out=out).close()
    return out


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "flow.h5"
    datasets.generate(datasets.families.get("advection", resolution=64, frames=4), 20, out=out).close()
    return out


SMALL = {"width": 6, "layers": 1, "n_modes": [6, 6]}


@pytest.fixture(scope="module")
def trained(darcy, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "fno"
    train(darcy, out=out, epochs=2, options=SMALL)
    return out


def test_train_says_what_it_made(run, darcy, tmp_path):
    out = tmp_path / "run"
    given = [word for key, value in SMALL.items() for word in ("--option", f"{key}={json.dumps(value)}")]
    result = run("train", darcy, "--out", out, "--epochs", "2", "--set", "ema=0.9", "--set", "clip=1.0", *given)
    assert result.exit_code == 0, result.output
    assert "a → u on 17 × 17 points; 24 train, 3 valid, 3 test" in result.stderr
    assert "epoch 2/2 loss" in result.stderr
    assert "2 epochs in" in result.stdout and "relative L2" in result.stdout and "worst sample" in result.stdout
    for name in ("best.pt", "last.pt", "log.csv", "card.md", "learning.png", "predictions.png"):
        assert (out / name).stat().st_size > 0
        assert name == "last.pt" or str(out / name) in result.stdout
    content = torch.load(out / "last.pt", weights_only=True)
    assert content["config"]["ema"] == 0.9 and content["model"]["options"]["positions"] == "vertices"
    again = run("train", darcy, "--out", out, "--epochs", "2", "--set", "ema=0.9", "--set", "clip=1.0", *given)
    assert again.exit_code == 0 and "epoch" not in again.stderr  # finished: nothing is trained again


def test_a_set_for_neuraloperator_is_trained_on_and_evaluated(run, darcy, trained, tmp_path):
    """The record beside the tensors knows the coordinates; without it they are assumed, and that is said."""
    with datasets.open(darcy) as stored:
        datasets.export(stored, "neuraloperator", tmp_path / "set")
    given = [word for key, value in SMALL.items() for word in ("--option", f"{key}={json.dumps(value)}")]
    result = run("train", tmp_path / "set", "--out", tmp_path / "known", "--epochs", "1", *given)
    assert result.exit_code == 0, result.output
    assert "x → y on 17 × 17 points; 24 train, 3 valid, 3 test" in result.stderr and "assumed" not in result.stderr
    (tmp_path / "set" / "provenance.json").unlink()
    result = run("train", tmp_path / "set", "--out", tmp_path / "assumed", "--epochs", "1", *given)
    assert result.exit_code == 0, result.output
    assert "none stored: equidistant points from end to end of the unit box are assumed" in result.stderr
    assert "assumed" in (tmp_path / "assumed" / "card.md").read_text(encoding="utf-8")
    known, assumed = (torch.load(tmp_path / name / "best.pt", weights_only=True) for name in ("known", "assumed"))
    assert known["geometry"] == assumed["geometry"]  # this set lies on vertices
    assert run("evaluate", tmp_path / "known", tmp_path / "set").exit_code == 0
    assert run("predict", tmp_path / "known", tmp_path / "set", "--out", tmp_path / "y.npy").exit_code == 0
    assert np.load(tmp_path / "y.npy").shape == (30, 1, 17, 17)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_checkpoint_is_read_once(run, darcy, trained, tmp_path, monkeypatch, command):
    from resolvent.training.runs import checkpoint

    read, load = [], checkpoint.load
    monkeypatch.setattr(checkpoint, "load", lambda path: read.append(path) or load(path))
    given = ["--out", tmp_path / "y.npy"] if command == "predict" else []
    assert run(command, trained, darcy, *given).exit_code == 0
    assert read == [trained / "best.pt"]


def test_evaluate_on_two_grids(run, darcy, trained, tmp_path):
    result = run(
        "evaluate", trained, darcy, "--stride", "2", "--plot", tmp_path / "p.png", "--spectrum", tmp_path / "s.png",
        "--csv", tmp_path / "t.csv",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "17 × 17" in result.stdout and "9 × 9" in result.stdout and "3 samples of test" in result.stdout
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["points"] for row in rows] == ["289", "81"]
    with datasets.open(darcy) as stored:
        test = stored.split("test")
        a, u = test.column("a")[:, None], test.column("u")[:, None]
    p = load_model(trained).predict(a.astype(np.float32))
    w = np.ones(17)
    w[[0, -1]] = 0.5
    w = np.outer(w, w)
    expected = np.mean([np.sqrt((w * (p - u)[i, 0] ** 2).sum() / (w * u[i, 0] ** 2).sum()) for i in range(len(u))])
    assert float(rows[0]["relative_l2"]) == pytest.approx(expected, rel=1e-5)
    assert (tmp_path / "p.png").stat().st_size > 10_000 and (tmp_path / "s.png").stat().st_size > 10_000


def test_a_model_of_one_step_is_rolled_out(run, flow, tmp_path):
    out = tmp_path / "step"
    given = ["--option", "n_modes=[8]", "--option", "width=6", "--option", "layers=1"]
    assert run("train", flow, "--out", out, "--steps", "--epochs", "1", "--loss", "relative_l2", *given).exit_code == 0
    result = run("evaluate", out, flow, "--rollout", "4", "--csv", tmp_path / "t.csv")
    assert result.exit_code == 0, result.output
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert run("evaluate", out, flow, "--rollout", "2", "--stride", "1").exit_code == 0
    assert all(np.isfinite(float(value)) for row in rows for key, value in row.items() if "error" in key or "l2" in key)


def test_predictions_for_datasets_and_arrays(run, darcy, trained, tmp_path):
    assert run("predict", trained, darcy, "--out", tmp_path / "y.npy").exit_code == 0
    with datasets.open(darcy) as stored:
        a = stored.column("a")[:, None].astype(np.float32)
    expected = load_model(trained).predict(a)
    assert np.allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-6)
    np.save(tmp_path / "a.npy", a[:4])
    result = run("predict", trained, tmp_path / "a.npy", "--out", tmp_path / "y.h5")
    assert result.exit_code == 0 and "4 predictions of shape 1 × 17 × 17" in result.stdout
    import h5py

    with h5py.File(tmp_path / "y.h5") as file:
        assert np.allclose(file["y"], expected[:4], atol=1e-6) and not file.attrs["certified"]


def test_an_exported_program_predicts_the_same(run, darcy, trained, tmp_path):
    result = run("export", trained, "--format", "torch_export", "--out", tmp_path / "m.pt2")
    assert result.exit_code == 0, result.output
    x = torch.rand(5, 1, 17, 17) + 1.0
    with torch.no_grad():
        theirs = torch.export.load(tmp_path / "m.pt2").module()(x)
    assert float((theirs - load_model(trained).predict(x)).abs().max()) <= 1e-6


def test_models_are_listed(run):
    listed = run("models").stdout
    assert "fno" in listed and "mgno" in listed and "elliptic problems" in listed
    shown = run("models", "mgno").stdout
    assert "smoothing" in shown and "(1, 1, 1, 2)" in shown


def test_what_does_not_fit_is_refused(refused, darcy, flow, trained, tmp_path):
    out = tmp_path / "run"
    refused(2, "no model 'mgn'|did you mean 'mgno'", "train", darcy, "--out", out, "--model", "mgn")
    refused(2, "fno has no option depth|n_modes", "train", darcy, "--out", out, "--option", "depth=3")
    refused(2, "training has no option rate|batch_size", "train", darcy, "--out", out, "--set", "rate=1")
    refused(
        2, "epochs is given by --epochs, not by --set|--epochs 5", "train", darcy, "--out", out, "--set", "epochs=5"
    )
    given = ["train", darcy, "--out", out, "--lr", "1e-3", "--set", "lr=0.1"]
    assert "write" not in refused(2, "lr is given twice, by --lr and by --set|leave one of them out", *given)
    refused(2, "write --compile instead", "train", darcy, "--out", out, "--set", "compile=true")
    off = refused(
        2, "compile is given by --compile|leave it out", "train", darcy, "--out", out, "--set", "compile=false"
    )
    assert "write" not in off
    listed = refused(2, "did you mean patience", "train", darcy, "--out", out, "--set", "patient=1")
    assert not any(f"{name}," in listed for name in ("epochs", "seed", "device", "compile", "ddp"))
    for name in ("correction", "stages"):
        refused(2, f"{name} is a|mapping|got 3", "train", darcy, "--out", out, "--set", f"{name}=3")
    refused(2, "training has no option fractions", "train", darcy, "--out", out, "--set", "fractions=[0.2,0.1]")
    refused(2, "--set expects key=value|--set ema=0.999", "train", darcy, "--out", out, "--set", "clip")
    refused(2, "build it with --option c_in=1", "train", darcy, "--out", out, "--option", "c_in=2")
    refused(2, "no loss 'l3'|relative_l2", "train", darcy, "--out", out, "--loss", "l3")
    refused(2, "expected field names among a, u, got v", "train", darcy, "--out", out, "--input", "v")
    refused(2, "holds no trajectories", "train", darcy, "--out", out, "--steps")
    refused(2, "there is no folder", "train", darcy, "--out", tmp_path / "no" / "run")
    refused(2, "another model|--restart", "train", darcy, "--out", trained, "--epochs", "2")
    refused(2, "does not fit|same fields", "evaluate", trained, flow)
    refused(2, "no split 'dev'|train, valid, test, all", "evaluate", trained, darcy, "--split", "dev")
    refused(2, "--stride 5 does not fit", "evaluate", trained, darcy, "--stride", "5")
    refused(2, "leave one of them out", "evaluate", trained, darcy, "--rollout", "3", "--stride", "2")
    refused(2, "needs a model of one step|--steps", "evaluate", trained, darcy, "--rollout", "3")
    refused(2, "no checkpoint", "evaluate", darcy, darcy)
    refused(2, "holds no model", "predict", tmp_path, darcy, "--out", tmp_path / "y.npy")
    np.save(tmp_path / "flat.npy", np.zeros((3, 17)))
    refused(
        2, r"samples, channels, *grid|[:, None]", "predict", trained, tmp_path / "flat.npy", "--out", tmp_path / "y.npy"
    )
    np.save(tmp_path / "nan.npy", np.full((3, 1, 17, 17), np.nan))
    refused(2, "sample 0 is not finite", "predict", trained, tmp_path / "nan.npy", "--out", tmp_path / "y.npy")
    assert not (tmp_path / "y.npy").exists() and not out.exists()
