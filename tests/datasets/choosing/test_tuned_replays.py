"""Replays of a tuned set: exact, or refused with the difference."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_family import TinyDiffusion, TinyTimed

from resolvent.datasets import FormatError, ReplayError
from resolvent.datasets import worker as working

from .tuned_sets import SEQUENCE, arms, parts, stopped_at


@pytest.mark.parametrize("workers", [1, 2])
def test_a_replay_has_the_checksum_of_the_original(tuned, costs, monkeypatch, workers):
    original = tuned(24)
    monkeypatch.setattr(working, "time", SimpleNamespace(perf_counter=itertools.count().__next__))  # other times
    other = tuned(24, "other.h5")
    assert arms(other) != arms(original) and other.content_sha256 != original.content_sha256
    assert np.allclose(other.column("u"), original.column("u"), rtol=1e-7)
    replay = tuned(24, "replay.h5", solver="auto", replay=original.path, workers=workers)
    assert replay.content_sha256 == original.content_sha256 and replay.decisions == original.decisions
    assert replay.config == original.config
    assert replay.provenance["sessions"][0]["replay"] == str(original.path)
    assert tuned(10, "shorter.h5", replay=original.path).content_sha256 == tuned(10, "ten.h5").content_sha256


@pytest.mark.parametrize("which", ["", "manifest.json", "journal.jsonl"])
def test_the_parts_of_an_unfinished_set_can_be_replayed(tuned, tmp_path, monkeypatch, which):
    tuned(10)
    for _ in stopped_at(monkeypatch, 4):
        with pytest.raises(ZeroDivisionError):
            tuned(24)
    source = parts(tmp_path / "tuned.h5") / which
    before = {path.name: path.read_bytes() for path in parts(tmp_path / "tuned.h5").iterdir()}
    replay = tuned(20, "replay.h5", replay=source)
    assert {path.name: path.read_bytes() for path in parts(tmp_path / "tuned.h5").iterdir()} == before
    assert arms(replay) == SEQUENCE[:5]
    assert tuned(20).content_sha256 == replay.content_sha256


def test_an_interrupted_replay_resumes_as_one_even_without_being_told(tuned, costs, monkeypatch):
    original = tuned(24)
    costs_before = original.content_sha256
    for _ in stopped_at(monkeypatch, 2):
        with pytest.raises(ZeroDivisionError):
            tuned(24, "replay.h5", replay=original.path)
    monkeypatch.setattr(working, "time", SimpleNamespace(perf_counter=itertools.count().__next__))
    assert tuned(24, "replay.h5").content_sha256 == costs_before


def test_a_replay_is_refused_with_the_difference(tuned, tmp_path):
    original = tuned(10)
    with pytest.raises(ReplayError, match="seed: 0 there, 3 requested") as caught:
        tuned(10, "new.h5", replay=original.path, seed=3)
    assert "rtol" not in str(caught.value)
    with pytest.raises(ReplayError, match=r"family.resolution: 16 there, 8 requested"):
        tuned(10, "new.h5", replay=original.path, family=TinyDiffusion(resolution=8))
    with pytest.raises(ReplayError, match=r"decides 3 chunks of 4, enough for 12 .* ask for 13 without replay"):
        tuned(13, "new.h5", replay=original.path)
    assert len(tuned(12, "new.h5", replay=original.path)) == 12
    assert arms(tuned(13, "new.h5")) == SEQUENCE[:4], "which goes on tuning from there"
    with pytest.raises(ValueError, match="leave solver out"):
        tuned(10, "third.h5", replay=original.path, solver="direct")
    assert {path.name for path in tmp_path.iterdir()} == {"tuned.h5", "new.h5"}


def test_what_is_no_tuned_set_is_no_replay(tuned, make, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing to replay at .*none\.h5"):
        tuned(4, replay=tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("precious")
    with pytest.raises(FormatError):
        tuned(4, replay=tmp_path / "text.h5")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FormatError, match="without the manifest"):
        tuned(4, replay=tmp_path / "folder")
    make(4, "plain.h5", chunk=4, solver=TinyTimed(1.0))
    with pytest.raises(ReplayError, match=r"was not tuned.*solver=.TinyTimed"):
        tuned(4, replay=tmp_path / "plain.h5")
    assert not (tmp_path / "tuned.h5").exists()


def test_damaged_decisions_are_named(tuned, tmp_path, monkeypatch):
    for _ in stopped_at(monkeypatch, 3):
        with pytest.raises(ZeroDivisionError):
            tuned(24)
    folder = parts(tmp_path / "tuned.h5")
    journal = (folder / "journal.jsonl").read_text()
    (folder / "journal.jsonl").write_text(journal.replace('{"decided": {"chunk": 1,', '{"decided": {"chank": 1,'))
    with pytest.raises(ReplayError, match="no decision about chunk 1"):
        tuned(12, "new.h5", replay=folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["decision"]["rule"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match="damaged"):
        tuned(12, "new.h5", replay=folder)


def test_a_replay_does_not_mix_with_another_run(tuned, costs, monkeypatch):
    original = tuned(24)
    monkeypatch.setattr(working, "time", SimpleNamespace(perf_counter=itertools.count().__next__))
    other = tuned(24, "other.h5")
    first = next(c for c in range(6) if other.decisions[c].arm != original.decisions[c].arm)
    with pytest.raises(ReplayError, match=f"has chunk {first} by {other.decisions[first].arm}, and .*another output"):
        tuned(24, "other.h5", replay=original.path)
    assert tuned(24, replay=original.path).content_sha256 == original.content_sha256, "its own is nothing to do"
