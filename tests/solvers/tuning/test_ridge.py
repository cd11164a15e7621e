"""Ridge: polynomials of several contexts on logarithms of costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvent.solvers.tuning import Ridge

BOX = {"low": [0.0, 10.0], "high": [1.0, 1000.0]}


def contexts(rng, count):
    return rng.uniform(BOX["low"], BOX["high"], (count, 2))


@given(seed=st.integers(0, 10**6), degree=st.integers(0, 3), weight=st.floats(1e-3, 10.0))
def test_the_fit_is_a_ridge_regression_about_the_mean_of_all(seed, degree, weight):
    rng = np.random.default_rng(seed)
    tuner = Ridge(2, degree=degree, ridge=weight, **BOX)
    data = [(int(rng.integers(2)), c, float(rng.lognormal(1.0, 0.7))) for c in contexts(rng, 25)]
    for arm, c, cost in data:
        tuner.observe(arm, cost, context=c)
    centre = np.mean([np.log(cost) for _, _, cost in data])

    def basis(c):
        z = 2.0 * (c - BOX["low"]) / (np.array(BOX["high"]) - BOX["low"]) - 1.0
        T = np.cos(np.arange(degree + 1)[:, None] * np.arccos(z))
        pairs = [(i, j) for i in range(degree + 1) for j in range(degree + 1) if i + j <= degree]
        return np.array([T[i, 0] * T[j, 1] for i, j in pairs])

    z = contexts(rng, 1)[0]
    means, _, errors = tuner._fit(tuner._read(z))
    inverses = []
    for arm in range(2):
        design = np.array([basis(c) for a, c, _ in data if a == arm]).reshape(-1, len(basis(z)))
        y = np.array([np.log(cost) - centre for a, _, cost in data if a == arm])
        inverses.append(np.linalg.inv(design.T @ design + weight * np.eye(design.shape[1])))
        assert means[arm] == pytest.approx(centre + basis(z) @ inverses[arm] @ design.T @ y, rel=1e-6, abs=1e-8)
    ratio = np.sqrt(basis(z) @ inverses[0] @ basis(z) / (basis(z) @ inverses[1] @ basis(z)))
    assert errors[0] == pytest.approx(errors[1] * ratio, rel=1e-6)


def test_predictions_are_means_of_costs_not_exponentials_of_mean_logarithms():
    tuner, rng = Ridge(2, degree=0, **BOX), np.random.default_rng(0)
    costs = rng.lognormal(1.0, 0.8, 4_000)
    for cost in costs:
        tuner.observe(0, cost, context=[0.5, 100.0])
        tuner.observe(1, 3.4, context=[0.5, 100.0])
    assert costs.mean() == pytest.approx(np.exp(1.0 + 0.32), rel=0.05)
    assert tuner.predict([0.5, 100.0])[0] == pytest.approx(costs.mean(), rel=0.05)
    # The median of the first arm is less than what the second costs, its mean is more.
    assert np.median(costs) < 3.4 < costs.mean() and tuner.best([0.5, 100.0]) == 1


@pytest.mark.parametrize("exploration", ["bound", "epsilon"])
def test_two_contexts_decide_together(exploration):
    tuner, rng = Ridge(4, exploration=exploration, rng=1, **BOX), np.random.default_rng(0)

    def cost(arm, c):
        x, y = c[0] - 0.5, (c[1] - 505.0) / 990.0
        return float(np.exp([x + y, x - y, y - x, -x - y][arm]) * rng.uniform(0.9, 1.1))

    excess = []
    for c in contexts(rng, 1_500):
        arm = tuner.suggest(c)
        tuner.observe(arm, cost(arm.arm, c))
        excess.append(np.log(cost(arm.arm, c)) + abs(c[0] - 0.5) + abs((c[1] - 505.0) / 990.0))
    assert np.mean(excess[-500:]) < 0.05 < np.mean(excess[:20])
    assert [tuner.best(c) for c in ([0.1, 50.0], [0.1, 900.0], [0.9, 50.0], [0.9, 900.0])] == [0, 1, 2, 3]


def test_a_discount_follows_costs_that_drift():
    tuner, rng = Ridge(2, degree=1, discount=0.95, **BOX), np.random.default_rng(0)
    for t, c in enumerate(contexts(rng, 600)):
        arm = tuner.suggest(c)
        tuner.observe(arm, (1.0 + c[0]) * ([1.0, 2.0] if t < 300 else [3.0, 2.0])[arm] * rng.uniform(0.9, 1.1))
    np.testing.assert_allclose(tuner.predict([0.5, 100.0])[1], 3.0, rtol=0.1)
    assert tuner.best([0.5, 100.0]) == 1


@pytest.mark.parametrize(
    "options", [{"degree": -1}, {"degree": 1.5}, {"width": -1.0}, {"explore": -1.0}, {"ridge": 0.0}, {"low": [0.0]}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="|".join(options)):
        Ridge(3, **(BOX | options))


def test_another_exploration_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="one of bound, epsilon"):
        Ridge(3, exploration="softmax", **BOX)


def test_contexts_of_another_length_are_refused():
    tuner = Ridge(3, **BOX)
    with pytest.raises(ValueError, match=r"must hold 2 numbers, got shape \(3,\)"):
        tuner.suggest([0.1, 0.2, 0.3])
