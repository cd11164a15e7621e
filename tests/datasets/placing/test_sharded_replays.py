"""Tuned sets, which are not sharded, and their replays, which are."""

import json

import pytest

from resolvent import datasets
from resolvent.datasets import ReplayError, generate, generate_shard, merge
from resolvent.datasets.placing.sharding import shards_folder


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
