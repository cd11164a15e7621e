"""Shards and merges that are killed or interrupted anywhere."""

import pytest

from resolvent.datasets import GenerationInterrupted
from resolvent.datasets.placing import merging
from resolvent.datasets.storage.workspace import Workspace

from .sharded_sets import HERE, put_together


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
