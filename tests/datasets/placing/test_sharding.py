"""Shards of job arrays and their merge: the bits of one run, however it was split."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from tiny_family import TinyChain, TinyDiffusion

from resolvent import datasets
from resolvent.datasets import DiscretisationError, ShardsMissingError, generate, generate_shard
from resolvent.datasets.placing import merging
from resolvent.datasets.placing.sharding import JobShard, shards_folder, shards_of

from .sharded_sets import CHUNK, HERE, SAMPLES, put_together


@pytest.mark.parametrize("count", [1, 2, 3, 8, 11])
def test_shards_become_the_file_of_one_run(out, shard, digest, count):
    for i in reversed(range(count)):
        finished = shard(f"{i}/{count}")
        assert finished.new == finished.samples
    assert not out.exists()
    ds = put_together(out)
    assert ds.content_sha256 == digest()
    assert datasets.verify(out, family=TinyDiffusion()).passed
    assert not list(out.parent.glob("set.h5.*"))
    assert np.array_equal(ds.chunks["chunk"], np.arange(8))


def test_the_provenance_has_the_sessions_of_all_shards(out, shard):
    for i in range(3):
        shard((i, 3))
    ds = put_together(out)
    assert [session["shard"] for session in ds.provenance["sessions"]] == ["0/3", "1/3", "2/3"]
    assert len(ds.provenance["discretisation"]["two_grid_errors"]) == 4
    one = generate(TinyDiffusion(), SAMPLES, out=out.with_name("one.h5"), solver=TinyChain(), chunk=CHUNK)
    assert ds.provenance["discretisation"] == one.provenance["discretisation"]
    assert ds.provenance["decision"] == one.provenance["decision"]
    assert datasets.reproduce(out, 7, family=TinyDiffusion(), solver=TinyChain()).identical


def test_only_shard_0_estimates_and_all_check_the_structure(out, shard, monkeypatch):
    shard("1/2")
    manifest = json.loads((shards_of(out)[JobShard(1, 2)] / "manifest.json").read_text())
    assert manifest["discretisation"]["two_grid_errors"] == []
    monkeypatch.setattr(TinyDiffusion, "checks", lambda self, inputs, system: [("sign", False, "wrong")])
    with pytest.raises(DiscretisationError):
        shard("0/4")


def test_a_shard_that_is_complete_is_left_as_it_is(out, shard, digest):
    shard("0/2")
    before = {path.name: path.read_bytes() for path in shards_of(out)[JobShard(0, 2)].iterdir() if path.name != "lock"}
    assert shard("0/2").new == 0
    assert before == {
        path.name: path.read_bytes() for path in shards_of(out)[JobShard(0, 2)].iterdir() if path.name != "lock"
    }


def test_jobs_submitted_again_with_another_number_make_what_is_missing_only(out, shard, digest):
    shard("0/4")
    shard("2/4")
    assert shard("0/2").new == 0
    assert shard("1/2").new == 14
    assert sorted(shards_of(out)) == [JobShard(0, 4), JobShard(1, 2), JobShard(2, 4)]
    assert put_together(out).content_sha256 == digest()


def test_chunks_that_two_shards_have_are_taken_once(out, shard, digest):
    shard("0/2")
    shard("1/2")
    other = out.with_name("other")
    for i in range(3):  # made where the first two were not seen
        generate_shard(TinyDiffusion(), SAMPLES, (i, 3), out=other / "set.h5", solver=TinyChain(), chunk=CHUNK)
    for path in shards_folder(other / "set.h5").iterdir():
        path.rename(shards_folder(out) / path.name)
    assert len(shards_of(out)) == 5
    assert put_together(out).content_sha256 == digest()


def test_chunks_of_an_ordinary_run_that_was_interrupted_are_taken_too(out, shard, digest):
    def stop(state):
        if state.done >= 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(TinyDiffusion(), SAMPLES, out=out, solver=TinyChain(), chunk=CHUNK, progress=stop)
    assert shard("0/2").new == 12
    assert shard("1/2").new == 10
    assert put_together(out).content_sha256 == digest()
    assert not out.with_name("set.h5.parts").exists()


@pytest.mark.parametrize("first", [10, 12, 1])
def test_a_finished_file_grows_by_shards(out, shard, digest, first):
    generate(TinyDiffusion(), first, out=out, solver=TinyChain(), chunk=CHUNK)
    for i in range(3):
        shard((i, 3))
    ds = put_together(out)
    assert ds.content_sha256 == digest()
    assert len(ds.provenance["sessions"]) == 4


def test_more_samples_asked_for_later_extend_the_shards(out, shard, digest):
    for i in range(2):
        shard((i, 2), n=10)
    assert shard("0/2").new == 12  # chunk 2 was asked for in part
    with pytest.raises(ShardsMissingError, match="3 chunks"):
        put_together(out)
    shard("1/2")
    assert put_together(out).content_sha256 == digest()


def test_fewer_samples_may_be_taken(out, shard, digest):
    for i in range(2):
        shard((i, 2))
    assert put_together(out, n=10).content_sha256 == digest(10)
    assert put_together(out).content_sha256 == digest(), "what was made of the others is still there"
    assert not list(out.parent.glob("set.h5.*"))


def test_only_shards_without_further_samples_are_removed(out, shard, digest):
    for i in range(8):
        shard((i, 8))
    put_together(out, n=10)  # the third chunk ends beyond
    assert sorted(shards_of(out)) == [JobShard(i, 8) for i in range(2, 8)]
    assert all(shard((i, 8)).new == 0 for i in range(2, 8))
    assert put_together(out).content_sha256 == digest()


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-3, ValueError), ("7", TypeError), (2.5, TypeError)])
def test_a_number_that_is_none_is_refused_before_anything_is_removed(out, shard, n, error):
    shard("0/1")
    before = sorted(out.parent.rglob("*"))
    with pytest.raises(error, match="n must be a whole number ≥ 1, got"):
        put_together(out, n=n)
    assert sorted(out.parent.rglob("*")) == before


def test_fewer_samples_than_the_file_has_are_refused(out, shard):
    generate(TinyDiffusion(), 6, out=out, solver=TinyChain(), chunk=CHUNK)
    shard("0/1")
    before = sorted(out.parent.rglob("*"))
    with pytest.raises(ValueError, match="has 6 samples already, 4 were requested"):
        put_together(out, n=4)
    assert sorted(out.parent.rglob("*")) == before


def test_chunks_that_a_job_finishes_during_a_merge_are_kept(out, shard, digest, monkeypatch):
    for i in range(2):
        shard((i, 2), n=10)
    inner = merging.complete

    def slow(*arguments, **options):
        inner(*arguments, **options)
        assert shard("0/2").new == 10

    monkeypatch.setattr(merging, "complete", slow)
    assert len(put_together(out)) == 10
    monkeypatch.undo()
    assert shard("0/2").new == 0
    shard("1/2")
    assert put_together(out).content_sha256 == digest()


def test_workers_and_executors_within_a_shard(out, shard, digest):
    shard("0/2", workers=2)
    shard("1/2", executor="local", workers=1)
    assert put_together(out).content_sha256 == digest()


def test_jobs_at_the_same_time_do_not_disturb_one_another(tmp_path, digest):
    out = tmp_path / "set.h5"
    code = (
        "import sys; from tiny_family import *; from resolvent.datasets import generate_shard; "
        f"generate_shard(TinyDiffusion(), {SAMPLES}, sys.argv[2], out=sys.argv[1], solver=TinyChain(), chunk={CHUNK})"
    )
    environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    jobs = [subprocess.Popen([sys.executable, "-c", code, str(out), f"{i}/3"], env=environment) for i in range(3)]
    assert [job.wait(timeout=180) for job in jobs] == [0, 0, 0]
    assert put_together(out).content_sha256 == digest()
