"""Interrupting, killing and resuming runs; reading what they leave."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from resolvent.training import (
    CheckpointError,
    Geometry,
    TrainingInterrupted,
    as_pairs,
    load_model,
    read_log,
)

from ...operators.neural import conformance
from ..small_runs import fitted, smooth, tiny

FOLDER = Path(__file__).parents[1]  # of small_runs.py


class _Stop:
    """Presses Ctrl-C after so many updates."""

    def __init__(self, after):
        self.after = after

    def __call__(self, state):
        if state.step == self.after and not state.epoch_ends:
            signal.raise_signal(signal.SIGINT)


def same_parameters(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def figures(trained):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in trained.history]


@pytest.mark.parametrize("after", [3, 4, 8], ids=["end of an epoch", "first of an epoch", "within an epoch"])
@pytest.mark.parametrize(
    "options", [{}, {"ema": 0.9, "accumulate": 2, "clip": 0.1, "patience": 3}], ids=["plain", "all"]
)
def test_an_interrupted_run_goes_on_bit_for_bit(pairs, tmp_path, after, options):
    whole = fitted(pairs, tmp_path / "whole", **options)
    with pytest.raises(TrainingInterrupted, match=r"epochs; .*resumes by the same call"):
        fitted(pairs, tmp_path / "parts", progress=_Stop(after), **options)
    parts = fitted(pairs, tmp_path / "parts", **options)
    assert same_parameters(whole.model, parts.model)
    assert figures(whole) == figures(parts)
    logs = [read_log(tmp_path / name / "log.csv") for name in ("whole", "parts")]
    assert all(logs[0][column] == logs[1][column] for column in logs[0] if column != "seconds")
    last = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts")]
    for kind in ("parameters", "average"):
        if last[0][kind] is not None:
            assert all(torch.equal(last[0][kind][name], value) for name, value in last[1][kind].items())


@pytest.mark.parametrize("case", list(conformance.SMALL))
def test_every_model_resumes_and_loads(case, tmp_path):
    grid = conformance.grid_of(case)
    x, _ = smooth(20, grid, channels=2)
    data = (x, x[:, :1])

    def model():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return conformance.small(case)

    settings = {"epochs": 2, "batch_size": 9, "loss": "relative_l2", "lr": 1e-3}
    whole = fitted(data, tmp_path / "whole", model=model(), **settings)
    with pytest.raises(TrainingInterrupted):
        fitted(data, tmp_path / "parts", model=model(), progress=_Stop(3), **settings)
    parts = fitted(data, tmp_path / "parts", model=model(), **settings)
    assert same_parameters(whole.model, parts.model)
    loaded = load_model(tmp_path / "whole")
    assert type(loaded.net) is type(whole.model.net)
    assert np.array_equal(loaded.predict(x[:3]), whole.predict(x[:3]))


def test_a_finished_run_is_returned_as_it_is(pairs, tmp_path):
    first = fitted(pairs, tmp_path)
    stamp = (tmp_path / "last.pt").stat().st_mtime_ns
    again = fitted(pairs, tmp_path)
    assert same_parameters(first.model, again.model) and figures(first) == figures(again)
    assert (tmp_path / "last.pt").stat().st_mtime_ns == stamp
    anew = fitted(pairs, tmp_path, resume=False, seed=3)
    assert figures(anew) != figures(first) and read_log(tmp_path / "log.csv")["epoch"] == [1, 2, 3, 4]


def test_the_best_model_survives_worse_epochs_and_a_resume(pairs, tmp_path):
    def ruin(state):
        if state.step == 7:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(TrainingInterrupted):
        fitted(pairs, tmp_path, lr=1e-3, schedule="constant", progress=ruin)
    before = torch.load(tmp_path / "best.pt", weights_only=True)["best"]
    trained = fitted(pairs, tmp_path, lr=1e-3, schedule="constant")
    assert trained.best <= before < float("inf")
    assert trained.best == min(row["valid_metric"] for row in trained.history)


def test_another_run_is_refused(pairs, tmp_path):
    fitted(pairs, tmp_path, epochs=1)
    for change, message in (
        ({"epochs": 2}, "another configuration: epochs = 1 there, 2 now"),
        ({"lr": 1e-3}, "another configuration: lr = 0.002 there, 0.001 now"),
        ({"model": tiny(width=8)}, "another model: width = 6 there, 8 now"),
    ):
        with pytest.raises(CheckpointError, match=message):
            fitted(pairs, tmp_path, **{"epochs": 1, **change})
    x, y = pairs
    with pytest.raises(CheckpointError, match="another data"):
        fitted((x, 2 * y), tmp_path, epochs=1)
    with pytest.raises(CheckpointError, match="another split"):
        fitted(as_pairs(x, y, fractions=(0.5, 0.0)), tmp_path, epochs=1)
    other = Geometry.unit(x.shape[2:], "periodic")
    with pytest.raises(CheckpointError, match="another grid"):
        fitted(as_pairs(x, y, geometry=other), tmp_path, epochs=1)


def test_files_that_are_not_of_a_run_are_left_alone(pairs, tmp_path):
    (tmp_path / "log.csv").write_text("precious", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"holds log\.csv but no last\.pt to go on from"):
        fitted(pairs, tmp_path, epochs=1)
    assert (tmp_path / "log.csv").read_text(encoding="utf-8") == "precious"
    fitted(pairs, tmp_path, epochs=1, resume=False)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(NotADirectoryError, match="is a file: give a folder"):
        fitted(pairs, tmp_path / "file", epochs=1)


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_a_log_is_written_anew_from_the_checkpoint(pairs, tmp_path, damage):
    with pytest.raises(TrainingInterrupted):
        fitted(pairs, tmp_path, progress=_Stop(7))
    if damage == "lost":
        (tmp_path / "log.csv").unlink()
    else:
        (tmp_path / "log.csv").write_text("epoch,st", encoding="utf-8")
    fitted(pairs, tmp_path)
    log = read_log(tmp_path / "log.csv")
    assert log["epoch"] == [1, 2, 3, 4] and log["seconds"] == sorted(log["seconds"])


def test_a_fresh_process_predicts_the_same(pairs, tmp_path, run_python):
    trained = fitted(pairs, tmp_path / "run", ema=0.9)
    np.save(tmp_path / "x.npy", pairs[0])
    code = (
        "import sys, numpy as np, torch; torch.set_num_threads(1); from resolvent.training import load_model; "
        "np.save(sys.argv[1] + '/p.npy', load_model(sys.argv[1] + '/run').predict(np.load(sys.argv[1] + '/x.npy')))"
    )
    outcome = run_python("-c", code, str(tmp_path), OMP_NUM_THREADS="1")
    assert outcome.returncode == 0, outcome.stderr
    assert float(np.abs(np.load(tmp_path / "p.npy") - trained.predict(pairs[0])).max()) <= 1e-6


def test_checkpoints_hold_plain_values_only(pairs, tmp_path):
    fitted(pairs, tmp_path, ema=0.9, epochs=1)
    content = torch.load(tmp_path / "last.pt", weights_only=True)
    assert {"optimiser", "scaler", "random", "state", "splits", "config", "data", "versions"} <= set(content)

    def check(value, where):
        if isinstance(value, dict):
            for key, inner in value.items():
                assert isinstance(key, str | int), where
                check(inner, f"{where}.{key}")
        elif isinstance(value, list | tuple):
            for i, inner in enumerate(value):
                check(inner, f"{where}[{i}]")
        else:
            assert value is None or isinstance(value, torch.Tensor | int | float | str | bool), (where, type(value))

    check(content, "checkpoint")
    rows = [set(content["splits"][name].tolist()) for name in ("train", "valid", "test")]
    assert not rows[0] & rows[1] and len(rows[0] | rows[1] | rows[2]) == 24


def test_damaged_and_foreign_files_are_told_apart(pairs, tmp_path):
    fitted(pairs, tmp_path / "run", epochs=1)
    whole = (tmp_path / "run" / "best.pt").read_bytes()
    for name, content, message in (
        ("short.pt", whole[: len(whole) // 2], "is cut short, or no checkpoint"),
        ("text.pt", b"not a checkpoint", "is cut short, or no checkpoint"),
        ("broken.pt", whole[:2000] + bytes(200) + whole[2200:], "damaged|does not describe"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            load_model(tmp_path / name)
    torch.save({"x": torch.zeros(1)}, tmp_path / "tensors.pt")
    with pytest.raises(CheckpointError, match="holds tensors, but is no checkpoint of this package"):
        load_model(tmp_path / "tensors.pt")
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        load_model(tmp_path / "absent.pt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no model: expected best\.pt or last\.pt"):
        load_model(tmp_path / "empty")
    content = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    content["model"]["options"]["width"] = 7
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="does not describe a model of this version"):
        load_model(tmp_path / "other.pt")
    torch.save({**content, "version": 99}, tmp_path / "newer.pt")
    with pytest.raises(CheckpointError, match="format version 99, this one reads 1: upgrade resolvent"):
        load_model(tmp_path / "newer.pt")


KILLED = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")  # of forking a process that has threads
sys.path.insert(0, sys.argv[2])
import torch
torch.set_num_threads(1)
from small_runs import fitted, smooth
from pathlib import Path
from resolvent.datasets.storage import durable

def killed(moment, nth):
    # A child trains until the nth write of a checkpoint, and is killed in it.
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    seen = 0
    place = durable.put_in_place
    def put(temporary, target):
        nonlocal seen
        seen += 1
        if seen == nth and moment == "half":
            os.truncate(temporary, temporary.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        if seen == nth and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        place(temporary, target)
        if seen == nth and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
    durable.put_in_place = put
    fitted(smooth(), sys.argv[1] + "/" + moment)
    os._exit(1)

print(all([killed("half", 3), killed("before", 4), killed("after", 4)]))
"""


def test_a_run_killed_while_it_writes_leaves_a_checkpoint_that_goes_on(tmp_path, run_python, pairs):
    outcome = run_python("-c", KILLED, str(tmp_path), str(FOLDER), OMP_NUM_THREADS="1")
    assert outcome.stdout.strip() == "True", outcome.stderr
    whole = fitted(pairs)
    for moment in ("half", "before", "after"):
        out = tmp_path / moment
        load_model(out)
        assert torch.load(out / "last.pt", weights_only=True)["state"]["epoch"] in (1, 2)
        assert same_parameters(fitted(pairs, out).model, whole.model), moment
        assert read_log(out / "log.csv")["epoch"] == [1, 2, 3, 4]
