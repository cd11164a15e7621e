"""What a set will take: right in size, plausible in time, and without influence on anything."""

import math

import pytest
from tiny_family import TinyDiffusion, TinyLU

from resolvent import datasets
from resolvent.datasets import estimate as estimate_function
from resolvent.datasets import families, generate
from resolvent.datasets.estimate import Estimate, time_text

CASES = [
    ("darcy2d", {"resolution": 32}, {}),
    ("darcy2d", {"resolution": 32}, {"solver": "cg+amg", "dtype": "float32"}),
    ("darcy3d", {"resolution": 12}, {}),
    ("convdiff2d", {"resolution": 32}, {}),
    ("helmholtz2d", {"resolution": 40}, {}),
    ("thermal", {}, {}),
    ("ns2d_vorticity", {"resolution": 16, "frames": 2, "final_time": 0.5}, {"rtol": 1e-2}),
    ("advection1d", {}, {}),
]


@pytest.mark.parametrize(("name", "family", "options"), CASES, ids=[f"{c[0]}-{len(c[2])}" for c in CASES])
def test_the_size_is_that_of_the_file(tmp_path, name, family, options):
    made = families.get(name, **family)
    found = datasets.estimate(made, 20, chunk=16, out=tmp_path / "set.h5", **options)
    assert not list(tmp_path.iterdir())
    ds = generate(made, 20, out=tmp_path / "set.h5", chunk=16, two_grid=0, **options)
    size = ds.path.stat().st_size
    assert size - 300_000 <= found.file_bytes <= size  # what is missing is structure and provenance
    assert found.file_bytes <= found.disk_bytes <= 3 * found.file_bytes
    assert found.fits and found.free_bytes > 0
    assert list(found.sample) == ["draw", "assemble", "solve", "certify", "write"]
    assert all(0.0 < seconds < 60.0 for seconds in found.sample.values())
    assert math.isfinite(found.seconds) and found.seconds > 20 * sum(found.sample.values()) * 0.99
    peak = ds.chunks["peak_mib"].max() * 2**20
    assert 0.25 * peak <= found.memory_bytes <= 4.0 * peak


def test_more_samples_take_longer_and_more_workers_less():
    one, two, more = (
        datasets.estimate("darcy", n, workers=workers, two_grid=0, solver="direct")
        for n, workers in ((100_000, 1), (1_000_000, 2), (1_000_000, 1))  # starting two takes seconds
    )
    assert more.file_bytes == pytest.approx(10 * one.file_bytes, rel=1e-3)
    assert (one.workers, two.workers) == (1, 2)
    assert two.seconds / (1_000_000 * sum(two.sample.values())) == pytest.approx(0.5, rel=0.01)
    assert one.seconds / (100_000 * sum(one.sample.values())) == pytest.approx(1.0, rel=0.01)


def test_no_more_workers_than_chunks():
    assert datasets.estimate("darcy", 100, workers=16).workers == 2


def test_what_is_there_takes_no_time_and_a_shard_no_file():
    family, options = TinyDiffusion(), {"solver": TinyLU(), "two_grid": 0}
    whole, rest, shard = (
        datasets.estimate(family, 1000, **options, **more) for more in ({}, {"made": 900}, {"shard": True})
    )
    assert (rest.n, rest.file_bytes) == (100, whole.file_bytes)
    assert whole.disk_bytes - whole.file_bytes == 10 * (rest.disk_bytes - rest.file_bytes) == shard.disk_bytes
    assert shard.file_bytes == 0 and list(shard.rows) == ["time", "chunks", "memory"]


def test_a_method_and_a_family_of_the_caller():
    found = datasets.estimate(TinyDiffusion(), 10, solver=TinyLU())
    assert found.source == "measured"


def test_samples_that_cannot_be_assembled_are_passed_over():
    found = datasets.estimate(TinyDiffusion(resolution=4), 10, solver=TinyLU(), chunk=8)
    assert found.sample["solve"] > 0.0


def test_the_calibration_of_the_user_is_taken(monkeypatch):
    from resolvent.solvers import costs

    packaged = costs.packaged_model()
    curves = {
        kind: {
            way: costs.Curve(
                [
                    costs.Point(p.unknowns, *(100.0 * getattr(p, x) for x in ("first", "again", "solve", "column")))
                    for p in c.points
                ]
            )
            for way, c in ways.items()
        }
        for kind, ways in packaged.curves.items()
    }
    slow = costs.CostModel(curves, {"cpu": "an abacus"})
    decided = datasets.explain("darcy")
    monkeypatch.setattr(costs, "calibrated_model", lambda: slow)
    found = datasets.estimate("darcy", 10)
    assert found.source == "measured on an abacus"
    assert found.sample["solve"] == pytest.approx(100.0 * decided.estimates[0].seconds, rel=1e-6)
    assert datasets.explain("darcy") == decided


def test_what_does_not_fit_is_said(tmp_path):
    found = datasets.estimate("darcy", 10**12, out=tmp_path / "set.h5")
    assert not found.fits
    assert "IT DOES NOT FIT" in str(found)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"n": 0}, ValueError),
        ({"rtol": 2.0}, ValueError),
        ({"dtype": "half"}, ValueError),
        ({"workers": 0}, ValueError),
        ({"made": 4}, ValueError),
    ],
)
def test_wrong_arguments_are_refused(options, error):
    with pytest.raises(error):
        datasets.estimate("darcy", **({"n": 4} | options))


def test_it_prints_what_people_ask():
    found = Estimate(1000, 2, {"draw": 1e-3, "solve": 0.5}, 1.0, 252.0, 2**30, 2**31, 2**28, 2**32, "measured")
    assert str(found).splitlines() == [
        "time    about 4 min for 1000 samples, 2 workers, 501 ms a sample (draw 1 ms, solve 500 ms; solve measured)",
        "file    1.0 GiB, 2.0 GiB until it is complete, 4.0 GiB free",
        "memory  about 256.0 MiB a worker",
    ]
    assert [time_text(s) for s in (0.1, 99.0, 101.0, 6000.0)] == ["1 s", "99 s", "2 min", "1.7 h"]


def test_estimating_changes_no_decision_and_no_content(tmp_path):
    family = families.get("darcy", resolution=16)
    before = generate(family, 8, out=tmp_path / "before.h5").content_sha256
    estimate_function(family, 8)
    assert generate(family, 8, out=tmp_path / "after.h5").content_sha256 == before
