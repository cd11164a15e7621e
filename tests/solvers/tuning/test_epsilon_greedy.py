"""ε-greedy: the published schedule of exploration, and means."""

import numpy as np
import pytest

from resolvent.solvers.tuning import EpsilonGreedy


def test_each_arm_comes_once_and_then_ever_more_of_the_best():
    tuner = EpsilonGreedy(20, rng=0)
    reasons = []
    for t in range(4_000):
        arm = tuner.suggest()
        if t < 20:
            assert (arm.arm, arm.probability, arm.reason) == (t, 1.0, "untried")
        elif arm.reason == "least mean":
            assert arm.arm == 7
            assert arm.probability == pytest.approx(1.0 - 0.95 * min(1.0, 20.0 / (t + 1)))
        reasons.append(arm.reason)
        tuner.observe(arm, 10.0 + abs(arm.arm - 7))
    explored = reasons.count("explore")
    expected = sum(min(1.0, 20.0 / t) for t in range(21, 4_001))
    assert abs(explored - expected) < 4.0 * np.sqrt(expected)
    np.testing.assert_allclose(tuner.predict(), 10.0 + np.abs(np.arange(20) - 7))


def test_without_exploration_it_is_greedy():
    tuner = EpsilonGreedy(3, explore=0.0)
    for _ in range(3):
        arm = tuner.suggest()
        tuner.observe(arm, [2.0, 1.0, 3.0][arm])
    assert {tuner.suggest().arm for _ in range(50)} == {1}


def test_probes_before_the_first_suggestion_count():
    tuner = EpsilonGreedy(3, explore=0.0)
    for arm, cost in ((0, 5.0), (1, 9.0)):
        tuner.observe(arm, cost)
    assert tuner.suggest().arm == 2, "the only one that is untried"


def test_a_discount_follows_costs_that_drift():
    tuner = EpsilonGreedy(2, explore=2.0, discount=0.9, rng=0)
    for t in range(600):
        arm = tuner.suggest()
        tuner.observe(arm, [1.0, 2.0][arm] if t < 300 else [3.0, 2.0][arm])
    assert tuner.best() == 1
    np.testing.assert_allclose(tuner.predict(), [3.0, 2.0], rtol=0.05)
    assert tuner.counts.sum() == pytest.approx(1.0 / (1.0 - 0.9), rel=1e-6)


@pytest.mark.parametrize("explore", [-1.0, np.nan, "2"])
def test_exploration_below_zero_is_refused(explore):
    with pytest.raises(ValueError, match="explore must be a number ≥ 0"):
        EpsilonGreedy(3, explore=explore)
