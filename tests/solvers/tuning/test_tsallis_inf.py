"""Tsallis-INF: probabilities that sum to one in every round, few Newton steps, unbiased estimates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from resolvent.solvers.tuning import TsallisINF
from resolvent.solvers.tuning.tsallis_kernels import tsallis_probabilities
from resolvent.solvers.tuning.tuner import drawn


@pytest.mark.parametrize("d", [2, 20, 33])
@pytest.mark.parametrize("reduced_variance", [False, True])
def test_probabilities_sum_to_one_in_every_round(d, reduced_variance):
    tuner, rng = TsallisINF(d, reduced_variance=reduced_variance, floor=1.0, rng=0), np.random.default_rng(1)
    means = np.linspace(20.0, 200.0, d)
    steps, sums = [], []
    for _ in range(5_000):
        arm = tuner.suggest()
        p = tuner.probabilities
        assert arm.probability == p[arm]
        steps.append(tuner.newton_steps)
        sums.append(max(abs(p.sum() - 1.0), abs(tuner.excess)))
        tuner.observe(arm, 1.0 + means[arm] * rng.exponential())
    assert max(sums) < 1e-10
    assert max(steps) <= 15
    assert np.mean(steps) > 1, "the root was not there to begin with"
    assert tuner.best() == tuner.counts.argmax() == 0


def test_an_adversary_gains_nothing_on_the_root():
    """Costs 10⁴ times as large from one round to the next, always on the arm that was played."""
    tuner = TsallisINF(20, rng=0)
    for t in range(5_000):
        arm = tuner.suggest()
        assert abs(tuner.excess) < 1e-10 and tuner.newton_steps <= 15
        tuner.observe(arm, 10.0 ** (t % 5))


@given(gaps=st.lists(st.floats(0.0, 1e12), min_size=1, max_size=40), scale=st.floats(1e-9, 1e3))
def test_the_root_is_that_of_a_bracketing_method(gaps, scale):
    scaled = scale * (np.array(gaps) - min(gaps))
    p = np.empty(len(gaps))
    steps, excess = tsallis_probabilities(scaled, p)
    assert steps <= 15 and abs(excess) < 1e-10 and abs(p.sum() - 1.0) < 1e-10
    if len(gaps) > 1:
        y = brentq(lambda y: ((scaled + y) ** -2.0).sum() - 1.0, 1.0, np.sqrt(len(gaps)), xtol=1e-15, rtol=1e-14)
        np.testing.assert_allclose(p, (scaled + y) ** -2.0, rtol=1e-9)


def test_arms_are_drawn_in_proportion():
    p = np.array([0.2, 0.0, 0.5, 0.3])
    rng = np.random.default_rng(0)
    counts = np.bincount([drawn(p, rng) for _ in range(20_000)], minlength=4)
    np.testing.assert_allclose(counts / 20_000, p, atol=0.015)
    assert counts[1] == 0


@pytest.mark.parametrize(("u", "arm"), [(0.0, 0), (0.19, 0), (0.21, 2), (0.69, 2), (0.71, 3), (1.0 - 1e-16, 3)])
def test_the_arm_is_where_the_uniform_number_falls(u, arm):
    class Fixed:
        def random(self):
            return u

    assert drawn(np.array([0.2, 0.0, 0.5, 0.3]), Fixed()) == arm
    assert drawn(np.array([0.2, 0.0, 0.5, 0.3 - 1e-13]), Fixed()) == arm


def test_estimates_are_unbiased():
    """Over all draws from one state, the estimated losses grow by what each arm costs."""
    costs, d = np.array([3.0, 5.0, 9.0]), 3
    for reduced_variance in (False, True):
        tuner = TsallisINF(d, reduced_variance=reduced_variance, rng=2)
        for _ in range(100):
            arm = tuner.suggest()
            tuner.observe(arm, costs[arm])
        tuner.suggest()
        before, p = tuner.state(), tuner.probabilities
        losses, shift = np.zeros(d), np.zeros(d)
        for arm in range(d):
            tuner.restore(before | {"pending": arm})
            tuner.observe(arm, costs[arm])
            after = tuner.state()
            losses += p[arm] * (after["losses"] - before["losses"])
            shift += p[arm] * (after["shift"] - before["shift"])
        np.testing.assert_allclose(losses, costs, rtol=1e-12)
        np.testing.assert_allclose(shift, 0.0, atol=1e-12)
        assert after["shift"].any() == reduced_variance


def test_the_unit_of_the_cost_does_not_matter():
    arms = []
    for unit in (1.0, 1e-6, 1e6):
        tuner, rng = TsallisINF(4, reduced_variance=True, rng=0), np.random.default_rng(0)
        arms.append([])
        for _ in range(300):
            arm = tuner.suggest()
            arms[-1].append(arm.arm)
            tuner.observe(arm, unit * (1.0 + arm.arm) * rng.uniform(0.5, 1.5))
    assert arms[0] == arms[1] == arms[2]


def test_what_was_not_suggested_changes_means_but_no_probabilities():
    tuner = TsallisINF(3, rng=0)
    for _ in range(20):
        tuner.observe(tuner.suggest(), 2.0)
    before, arm = tuner.state(), tuner.suggest()
    other = (arm.arm + 1) % 3
    tuner.observe(other, 50.0)
    after = tuner.state()
    np.testing.assert_array_equal(after["losses"], before["losses"])
    assert tuner.predict()[other] > 2.0
    assert after["clock"] == before["clock"] + 1


@pytest.mark.parametrize("floor", [-1.0, np.nan, "1"])
def test_floors_below_zero_are_refused(floor):
    with pytest.raises(ValueError, match="floor must be a number ≥ 0"):
        TsallisINF(3, floor=floor)
