"""Pairs from arrays and datasets."""

import json

import numpy as np
import pytest
import torch

from resolvent import datasets
from resolvent.training import Geometry, as_pairs


@pytest.fixture(scope="module")
def darcy(tmp_path_factory):
    out = tmp_path_factory.mktemp("darcy") / "darcy.h5"
    family = datasets.families.get("darcy", resolution=17, grid="vertex")
    datasets.generate(family, 20, out=out).close()
    return out


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    out = tmp_path_factory.mktemp("flow") / "flow.h5"
    datasets.generate(datasets.families.get("burgers", resolution=64, frames=4), 6, out=out).close()
    return out


def test_arrays_in_every_form():
    x, y = np.random.default_rng(0).standard_normal((2, 30, 9, 8))
    for data in (
        (x[:, None], y[:, None]),
        {"x": x[:, None], "y": torch.from_numpy(y)},
        (x[:, None], y),
        (x, y[:, None]),
    ):
        pairs = as_pairs(data)
        assert (pairs.c_in, pairs.c_out, pairs.geometry.grid) == (1, 1, (9, 8))
        a, b = pairs.batch(np.array([3, 1]))
        assert a.dtype == torch.float32 and np.allclose(a[:, 0], x[[3, 1]], atol=1e-6)
        assert np.allclose(b[:, 0], y[[3, 1]], atol=1e-6)
    channels = as_pairs(np.zeros((30, 3, 9, 8)), np.zeros((30, 2, 9, 8)))
    assert (channels.c_in, channels.c_out) == (3, 2)
    line = as_pairs(np.zeros((30, 12)), np.zeros((30, 12)))
    assert line.geometry.grid == (12,)


def test_arrays_are_copied_and_may_be_read_only():
    x = np.zeros((20, 1, 8), dtype=np.float32)
    x.flags.writeable = False
    assert as_pairs(x, x).batch(np.array([0]))[0].shape == (1, 1, 8)
    y = np.zeros((20, 1, 8), dtype=np.float32)
    pairs = as_pairs(x, y)
    y[:] = 7.0
    assert not pairs.batch(np.arange(20))[1].any()


def test_splits_are_disjoint_and_depend_on_the_seed():
    x = np.zeros((50, 1, 8))
    first, again, other = (as_pairs(x, x, fractions=(0.2, 0.1), seed=seed) for seed in (0, 0, 1))
    assert [len(first.splits[name]) for name in ("train", "valid", "test")] == [35, 10, 5]
    assert sorted(np.concatenate(list(first.splits.values()))) == list(range(50))
    assert all(np.array_equal(first.splits[name], again.splits[name]) for name in first.splits)
    assert not np.array_equal(first.splits["valid"], other.splits["valid"])
    assert first.fingerprint == other.fingerprint != as_pairs(x + 1, x).fingerprint


def test_a_dataset_brings_names_splits_geometry_and_provenance(darcy):
    pairs = as_pairs(darcy)
    assert pairs.about["inputs"] == ["a"] and pairs.about["targets"] == ["u"]
    assert pairs.geometry.grid == (17, 17) and set(pairs.geometry.positions) == {"vertices"}
    with datasets.open(darcy) as stored:
        assert pairs.about["content_sha256"] == stored.content_sha256
        for name in ("train", "valid", "test"):
            rows = pairs.splits[name]
            _, y = pairs.batch(rows)
            assert np.allclose(y[:, 0], stored.split(name).column("u"), atol=1e-6)
    x, y = pairs.batch(np.array([7, 2, 7]))
    assert torch.equal(x[0], x[2]) and not torch.equal(x[0], x[1]) and y.shape == (3, 1, 17, 17)


def test_a_foreign_set_trains_too(darcy, tmp_path):
    with datasets.open(darcy) as stored:
        datasets.export(stored, "the_well", tmp_path / "well")
    theirs, ours = as_pairs(tmp_path / "well"), as_pairs(darcy)
    assert [len(theirs.splits[name]) for name in theirs.splits] == [len(ours.splits[name]) for name in ours.splits]
    assert theirs.c_in == ours.c_in and theirs.geometry.grid == (17, 17)


def test_lazy_reading_gives_what_reading_at_once_does(darcy, monkeypatch):
    kept = as_pairs(darcy)
    monkeypatch.setattr("resolvent.training.data.stored.IN_MEMORY", 0)
    lazy = as_pairs(darcy)
    rows = np.array([11, 3, 3, 19])
    assert all(torch.equal(a, b) for a, b in zip(kept.batch(rows), lazy.batch(rows), strict=True))


def test_steps_pair_each_frame_with_the_next(flow):
    pairs = as_pairs(flow, steps=True)
    with datasets.open(flow) as stored:
        u0, u = stored.column("u0"), stored.column("u")
        frames = u.shape[1]
        varying = bool(np.ptp(stored.column("nu")))
    assert pairs.geometry.periodic == (True,)
    assert pairs.c_in == 1 + varying and pairs.c_out == 1
    x, y = pairs.batch(np.array([2 * frames, 2 * frames + 1]))
    assert np.allclose(x[0, 0], u0[2], atol=1e-6) and np.allclose(y[0, 0], u[2, 0], atol=1e-6)
    assert np.allclose(x[1, 0], u[2, 0], atol=1e-6) and np.allclose(y[1, 0], u[2, 1], atol=1e-6)
    assert sum(len(rows) for rows in pairs.splits.values()) == 6 * frames
    samples = [set((rows // frames).tolist()) for rows in pairs.splits.values()]
    assert not samples[0] & samples[1] and not samples[0] & samples[2]


def test_strides_take_points_or_average_cells():
    x = np.arange(16.0).reshape(1, 1, 4, 4).repeat(10, 0)
    vertices = as_pairs(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1))), np.zeros((10, 1, 5, 5))).strided(2)
    assert vertices.geometry.grid == (3, 3) and vertices.batch(np.array([0]))[0][0, 0, 0].tolist() == [0.0, 2.0, 0.0]
    cells = as_pairs(x, x, geometry=Geometry.unit((4, 4), "centres")).strided(2)
    assert cells.geometry.grid == (2, 2) and set(cells.geometry.positions) == {"centres"}
    assert cells.geometry.ends == ((0.0, 1.0), (0.0, 1.0)) and cells.geometry.axes[0].tolist() == [0.25, 0.75]
    assert cells.batch(np.array([0]))[0][0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    with pytest.raises(ValueError, match="4 cells cannot be joined 3 by 3"):
        as_pairs(x, x, geometry=Geometry.unit((4, 4), "centres")).strided(3)
    with pytest.raises(ValueError, match="stride must be a whole number of at least 1, got 0"):
        as_pairs(x, x, geometry=Geometry.unit((4, 4), "centres")).strided(0)


def test_each_axis_is_coarsened_as_its_points_are():
    x = np.arange(20.0).reshape(1, 1, 4, 5).repeat(10, 0)
    mixed = as_pairs(x, x, geometry=Geometry.unit((4, 5), ["centres", "vertices"])).strided(2)
    assert mixed.geometry.positions == ("centres", "vertices") and mixed.geometry.grid == (2, 3)
    assert mixed.batch(np.array([0]))[0][0, 0].tolist() == [[2.5, 4.5, 6.5], [12.5, 14.5, 16.5]]


def test_bad_data(darcy):
    good = np.zeros((10, 1, 8, 8))
    for data, error, message in (
        ((good, np.zeros((9, 1, 8, 8))), ValueError, "x has 10 samples and y has 9"),
        ((good[:, 0], good[:, 0]), ValueError, r"can be 8 channels on a grid \(8,\) or one on \(8, 8\): give x"),
        ((good, np.zeros((10, 1, 8, 7))), ValueError, "have no grid in common"),
        ((good + 1j, good), ValueError, "x is complex: give real and imaginary part as two channels"),
        ({"x": good}, ValueError, "needs the keys 'x' and 'y', got"),
        ((good[:1], good[:1]), ValueError, "1 samples are too few"),
        (42, TypeError, "expected arrays"),
    ):
        with pytest.raises(error, match=message):
            as_pairs(data)
    with pytest.raises(ValueError, match="expected field names among a, u, got v"):
        as_pairs(darcy, inputs=["v"])
    with pytest.raises(ValueError, match="holds no trajectories"):
        as_pairs(darcy, steps=True)
    with pytest.raises(ValueError, match="does not lie on the grid"):
        as_pairs(good, good, geometry=Geometry.unit((9, 9)))


def test_options_of_another_kind_of_data(darcy):
    x = np.zeros((10, 1, 8, 8))
    for data, options, message in (
        ((x, x), {"inputs": ["a"]}, "inputs chooses among the fields of a dataset, and the data are arrays: leave"),
        ((x, x), {"steps": True}, "steps divides the trajectories of a dataset, and the data are arrays"),
        (
            darcy,
            {"fractions": (0.2, 0.1)},
            r"fractions divides arrays, .* own split, and the data are a dataset \(.*h5\)",
        ),
        (darcy, {"unlabelled": True}, "unlabelled is about rows of arrays, and the data are a dataset"),
        (darcy, {"geometry": Geometry.unit((8, 8))}, "stores the coordinates of its points: leave geometry out"),
        (as_pairs(x, x), {"targets": ["u"]}, "targets chooses .* the data are pairs that are made: leave targets out"),
        (as_pairs(x, x), {"geometry": Geometry.unit((8, 8))}, "geometry says where the points of arrays lie"),
        (as_pairs(x, x), {"y": x}, "y goes with an array of inputs"),
    ):
        with pytest.raises(ValueError, match=message):
            as_pairs(data, **options)


@pytest.fixture
def tensors(tmp_path):
    """Write x and y of given shapes as neuraloperator does."""

    def write(x, y):
        for name, n in (("train", 8), ("test", 2)):
            content = {"x": torch.rand(n, *x), "y": torch.rand(n, *y)}
            torch.save(content, tmp_path / f"set_{name}_{x[-1]}.pt")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("x", "y", "grid"),
    [
        ((9, 9), (9, 9), (9, 9)),
        ((1, 9, 9), (1, 9, 9), (9, 9)),
        ((2, 9, 9), (1, 9, 9), (9, 9)),
        ((9,), (4, 9), (9,)),
        ((5, 6, 7), (5, 6, 7), (5, 6, 7)),
    ],
)
def test_tensors_without_coordinates_are_assumed_to_fill_the_unit_box(tensors, x, y, grid):
    pairs = as_pairs(tensors(x, y))
    assert pairs.geometry == Geometry.unit(grid) and "assumed" in pairs.about["coordinates"]
    assert [len(pairs.splits[name]) for name in ("train", "valid", "test")] == [8, 0, 2]
    assert pairs.batch(np.arange(2))[1].shape == (2, pairs.c_out, *grid)


def test_the_geometry_of_tensors_can_be_given(tensors):
    cells = Geometry.unit((9, 9), "centres")
    pairs = as_pairs(tensors((9, 9), (9, 9)), geometry=cells)
    assert pairs.geometry == cells and "coordinates" not in pairs.about


def test_tensors_without_a_common_grid(tensors):
    with pytest.raises(ValueError, match=r"stores no coordinates, and samples of shape \(9, 9\) and \(7, 7\) have no"):
        as_pairs(tensors((9, 9), (7, 7)))


@pytest.mark.parametrize("options", [{"grid": "cell"}, {"grid": "vertex"}])
def test_tensors_of_this_package_have_its_coordinates(tmp_path, options):
    family = datasets.families.get("darcy", resolution=9, **options)
    with datasets.generate(family, 10, out=tmp_path / "darcy.h5") as ours:
        datasets.export(ours, "neuraloperator", tmp_path / "set")
        theirs = as_pairs(tmp_path / "set")
        assert theirs.geometry == as_pairs(ours).geometry and "coordinates" not in theirs.about
    record = tmp_path / "set" / "provenance.json"
    for wrong in ("[]", "{", json.dumps({**json.loads(record.read_text()), "family": "none"})):
        record.write_text(wrong)
        assert "assumed" in as_pairs(tmp_path / "set").about["coordinates"]


def test_targets_beside_a_dataset_are_refused(darcy):
    y = np.zeros((20, 1, 17, 17))
    with datasets.open(darcy) as stored:
        for data in (darcy, str(darcy), stored):
            with pytest.raises(
                ValueError, match=r"y goes with an array of inputs, and the data are a dataset \(.*h5\)"
            ):
                as_pairs(data, y)
    with pytest.raises(ValueError, match="a mapping, which brings its own: leave y out"):
        as_pairs({"x": y, "y": y}, y)
    with pytest.raises(ValueError, match="x must be an array of numbers, got str"):
        as_pairs(("x.h5", y))
