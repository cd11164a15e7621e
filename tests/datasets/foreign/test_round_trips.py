"""What is exported is read again as it was, to single precision."""

import json
import math
import shutil

import h5py
import numpy as np
import pytest

from resolvent import datasets
from resolvent.datasets import export, families, open_foreign

from .conftest import SETS

EPS = 2.0**-24
"""Half the spacing of single precision."""


def assert_rounded(found: np.ndarray, expected: np.ndarray) -> None:
    """Every number is the nearest in single precision."""
    assert found.dtype == np.float32 and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def by_index(ours, index):
    return {int(i): row for row, i in enumerate(index)}


def states(ours, row, state, solution):
    sample = ours[row]
    first = np.zeros_like(sample[solution][0]) if state is None else sample[state]
    return np.concatenate([first[None], sample[solution]])


# PDEBench -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["darcy2d", "darcy_vertex"])
def test_pdebench_darcy(ours, tmp_path, name):
    dataset = ours(name)
    exported = export(dataset, "pdebench", tmp_path / "darcy.hdf5")
    assert [path.name for path in exported.files] == ["darcy.hdf5", "darcy.hdf5.json"]
    with h5py.File(tmp_path / "darcy.hdf5") as file, open_foreign(tmp_path / "darcy.hdf5") as theirs:
        n, m = len(dataset), dataset.family().resolution
        assert file["tensor"].shape == (n, 1, m, m) and file["nu"].shape == (n, m, m)
        assert file.attrs["beta"] == 1.0 and isinstance(file.attrs["beta"], float)
        assert_rounded(file["x-coordinate"][()], dataset.axes["x"])
        assert_rounded(file["y-coordinate"][()], dataset.axes["y"])
        assert theirs.names("input") == ["nu"] and theirs.names("solution") == ["tensor"]
        for row, index in enumerate(file["index"][()]):
            assert_rounded(theirs[row]["nu"], dataset[int(index)]["a"])
            assert_rounded(theirs[row]["tensor"], dataset[int(index)]["u"])
        # The loader tests with the first tenth.
        tests = np.count_nonzero(dataset.column("split") == 2)
        assert file["split"][()].tolist()[:tests] == [2] * tests
        assert len(theirs.split("test")) == tests and len(theirs.split("train")) == len(dataset.split("train"))


@pytest.mark.parametrize(
    "name, attribute, factor, parameter",
    [("advection1d", "beta", 1.0, "beta"), ("burgers1d", "Nu", math.pi, "nu")],
)
def test_pdebench_lines_go_into_a_file_for_each_parameter(ours, tmp_path, name, attribute, factor, parameter):
    dataset = ours(name)
    exported = export(dataset, "pdebench", tmp_path / "out")
    files = [path for path in exported.files if path.suffix == ".hdf5"]
    assert len(files) == len(np.unique(dataset.column(parameter)))
    seen = []
    for path in files:
        with h5py.File(path) as file, open_foreign(path) as theirs:
            times = np.concatenate([[0.0], dataset.axes["t"]])
            assert file["tensor"].shape == (len(theirs), len(times), 32)
            # One time more than frames, as in PDEBench's files.
            assert file["t-coordinate"].shape == (len(times) + 1,)
            assert (np.diff(file["t-coordinate"][()]) > 0).all()
            assert_rounded(theirs.axes["t"], times)
            for row, index in enumerate(file["index"][()]):
                sample = dataset[int(index)]
                # PDEBench writes Burgers' equation with (ν/π)u_xx.
                assert file.attrs[attribute] == factor * float(sample[parameter])
                assert_rounded(theirs[row]["tensor"], states(dataset, int(index), "u0", "u"))
                seen.append(int(index))
    assert sorted(seen) == list(range(len(dataset)))


@pytest.mark.parametrize("name, state, solution", [("ns2d_vorticity", "omega0", "omega"), ("diffreact2d", "u0", "u")])
@pytest.mark.parametrize("loader", ["single", "multi"])
def test_pdebench_groups(ours, tmp_path, name, state, solution, loader):
    dataset = ours(name)
    export(dataset, "pdebench", tmp_path / "groups.h5", loader=loader)
    with h5py.File(tmp_path / "groups.h5") as file, open_foreign(tmp_path / "groups.h5") as theirs:
        assert list(file) == [f"{i:04d}" for i in range(len(dataset))] and "0023" in file
        for row, group in enumerate(file.values()):
            index = int(group.attrs["index"])
            assert_rounded(group["data"][..., 0], states(dataset, index, state, solution))
            assert_rounded(theirs[row]["data"][..., 0], states(dataset, index, state, solution))
            assert_rounded(group["grid/t"][()], np.concatenate([[0.0], dataset.axes["t"]]))
            assert_rounded(group["grid/x"][()], dataset.axes["x"])
            config = json.loads(group.attrs["config"])  # which is YAML too
            for parameter in config["sim"]:
                assert config["sim"][parameter] == float(dataset[index][parameter])
        split = [int(group.attrs["split"]) for group in file.values()]
        tests = split.count(2)
        assert (split[:tests] if loader == "single" else split[-tests - split.count(1) :][-tests:]) == [2] * tests


# The Well -----------------------------------------------------------------------------------------------------------


def in_the_well(ours, theirs, folder):
    """Pairs of samples."""
    index = []
    for split in ("train", "valid", "test"):
        for path in sorted((folder / "data" / split).glob("*.hdf5")):
            with h5py.File(path) as file:
                index += file["resolvent/index"][()].tolist()
    assert sorted(index) == list(range(len(ours)))
    return [(ours[int(i)], theirs[row]) for row, i in enumerate(index)]


@pytest.mark.parametrize("name", [name for name in SETS if name != "darcy_vertex"])
@pytest.mark.parametrize("steady", ["fields", "limit"])
def test_the_well_holds_every_family(ours, tmp_path, name, steady):
    dataset = ours(name)
    exported = export(dataset, "the_well", tmp_path / "well", steady=steady)
    assert not exported.left_out and exported.samples == len(dataset)
    trajectory = "t" in dataset.axes
    with open_foreign(tmp_path / "well") as theirs:
        for old, new in in_the_well(dataset, theirs, tmp_path / "well"):
            for field, spec in dataset.fields.items():
                if spec.role == "solution":
                    found = vector_component(new, field) if field not in new and f"{field}_real" not in new else None
                    values = found if found is not None else joined(new, field)
                    begun = old.get(f"{field}0", old.get(f"{field}_old", np.zeros_like(values[0])))
                    frames = old[field] if trajectory else old[field][None]
                    moving = trajectory or steady == "limit" or f"{field}_old" in old
                    expected = np.concatenate([begun[None], frames]) if moving else frames
                    np.testing.assert_array_equal(values, rounded(expected))
                elif spec.shape == () or field not in new:
                    for entry, value in np.ndenumerate(np.asarray(old[field], dtype=np.float64)):
                        stored = new.get("_".join([field, *map(str, entry)]))
                        assert (stored is None and field in initial(dataset)) or stored == np.float32(value)
                else:
                    np.testing.assert_array_equal(new[field], rounded(old[field]))


def initial(dataset):
    return [f for f in dataset.fields if f.endswith(("0", "_old"))]


def rounded(values):
    if values.dtype.kind == "c":
        return values.real.astype(np.float32) + 1j * values.imag.astype(np.float32)
    return values.astype(np.float32)


def joined(sample, field):
    if field in sample:
        return sample[field]
    return sample[f"{field}_real"] + 1j * sample[f"{field}_imag"]


def vector_component(sample, field):
    base, _, axis = field.rpartition("_")
    return sample[base][..., "xyz".index(axis)] if base in sample else None


def test_the_well_statistics_are_those_of_the_training_split(ours, tmp_path):
    yaml = pytest.importorskip("yaml")
    dataset = ours("wave2d")
    export(dataset, "the_well", tmp_path / "well")
    stats = yaml.safe_load((tmp_path / "well" / "stats.yaml").read_text())
    train = dataset.split("train")
    u, u0, c = (train.column(name) for name in ("u", "u0", "c"))
    full = np.concatenate([u0[:, None], u], axis=1)
    delta = np.diff(full, axis=1)
    expected = {
        "mean": full.mean(),
        "std": full.std(),
        "rms": np.sqrt(np.mean(full**2)),
        "mean_delta": delta.mean(),
        "std_delta": delta.std(),
        "rms_delta": np.sqrt(np.mean(delta**2)),
    }
    for kind, value in expected.items():
        assert stats[kind]["u"] == pytest.approx(value, rel=1e-12, abs=1e-14), kind
    assert stats["mean"]["c"] == pytest.approx(c.mean(), rel=1e-12) and "c" not in stats["mean_delta"]


def test_the_well_statistics_of_a_vector_are_lists(ours, tmp_path):
    yaml = pytest.importorskip("yaml")
    dataset = ours("elasticity2d")
    export(dataset, "the_well", tmp_path / "well")
    stats = yaml.safe_load((tmp_path / "well" / "stats.yaml").read_text())
    train = dataset.split("train")
    means = [train.column(name).mean() for name in ("u_x", "u_y")]
    assert stats["mean"]["u"] == pytest.approx(means, rel=1e-12)
    assert stats["mean_delta"]["u"] == [0.0, 0.0] and stats["std_delta"]["u"] == [1.0, 1.0]


def test_the_well_keeps_times_that_differ_between_samples(ours, tmp_path):
    dataset = ours("heat2d_step")
    export(dataset, "the_well", tmp_path / "well")
    with h5py.File(tmp_path / "well/data/train/heat2d_step.hdf5") as file:
        time = file["dimensions/time"]
        dt = dataset.split("train").column("dt")
        if np.ptp(dt):
            assert time.attrs["sample_varying"] and time.shape == (len(dt), 2)
        else:
            assert not time.attrs["sample_varying"] and time[()].tolist() == [0.0, np.float32(dt[0])]


@pytest.mark.parametrize(
    "name, kind", [("darcy2d", "WALL"), ("advection1d", "PERIODIC"), ("helmholtz2d", "OPEN"), ("wave2d", "PERIODIC")]
)
def test_the_well_boundaries(ours, tmp_path, name, kind):
    export(ours(name), "the_well", tmp_path / "well")
    with h5py.File(tmp_path / f"well/data/train/{name}.hdf5") as file:
        assert {group.attrs["bc_type"] for group in file["boundary_conditions"].values()} == {kind}
        assert len(file["boundary_conditions"]) == file.attrs["n_spatial_dims"]


# neuraloperator -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SETS))
def test_neuraloperator_holds_every_family(ours, tmp_path, name):
    torch = pytest.importorskip("torch")
    dataset = ours(name)
    exported = export(dataset, "neuraloperator", tmp_path / "tensors")
    frames = len(dataset.axes.get("t", [0]))
    grid = tuple(len(axis) for key, axis in dataset.axes.items() if key != "t")
    inputs = [f for f, spec in dataset.fields.items() if spec.role == "input"]
    inputs.sort(key=lambda f: dataset.fields[f].shape == ())  # numbers last
    outputs = [f for f, spec in dataset.fields.items() if spec.role == "solution"]
    for path in exported.files[:-1]:
        content = torch.load(path, weights_only=True)
        assert content["x"].dtype == content["y"].dtype == torch.float32
        for row, index in enumerate(content["index"].tolist()):
            old = dataset[index]
            x = np.stack([np.broadcast_to(old[f], grid) for f in inputs])
            parts = [p for f in outputs for p in ([old[f].real, old[f].imag] if np.iscomplexobj(old[f]) else [old[f]])]
            y = np.concatenate([p.reshape(frames, *grid) for p in parts])
            assert_rounded(content["x"][row].numpy().reshape(-1, *grid), x)
            assert_rounded(content["y"][row].numpy().reshape(-1, *grid), y)
            for parameter in content["parameters"]:
                field = parameter.rstrip("0123456789_") if parameter not in dataset.fields else parameter
                assert float(content["parameters"][parameter][row]) in np.asarray(old[field], dtype=float).ravel()
    with open_foreign(tmp_path / "tensors") as theirs:
        assert len(theirs) == len(dataset)
        assert len(theirs.split("train")) == len(dataset.split("train"))


@pytest.mark.parametrize(
    "name, x, y",
    [("darcy2d", (16, 16), (16, 16)), ("burgers1d", (32,), (3, 32)), ("wave2d", (2, 16, 16), (6, 16, 16))],
)
def test_neuraloperator_shapes(ours, tmp_path, name, x, y):
    pytest.importorskip("torch")
    export(ours(name), "neuraloperator", tmp_path / "tensors")
    with open_foreign(tmp_path / "tensors") as theirs:
        assert theirs.fields["x"].shape == x and theirs.fields["y"].shape == y


# Everything ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pdebench", "the_well", "neuraloperator"])
def test_the_origin_travels_along(ours, tmp_path, kind):
    if kind == "neuraloperator":
        pytest.importorskip("torch")
    dataset = ours("darcy2d")
    exported = export(dataset, kind, tmp_path / "out")
    record = json.loads(exported.files[-1].read_text())
    assert record["content_sha256"] == dataset.content_sha256 and record["seed"] == dataset.config["seed"]
    for key in ("equation", "boundary", "law", "licence"):
        assert record[key] == dataset.attributes[key]
    assert record["rtol"] == dataset.config["rtol"] and record["options"]["resolution"] == 16
    assert record["format"] == kind and record["samples"] == len(dataset)
    assert 0 < max(record["rounding"].values()) < EPS
    for path in exported.files:
        if path.suffix == ".hdf5":
            with h5py.File(path) as file:
                assert file.attrs["resolvent_content_sha256"] == dataset.content_sha256
                assert file.attrs["resolvent_seed"] == dataset.config["seed"]


@pytest.mark.parametrize("kind", ["pdebench", "the_well", "neuraloperator"])
def test_samples_are_read_lazily_and_in_slices(ours, tmp_path, kind):
    if kind == "neuraloperator":
        pytest.importorskip("torch")
    export(ours("darcy2d"), kind, tmp_path / "out")
    path = tmp_path / "out"
    if kind == "pdebench":
        path = next(path.glob("*.hdf5"))
    with open_foreign(path) as theirs:
        name = theirs.names("solution")[0]
        whole = theirs.column(name)
        assert whole.shape == (len(theirs), *theirs.fields[name].shape)
        np.testing.assert_array_equal(theirs[3:7][name], whole[3:7])
        np.testing.assert_array_equal(theirs[[5, -1]][name], whole[[5, -1]])
        np.testing.assert_array_equal(theirs.select([4, 2])[0][name], whole[4])
        assert [sample[name].shape for sample in theirs.select(slice(2))] == [whole.shape[1:]] * 2
        assert theirs.column(name, slice(0, 0)).shape == (0, *whole.shape[1:])
        assert repr(theirs).startswith(f"ForeignSet('{path}': {kind}")
        with pytest.raises(IndexError, match="out of range"):
            theirs[len(theirs)]
        with pytest.raises(KeyError, match="expected one of"):
            theirs.column("pressure")
        with pytest.raises(ValueError, match="a split is one of"):
            theirs.split("dev")
        theirs.close()
        np.testing.assert_array_equal(theirs[3][name], whole[3])  # opened again


def test_a_selection_is_exported_alone(ours, tmp_path):
    dataset = ours("darcy2d").split("test")
    export(dataset, "pdebench", tmp_path / "test.hdf5")
    with open_foreign(tmp_path / "test.hdf5") as theirs:
        np.testing.assert_array_equal(theirs.column("tensor"), dataset.column("u").astype(np.float32))


def test_single_precision_sets_keep_every_bit(tmp_path):
    family = families.get("darcy2d", resolution=8)
    dataset = datasets.generate(family, 4, out=tmp_path / "single.h5", dtype="float32")
    exported = export(dataset, "pdebench", tmp_path / "single.hdf5")
    assert set(exported.rounding.values()) == {0.0}
    with h5py.File(tmp_path / "single.hdf5") as file:
        np.testing.assert_array_equal(file["nu"][()], dataset.column("a", file["index"][()]))


def test_samples_that_are_not_certified_are_left_out(ours, tmp_path):
    copy = tmp_path / "flagged.h5"
    shutil.copy(ours("darcy2d").path, copy)
    with h5py.File(copy, "r+") as file:
        file["certificate/certified"][[3, 8]] = False
        file["solution/u"][3] = np.nan
    exported = export(copy, "pdebench", tmp_path / "good.hdf5")
    assert exported.uncertified == 2 and exported.samples == 28 and "2 samples that are not certified" in str(exported)
    with h5py.File(tmp_path / "good.hdf5") as file:
        assert sorted(file["index"][()]) == [i for i in range(30) if i not in (3, 8)]
        assert np.isfinite(file["tensor"][()]).all()
