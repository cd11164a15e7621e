"""Shards of job arrays and their merge: the bits of one run, whatever was killed, repeated or split otherwise."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_family import TinyChain, TinyDiffusion, TinyFailing, TinyLU

from resolvent import datasets
from resolvent.datasets import (
    CertificationError,
    ConfigurationMismatch,
    Dataset,
    DiscretisationError,
    GenerationInterrupted,
    OutputLockedError,
    ReplayError,
    ShardsMissingError,
    generate,
    generate_shard,
    merge,
)
from resolvent.datasets.placing import merging
from resolvent.datasets.placing.sharding import JobShard, as_shard, command_for, shards_folder, shards_of
from resolvent.datasets.storage.workspace import Workspace

HERE = Path(__file__).parents[1]
SAMPLES, CHUNK = 30, 4


@pytest.fixture
def out(tmp_path):
    return tmp_path / "set.h5"


@pytest.fixture
def shard(out):
    """Make a shard of a tiny set: `shard("0/3", n=30, **options)`."""

    def shard(which, n=SAMPLES, family=None, **options):
        options = {"solver": TinyChain(), "chunk": CHUNK, **options}
        return generate_shard(family or TinyDiffusion(), n, which, out=out, **options)

    return shard


@pytest.fixture
def digest(tmp_path):
    """Content digest of the set made by one run; `digest(n)`."""

    def digest(n=SAMPLES):
        return generate(
            TinyDiffusion(), n, out=tmp_path / f"one-{n}.h5", solver=TinyChain(), chunk=CHUNK
        ).content_sha256

    return digest


def put_together(out, **options):
    return merge(out, family=TinyDiffusion(), **options)


# The same bits -------------------------------------------------------------------------------------------------------


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


def test_a_tuned_set_is_refused_and_its_replay_is_not(out, tmp_path):
    options = {"chunk": 2, "out": out}
    family = datasets.families.get("darcy", resolution=8)
    with pytest.raises(ValueError, match="a tuned set decides about a chunk by all chunks before it"):
        generate_shard(family, 8, "0/2", solver="tuned", **options)
    tuned = generate(family, 8, out=tmp_path / "tuned.h5", chunk=2, solver="tuned")
    for i in range(2):
        generate_shard(family, 8, (i, 2), replay=tuned.path, **options)
    ds = merge(out)
    assert ds.content_sha256 == tuned.content_sha256
    assert [d[:2] for d in ds.provenance["tuning"]["decisions"]] == [
        d[:2] for d in tuned.provenance["tuning"]["decisions"]
    ]


@pytest.fixture
def replays(tmp_path):
    """Two sets of decisions about six chunks that differ for each of them, with the options of their sets."""
    options = {"chunk": 2, "two_grid": 0}
    family = datasets.families.get("darcy", resolution=8)
    tuned = generate(family, 12, out=tmp_path / "tuned.h5", solver="tuned", **options)
    arms, folders = tuned.provenance["tuning"]["arms"], []
    for arm in list(arms)[:2]:
        folder = tmp_path / f"replay-{len(folders)}"
        folder.mkdir()
        stored = {key: tuned.provenance[key] for key in ("decision", "discretisation", "family", "sessions")}
        tuning = {"arms": {arm: arms[arm]}, "decisions": [[chunk, arm, "told"] for chunk in range(6)]}
        manifest = {"format": "resolvent parts 1", "config": tuned.config, "n": 12, "tuning": tuning, **stored}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        folders.append(folder)
    return family, options, folders


def interrupted(family, out, replay, options):
    def stop(state):
        if state.done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(family, 12, out=out, replay=replay, progress=stop, **options)


def test_chunks_of_another_tuned_run_are_not_taken_for_a_replay(out, replays):
    family, options, (first, second) = replays
    interrupted(family, out, first, options)
    with pytest.raises(ReplayError, match=r"set.h5.parts has chunk 0 by .* it is of another run"):
        generate_shard(family, 12, "0/2", out=out, replay=second, **options)
    assert not shards_folder(out).exists()
    assert generate_shard(family, 12, "0/2", out=out, replay=first, **options).new == 4


def test_a_chunk_has_the_decision_by_which_it_was_made(out, tmp_path, replays):
    family, options, (first, second) = replays
    interrupted(family, out, first, options)
    other = tmp_path / "elsewhere" / "set.h5"  # where the jobs do not see what was interrupted
    for i in range(2):
        generate_shard(family, 12, (i, 2), out=other, replay=second, **options)
    shards_folder(other).rename(shards_folder(out))
    ds = merge(out)
    assert [ds.decisions[chunk].arm for chunk in (0, 1)] != [ds.decisions[chunk].arm for chunk in (2, 3)]
    assert all(datasets.reproduce(out, 2 * chunk).identical for chunk in range(6))


# Kills ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0])
def test_random_kills_of_shards_and_merges_do_not_change_the_content(run_python, tmp_path, seed):
    done = run_python(str(HERE / "killed_runs.py"), str(tmp_path), "20", str(seed), "shards", PYTHONPATH=str(HERE))
    assert done.returncode == 0, done.stderr
    digests = done.stdout.split()
    assert len(digests) >= 2
    assert len(set(digests)) == 1


def test_an_interrupted_shard_says_what_it_has_and_resumes(out, shard, digest):
    def stop(state):
        assert state.total == 16
        if state.done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(GenerationInterrupted) as caught:
        shard("0/2", progress=stop)
    assert (caught.value.done, caught.value.total) == (4, 16)
    assert shard("0/2").new == 12
    shard("1/2")
    assert put_together(out).content_sha256 == digest()


@pytest.mark.parametrize("moment", ["before the file is in place", "before shards are removed", "among removals"])
def test_a_merge_that_ends_half_way_is_repeated(out, shard, digest, monkeypatch, moment):
    for i in range(3):
        shard((i, 3))

    class Killed(BaseException):
        pass

    def kill(*arguments, **options):
        raise Killed

    if moment == "before the file is in place":
        monkeypatch.setattr("resolvent.datasets.storage.publication.put_in_place", kill)
    elif moment == "before shards are removed":
        monkeypatch.setattr(merging, "_remove", kill)
    else:
        inner, seen = Workspace.clear, []

        def once(self):
            if seen.append(self) or len(seen) == 3:
                raise Killed
            inner(self)

        monkeypatch.setattr(Workspace, "clear", once)
    with pytest.raises(Killed):
        put_together(out)
    monkeypatch.undo()
    assert put_together(out).content_sha256 == digest()
    assert not list(out.parent.glob("set.h5.*"))


# What is missing or wrong --------------------------------------------------------------------------------------------


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


# Names of shards -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["", "1", "2/2", "-1/2", "1/0", "1/2/3", "a/b", (1,), (1.0, 2), None, 3, "1.5/2"])
def test_invalid_shards_are_refused(out, shard, wrong):
    with pytest.raises(ValueError, match="shard must be i/N with 0 ≤ i < N"):
        shard(wrong)
    assert not list(out.parent.iterdir())


def array(task, count, first, step=1):
    names = ("TASK_ID", "TASK_COUNT", "TASK_MIN", "TASK_STEP")
    return {f"SLURM_ARRAY_{name}": str(value) for name, value in zip(names, (task, count, first, step), strict=True)}


def test_auto_takes_the_shard_from_the_array():
    assert [as_shard("auto", array(t, 4, 0)) for t in range(4)] == [JobShard(i, 4) for i in range(4)]
    assert [as_shard("auto", array(t, 3, 5)) for t in (5, 6, 7)] == [JobShard(i, 3) for i in range(3)]
    assert [as_shard("auto", array(t, 3, 2, 4)) for t in (2, 6, 10)] == [JobShard(i, 3) for i in range(3)]


@pytest.mark.parametrize("environment", [{}, {"SLURM_ARRAY_TASK_ID": "x", "SLURM_ARRAY_TASK_COUNT": "2"}])
def test_auto_outside_of_an_array_is_refused(environment):
    with pytest.raises(ValueError, match="which a SLURM job array sets"):
        as_shard("auto", environment)


def test_auto_in_an_uneven_array_is_refused():
    with pytest.raises(ValueError, match=r"task 7 is none of 3 from 1 on.*--shard \$SLURM_ARRAY_TASK_ID/N"):
        as_shard("auto", array(7, 3, 1))


def test_auto_reads_the_environment(shard, monkeypatch):
    for name, value in array(1, 2, 0).items():
        monkeypatch.setenv(name, value)
    assert shard("auto").shard == JobShard(1, 2)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/x/resolvent/__main__.py generate d --shard=auto -n 4", "python -m resolvent generate d -n 4 --shard 1/2"),
        ("resolvent generate d --shard 0/2", "resolvent generate d --shard 1/2"),
        ("make.py 3", "the call that made the others, with shard '1/2'"),
        ("", "the call that made the others, with shard '1/2'"),
    ],
)
def test_commands(command, expected):
    assert command_for(JobShard(1, 2), {"sessions": [{"command": command}]}) == expected


def test_the_command_for_a_shard_made_on_mpi_ranks_runs_without_them():
    command = "/x/resolvent/__main__.py generate d --executor mpi --n=4 -w 1 --shard 0/2"
    manifest = {"n": 4, "sessions": [{"command": command, "executor": "mpi"}]}
    assert command_for(JobShard(1, 2), manifest) == "python -m resolvent generate d --n=4 -w 1 --shard 1/2"
    assert command_for(JobShard(1, 2), manifest, 4) == "python -m resolvent generate d --n=4 -w 1 --shard 1/2"
    assert command_for(JobShard(1, 2), manifest, 9) == "python -m resolvent generate d -w 1 -n 9 --shard 1/2"


@pytest.mark.parametrize("given", ["-n 4", "-n4", "--n 4", "--n=4"])
def test_the_number_of_samples_in_a_command_is_replaced(given):
    manifest = {"n": 4, "sessions": [{"command": f"resolvent generate d {given} --shard auto"}]}
    assert command_for(JobShard(1, 2), manifest, 9) == "resolvent generate d -n 9 --shard 1/2"
    assert command_for(JobShard(1, 2), {"n": 4}, 9) == "the call that made the others, with n=9 and shard '1/2'"


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
