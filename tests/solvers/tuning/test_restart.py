"""A learner that is reset when its favourite arm costs something else than before."""

import numpy as np
import pytest

from resolvent.solvers.tuning import EpsilonGreedy, FixedArm, RestartOnDrift, TsallisINF


def observed(tuner, costs):
    for cost in costs:
        tuner.observe(tuner.suggest(), float(cost))
    return tuner


def test_ten_costs_in_a_row_outside_of_the_band_reset():
    rng = np.random.default_rng(0)
    tuner = observed(RestartOnDrift(FixedArm(2, arm=1)), rng.lognormal(0.0, 0.1, 100))
    observed(tuner, [2.0] * 9)
    assert tuner.restarts == 0 and tuner.counts[1] == 109
    observed(tuner, [2.0])
    assert tuner.restarts == 1 and not tuner.learner.counts.any()


def test_one_cost_inside_begins_the_count_anew():
    rng = np.random.default_rng(0)
    tuner = observed(RestartOnDrift(FixedArm(2, arm=1)), rng.lognormal(0.0, 0.1, 100))
    for _ in range(5):
        observed(tuner, [2.0] * 9 + [1.0])
    assert tuner.restarts == 0


def test_what_is_outside_does_not_widen_the_band():
    rng = np.random.default_rng(0)
    tuner = observed(RestartOnDrift(FixedArm(1, arm=0), patience=1_000), rng.lognormal(0.0, 0.1, 100))
    before = tuner.state()
    observed(tuner, [5.0] * 100)
    assert tuner.state()["means"][0] == before["means"][0]
    assert tuner.state()["deviations"][0] == before["deviations"][0]


def test_cheaper_costs_reset_as_well():
    rng = np.random.default_rng(0)
    tuner = observed(RestartOnDrift(FixedArm(1, arm=0)), rng.lognormal(0.0, 0.1, 100))
    assert observed(tuner, [0.4] * 10).restarts == 1


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_resets_nothing(seed):
    rng = np.random.default_rng(seed)
    tuner = RestartOnDrift(TsallisINF(5, rng=seed))
    for _ in range(3_000):
        arm = tuner.suggest()
        tuner.observe(arm, (1.0 + arm.arm) * rng.lognormal(0.0, 0.5))
    assert tuner.restarts == 0


def test_costs_that_never_vary_reset_nothing():
    assert observed(RestartOnDrift(EpsilonGreedy(3)), [7.0] * 500).restarts == 0


@pytest.mark.parametrize("options", [{"sigmas": 0.0}, {"sigmas": np.nan}, {"patience": 0}, {"patience": 2.5}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="|".join(options)):
        RestartOnDrift(EpsilonGreedy(3), **options)


def test_what_is_no_learner_is_refused():
    with pytest.raises(TypeError, match="needs a learner"):
        RestartOnDrift(3)
