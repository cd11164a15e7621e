"""Shards that are missing, damaged or of another set, and the commands that are named."""

import logging
import os
import shutil
import sys

import pytest
from tiny_family import TinyChain, TinyDiffusion, TinyFailing, TinyLU

from resolvent.datasets import (
    CertificationError,
    ConfigurationMismatch,
    Dataset,
    OutputLockedError,
    ShardsMissingError,
    generate,
    merge,
)
from resolvent.datasets.placing.sharding import JobShard, shards_folder, shards_of
from resolvent.datasets.storage.workspace import Workspace

from .sharded_sets import CHUNK, SAMPLES, put_together


def test_missing_shards_are_named_with_the_commands_that_make_them(out, shard, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/resolvent", "generate", "tiny", "--shard", "0/4", "--out", "a set.h5"])
    shard("0/4")
    shard("3/4")
    before = sorted(out.parent.rglob("*"))
    with pytest.raises(
        ShardsMissingError, match=r"4 chunks \(1, 2, 5, 6\) are missing; nothing was published"
    ) as caught:
        put_together(out)
    assert caught.value.shards == ("1/4", "2/4")
    assert caught.value.commands[0] == "resolvent generate tiny --out 'a set.h5' --shard 1/4"
    assert "  resolvent generate tiny --out 'a set.h5' --shard 2/4" in str(caught.value)
    assert sorted(out.parent.rglob("*")) == before


def test_a_damaged_shard_is_named_and_made_again(out, shard, digest):
    for i in range(2):
        shard((i, 2))
    path = next(shards_of(out)[JobShard(1, 2)].glob("shard-0000003*"))
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(ShardsMissingError, match=r"chunk 3 is damaged; nothing was published") as caught:
        put_together(out)
    assert caught.value.shards == ("1/2",)
    assert not out.exists()
    assert shard("1/2").new == 4
    assert put_together(out).content_sha256 == digest()


def damage(folder, chunk):
    path = next(folder.glob(f"shard-{chunk:07d}*"))
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def test_of_a_damaged_chunk_another_copy_is_taken(out, shard, digest, caplog):
    shard("0/1")
    shutil.copytree(shards_of(out)[JobShard(0, 1)], out.with_name("set.h5.parts"))
    damage(out.with_name("set.h5.parts"), 0)
    damage(shards_of(out)[JobShard(0, 1)], 5)
    assert put_together(out).content_sha256 == digest()
    assert "is missing or damaged" in caplog.text
    assert not list(out.parent.glob("set.h5.*"))


def test_a_damaged_chunk_of_an_ordinary_run_is_made_by_the_command_that_is_named(out, shard, digest):
    def stop(state):
        if state.done >= 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(TinyDiffusion(), SAMPLES, out=out, solver=TinyChain(), chunk=CHUNK, progress=stop)
    for i in range(2):
        shard((i, 2))
    damage(out.with_name("set.h5.parts"), 1)
    with pytest.raises(ShardsMissingError, match=r"chunk 1 is damaged; nothing was published") as caught:
        put_together(out)
    assert caught.value.shards == ("1/2",)
    assert shard("1/2").new == 4
    assert put_together(out).content_sha256 == digest()


@pytest.mark.parametrize(("n", "asked"), [(None, 14), (30, 30)])
def test_the_commands_ask_for_as_many_samples_as_the_merge(out, shard, monkeypatch, n, asked):
    for i, made in enumerate((10, 14)):
        monkeypatch.setattr(sys, "argv", ["resolvent", "generate", "tiny", "-n", str(made), "--shard", f"{i}/2"])
        shard((i, 2), n=made)
    with pytest.raises(ShardsMissingError) as caught:
        put_together(out, n=n)
    assert caught.value.chunks[0] == 2
    assert caught.value.commands[0] == f"resolvent generate tiny -n {asked} --shard 0/2"


def test_a_complete_shard_of_other_settings_is_refused(out, shard):
    shard("0/2")
    folder = shards_of(out)[JobShard(0, 2)]
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}
    with pytest.raises(ConfigurationMismatch) as caught:
        shard("0/2", seed=1, dtype="float32")
    assert caught.value.differences == {"seed": (0, 1), "dtype": ("float64", "float32")}
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def test_flagged_samples_of_a_complete_shard_are_refused_if_asked(out, shard):
    flagged = shard("0/2", solver=TinyFailing(2), on_failure="flag")
    assert flagged.new == 16
    with pytest.raises(CertificationError):
        shard("0/2", solver=TinyFailing(2))
    assert shard("0/2", solver=TinyFailing(2), on_failure="flag").new == 0


@pytest.mark.parametrize("n", [10, 12])
def test_a_file_that_is_complete_leaves_nothing_to_its_shards(out, shard, n):
    generate(TinyDiffusion(), n, out=out, solver=TinyChain(), chunk=CHUNK)
    for i in range(2):
        finished = shard((i, 2), n=n)
        assert (finished.chunks, finished.samples, finished.new) == (0, 0, 0)
    assert not list(out.parent.glob("set.h5.*"))


def test_shards_of_other_configurations_are_refused(out, shard):
    shard("0/2")
    shard("1/2", seed=1)
    with pytest.raises(ConfigurationMismatch) as caught:
        put_together(out)
    assert caught.value.differences == {"seed": (0, 1)}
    assert len(shards_of(out)) == 2


def test_a_finished_file_of_another_configuration_is_refused(out, shard):
    generate(TinyDiffusion(), 4, out=out, solver=TinyLU(), chunk=CHUNK)
    with pytest.raises(ConfigurationMismatch):
        shard("0/2")


def test_a_shard_at_work_is_not_merged(out, shard):
    for i in range(2):
        shard((i, 2))
    with Workspace(out, JobShard(1, 2).folder(out)):
        with pytest.raises(OutputLockedError, match=f"00001-of-00002 is being generated by another.*{os.getpid()}"):
            put_together(out)
        with pytest.raises(OutputLockedError):
            shard("1/2")
    assert len(put_together(out)) == SAMPLES


def test_shards_that_are_not_there(out):
    with pytest.raises(FileNotFoundError, match=r"there are no shards of .*set.h5"):
        merge(out)
    assert not list(out.parent.iterdir())
    ds = generate(TinyDiffusion(), 4, out=out, solver=TinyLU())
    assert merge(out).content_sha256 == ds.content_sha256


def test_an_unmerged_set_is_pointed_out(out, shard):
    shard("0/2")
    with pytest.raises(FileNotFoundError, match="holds shards of it: merge them"):
        Dataset(out)


def test_a_sample_that_fails_stops_its_shard(out, shard):
    with pytest.raises(CertificationError):
        shard("0/2", solver=TinyFailing(2))
    assert not shards_folder(out).exists()


def test_other_versions_are_said(out, shard, monkeypatch, caplog):
    shard("0/2")
    monkeypatch.setattr("resolvent.datasets.provenance.commit", lambda: "another")
    shard("1/2")
    with caplog.at_level(logging.WARNING):
        put_together(out)
    assert "versions or machine differ between shards" in caplog.text and "commit" in caplog.text


def test_overwrite_is_not_for_shards(shard):
    with pytest.raises(TypeError, match="has no overwrite"):
        shard("0/2", overwrite=True)
