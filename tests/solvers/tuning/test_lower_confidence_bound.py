"""Lower confidence bounds on the logarithm of the cost."""

import numpy as np
import pytest

from resolvent.solvers.tuning import LowerConfidenceBound


def test_the_bound_is_the_one_that_is_documented():
    tuner, rng = LowerConfidenceBound(3, width=1.5), np.random.default_rng(0)
    logs = [[], [], []]
    for _ in range(60):
        arm = tuner.suggest()
        if min(map(len, logs)) > 0:
            n = np.array([len(values) for values in logs])
            squares = sum(np.sum((values - np.mean(values)) ** 2) for values in logs)
            sigma = np.sqrt(squares / max(np.sum(n - 1), 1))
            bound = [np.mean(values) for values in logs] - 1.5 * sigma * np.sqrt(np.log(n.sum() + 1.0) / n)
            assert arm.arm == bound.argmin()
        cost = rng.lognormal([0.0, 0.5, 0.3][arm], 0.4)
        tuner.observe(arm, cost)
        logs[arm].append(np.log(cost))
    assert min(map(len, logs)) >= 3, "bounds explore"
    assert tuner.counts.argmax() == 0


def test_the_unit_of_the_cost_does_not_matter():
    arms = []
    for unit in (1.0, 1e-7, 1e7):
        tuner, rng = LowerConfidenceBound(4), np.random.default_rng(0)
        arms.append([])
        for _ in range(200):
            arm = tuner.suggest()
            arms[-1].append(arm.arm)
            tuner.observe(arm, unit * (1.0 + 0.2 * arm.arm) * rng.uniform(0.5, 1.5))
    assert arms[0] == arms[1] == arms[2]


def test_one_disaster_does_not_decide():
    tuner = LowerConfidenceBound(2)
    for t in range(200):
        arm = tuner.suggest()
        tuner.observe(arm, (1e4 if t == 50 else 1.0) if arm.arm == 0 else 2.0)
    assert tuner.counts[0] > 120


def test_a_censored_cost_is_at_least_the_mean_of_the_logarithms():
    tuner = LowerConfidenceBound(1)
    for cost in (1.0, 100.0):
        tuner.observe(0, cost)
    before = tuner.state()["logs"][0]
    tuner.observe(0, 2.0, censored=True)
    assert tuner.state()["logs"][0] - before == pytest.approx(np.log(10.0))


@pytest.mark.parametrize("width", [-1.0, np.inf, None])
def test_widths_below_zero_are_refused(width):
    with pytest.raises(ValueError, match="width must be a number ≥ 0"):
        LowerConfidenceBound(3, width=width)
