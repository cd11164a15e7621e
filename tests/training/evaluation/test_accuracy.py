import csv

import numpy as np
import pytest
import torch

from resolvent.operators.neural import FNO
from resolvent.training.data.geometry import Geometry
from resolvent.training.data.normalisers import Normaliser, build_normaliser
from resolvent.training.data.resampling import resample
from resolvent.training.evaluation.accuracy import predict, relative_errors, sweep
from resolvent.training.evaluation.table import Table
from resolvent.training.losses import H1, RelativeL2
from resolvent.training.physics.physical import PhysicalOperator


def wave(geometry, k=1.0):
    points = np.meshgrid(*geometry.axes, indexing="ij")
    return np.prod([np.cos(2 * np.pi * k * p) for p in points], axis=0)


def test_errors_are_those_of_the_losses(rng):
    geometry = Geometry.unit([9, 8])
    p, y = rng.normal(size=(2, 7, 2, 9, 8))
    found = relative_errors(p, torch.tensor(y), geometry, batch_size=3)
    P, Y = torch.tensor(p), torch.tensor(y)
    np.testing.assert_allclose(found.relative_l2, RelativeL2()(P, Y, geometry))
    np.testing.assert_allclose(found.relative_h1, H1()(P, Y, geometry))
    np.testing.assert_allclose(found.relative_max, np.abs(p - y).max((1, 2, 3)) / np.abs(y).max((1, 2, 3)))
    assert found.mean()["relative_l2"] == pytest.approx(found.relative_l2.mean())
    with pytest.raises(ValueError, match="as many predictions"):
        relative_errors(p[:3], y, geometry)


@pytest.mark.parametrize("positions", ["vertices", "centres", "interior", "periodic"])
@pytest.mark.parametrize("degree, order", [("linear", 1.8), ("cubic", 3.5)])
def test_interpolation_has_the_order_of_its_degree(positions, degree, order):
    fine = Geometry.unit([97, 95], positions)
    gaps = []
    for n in (24, 48):
        coarse = Geometry.unit([n, n - 1], positions)
        found = resample(np.stack([wave(coarse)] * 2)[None], coarse, fine, degree)
        assert found.shape == (1, 2, 97, 95)
        away = (slice(None), slice(None), *[slice(None) if positions in ("vertices", "periodic") else slice(8, -8)] * 2)
        gaps.append(np.abs(found - wave(fine))[away].max())
    assert np.log2(gaps[0] / gaps[1]) > order


def test_interpolation_on_few_points_and_to_shifted_periodic_ones():
    assert resample(np.array([1.0, 3.0]), Geometry.unit([2]), Geometry.unit([3])).tolist() == pytest.approx([1, 2, 3])
    shifted = Geometry([(np.arange(40) + 0.5) / 40], [True], [(0.0, 1.0)])
    coarse = Geometry.unit([40], "periodic")
    np.testing.assert_allclose(resample(wave(coarse), coarse, shifted), wave(shifted), atol=1e-5)


def test_grids_of_other_domains_are_refused():
    one, two = Geometry.unit([5]), Geometry([np.linspace(0.0, 2.0, 5)])
    with pytest.raises(ValueError, match="one domain"):
        resample(np.zeros(5), one, two)
    with pytest.raises(ValueError, match="one domain"):
        resample(np.zeros(5), one, Geometry.unit([5], "periodic"))
    with pytest.raises(ValueError, match="one domain"):
        resample(np.zeros(5), one, Geometry.unit([5, 5]))
    with pytest.raises(ValueError, match="do not lie on"):
        resample(np.zeros(6), one, one)


def sets_of(sizes, count=3):
    rng = np.random.default_rng(0)
    factors = rng.uniform(1.0, 2.0, (count, 1, 1, 1))
    made = {}
    for n in sizes:
        geometry = Geometry.unit([n, n])
        x = factors * (wave(geometry) + 0.2 * wave(geometry, 4.0))
        made[f"{n}²"] = (x, 2.0 * x, geometry)
    return made


def test_a_sweep_is_complete_and_written_as_csv(tmp_path):
    torch.manual_seed(0)
    net = FNO(c_in=1, c_out=1, n_modes=[6, 6], width=6, layers=1)
    model = PhysicalOperator(net, Normaliser("none", 1), Normaliser("none", 1), boundary=0.0)
    table = sweep(model, sets_of([33, 65]), "33²")
    with table.write_csv(tmp_path / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["grid"] for row in rows] == ["33²", "65²"] and [row["points"] for row in rows] == ["1089", "4225"]
    for row in rows:
        assert all(float(row[name]) > 0.0 for name in table.columns[1:])
    assert float(rows[0]["relative_l2"]) == pytest.approx(float(rows[0]["interpolated_relative_l2"]), rel=1e-5)
    assert "ms_per_sample" in str(table)


def test_a_model_of_every_grid_beats_interpolation_and_one_of_indices_does_not():
    sets = sets_of([17, 65])
    exact = sweep(lambda x: 2.0 * x, sets, "17²", degree="linear")
    assert exact.column("relative_l2") == pytest.approx((0.0, 0.0), abs=1e-14)
    assert exact.column("interpolated_relative_l2")[1] > 0.01

    def by_index(x):  # right on the grid of the training, as a difference quotient with its spacing would be
        return 2.0 * x * (x.shape[-1] - 1) / 16

    wrong = sweep(by_index, sets, "17²")
    assert wrong.column("relative_l2")[1] > 1.0 > wrong.column("interpolated_relative_l2")[1]


def test_a_sweep_without_a_grid_of_training_has_no_interpolation():
    table = sweep(lambda x: x, {"9²": sets_of([9])["9²"], "17²": sets_of([17], count=2)["17²"]})
    assert table.column("interpolated_relative_h1") == (None, None)


def test_sweeps_that_cannot_be_are_refused(rng):
    data = rng.normal(size=(3, 1, 9, 9))
    per_point = build_normaliser("per_point", 1, [9, 9]).fit(data)
    model = PhysicalOperator(torch.nn.Identity(), Normaliser("none", 1), per_point)
    with pytest.raises(ValueError, match="train with kind 'scalar'"):
        sweep(model, sets_of([9, 17]))
    assert len(sweep(model, sets_of([9])).rows) == 1
    with pytest.raises(ValueError, match="trained_on must be one of 9²"):
        sweep(lambda x: x, sets_of([9]), "33²")
    with pytest.raises(ValueError, match="same samples"):
        sweep(lambda x: x, {**sets_of([9]), **sets_of([17], count=2)}, "9²")
    with pytest.raises(ValueError, match="at least one grid"):
        sweep(lambda x: x, {})


def test_prediction_leaves_the_mode_of_a_module_alone(rng):
    net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Conv1d(1, 1, 1)).train()
    x = rng.normal(size=(5, 1, 8))
    np.testing.assert_allclose(predict(net, x, batch_size=2), predict(net, torch.tensor(x)), rtol=1e-6)
    assert net.training


def test_tables():
    table = Table(("a", "b"), ((1, np.float64(0.25)), ("x", None)))
    assert str(table) == "a  b\n1  0.25\nx"
    with pytest.raises(KeyError, match="expected one of a, b"):
        table.column("c")
    with pytest.raises(ValueError, match="entry for each"):
        Table(("a", "b"), ((1,),))
