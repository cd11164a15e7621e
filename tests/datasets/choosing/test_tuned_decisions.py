"""Decisions of a tuned set: stored before their chunk, kept for good."""

import json

import pytest
from tiny_family import TinyTimed

from resolvent import datasets
from resolvent.datasets import ConfigurationMismatch
from resolvent.datasets.choosing import decision as deciding
from resolvent.datasets.choosing.judgement import Judgement
from resolvent.datasets.methods.strategies import STRATEGIES
from resolvent.datasets.storage.workspace import Workspace
from resolvent.solvers.candidates import Estimate

from .tuned_sets import ESTIMATES, SEQUENCE, arms, parts, stopped_at


def lines(path):
    return [json.loads(line) for line in (parts(path) / "journal.jsonl").read_text().splitlines()]


def test_a_decision_is_on_disk_before_its_chunk_starts(tuned, tmp_path, monkeypatch):
    seen = []

    def look(task):
        entered = [line["decided"] for line in lines(tmp_path / "tuned.h5") if "decided" in line]
        seen.append((task.chunk, entered[-1]["chunk"], entered[-1]["method"] == repr(task.settings.method)))

    for _ in stopped_at(monkeypatch, None, look):
        tuned(24)
    assert seen == [(chunk, chunk, True) for chunk in range(6)]


def test_a_chunk_that_was_decided_and_not_made_is_made_as_decided(tuned, costs, tmp_path, monkeypatch):
    whole = tuned(24, "whole.h5")
    for _ in stopped_at(monkeypatch, 2):
        with pytest.raises(ZeroDivisionError):
            tuned(24)
    assert [next(iter(line)) for line in lines(tmp_path / "tuned.h5")] == [
        "decided",
        "chunk",
        "decided",
        "chunk",
        "decided",
    ]
    journal = parts(tmp_path / "tuned.h5") / "journal.jsonl"
    journal.write_text(journal.read_text().replace("4.0", "1e-9"))  # chunk 0 took nothing, it now seems
    assert tuned(24).content_sha256 != whole.content_sha256
    ds = datasets.open(tmp_path / "tuned.h5")
    assert arms(ds)[:4] == ["rule", "fast", "wild", "rule"] and ds.decisions[2].reason == "untried"


def test_a_decision_stands_even_if_nothing_was_made_when_the_run_was_killed(tuned, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "__exit__", lambda self, *error: self._release())  # as kill -9 leaves it
        for _ in stopped_at(patch, 0):
            with pytest.raises(ZeroDivisionError):
                tuned(12)
    journal = parts(tmp_path / "tuned.h5") / "journal.jsonl"
    (entry,) = lines(tmp_path / "tuned.h5")
    method = f"Safeguarded(method={TinyTimed(5.0)}, rescue={TinyTimed(1.0)})"
    entry["decided"] |= {"arm": "wild", "method": method}
    journal.write_text(json.dumps(entry) + "\n")
    assert arms(tuned(12))[0] == "wild"


def test_an_interrupted_run_resumed_equals_one_without_interruption(tuned, tmp_path, monkeypatch):
    whole = tuned(24, "whole.h5")
    for stop in range(1, 6):
        for _ in stopped_at(monkeypatch, stop):
            with pytest.raises(ZeroDivisionError):
                tuned(24)
    ds = tuned(24)
    assert arms(ds) == SEQUENCE and ds.content_sha256 == whole.content_sha256


def test_a_chunk_without_its_decision_is_made_again(tuned, tmp_path, monkeypatch):
    for _ in stopped_at(monkeypatch, 3):
        with pytest.raises(ZeroDivisionError):
            tuned(24)
    journal = parts(tmp_path / "tuned.h5") / "journal.jsonl"
    kept = [line for line in journal.read_text().splitlines() if '"decided": {"chunk": 1,' not in line]
    journal.write_text("\n".join(kept) + "\n")
    seen = []
    ds = tuned(24, progress=seen.append)
    assert seen[0].resumed == 8 and sorted(ds.decisions) == list(range(6))


def test_a_decision_for_a_method_that_has_changed_is_refused(tuned, costs, monkeypatch):
    for _ in stopped_at(monkeypatch, 1):
        with pytest.raises(ZeroDivisionError):
            tuned(12)
    costs(fast=0.6)
    with pytest.raises(ConfigurationMismatch, match=r"method of fast: .*seconds=0\.5.*seconds=0\.6"):
        tuned(12)
    monkeypatch.delitem(STRATEGIES, "fast")
    costs(fast=0.5)
    assert arms(tuned(12)) == ["rule", "fast", "wild"]


def test_an_arm_that_has_changed_is_not_taken_again_and_another_rule_neither(tuned, costs, monkeypatch):
    tuned(24)
    costs(more=0.3)
    judged = Judgement("fast", "another rule", tuple(Estimate(name, s) for name, s in ESTIMATES.items()))
    monkeypatch.setattr(deciding, "judge", lambda *found: judged)
    grown = tuned(40)
    assert arms(grown) == [*SEQUENCE, "fast", "fast", "fast", "fast"]
    assert grown.provenance["decision"]["rule"] == "rule"
