import multiprocessing
import pickle

import h5py
import numpy as np
import pytest

import resolvent.datasets as datasets
from resolvent.datasets import FormatError


@pytest.fixture
def ds(make):
    with make(30) as ds:
        yield ds


def test_one_sample_is_a_dict_of_arrays(ds):
    sample = ds[3]
    assert list(sample) == ["strength", "a", "f", "u"]
    assert sample["u"].shape == (16,)
    assert sample["strength"].shape == ()
    assert np.array_equal(ds[-1]["a"], ds[29]["a"])


@pytest.mark.parametrize(
    "which", [slice(2, 9, 3), [5, 2, 2, 7], np.array([0, 1, 2]), slice(0, 0), np.arange(30) % 2 == 0]
)
def test_several_samples_are_stacked(ds, which):
    whole = ds[:]
    for name, values in ds[which].items():
        assert np.array_equal(values, whole[name][which])


def test_iteration_and_columns(ds):
    assert len(list(ds)) == len(ds) == 30
    assert np.array_equal(np.array([sample["u"] for sample in ds]), ds.column("u"))
    assert ds.column("certificate/rho_stored").shape == (30,)
    assert ds.column("u", 4).shape == (16,)


def test_what_is_about_the_set(ds, tiny):
    assert ds.fields == tiny.fields()
    assert np.array_equal(ds.axes["x"], tiny.axes()["x"])
    assert ds.attributes["equation"] == tiny.equation
    assert ds.config["family"] == tiny.config()
    assert ds.provenance["family"]["law"] == tiny.law()
    assert set(ds.timing) == {"draw", "assemble", "solve", "certify", "write"}
    assert ds.certificates["certified"].all()
    assert len(ds.content_sha256) == 64
    assert "30 samples of strength, a (16,), f (16,), u (16,)" in repr(ds)


def test_splits_are_disjoint_complete_and_selections(ds):
    splits = {name: ds.split(name) for name in ("train", "valid", "test")}
    assert [len(split) for split in splits.values()] == [24, 3, 3]
    indices = np.concatenate([split.indices for split in splits.values()])
    assert sorted(indices) == list(range(30))
    inputs = ds.column("a")
    for split in splits.values():
        assert np.array_equal(split.column("a"), inputs[split.indices])
        assert np.array_equal(split[1]["a"], inputs[split.indices[1]])
    assert len(ds.split("train").select([0, 1]).split("train")) == 2
    assert "24 of 30 samples" in repr(splits["train"])
    with pytest.raises(ValueError, match="a split is one of train, valid, test"):
        ds.split("validation")


def test_statistics_are_those_of_the_train_split(ds):
    train = ds.split("train")
    for name, stated in ds.statistics.items():
        values = train.column(name)
        assert stated["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert stated["std"] == pytest.approx(values.std(), rel=1e-12)
        assert (stated["min"], stated["max"], stated["count"]) == (values.min(), values.max(), values.size)


@pytest.mark.parametrize("which", [30, -31, [0, 30]])
def test_samples_out_of_range(ds, which):
    with pytest.raises(IndexError, match="out of range: there are 30 samples"):
        ds[which]


def test_wrong_selections_and_names(ds):
    with pytest.raises(TypeError, match="a number, a slice or a list"):
        ds["u"]
    with pytest.raises(IndexError, match="mask needs one entry for each of the 30"):
        ds[np.array([True, False])]
    for name in ("v", "solution", "content_sha256"):
        with pytest.raises(KeyError, match="expected one of strength, a, f, u"):
            ds.column(name)


def test_a_dataset_can_be_pickled_while_open(ds):
    u = ds.split("test").column("u")
    copy = pickle.loads(pickle.dumps(ds.split("test")))
    assert np.array_equal(copy.column("u"), u)


def read_in_child(ds, queue):
    queue.put(ds.column("u"))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_dataset_that_is_open_can_be_read_after_a_fork(ds):
    u = ds.column("u")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=read_in_child, args=(ds, queue)) for _ in range(2)]
    for child in children:
        child.start()
    assert all(np.array_equal(queue.get(timeout=60), u) for _ in children)
    for child in children:
        child.join()
    assert np.array_equal(ds.column("u"), u)


def test_a_closed_dataset_reopens(ds):
    ds.close()
    assert ds[0]["u"].shape == (16,)


def test_an_open_dataset_reads_what_it_opened_while_the_file_grows(make):
    ds = make(10)
    u = ds.column("u")
    assert len(make(20)) == 20
    assert np.array_equal(ds.column("u"), u)
    ds.close()
    assert np.array_equal(ds.column("u"), u)  # the same samples of the longer file


def test_a_user_may_have_the_file_open_in_h5py(make):
    path = make(10).path
    with h5py.File(path) as file:
        assert len(make(20)) == 20
        assert file["index"].shape == (10,)


def test_the_family_is_rebuilt_from_the_file(make):
    families = pytest.importorskip("resolvent.datasets.families")
    name = families.names()[0]
    family = families.get(name, resolution=8)
    from tiny_family import TinyLU

    ds = make(2, family=family, solver=TinyLU())
    assert ds.family() == family


# Files that are not what they should be -------------------------------------------------------------------------------


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no dataset"):
        datasets.open(tmp_path / "none.h5")


def test_a_folder(tmp_path):
    with pytest.raises(FormatError, match="is a folder"):
        datasets.open(tmp_path)


def test_not_hdf5(tmp_path):
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FormatError, match=r"not a dataset of this package: .* not an HDF5 file"):
        datasets.open(tmp_path / "text.h5")


def test_hdf5_of_something_else(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["format"] = "weather"
    with pytest.raises(FormatError, match=r"not a dataset of this package: expected .* found 'weather'"):
        datasets.open(tmp_path / "other.h5")


def test_a_newer_version(ds):
    ds.close()
    with h5py.File(ds.path, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(FormatError, match="format version 99, this version reads up to 1: upgrade"):
        datasets.open(ds.path)


@pytest.mark.parametrize("kept", [0.99, 0.5, 0.1])
def test_a_file_cut_short(ds, kept):
    ds.close()
    content = ds.path.read_bytes()
    ds.path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FormatError, match=r"cut short|damaged"):
        datasets.open(ds.path)


@pytest.mark.parametrize("lost", ["index", "solution/u", "digests"])
def test_a_file_without_a_part(ds, lost):
    ds.close()
    with h5py.File(ds.path, "r+") as file:
        del file[lost]
    with pytest.raises(FormatError, match="damaged: its structure cannot be read"):
        datasets.open(ds.path)


def test_a_file_with_a_column_of_another_length(ds):
    ds.close()
    with h5py.File(ds.path, "r+") as file:
        del file["solution/u"]
        file["solution/u"] = np.zeros((29, 16))
        file["solution/u"].attrs.update({"description": "", "units": "1", "kind": "real"})
    with pytest.raises(FormatError, match="solution/u has 29 samples, expected 30"):
        datasets.open(ds.path)
