"""Figures of updates that are read late, as on a GPU: the same run, and still no model that is not finite."""

import signal
import traceback

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from resolvent.training import Geometry, NonFiniteError, TrainingInterrupted, as_pairs
from resolvent.training.losses import H1
from resolvent.training.runs import tally
from resolvent.training.runs.processes import Processes

from ..small_runs import fitted, smooth, tiny

ALONE = Processes()


@pytest.fixture
def late(monkeypatch):
    """Treat the host as a GPU whose figures are looked at at the end of an epoch only."""

    class Late(tally.Tally):
        def __init__(self, team, device):
            super().__init__(team, device)
            self.prompt = False

    monkeypatch.setattr(tally, "_PAUSE", 1e9)
    monkeypatch.setattr("resolvent.training.trainer.Tally", Late)


class Fragile(torch.nn.Module):
    """Multiplies what the model gives by NaN from the fourth call of training on."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        return x * (float("nan") if self.calls > 4 else 1.0)


def rows(trained):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in trained.history]


def test_figures_are_those_that_were_noted():
    found = tally.Tally(ALONE, torch.device("cpu"))
    assert found.read() == []
    nan = float("nan")
    found.note(1, [np.array([7, 3]), np.array([5])], [torch.tensor([1.0, 2.0]), torch.tensor([4.0])], torch.tensor(0.5))
    found.note(2, [np.array([7, 3]), np.array([5])], [torch.tensor([1.0, nan]), torch.tensor([nan])], torch.tensor(nan))
    first, second = found.read()
    assert first == tally.Figures(step=1, loss=7.0, norm=0.5, broken=False, row=-1)
    assert (second.step, second.broken, second.row) == (2, True, 3) and np.isnan([second.loss, second.norm]).all()
    assert found.read() == []


def test_a_run_that_looks_late_is_the_same_run(pairs, late, tmp_path, request):
    lagging = fitted(pairs, tmp_path / "late", ema=0.9, clip=0.1, accumulate=2)
    seen = []
    fitted(pairs, progress=seen.append)
    assert [state.step for state in seen] == [3, 6, 9, 12] and all(state.epoch_ends for state in seen)
    request.getfixturevalue("monkeypatch").undo()
    prompt = fitted(pairs, tmp_path / "prompt", ema=0.9, clip=0.1, accumulate=2)
    assert rows(lagging) == rows(prompt)
    for a, b in zip(lagging.model.state_dict().values(), prompt.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_loss_that_is_not_finite_is_found_at_the_end_of_the_epoch(pairs, late, tmp_path):
    model = tiny()
    model.project = torch.nn.Sequential(model.project, Fragile())
    with pytest.raises(NonFiniteError, match=r"the loss is not finite for sample \d+ of arrays in epoch 2, update 5"):
        fitted(pairs, tmp_path, model=model)
    content = torch.load(tmp_path / "last.pt", weights_only=True)
    assert content["state"]["epoch"] == 1
    assert all(bool(value.isfinite().all()) for value in content["parameters"].values())


def test_what_is_not_finite_is_not_kept_by_an_interrupted_run(pairs, late, tmp_path, monkeypatch):
    model = tiny()
    model.project = torch.nn.Sequential(model.project, Fragile())
    monkeypatch.setattr(Fragile, "forward", _interrupting(Fragile.forward))
    with pytest.raises(NonFiniteError, match="epoch 2, update 5"):
        fitted(pairs, tmp_path, model=model)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["state"]["epoch"] == 1


def test_an_interrupted_run_keeps_the_figures_of_its_epoch(pairs, late, tmp_path, monkeypatch):
    model = tiny()
    model.project = torch.nn.Sequential(model.project, Fragile())
    monkeypatch.setattr(Fragile, "forward", _interrupting(lambda self, x: x, after=2))
    with pytest.raises(TrainingInterrupted):
        fitted(pairs, tmp_path, model=model)
    state = torch.load(tmp_path / "last.pt", weights_only=True)["state"]
    assert state["step"] == 2 and state["loss_count"] == 16 and state["loss_sum"] > 0.0


def _interrupting(forward, after=5):
    """Press Ctrl-C in a call of training."""
    calls = 0

    def call(self, x):
        nonlocal calls
        calls += self.training
        if self.training and calls == after:
            signal.raise_signal(signal.SIGINT)
        return forward(self, x)

    return call


class Reads(TorchDispatchMode):
    """Notes where the host reads a number, or copies one to the device: what a GPU would have to wait for."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::lift_fresh"):
            files = [frame.filename for frame in traceback.extract_stack()]
            if not any("/torch/optim/" in name for name in files):  # Adam counts its steps on the host
                self.found.append(f"{func} from {[name for name in files if '/torch/' not in name][-2]}")
        return func(*args, **(kwargs or {}))


def test_updates_read_nothing(late, monkeypatch):
    """Boundary values, uneven points, clipping, an average and several parts: nothing of an update waits."""
    from resolvent.training.trainer import _Run

    x, y = smooth(24, (9, 9))
    y[:, :, [0, -1]] = y[..., [0, -1]] = 0.0
    uneven = np.linspace(0.0, 1.0, 9) ** 1.5
    pairs = as_pairs(x, y, geometry=Geometry((np.linspace(0.0, 1.0, 9), uneven)))
    update, reads = _Run._update, Reads()

    def watched(run, batch, parts):
        if run.state.step < 2:  # what is made once
            return update(run, batch, parts)
        with reads:
            return update(run, batch, parts)

    monkeypatch.setattr(_Run, "_update", watched)
    trained = fitted(pairs, epochs=2, loss="h1", clip=1.0, ema=0.9, accumulate=2)
    assert trained.model.boundary == [0.0] and trained.history[-1]["step"] == 6
    assert not reads.found, reads.found
    with reads:
        bool(H1()(torch.zeros(1, 1, 9, 9), torch.ones(1, 1, 9, 9), pairs.geometry) > 0.0)
    assert reads.found  # it would have been seen
