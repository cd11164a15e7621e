"""Sets whose chunks are solved in an order: the same samples in the same places, whatever came in between."""

import numpy as np
import pytest
from tiny_family import TinyChain, TinyDiffusion, TinyEnsemble, TinyFailing

from resolvent import datasets
from resolvent.datasets import ConfigurationMismatch, GenerationInterrupted, describe, families, reproduce, verify
from resolvent.datasets.chunk_order import DrawnChunk, chunk_order
from resolvent.datasets.errors import CertificationError
from resolvent.datasets.ordering import ORDERINGS
from resolvent.datasets.seeding import sample_rng
from resolvent.datasets.settings import Settings
from resolvent.datasets.storage.file_format import Layout
from resolvent.datasets.storage.shards import ShardWriter
from resolvent.datasets.worker import ChunkTask, Clock, line_up

SORTED = [name for name in ORDERINGS if name != "none"]


@pytest.mark.parametrize("name", SORTED)
def test_an_ordered_set_has_the_same_problems_and_certified_solutions(make, name):
    plain, ds = make(21, "plain.h5"), make(21, f"{name}.h5", order=name)
    assert ds.config["order"] == name and "order" not in plain.config
    for ours, theirs in zip(ds, plain, strict=True):
        assert np.array_equal(ours["a"], theirs["a"]) and ours["strength"] == theirs["strength"]
        assert np.allclose(ours["u"], theirs["u"], rtol=1e-7)
    assert ds.column("index").tolist() == list(range(21))
    assert ds.content_sha256 != plain.content_sha256, "what the chain carries came in another order"
    assert verify(ds.path, family=TinyDiffusion()).passed
    found = reproduce(ds.path, 19, family=TinyDiffusion(), solver=TinyChain())
    assert found.identical and 1 <= found.replayed <= 8
    assert "order" in str(describe(ds.path))


@pytest.mark.parametrize("name", SORTED)
def test_finished_samples_do_not_depend_on_how_long_the_set_is(make, name):
    """13 ends inside of a chunk, whose order is that of the whole chunk all the same."""
    whole = make(24, "whole.h5", order=name)
    part = make(13, "part.h5", order=name)
    for index in range(13):
        assert whole[index]["u"].tobytes() == part[index]["u"].tobytes()
    grown = make(24, "part.h5", order=name)
    assert grown.content_sha256 == whole.content_sha256


@pytest.mark.parametrize("name", SORTED)
def test_ordered_sets_do_not_depend_on_workers(make, name):
    digests = {make(20, f"{workers}.h5", order=name, workers=workers).content_sha256 for workers in (1, 3)}
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["fft", "angle"])
def test_windows_of_an_ensemble_are_consecutive_in_the_order(make, name):
    whole = make(16, "whole.h5", solver=TinyEnsemble(), order=name)
    part = make(10, "part.h5", solver=TinyEnsemble(), order=name)
    assert all(whole[i]["u"].tobytes() == part[i]["u"].tobytes() for i in range(10))
    assert reproduce(whole.path, 9, family=TinyDiffusion(), solver=TinyEnsemble()).identical


def test_another_order_is_another_configuration(make):
    make(8, order="fft")
    with pytest.raises(ConfigurationMismatch) as caught:
        make(8, order="greedy")
    assert caught.value.differences == {"order": ("fft", "greedy")}
    with pytest.raises(ConfigurationMismatch):
        make(8)


def test_an_interrupted_ordered_run_resumes(make, tmp_path):
    def stop(state):
        if state.done >= 10:
            raise KeyboardInterrupt

    whole = make(24, "whole.h5", order="hilbert")
    with pytest.raises(GenerationInterrupted):
        make(24, "again.h5", order="hilbert", progress=stop)
    assert make(24, "again.h5", order="hilbert").content_sha256 == whole.content_sha256


def test_a_failed_sample_is_named_by_its_number(make):
    with pytest.raises(CertificationError):
        make(8, order="fft", solver=TinyFailing(first=3))
    ds = make(8, order="fft", solver=TinyFailing(first=5), on_failure="flag")
    assert ds.certificates["certified"].sum() == 5
    task = ChunkTask(TinyDiffusion(), settings("fft"), 0, 0, 8, ds.path.parent)
    line = line_up(task, Layout(TinyDiffusion(), "float64"), Clock())
    assert np.flatnonzero(ds.certificates["certified"]).tolist() == sorted(line.indices[:5])


def settings(order):
    return Settings(
        seed=0, rtol=1e-8, solver="x", method=TinyChain(), chunk=8, threads=1, dtype="float64", on_failure="flag",
        splits=(0.8, 0.1, 0.1), order=order,
    )  # fmt: skip


def test_an_order_that_does_not_exist_is_refused(make):
    with pytest.raises(ValueError, match="order must be one of 'none', 'greedy'"):
        make(4, order="random")


def test_trajectories_refuse_an_order(tmp_path):
    family = families.get("advection1d", resolution=256)
    with pytest.raises(ValueError, match=r"advection1d marches by itself .* leave order out, got 'fft'"):
        datasets.generate(family, 2, out=tmp_path / "a.h5", order="fft")


LINEAR = {
    "darcy2d": {"resolution": 12}, "darcy3d": {"resolution": 6}, "convdiff2d": {"resolution": 12},
    "helmholtz2d": {"resolution": 32, "wavenumber": 15.0}, "heat2d_step": {"resolution": 12},
    "poisson_chebyshev": {"resolution": 12}, "thermal": {"resolution": 21}, "elasticity2d": {"resolution": 9},
    "poisson_obstacles": {"resolution": 12},
}  # fmt: skip


@pytest.mark.parametrize("family", list(LINEAR))
@pytest.mark.parametrize("name", SORTED)
def test_every_linear_family_can_be_ordered(tmp_path, family, name):
    made = families.get(family, **LINEAR[family])
    ds = datasets.generate(made, 5, out=tmp_path / "s.h5", order=name, chunk=6, solver="direct", two_grid=0)
    assert ds.certificates["certified"].all() and reproduce(ds.path, 4).identical


def test_only_inputs_that_enter_the_matrix_are_compared():
    """Elasticity: the traction does not. Constant matrices: all inputs, since none does."""
    seen = {}
    for family in (families.get("elasticity2d", resolution=9), families.get("thermal", resolution=21)):
        layout = Layout(family, "float64")
        drawn = DrawnChunk(family, layout, 0, 0, 7, Clock().lap)
        found = chunk_order("greedy", drawn, family, layout, TinyChain())
        inputs = [family.draw(sample_rng(0, family.family_id, i)) for i in range(7)]
        names = ("E",) if family.name == "elasticity2d" else ("left", "right", "mask")
        expected = datasets.order({name: np.stack([x[name] for x in inputs]) for name in names}, "greedy")
        assert found == expected.tolist()
        seen[family.name] = found
    assert len(seen) == 2


def test_large_inputs_are_drawn_again_instead_of_kept(make, monkeypatch):
    kept = make(12, "kept.h5", order="fft")
    monkeypatch.setattr("resolvent.datasets.chunk_order.KEPT_BYTES", 0)
    again = make(12, "again.h5", order="fft")
    assert again.content_sha256 == kept.content_sha256


def test_the_time_of_ordering_is_booked_and_stages_add_up(tmp_path):
    family = families.get("darcy", resolution=32)
    ds = datasets.generate(family, 16, out=tmp_path / "s.h5", order="angle", chunk=16, solver="gcrodr", two_grid=0)
    cost = describe(ds.path).cost
    parts = {stage: seconds for stage, seconds in cost.items() if stage != "wall"}
    assert list(parts) == ["draw", "sort", "assemble", "setup", "solve", "certify", "write"]
    assert min(parts.values()) > 0.0
    assert sum(parts.values()) == pytest.approx(cost["wall"], rel=0.05)
    assert cost["sort"] > 0.02 * cost["solve"], "eight pilot systems were solved for it"


def test_set_up_is_counted_once_for_one_matrix(tmp_path):
    family = families.get("poisson_chebyshev", resolution=48)
    ds = datasets.generate(family, 16, out=tmp_path / "s.h5", chunk=8, solver="direct", two_grid=0)
    cost = describe(ds.path).cost
    assert cost["setup"] > 0.0 and cost["solve"] > 0.0, "two factorisations, and sixteen solves besides"
    assert sum(s for stage, s in cost.items() if stage != "wall") == pytest.approx(cost["wall"], rel=0.05)


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_short_chunks_are_ordered_too(make, chunk):
    assert make(7, order="angle", chunk=chunk).certificates["certified"].all()


def test_tuned_sets_are_ordered_and_replayed(tmp_path):
    family = families.get("darcy", resolution=12)
    options = {"chunk": 8, "two_grid": 0, "order": "fft"}
    ds = datasets.generate(family, 40, out=tmp_path / "t.h5", solver="tuned", **options)
    again = datasets.generate(family, 40, out=tmp_path / "r.h5", replay=ds.path, **options)
    assert again.content_sha256 == ds.content_sha256
    assert reproduce(ds.path, 21).identical


def test_what_is_stored_is_ordered_in_single_precision(tmp_path):
    family = families.get("darcy", resolution=16)
    options = {"solver": "gcrodr", "chunk": 8, "two_grid": 0, "order": "greedy", "dtype": "float32"}
    ds = datasets.generate(family, 12, out=tmp_path / "s.h5", **options)
    assert verify(ds.path).passed and reproduce(ds.path, 11).identical


def test_memory_does_not_grow_with_the_solutions_of_a_chunk(tmp_path):
    """Records are written to their places as they come, not collected until they are in order."""
    import tracemalloc

    family = families.get("darcy", resolution=64)
    options = {"solver": "direct", "two_grid": 0, "order": "fft"}
    peaks = []
    for chunk in (8, 64):
        tracemalloc.start()
        datasets.generate(family, chunk, out=tmp_path / f"{chunk}.h5", chunk=chunk, **options).close()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    inputs = 56 * 64**2 * 8
    assert peaks[1] - peaks[0] < 2.5 * inputs, "inputs are kept once, and features; solutions are not"


def records(count):
    dtype = np.dtype([("index", "<i8"), ("x", "<f8", (5,)), ("timing/write", "<f8")])
    found = np.zeros(count, dtype=dtype)
    found["index"], found["x"] = np.arange(count), np.random.default_rng(0).standard_normal((count, 5))
    return found


def written(path, rows, order):
    with ShardWriter(path, rows.dtype, len(rows), rows.dtype.fields["timing/write"][1]) as shard:
        for position in order:
            shard.write(position, rows[position % len(rows)], lambda record: None)
        return shard.commit()


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [0, 1, 3, 2], [3, 2, 1, 0]])
def test_a_shard_is_the_same_file_in_whatever_order_its_records_come(tmp_path, order):
    rows = records(4)
    sha256 = written(tmp_path / "a.npy", rows, order)
    assert sha256 == written(tmp_path / "b.npy", rows, range(4))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert np.array_equal(np.load(tmp_path / "a.npy"), rows)


def test_a_shard_refuses_a_place_that_is_taken_or_missing(tmp_path):
    rows = records(3)
    for order, message in (([0, 0], "no free place 0 of 3"), ([3], "no free place 3 of 3"), ([2, 0], "got 2")):
        with pytest.raises(RuntimeError, match=message):
            written(tmp_path / "a.npy", rows, order)
    assert list(tmp_path.iterdir()) == [], "nothing is left"


def test_a_file_without_set_up_times_is_described_and_extended(make, monkeypatch):
    """As an earlier version wrote it."""
    from resolvent.datasets.storage import completion

    table = completion.chunk_table

    def older(made):
        return {name: column for name, column in table(made).items() if name != "seconds_setup"}

    monkeypatch.setattr(completion, "chunk_table", older)
    old = make(8)
    assert "seconds_setup" not in old.chunks
    cost = describe(old.path).cost
    assert cost["setup"] == 0.0 and cost["solve"] > 0.0
    monkeypatch.undo()
    grown = make(16)
    assert grown.chunks["seconds_setup"].tolist() == [0.0, 0.0] and describe(grown.path).samples == 16
