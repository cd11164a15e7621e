"""Tuned sets whose methods take the time they are told to."""

from types import SimpleNamespace

import pytest
from tiny_family import CLOCK, TinyTimed

from resolvent.datasets import worker as working
from resolvent.datasets.choosing import decision as deciding
from resolvent.datasets.choosing.judgement import Judgement
from resolvent.datasets.methods.strategies import STRATEGIES, VARIANTS
from resolvent.solvers.candidates import Estimate

from .tuned_sets import ESTIMATES


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
