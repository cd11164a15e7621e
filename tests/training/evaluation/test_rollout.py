import csv

import numpy as np
import pytest
import torch

from resolvent.operators.neural import FNO
from resolvent.training.data.geometry import Geometry
from resolvent.training.evaluation.rollout import rollout
from resolvent.training.losses import AbsoluteL2

GEOMETRY = Geometry.unit([8], "periodic")


def decays(steps, samples=3, factor=0.5):
    start = np.random.default_rng(0).normal(size=(samples, 1, 2, 8))
    return start * factor ** np.arange(steps + 1)[None, :, None, None]


def test_errors_grow_from_the_own_predictions_and_not_from_the_truth():
    result = rollout(lambda u: 0.55 * u, decays(10), GEOMETRY)
    expected = 1.1 ** np.arange(1, 11) - 1.0
    np.testing.assert_allclose(result.errors, expected[:, None].repeat(3, 1), rtol=1e-12)
    np.testing.assert_allclose(result.teacher_forced, 0.1, rtol=1e-12)
    assert (result.first_non_finite == 0).all()
    np.testing.assert_allclose(result.states[:, 9], decays(0)[:, 0] * 0.55**10)


def test_a_ten_step_rollout_of_a_network_is_written(tmp_path):
    torch.manual_seed(0)
    net = FNO(c_in=2, c_out=2, n_modes=[4], width=4, layers=1, positions=None)
    path = rollout(net, torch.tensor(decays(10)).float(), GEOMETRY, loss=AbsoluteL2()).write_csv(tmp_path / "r.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 11))
    assert all(float(row[name]) > 0.0 for row in rows for name in rows[0])
    assert all(row["finite"] == row["of"] == "3" for row in rows)


def test_the_first_step_that_is_not_finite_is_found():
    truth = np.ones((2, 6, 1, 8))
    truth[1] = 2.0

    def doubling(u):  # gives up above 5
        return np.where(u > 5.0, np.nan, 2.0 * u)

    result = rollout(doubling, truth, GEOMETRY)
    assert result.first_non_finite.tolist() == [4, 3]
    assert np.isfinite(result.errors).sum(0).tolist() == [3, 2]
    assert np.isfinite(result.teacher_forced).all()
    table = result.table()
    assert table.column("finite") == (2, 2, 1, 0, 0) and table.column("mean_error")[4] is None


def test_history_and_fixed_channels_are_seen():
    t = np.arange(6.0)
    truth = np.broadcast_to(t[None, :, None, None], (1, 6, 1, 8)) + 1.0
    slope = np.full((1, 1, 8), 1.0)

    def extrapolate(x):  # channels: two states ago, one state ago, the fixed one
        assert x.shape == (1, 3, 8)
        return 2.0 * x[:, 1:2] - x[:, :1] + 0.0 * x[:, 2:]

    assert rollout(extrapolate, truth, GEOMETRY, history=2, fixed=slope).errors.max() < 1e-14
    wrong = rollout(lambda x: x[:, 1:2] + 0.5 * x[:, 2:], truth, GEOMETRY, history=2, fixed=slope, steps=3)
    np.testing.assert_allclose(wrong.states[0, :, 0, 0], [2.5, 3.0, 3.5])


def test_bad_rollouts_are_refused():
    truth = decays(3)
    with pytest.raises(ValueError, match="allow 3 steps, got 4"):
        rollout(lambda u: u, truth, GEOMETRY, steps=4)
    with pytest.raises(ValueError, match="truth must be"):
        rollout(lambda u: u, truth[:, 0], GEOMETRY)
    with pytest.raises(ValueError, match="must give states of shape"):
        rollout(lambda u: u[:, :1], truth, GEOMETRY)
    with pytest.raises(ValueError, match="steps must be"):
        rollout(lambda u: u, truth[:, :1], GEOMETRY)


def test_whole_numbers_as_truth_do_not_round_predictions():
    truth = np.array([100, 11, 1, 0], dtype=np.int64).reshape(1, 4, 1, 1).repeat(8, axis=3)
    found = [rollout(lambda u: 0.1 * u, states, Geometry.unit([8])).states for states in (truth, truth.astype(float))]
    assert np.array_equal(*found) and found[0][0, 1, 0, 0] == pytest.approx(1.0)
