"""What cannot be exported, opened or overwritten, and what the messages say."""

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from resolvent import datasets
from resolvent.datasets import FormatError, StorageError, export, open_foreign
from resolvent.datasets.foreign import DATASET_FORMATS, MODEL_FORMATS, foreign_format, is_model
from resolvent.datasets.foreign import staging as staging_module


@pytest.mark.parametrize(
    "name, match",
    [
        ("darcy3d", "only layout of stationary problems is that of 2-D Darcy flow.*the_well and neuraloperator"),
        ("poisson_chebyshev", "this is poisson_chebyshev: the_well and neuraloperator hold it"),
        ("helmholtz2d", "this is helmholtz2d"),
        ("darcy_source", "a source f that varies"),
        ("wave2d", "no place for fixed fields, and this set has c"),
        ("heat2d_step", "this is heat2d_step"),
    ],
)
def test_what_pdebench_cannot_hold_is_refused_with_a_format_that_can(ours, tmp_path, name, match):
    with pytest.raises(FormatError, match=match):
        export(ours(name), "pdebench", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_one_file_for_several_parameters_is_refused(ours, tmp_path):
    with pytest.raises(FormatError, match=r"one value of Nu, and this set has 2 .*give a folder"):
        export(ours("burgers1d"), "pdebench", tmp_path / "burgers.hdf5")


@pytest.mark.parametrize("name, wrong, right", [("darcy2d", "d.h5", "d.hdf5"), ("diffreact2d", "d.hdf5", "d.h5")])
def test_names_that_pdebenchs_loaders_refuse(ours, tmp_path, name, wrong, right):
    with pytest.raises(ValueError, match=f"call it {right}"):
        export(ours(name), "pdebench", tmp_path / wrong)


def test_the_single_loader_needs_group_0023(ours, tmp_path):
    few = ours("diffreact2d").select(slice(10))
    with pytest.raises(FormatError, match="opens group 0023, so it needs 24 samples, and there are 10"):
        export(few, "pdebench", tmp_path / "few.h5")
    export(few, "pdebench", tmp_path / "few.h5", loader="multi")
    assert len(open_foreign(tmp_path / "few.h5")) == 10


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"format": "netcdf"}, "the format 'netcdf' is unknown: a dataset is exported as pdebench, the_well"),
        ({"format": MODEL_FORMATS[0]}, "is one for models: a dataset is exported as"),
        ({"format": "the_well", "steady": "no"}, "steady must be one of fields, limit"),
        ({"format": "pdebench", "loader": "both"}, "loader must be one of single, multi"),
        ({"format": "the_well", "name": "../x"}, "cannot be '../x'"),
        ({"format": "the_well", "name": ""}, "cannot be ''"),
        ({"format": "the_well", "name": "x" * 201}, "too long"),
        ({"format": "the_well", "out": "a.h5"}, "the_well is a folder"),
        ({"format": "neuraloperator", "out": "a.pt"}, "neuraloperator is a folder"),
    ],
)
def test_wrong_arguments(ours, tmp_path, arguments, match):
    arguments = {"out": "out"} | arguments
    arguments["out"] = tmp_path / arguments["out"]
    with pytest.raises(ValueError, match=match):
        export(ours("darcy2d"), **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", DATASET_FORMATS)
def test_nothing_is_overwritten_unasked(ours, tmp_path, kind):
    if kind == "neuraloperator":
        pytest.importorskip("torch")
    out = tmp_path / "out"
    first = export(ours("darcy2d"), kind, out)
    before = {path: path.read_bytes() for path in first.files}
    with pytest.raises(StorageError, match="exists already: choose another output, or replace it"):
        export(ours("darcy2d"), kind, out)
    assert {path: path.read_bytes() for path in first.files} == before
    first.files[0].write_bytes(b"something else")
    export(ours("darcy2d"), kind, out, overwrite=True)
    assert first.files[0].read_bytes() != b"something else"
    assert not list(tmp_path.rglob("*.tmp*"))


def test_our_own_datasets_are_never_overwritten(ours, tmp_path):
    target = tmp_path / "ours.hdf5"
    target.write_bytes(ours("darcy2d").path.read_bytes())
    with pytest.raises(FormatError, match="is a dataset of this package and stays"):
        export(ours("darcy2d"), "pdebench", target, overwrite=True)
    assert target.read_bytes() == ours("darcy2d").path.read_bytes()


def test_files_of_another_set_are_no_company_in_the_well(ours, tmp_path):
    export(ours("darcy2d"), "the_well", tmp_path / "well")
    with pytest.raises(FormatError, match=r"holds darcy2d\.hdf5, which is of another set"):
        export(ours("heat2d_step"), "the_well", tmp_path / "well", overwrite=True)


def test_places_that_cannot_be_written(ours, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a part of the path is a file"):
        export(ours("darcy2d"), "pdebench", tmp_path / "file" / "d.hdf5")
    (tmp_path / "d.hdf5").mkdir()
    with pytest.raises(StorageError, match="is a folder, expected a file"):
        export(ours("darcy2d"), "pdebench", tmp_path / "d.hdf5")
    monkeypatch.setattr(
        staging_module.shutil, "disk_usage", lambda _: type("disk", (), {"free": 1000, "total": 2000, "used": 1000})
    )
    with pytest.raises(StorageError, match="1000 B are free; nothing was written"):
        export(ours("darcy2d"), "the_well", tmp_path / "well")
    assert not (tmp_path / "well").exists()


def test_an_export_that_fails_leaves_nothing(ours, tmp_path):
    def stop(progress):
        if progress.done == 7:
            raise RuntimeError("enough")

    for kind in ("pdebench", "the_well"):
        with pytest.raises(RuntimeError, match="enough"):
            export(ours("darcy2d"), kind, tmp_path / "deep" / "out", progress=stop)
    assert list(tmp_path.rglob("*")) == []


KILLED = """
import sys, time
from resolvent import datasets
def slow(progress):
    print(progress.done, flush=True)
    time.sleep(0.2)
datasets.export(sys.argv[1], "the_well", sys.argv[2], progress=slow)
"""


def test_a_killed_export_shows_no_file_and_the_next_one_works(ours, tmp_path):
    out = tmp_path / "well"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(ours("darcy2d").path), str(out)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        text=True,
    )
    assert child.stdout.readline().strip() == "1"
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert not out.exists()
    export(ours("darcy2d"), "the_well", out)
    assert datasets.verify(out).passed


def test_numbers_that_single_precision_cannot_hold(ours, tmp_path):
    copy = tmp_path / "large.h5"
    copy.write_bytes(ours("darcy2d").path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file["solution/u"][4, 2, 2] = 1e39
    with pytest.raises(FormatError, match=r"u holds 1e\+39, which single precision"):
        export(copy, "pdebench", tmp_path / "out.hdf5")
    with h5py.File(copy, "r+") as file:
        file["solution/u"][4, 2, 2] = np.inf
    with pytest.raises(FormatError, match="not finite: `verify` the dataset"):
        export(copy, "pdebench", tmp_path / "out.hdf5")
    with h5py.File(copy, "r+") as file:
        file["certificate/certified"][...] = False
    with pytest.raises(FormatError, match="no certified sample among the 30"):
        export(copy, "pdebench", tmp_path / "out.hdf5")


# What is to be exported ---------------------------------------------------------------------------------------------


def test_what_is_foreign_already_is_named(ours, tmp_path):
    export(ours("darcy2d"), "pdebench", tmp_path / "a.hdf5")
    with pytest.raises(FormatError, match="is in the format pdebench already"):
        export(tmp_path / "a.hdf5", "the_well", tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        export(tmp_path / "none.h5", "the_well", tmp_path / "b")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(FormatError, match="is not a dataset of this package"):
        export(tmp_path / "text.h5", "the_well", tmp_path / "b")


def test_models_are_recognised_by_content_and_by_name(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pt")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.bin")
    torch.save({"x": torch.zeros(2, 3), "y": torch.zeros(2, 3)}, tmp_path / "pairs.pt")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    assert [is_model(tmp_path / name) for name in ("weights.pt", "weights.bin", "model.onnx")] == [True] * 3
    assert [is_model(tmp_path / name) for name in ("pairs.pt", "arrays.npz", "none.pt")] == [False] * 3
    assert foreign_format(tmp_path / "pairs.pt") == "neuraloperator"
    with pytest.raises(FormatError, match=r"weights.pt is a model or its checkpoint, not a dataset"):
        export(tmp_path / "weights.pt", "pdebench", tmp_path / "out")


# What is to be opened -----------------------------------------------------------------------------------------------


def test_what_cannot_be_opened_is_named(ours, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no foreign dataset"):
        open_foreign(tmp_path / "none")
    with pytest.raises(FormatError, match=r"read it with `resolvent\.datasets\.open`"):
        open_foreign(ours("darcy2d").path)
    (tmp_path / "empty.h5").write_bytes(b"")
    with pytest.raises(FormatError, match="none of the known formats"):
        open_foreign(tmp_path / "empty.h5")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FormatError, match="none of the known formats"):
        open_foreign(tmp_path / "folder")


def test_files_that_would_have_to_run_code_are_not_read(tmp_path):
    torch = pytest.importorskip("torch")

    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    torch.save({"x": Harmful(), "y": torch.zeros(2, 2)}, tmp_path / "darcy_train_16.pt")
    with pytest.raises(FormatError, match="reading them can run code"):
        open_foreign(tmp_path / "darcy_train_16.pt")
    with pytest.raises(FormatError, match="reading them can run code"):
        open_foreign(tmp_path)
    assert not (tmp_path / "harm").exists()


def test_damaged_tensors_are_named(ours, tmp_path):
    pytest.importorskip("torch")
    export(ours("darcy2d"), "neuraloperator", tmp_path)
    path = tmp_path / "darcy2d_train_16.pt"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"PK\x03\x04 and no more", b""):
        path.write_bytes(content)
        with pytest.raises(FormatError, match="cannot be read as a file of torch tensors"):
            open_foreign(path)
        report = datasets.verify(tmp_path)
        assert not report.passed and "cannot be read as a file of torch tensors" in report.problems[0].what


@pytest.mark.parametrize(
    "content, match",
    [
        ({"x": (3, 4, 4), "y": (2, 4, 4)}, "hold .* samples, expected one number"),
        ({"x": (3, 4, 4), "y": None}, "y is not a tensor"),
    ],
)
def test_tensors_that_do_not_fit_together(tmp_path, content, match):
    torch = pytest.importorskip("torch")
    path = tmp_path / "a_train_4.pt"
    torch.save({k: "text" if shape is None else torch.zeros(shape) for k, shape in content.items()}, path)
    with pytest.raises(FormatError, match=match):
        open_foreign(path)


def test_several_sets_of_tensors_in_a_folder_are_not_guessed_among(tmp_path):
    torch = pytest.importorskip("torch")
    for name in ("a_train_4.pt", "b_train_4.pt"):
        torch.save({"x": torch.zeros(2, 4), "y": torch.zeros(2, 4)}, tmp_path / name)
    with pytest.raises(FormatError, match="holds 2 sets of tensors"):
        open_foreign(tmp_path)
    assert len(open_foreign(tmp_path / "a_train_4.pt")) == 2


@pytest.mark.parametrize(
    "shape, nu, match",
    [
        ((3, 2, 4, 4), (3, 4, 4), "has 2 frames"),
        ((3, 1, 4, 4), (3, 5, 4), "expected nu of shape"),
        ((3, 4), None, "2 axes"),
    ],
)
def test_pdebench_files_of_a_wrong_shape(tmp_path, shape, nu, match):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["tensor"] = np.zeros(shape, np.float32)
        if nu:
            file["nu"] = np.zeros(nu, np.float32)
    with pytest.raises(FormatError, match=match):
        open_foreign(tmp_path / "a.hdf5")


def test_pdebenchs_compressible_flow_is_read(tmp_path):
    rng = np.random.default_rng(0)
    fields = {name: rng.random((3, 4, 5, 6)).astype(np.float32) for name in ("density", "pressure", "Vx", "Vy")}
    with h5py.File(tmp_path / "2D_CFD.hdf5", "w") as file:
        for name, values in fields.items():
            file[name] = values
        file["t-coordinate"], file["x-coordinate"], file["y-coordinate"] = np.arange(5), np.arange(5), np.arange(6)
        file.attrs["eta"] = 0.1
    with open_foreign(tmp_path / "2D_CFD.hdf5") as theirs:
        assert theirs.layout == "flow" and list(theirs.fields) == list(fields) and theirs.axes["t"].shape == (4,)
        np.testing.assert_array_equal(theirs[1]["Vy"], fields["Vy"][1])
    assert datasets.verify(tmp_path / "2D_CFD.hdf5").checks["structure"] == "as specified"
