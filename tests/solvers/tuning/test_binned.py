"""Bins of a context, each with a learner of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvent.solvers.tuning import Binned, ChebCB, EpsilonGreedy, TsallisINF


@given(c=st.floats(-5.0, 5.0), bins=st.integers(1, 9))
def test_the_bin_is_that_of_the_nearest_centre(c, bins):
    tuner = Binned(EpsilonGreedy(2), low=-1.0, high=3.0, bins=bins)
    tuner.observe(1, 2.0, context=c)
    used = [place for place, learner in enumerate(tuner.learners) if learner.counts.any()]
    centres = -1.0 + 4.0 * (np.arange(bins) + 0.5) / bins
    distance = np.abs(np.clip(c, -1.0, 3.0) - centres)
    assert len(used) == 1 and distance[used[0]] <= distance.min() + 1e-12


def test_bins_learn_apart():
    tuner, rng = Binned(TsallisINF(3, rng=0), low=0.0, high=1.0, bins=3), np.random.default_rng(0)
    for c in rng.uniform(size=2_000):
        arm = tuner.suggest(c)
        tuner.observe(arm, 1.0 + abs(arm.arm - int(3 * c)))
    assert [tuner.best(c) for c in (0.1, 0.5, 0.9)] == [0, 1, 2]
    assert sum(learner.counts.sum() for learner in tuner.learners) == 2_000 == tuner.counts.sum()
    np.testing.assert_allclose(tuner.predict(0.9), [3.0, 2.0, 1.0])


def test_generators_of_bins_differ():
    tuner = Binned(TsallisINF(20, rng=0), low=0.0, high=1.0, bins=4)
    first = [learner.rng.random() for learner in tuner.learners]
    assert len(set(first)) == 4


def test_learners_with_a_context_may_stand_in_bins():
    tuner = Binned(ChebCB(2, low=0.0, high=1.0, rng=0), low=0.0, high=1.0, bins=2)
    tuner.observe(0, 5.0, context=0.1)
    assert tuner.predict(0.2)[0] > 0.0 and np.isnan(tuner.predict(0.9)).all()


@pytest.mark.parametrize(
    "options", [{"bins": 0}, {"bins": 1.5}, {"low": 2.0}, {"high": np.inf}, {"low": [0.0, 0.0], "high": [1.0, 1.0]}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=r"bins|low|range"):
        Binned(EpsilonGreedy(2), **({"low": 0.0, "high": 1.0, "bins": 2} | options))


def test_what_is_no_learner_is_refused():
    with pytest.raises(TypeError, match="needs a learner"):
        Binned(EpsilonGreedy, low=0.0, high=1.0, bins=2)
