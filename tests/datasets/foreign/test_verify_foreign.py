"""`verify` on other people's formats: structure, numbers, splits, labels."""

import h5py
import numpy as np
import pytest

from resolvent import datasets
from resolvent.datasets import FormatError, export, verify

from .conftest import SETS
from .darcy_files import beginnings, coefficients, states, write_darcy


def fields(report):
    return {problem.field for problem in report.problems}


@pytest.mark.parametrize("name", list(SETS))
@pytest.mark.parametrize("kind", ["pdebench", "the_well", "neuraloperator"])
def test_what_we_export_passes(ours, tmp_path, name, kind):
    if kind == "neuraloperator":
        pytest.importorskip("torch")
    try:
        exported = export(ours(name), kind, tmp_path / "out")
    except FormatError:
        assert kind == "pdebench"
        return
    paths = [p for p in exported.files if p.suffix in (".h5", ".hdf5")] if kind == "pdebench" else [tmp_path / "out"]
    for path in paths:
        report = verify(path)
        assert report.passed, str(report)
        assert report.foreign == kind and report.checks["structure"] == "as specified" and report.samples


# PDEBench's Darcy layout -----------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.01, 1.0])
def test_labels_marched_to_steady_state_pass_and_early_ones_are_flagged(tmp_path, beta):
    rng = np.random.default_rng(5)
    a, u0 = coefficients(rng, 20, 12), beginnings(rng, 20, 12)
    steady = verify(write_darcy(tmp_path / "steady.hdf5", a, states(u0, a, beta, 40.0), beta))
    assert steady.passed, str(steady)
    assert steady.label_errors.max() < 1e-6
    assert steady.checks["discretisation"].startswith("arithmetic face means, u = 0 a whole cell")
    early = verify(write_darcy(tmp_path / "early.hdf5", a, states(u0, a, beta, 1.75), beta))
    flagged = np.flatnonzero(early.label_errors > 1e-4)
    assert [problem.index for problem in early.problems] == flagged.tolist()
    assert len(flagged) == early.count > 5
    assert early.checks["labels"] == f"{len(flagged)} of 20 farther than 1e-04"
    for word in ("median", "90 % below", "worst", f"β = {beta:g}"):
        assert word in early.checks["steady state"]
    assert all("from the steady state" in problem.what for problem in early.problems)
    loose = verify(tmp_path / "early.hdf5", label_tolerance=float(early.label_errors.max()))
    assert loose.passed


def test_a_darcy_set_without_beta_is_checked_as_far_as_it_goes(tmp_path):
    a = np.random.default_rng(0).uniform(1, 2, (4, 8, 8))
    report = verify(write_darcy(tmp_path / "x.hdf5", a, a, None))
    assert not report.passed and report.samples == 4
    assert any("does not say its source" in problem.what for problem in report.problems)


def test_damage_of_a_pdebench_file_is_named(tmp_path):
    rng = np.random.default_rng(0)
    a = coefficients(rng, 30, 8)
    u = states(beginnings(rng, 30, 8), a, 1.0, 40.0)
    a[29], u[29] = a[0], u[0]
    path = write_darcy(tmp_path / "wrong.h5", a, u, 1.0)
    with h5py.File(path, "r+") as file:
        file["tensor"][3, 0, 2, 5] = np.nan
        file["tensor"][7] = 0.25
        del file["y-coordinate"]
        file["y-coordinate"] = np.arange(9.0)
    report = verify(path)
    found = [str(problem) for problem in report.problems]
    assert "file: its name ends in h5, which PDEBench's loader of such files refuses: call it .hdf5" in found
    assert "y-coordinate: has shape (9,), expected (8,)" in found
    assert "sample 3, tensor: holds 1 number that is not finite, first at [2, 5]" in found
    assert "sample 7, tensor: is one constant" in found
    assert "sample 29, inputs: are those of sample 0: one is in train, the other in test" in found


# The Well --------------------------------------------------------------------------------------------------

FAULTS = {
    "a flag of time": (lambda f: f["dimensions/time"].attrs.pop("time_varying"), "dimensions/time"),
    "a flag that is a number": (lambda f: f["t0_fields/c"].attrs.__setitem__("sample_varying", 1), "t0_fields/c"),
    "a group": (lambda f: f.pop("t2_fields"), "t2_fields"),
    "boundary_conditions": (lambda f: f.pop("boundary_conditions"), "boundary_conditions"),
    "a root attribute": (lambda f: f.attrs.pop("grid_type"), "grid_type"),
    "a parameter": (lambda f: f.attrs.__setitem__("simulation_parameters", ["speed"]), "speed"),
    "spatial_dims": (lambda f: f["dimensions"].attrs.__setitem__("spatial_dims", ["x"]), "dimensions"),
    "a coordinate": (lambda f: f["dimensions/x"].__setitem__(3, -1.0), "dimensions/x"),
    "a mask": (
        lambda f: f["boundary_conditions/x_periodic"].pop("mask"),
        "boundary_conditions/x_periodic",
    ),
    "a list": (
        lambda f: f["boundary_conditions/x_periodic"].attrs.__setitem__("associated_dims", "x"),
        "boundary_conditions/x_periodic",
    ),
    "a boundary": (
        lambda f: f["boundary_conditions/x_periodic"].attrs.__setitem__("bc_type", "DIRICHLET"),
        "boundary_conditions/x_periodic",
    ),
    "a named field": (lambda f: f["t0_fields"].attrs.__setitem__("field_names", ["u", "v", "c", "p"]), "t0_fields/p"),
    "dim_varying": (lambda f: f["t0_fields/u"].attrs.__setitem__("dim_varying", [True]), "t0_fields/u"),
    "the time": (lambda f: f["t0_fields/u"].attrs.__setitem__("time_varying", False), "t0_fields/u"),
    "trajectories": (lambda f: f.attrs.__setitem__("n_trajectories", 3), "t0_fields/u"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_each_departure_from_the_specification_of_the_well_is_found(ours, tmp_path, fault):
    export(ours("wave2d"), "the_well", tmp_path / "well")
    path = tmp_path / "well/data/train/wave2d.hdf5"
    spoil, where = FAULTS[fault]
    with h5py.File(path, "r+") as file:
        spoil(file)
    report = verify(tmp_path / "well")
    assert not report.passed
    assert f"train/wave2d.hdf5: {where}" in fields(report), str(report)
    assert where in fields(verify(path))


def test_folders_of_the_well_must_be_whole_and_of_one_kind(ours, tmp_path):
    export(ours("wave2d"), "the_well", tmp_path / "well")
    (tmp_path / "well/stats.yaml").unlink()
    (tmp_path / "well/data/valid/wave2d.hdf5").unlink()
    with h5py.File(tmp_path / "well/data/test/wave2d.hdf5", "r+") as file:
        file.attrs["dataset_name"] = "other"
    found = {(p.field, p.what) for p in verify(tmp_path / "well").problems}
    assert ("stats.yaml", "is missing: the loader cannot normalise") in found
    assert ("data/valid", "holds no HDF5 file") in found
    assert ("data/test/wave2d.hdf5", "dataset_name is other, in data/train/wave2d.hdf5 it is wave2d") in found


def test_numbers_and_splits_of_the_well(ours, tmp_path):
    export(ours("darcy2d"), "the_well", tmp_path / "well")
    data = tmp_path / "well/data"
    with h5py.File(data / "train/darcy2d.hdf5", "r+") as train, h5py.File(data / "test/darcy2d.hdf5", "r+") as test:
        test["t0_fields/a"][1] = train["t0_fields/a"][4]
        train["t0_fields/a"][6] = train["t0_fields/a"][5]
        train["t0_fields/u"][2, 0] = 0.0
        train["t0_fields/u"][3, 0, 1, 1] = np.inf
    report = verify(tmp_path / "well")
    found = [str(problem) for problem in report.problems]
    assert any("u: is one constant" in text and text.startswith("sample 2") for text in found)
    assert any("u: holds 1 number that is not finite" in text for text in found)
    assert any("inputs: are those of sample 4: one is in test, the other in train" in text for text in found)
    assert report.count == 3 and "1 inputs repeat within a split" in report.checks["splits"]


# neuraloperator, and everything ------------------------------------------------------------------------------


def test_tensors_of_another_precision_and_without_a_test_split(tmp_path):
    torch = pytest.importorskip("torch")
    x = torch.rand(3, 8, 8) > 0.5
    torch.save({"x": x, "y": torch.rand(3, 8, 8, dtype=torch.float64)}, tmp_path / "darcy_train_8.pt")
    report = verify(tmp_path / "darcy_train_8.pt")
    assert fields(report) == {"test split", "x", "y"}
    assert "is bool" in str(report) and "is float64" in str(report)


def test_something_that_is_no_dataset_at_all(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(FormatError, match="is not a dataset of this package"):
        verify(tmp_path / "other.h5")
    with pytest.raises(FormatError, match="none of the known formats"):
        datasets.foreign.verify_foreign(tmp_path / "other.h5")
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "none.h5")


@pytest.mark.parametrize("options", [{"label_tolerance": 0.0}, {"label_tolerance": -1.0}, {"target_error": 0.0}])
def test_tolerances_that_are_none(ours, tmp_path, options):
    export(ours("darcy2d"), "pdebench", tmp_path / "d.hdf5")
    with pytest.raises(ValueError, match="positive"):
        verify(tmp_path / "d.hdf5", **options)


def test_a_truncated_file_is_reported(ours, tmp_path):
    export(ours("darcy2d"), "pdebench", tmp_path / "d.hdf5")
    whole = (tmp_path / "d.hdf5").read_bytes()
    (tmp_path / "d.hdf5").write_bytes(whole[: len(whole) // 2])
    report = verify(tmp_path / "d.hdf5")
    assert not report.passed and "is cut short" in report.problems[0].what
