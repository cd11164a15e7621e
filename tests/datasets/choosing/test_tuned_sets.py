"""Tuned sets: arms, workers, extension, checking; no sample lost to a trial."""

import numpy as np
import pytest
from tiny_family import CLOCK, TinyDiffusion, TinyTimed

from resolvent import datasets
from resolvent.datasets import ConfigurationMismatch, families, plots
from resolvent.datasets.choosing.arms import Safeguarded
from resolvent.datasets.methods.strategies import VARIANTS

from .tuned_sets import SEQUENCE, arms

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
