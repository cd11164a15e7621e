"""Tuned sets: decisions stored before their chunk, kept for good, replayed exactly; no sample lost to a trial."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_family import CLOCK, TinyDiffusion, TinyTimed

from resolvent import datasets
from resolvent.datasets import ConfigurationMismatch, FormatError, ReplayError, families, plots
from resolvent.datasets import worker as working
from resolvent.datasets.choosing import decision as deciding
from resolvent.datasets.choosing.arms import Safeguarded
from resolvent.datasets.choosing.judgement import Judgement
from resolvent.datasets.methods.strategies import STRATEGIES, VARIANTS
from resolvent.datasets.placing import executors
from resolvent.datasets.storage.workspace import Workspace
from resolvent.solvers.candidates import Estimate

ESTIMATES = {"rule": 1.0, "fast": 1.2, "wild": 1.4, "hopeless": 9.0}


@pytest.fixture
def costs(monkeypatch):
    """Make time what the methods say: returns a function that sets the seconds a sample of each arm."""
    monkeypatch.setattr(working, "time", SimpleNamespace(perf_counter=lambda: CLOCK[0]))
    monkeypatch.setattr(working, "_used", set())
    judged = Judgement("rule", "told so", tuple(Estimate(name, s) for name, s in ESTIMATES.items()))
    monkeypatch.setattr(deciding, "judge", lambda *found: judged)

    def set_costs(**methods):
        for name, made in methods.items():
            method = made if isinstance(made, TinyTimed) else TinyTimed(made)
            registry, name = (VARIANTS, "fast:more") if name == "more" else (STRATEGIES, name)
            monkeypatch.setitem(registry, name, lambda request, method=method: method)

    set_costs(rule=1.0, fast=0.5, wild=5.0, hopeless=9.0, more=0.4)
    return set_costs


@pytest.fixture
def tuned(make, costs):
    return lambda n, out="tuned.h5", **options: make(n, out, chunk=4, **({"solver": "tuned"} | options))


def arms(ds):
    return [ds.decisions[chunk].arm for chunk in sorted(ds.decisions)]


def parts(ds_or_path):
    path = getattr(ds_or_path, "path", ds_or_path)
    return path.with_name(path.name + ".parts")


def lines(path):
    return [json.loads(line) for line in (parts(path) / "journal.jsonl").read_text().splitlines()]


def stopped_at(monkeypatch, chunk, look=lambda task: None):
    """Make a chunk raise before it does anything."""
    with monkeypatch.context() as patch:
        run_chunk = executors.run_chunk

        def run(task, **options):
            look(task)
            if task.chunk == chunk:
                raise ZeroDivisionError
            return run_chunk(task, **options)

        patch.setattr(executors, "run_chunk", run)
        yield


SEQUENCE = ["rule", "fast", "wild", "fast:more", "fast:more", "fast:more"]


# Tuning --------------------------------------------------------------------------------------------------------------


def test_arms_are_tried_once_and_the_fastest_makes_the_rest(tuned):
    ds = tuned(24)
    assert arms(ds) == SEQUENCE
    assert [ds.decisions[c].reason for c in range(5)] == [
        *("by rule", "untried", "untried", "untried variant of fast", "least so far")
    ]
    assert ds.certificates["certified"].all() and ds.config["solver"] == "tuned"
    shares = {share.arm: share for share in ds.shares}
    assert ds.shares[0].arm == "fast:more"
    assert (shares["fast:more"].chunks, shares["fast:more"].samples) == (3, 12)
    assert shares["wild"].seconds == pytest.approx(5.0) and shares["fast:more"].seconds == pytest.approx(0.4)
    assert shares["fast:more"].told == "2 least so far, untried variant of fast"
    described = str(datasets.describe(ds.path))
    assert "fast:more            3 chunks, 400 ms a sample: 2 least so far" in described
    assert ds.provenance["decision"]["chosen"] == "tuned" and "told so" in ds.provenance["decision"]["why"]


def test_the_method_of_the_chunk_makes_its_samples(tuned, make):
    ds = tuned(12)
    for chunk, seconds in enumerate((1.0, 0.5, 5.0)):
        only = make(12, f"{chunk}.h5", chunk=4, solver=TinyTimed(seconds))
        rows = slice(4 * chunk, 4 * chunk + 4)
        assert np.array_equal(ds.column("u")[rows], only.column("u")[rows])


def test_the_first_use_of_a_method_is_not_its_cost(tuned, costs, monkeypatch):
    """What compiles, compiles before the clock of its first chunk starts."""
    compiled, start = set(), TinyTimed.start

    def slow_start(self):
        CLOCK[0] += 100.0 if self not in compiled else 0.0
        compiled.add(self)
        return start(self)

    monkeypatch.setattr(TinyTimed, "start", slow_start)
    assert arms(tuned(24)) == SEQUENCE


def test_sets_of_one_method_have_no_decisions(make):
    ds = make(8)
    assert ds.decisions == {} and ds.shares == () and "tuning" not in ds.provenance
    with pytest.raises(ValueError, match="was not tuned"):
        plots.plot_times(ds)


def test_workers_share_what_was_learned_and_all_chunks_are_decided(tuned):
    ds = tuned(40, workers=2)
    assert len(ds.decisions) == 10 and {"rule", "fast"} <= set(arms(ds))
    assert ds.certificates["certified"].all() and datasets.verify(ds.path, family=TinyDiffusion()).passed


@pytest.mark.parametrize("fault", ["MAXITER", "ValueError"])
def test_what_an_arm_fails_on_is_solved_by_the_rule(tuned, costs, make, fault):
    costs(fast=TinyTimed(0.1, fault))
    ds = tuned(24)
    assert arms(ds)[1] == "fast" and ds.certificates["certified"].all()
    rule = make(24, "rule.h5", chunk=4, solver=TinyTimed(1.0))
    assert np.array_equal(ds.column("u")[4:8], rule.column("u")[4:8])
    assert {s.arm: s for s in ds.shares}["fast"].seconds == pytest.approx(1.1), "what was spent in vain counts"


def test_a_method_that_raises_starts_afresh():
    system = TinyDiffusion().assemble(TinyDiffusion().draw(np.random.default_rng(0)))

    class Once(TinyTimed):
        def start(self):
            CLOCK.append(0.0)
            return super().start()

    before = len(CLOCK)
    solve = Safeguarded(Once(1.0, "ValueError"), TinyTimed(2.0)).start()
    assert [solve([system])[0].status.name for _ in range(3)] == ["CONVERGED"] * 3
    assert len(CLOCK) - before == 4
    del CLOCK[before:]


def test_what_the_rule_fails_on_is_refused_or_flagged_as_ever(tuned, costs):
    costs(rule=TinyTimed(1.0, "MAXITER"))
    with pytest.raises(datasets.CertificationError):
        tuned(8)
    assert not tuned(8, on_failure="flag").certificates["certified"][:4].any()


# Decisions stand -----------------------------------------------------------------------------------------------------


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


# Extension -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [8, 10, 24])
def test_an_extended_set_goes_on_with_what_was_learned(tuned, first):
    whole = tuned(40, "whole.h5")
    tuned(first)
    grown = tuned(40)
    assert arms(grown) == arms(whole) == [*SEQUENCE, *["fast:more"] * 4]
    assert grown.content_sha256 == whole.content_sha256
    assert sum(share.samples for share in grown.shares) == 40 and sum(share.chunks for share in grown.shares) == 10


def test_another_solver_does_not_continue_a_tuned_set(tuned):
    tuned(8)
    for solver, shown in (("auto", "'auto'"), (TinyTimed(1.0), "TinyTimed")):
        with pytest.raises(ConfigurationMismatch, match=f"solver: 'tuned' there, .*{shown}"):
            tuned(12, solver=solver)
    tuned(8, "auto.h5", solver="auto")
    with pytest.raises(ConfigurationMismatch, match="solver: 'auto' there, 'tuned' requested"):
        tuned(12, "auto.h5")
    assert arms(tuned(12, "auto.h5", overwrite=True)) == SEQUENCE[:3]


# Replay --------------------------------------------------------------------------------------------------------------


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


# Checking ------------------------------------------------------------------------------------------------------------


def test_every_sample_can_be_made_again_by_the_method_of_its_chunk(tuned):
    ds = tuned(18)
    report = datasets.verify(ds.path, family=TinyDiffusion())
    assert report.passed and report.checks["decisions"] == "5 of 5 chunks, 4 methods"
    assert all(datasets.reproduce(ds.path, i, family=TinyDiffusion()).identical for i in (1, 5, 11, 14, 17))


def test_a_method_that_has_changed_cannot_reproduce(tuned, costs):
    ds = tuned(12)
    costs(wild=6.0)
    assert datasets.reproduce(ds.path, 5, family=TinyDiffusion()).identical
    with pytest.raises(datasets.DatasetError, match=r"solved by Safeguarded.*seconds=5\.0.*offers.*seconds=6\.0"):
        datasets.reproduce(ds.path, 9, family=TinyDiffusion())


def test_times_are_drawn_by_chunk(tuned):
    ds = tuned(24)
    ax = plots.plot_times(ds)
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}
    assert drawn["wild, 1 chunk"] == [[2.0, pytest.approx(5000.0)]]
    assert [x for x, _ in drawn["fast:more, 3 chunks"]] == [3.0, 4.0, 5.0]
    assert len(plots.plot_dataset(ds).subfigs) == 3


# With real solvers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "chunk"), [("convdiff2d", 4), ("darcy2d", 8)])
def test_real_sets_are_certified_whatever_the_method(tmp_path, name, chunk):
    family = families.get(name, resolution=16)
    ds = datasets.generate(family, 5 * chunk, out=tmp_path / "set.h5", solver="tuned", chunk=chunk, two_grid=0)
    assert ds.certificates["rho_float64"].max() <= 1e-8 and len(set(arms(ds))) >= 2
    replay = datasets.generate(family, 5 * chunk, out=tmp_path / "r.h5", chunk=chunk, two_grid=0, replay=ds.path)
    assert replay.content_sha256 == ds.content_sha256
    for arm in set(arms(ds)):
        assert datasets.reproduce(ds.path, chunk * arms(ds).index(arm) + 1).identical
    assert datasets.verify(ds.path).passed


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_every_variant_can_be_asked_for_and_differs_from_what_it_varies(tmp_path, variant):
    name = "convdiff2d" if variant.startswith("gmres") else "darcy2d"
    family = families.get(name, resolution=16)
    ds = datasets.generate(family, 6, out=tmp_path / "set.h5", solver=variant, two_grid=0)
    assert ds.certificates["certified"].all()
    base = datasets.explain(family, solver=variant.partition(":")[0])
    assert repr(base.method) != ds.config["method"]
    assert datasets.reproduce(ds.path, 3).identical
