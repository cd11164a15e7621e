import itertools
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from tiny_family import TinyChain, TinyDiffusion, TinyEnsemble, TinyLU

import resolvent.datasets as datasets
from resolvent.datasets import ConfigurationMismatch, FormatError, StorageError


def content(ds, n=None):
    """The bytes of the first n samples: digests cover parameters, inputs, solution and certificate."""
    return ds.column("digests/sample")[:n].tobytes()


def parts(ds_or_path):
    path = getattr(ds_or_path, "path", ds_or_path)
    return path.with_name(path.name + ".parts")


# Determinism ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [TinyLU(), TinyChain(), TinyEnsemble()])
@pytest.mark.parametrize("n", [1, 7, 8, 19])
def test_a_shorter_set_is_a_prefix_of_a_longer_one_in_every_bit(make, method, n):
    longer = make(24, "long.h5", solver=method)
    shorter = make(n, "short.h5", solver=method)
    assert content(shorter) == content(longer, n)
    assert np.array_equal(shorter.column("u"), longer.column("u")[:n])
    assert np.array_equal(shorter.column("split"), longer.column("split")[:n])


def test_the_number_of_workers_never_changes_the_content(make):
    digests = {make(40, f"{workers}.h5", workers=workers).content_sha256 for workers in (1, 2, 4)}
    assert len(digests) == 1


def test_chunks_do_depend_on_their_border_with_a_method_that_carries_state(make):
    """The test above proves something only if state would show."""
    assert make(16, "a.h5", chunk=8).content_sha256 != make(16, "b.h5", chunk=16).content_sha256


def test_any_executor_runs_chunks_and_stays_open(make):
    reference = make(40, "reference.h5")
    with ThreadPoolExecutor(2) as executor:
        assert make(40, "pool.h5", executor=executor, workers=2).content_sha256 == reference.content_sha256
        assert executor.submit(int, 3).result() == 3


def test_a_dask_cluster_runs_chunks(make):
    distributed = pytest.importorskip("distributed")
    reference = make(24, "reference.h5")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        ds = make(24, "dask.h5", executor=client.get_executor(), workers=1)
    assert ds.content_sha256 == reference.content_sha256


def test_no_more_chunks_are_in_flight_than_twice_the_workers(make):
    in_flight = []

    class Counting(ThreadPoolExecutor):
        waiting = 0

        def submit(self, *args, **options):
            Counting.waiting += 1
            in_flight.append(Counting.waiting)
            future = super().submit(*args, **options)
            future.add_done_callback(lambda _: setattr(Counting, "waiting", Counting.waiting - 1))
            return future

    with Counting(1) as executor:
        make(40, chunk=2, solver=TinyLU(), executor=executor, workers=1)
    assert len(in_flight) == 20
    assert max(in_flight) <= 2


def test_another_seed_gives_other_samples(make):
    assert not np.isin(make(4, "a.h5", seed=1).column("a"), make(4, "b.h5", seed=2).column("a")).any()


def test_times_are_stored_and_account_for_the_wall_time(make):
    ds = make(24)
    stages = ("draw", "assemble", "sort", "solve", "certify", "write")
    chunks = ds.chunks
    booked = sum(chunks[f"seconds_{stage}"] for stage in stages)
    assert np.allclose(booked, chunks["seconds_wall"], rtol=0.05)
    per_sample = sum(ds.timing[stage].sum() for stage in stages if stage != "sort")
    assert 0.0 < per_sample <= chunks["seconds_wall"].sum()
    assert all((ds.timing[stage] > 0).all() for stage in ("draw", "assemble", "solve", "certify", "write"))


# Resuming and extending ----------------------------------------------------------------------------------------------


def test_the_same_call_again_has_nothing_to_do(make):
    ds = make(10)
    before = ds.path.stat()
    again = make(10)
    after = ds.path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert len(again) == 10
    assert not parts(ds).exists()


@pytest.mark.parametrize("method", [TinyChain(), TinyEnsemble()])
@pytest.mark.parametrize("steps", [(8, 24), (5, 6, 24), (20, 23)])
def test_an_extended_set_equals_one_made_at_once(make, method, steps):
    whole = make(steps[-1], "whole.h5", solver=method)
    for n in steps:
        grown = make(n, "grown.h5", solver=method)
        assert len(grown) == n
    assert grown.content_sha256 == whole.content_sha256
    assert grown.statistics == whole.statistics
    assert np.array_equal(grown.column("split"), whole.column("split"))
    assert grown.chunks["stop"][-1] == steps[-1]
    assert len(grown.provenance["sessions"]) == len(steps)
    assert not parts(grown).exists()


def test_extension_does_not_touch_published_samples(make, monkeypatch):
    first = make(12)
    old = first.column("u")
    # Even if this machine would now solve the partial chunk in another way.
    monkeypatch.setattr(TinyChain, "start", TinyLU.start)
    grown = make(20)
    assert np.array_equal(grown.column("u")[:12], old)


def test_extension_of_a_damaged_file_is_refused(make):
    ds = make(12)
    with h5py.File(ds.path, "r+") as file:
        file["solution/u"][3, 0] += 1e-3
    with pytest.raises(FormatError, match="altered"):
        make(20)
    assert len(list(parts(ds).glob("shard-*.npy"))) == 2  # what was made for it is kept


def test_fewer_samples_than_there_are_is_refused(make):
    make(12)
    with pytest.raises(ValueError, match="has 12 samples already"):
        make(5)


def test_an_unfinished_set_may_be_finished_with_another_number(make):
    interrupt_after(make, 17, n=40)
    ds = make(11)
    assert ds.content_sha256 == make(11, "reference.h5").content_sha256


def interrupt_after(make, samples, **options):
    def progress(state):
        if state.phase == "generate" and state.done >= samples:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        make(progress=progress, **options)
    return caught.value


def test_an_interrupted_run_says_what_it_has_and_resumes(make):
    error = interrupt_after(make, 19, n=40)
    assert isinstance(error, datasets.GenerationInterrupted)
    assert (error.done, error.total) == (16, 40)
    assert "16 of 40" in str(error)
    seen = []
    ds = make(40, progress=seen.append)
    assert ds.content_sha256 == make(40, "reference.h5").content_sha256
    assert seen[0].resumed == 16
    assert len(ds.provenance["sessions"]) == 2


def test_an_interruption_before_the_first_chunk_leaves_nothing(make, tmp_path):
    error = interrupt_after(make, 3, n=40)
    assert error.done == 0
    assert "nothing is left" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_progress_goes_from_what_was_there_to_all(make):
    seen = []
    make(20, progress=seen.append)
    generated = [state for state in seen if state.phase == "generate"]
    assert [generated[0].done, generated[-1].done] == [0, 20]
    assert all(a.done <= b.done for a, b in itertools.pairwise(generated))
    assert generated[-1].worst_rho <= 1e-8
    assert generated[-1].rate > 0
    assert seen[-1].phase == "publish"
    assert seen[-1].done == 20


# Configurations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "key", "values"),
    [
        ({"seed": 1}, "seed", (0, 1)),
        ({"rtol": 1e-6}, "rtol", (1e-8, 1e-6)),
        ({"chunk": 4}, "chunk", (8, 4)),
        ({"dtype": "float32"}, "dtype", ("float64", "float32")),
        ({"family": TinyDiffusion(resolution=8)}, "family.resolution", (16, 8)),
        ({"solver": TinyLU()}, "solver", ("TinyChain()", "TinyLU()")),
        ({"splits": (0.5, 0.25, 0.25)}, "splits", ([0.8, 0.1, 0.1], [0.5, 0.25, 0.25])),
        ({"threads": 2}, "threads", (1, 2)),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_another_configuration_is_refused_and_the_difference_named(make, finished, change, key, values):
    if finished:
        make(10)
    else:
        interrupt_after(make, 9, n=10)
    with pytest.raises(ConfigurationMismatch) as caught:
        make(10, **change)
    assert caught.value.differences[key] == values
    assert f"{key}: {values[0]!r} there, {values[1]!r} requested" in str(caught.value)
    assert len(make(10)) == 10  # and nothing was harmed


@pytest.mark.parametrize("finished", [True, False])
def test_overwrite_discards_another_configuration(make, finished):
    if finished:
        make(10)
    else:
        interrupt_after(make, 9, n=10)
    ds = make(6, seed=1, overwrite=True)
    assert ds.content_sha256 == make(6, "reference.h5", seed=1).content_sha256


def test_workers_and_progress_are_not_part_of_the_configuration(make):
    make(10)
    assert len(make(10, workers=3, progress=lambda state: None)) == 10


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, "n must be"),
        ({"n": 2.5}, TypeError, "n must be"),
        ({"seed": -1}, ValueError, "seed must be"),
        ({"workers": 0}, ValueError, "workers must be"),
        ({"chunk": 0}, ValueError, "chunk must be"),
        ({"threads": 0}, ValueError, "threads must be"),
        ({"rtol": 0.0}, ValueError, "rtol must be"),
        ({"rtol": float("nan")}, ValueError, "rtol must be"),
        ({"dtype": "float16"}, ValueError, "dtype must be"),
        ({"on_failure": "ignore"}, ValueError, "on_failure must be"),
        ({"splits": (1, 2, 3)}, ValueError, "splits needs"),
        ({"solver": "magic"}, ValueError, "solver must be one of 'auto'"),
        ({"solver": 3}, TypeError, "solver must be"),
        ({"solver": TinyEnsemble(), "chunk": 6}, ValueError, "multiple"),
        ({"family": "no such family"}, ValueError, "unknown family"),
        ({"family": object()}, TypeError, "family must be"),
    ],
)
def test_wrong_arguments_are_named_and_leave_nothing(make, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        make(**({"n": 5} | options))
    assert list(tmp_path.iterdir()) == []


# Outputs -------------------------------------------------------------------------------------------------------------


def test_missing_folders_are_made(make):
    assert len(make(3, "some/new/folder/set.h5")) == 3


def test_an_output_below_a_file_is_refused(make, tmp_path):
    (tmp_path / "file").write_text("content")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        make(3, "file/set.h5")
    assert (tmp_path / "file").read_text() == "content"


def test_an_output_that_cannot_be_written_is_refused():
    with pytest.raises(StorageError, match="cannot work in /proc"):
        datasets.generate(TinyDiffusion(), 3, out="/proc/set.h5", solver=TinyLU())


def test_a_folder_as_output_is_refused(make, tmp_path):
    (tmp_path / "set.h5").mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        make(3, "set.h5")


@pytest.mark.parametrize("kind", ["text", "hdf5", "empty"])
def test_a_foreign_file_is_never_overwritten(make, tmp_path, kind):
    path = tmp_path / "set.h5"
    if kind == "hdf5":
        with h5py.File(path, "w") as file:
            file["precious"] = 1.0
    else:
        path.write_text("precious" if kind == "text" else "")
    before = path.read_bytes()
    for overwrite, solver in itertools.product((False, True), ("auto", TinyLU())):
        with pytest.raises(FormatError, match="Nothing was overwritten"):
            make(3, "set.h5", overwrite=overwrite, solver=solver)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["set.h5"]


def test_a_foreign_parts_folder_is_left_alone(make, tmp_path):
    folder = tmp_path / "set.h5.parts"
    folder.mkdir()
    (folder / "thesis.tex").write_text("precious")
    with pytest.raises(StorageError, match=r"not parts of a set \(thesis.tex\)"):
        make(3, "set.h5")
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_a_manifest_of_something_else_is_refused(make, tmp_path):
    folder = tmp_path / "set.h5.parts"
    folder.mkdir()
    (folder / "manifest.json").write_text("[]")
    with pytest.raises(FormatError, match="not a manifest"):
        make(3, "set.h5")
