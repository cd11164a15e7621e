"""ChebCB against its definition, written plainly, and its least squares in a box against SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import chebyshev
from scipy.optimize import lsq_linear

from resolvent.solvers.tuning import ChebCB
from resolvent.solvers.tuning.chebcb_kernels import bounded_least_squares

from .learners import UNIT


@given(seed=st.integers(0, 10**6), m=st.integers(1, 7), rows=st.integers(1, 20), size=st.floats(0.0, 3.0))
def test_least_squares_in_a_box_is_that_of_scipy(seed, m, rows, size):
    rng = np.random.default_rng(seed)
    design = rng.standard_normal((rows, m)) * 10.0 ** rng.uniform(-2, 0, m)
    y = rng.standard_normal(rows)
    ridge = 1e-6
    G, h = design.T @ design + ridge * np.eye(m), design.T @ y
    bounds = size * rng.uniform(0.0, 1.0, m) + 1e-3
    x = np.empty(m)
    needed, solves = bounded_least_squares(G, h, bounds, x)
    augmented, target = np.vstack([design, np.sqrt(ridge) * np.eye(m)]), np.concatenate([y, np.zeros(m)])
    expected = lsq_linear(augmented, target, (-bounds, bounds), method="bvls", tol=1e-14).x
    assert (np.abs(x) <= bounds + 1e-12).all()

    def value(x):
        return float(np.sum((augmented @ x - target) ** 2))

    assert value(x) <= value(expected) * (1.0 + 1e-9) + 1e-14
    assert solves <= 6 * m + 2
    assert needed == bool((np.abs(np.linalg.solve(G, h)) > bounds).any())


def test_bounds_of_zero_leave_nothing():
    x = np.ones(3)
    needed, solves = bounded_least_squares(np.diag([1.0, 2.0, 3.0]), np.array([5.0, 1.0, -2.0]), np.zeros(3), x)
    assert needed and not x.any() and solves < 10


def plain_probabilities(history, z, d, m, unfinished):
    """Return the probabilities that the definition gives after a history of (arm, z, loss), in the order it came.

    `unfinished` carries the sum of squared errors, which depend on predictions of the past.
    """
    K, least = max(y for _, _, y in history), min(y for _, _, y in history)
    spread = K - least
    S = K * (2.0 + 4.0 * spread / K * (1.0 + np.log(m)))
    theta, fits = np.zeros((d, m)), np.zeros(d)
    bounds = np.array([K, *(2.0 * spread / j for j in range(1, m))]) + 1e-300
    bounded = np.zeros(d, dtype=bool)
    for arm in {a for a, _, _ in history}:
        design = chebyshev.chebvander(np.array([x for a, x, _ in history if a == arm]), m - 1)
        values = np.array([y for a, _, y in history if a == arm])
        theta[arm] = np.linalg.lstsq(design, values, rcond=1e-5)[0]
        if (np.abs(theta[arm]) > bounds).any():
            theta[arm] = lsq_linear(design, values, (-bounds, bounds), method="bvls", tol=1e-13).x
            bounded[arm] = True
        fits[arm] = np.sum((design @ theta[arm] - values) ** 2)
    t = len(history) + 1
    changed = unfinished["limits"] != (K, least)
    touched = [a for a in range(d) if bounded[a] and (changed or a == history[-1][0])]
    r = fits[touched[-1]] / S**2 if touched else 0.0
    unfinished["R"] += ((unfinished["predicted"] - history[-1][2]) / S) ** 2
    unfinished["limits"] = (K, least)
    predicted = theta @ chebyshev.chebvander(np.array([z]), m - 1)[0]
    a = (np.pi + 2.0 / np.pi * np.log(2 * m + 1)) * spread / (2.0 * S * (m + 1))
    eta = 2.0 * t * np.sqrt(d * t / (unfinished["R"] - r + 2.0 * a * a * t))
    scaled, best = predicted / S, int(predicted.argmin())
    p = 1.0 / (d + eta * (scaled - scaled[best]))
    p[best] = 0.0
    p[best] = 1.0 - p.sum()
    return p, predicted


def test_probabilities_are_those_of_the_definition():
    d, m, rounds = 4, 4, 400
    tuner, rng = ChebCB(d, features=m, floor=1.0, rng=3, **UNIT), np.random.default_rng(5)
    history, running = [], {"R": 0.0, "limits": None, "predicted": 0.0}
    compared = bounded = 0
    for t in range(rounds):
        c = rng.beta(3.0, 9.0)  # mostly in a part of the range, where unbounded coefficients are large
        arm = tuner.suggest(c)
        if history:
            p, predicted = plain_probabilities(history, 2.0 * c - 1.0, d, m, running)
            running["predicted"] = predicted[arm]
            # An arm with fewer observations than terms has no unique fit in a box.
            if min(np.bincount([a for a, _, _ in history], minlength=d)) >= m:
                np.testing.assert_allclose(tuner.probabilities, p, rtol=2e-3, atol=1e-6)
                compared += 1
                bounded += tuner.state()["residual"] > 0.0
        cost = 1.0 + 30.0 * abs(c - arm.arm / 3.0) + (60.0 if t % 7 == 0 else 0.0) * rng.uniform()
        tuner.observe(arm, cost)
        history.append((arm.arm, 2.0 * c - 1.0, cost - 1.0))
    assert compared > 100 and bounded > 10, "the comparison must have happened, with bounds and without"


def test_smooth_costs_are_learned_to_the_accuracy_of_the_series():
    tuner, rng = ChebCB(3, rng=0, **UNIT), np.random.default_rng(0)
    for _ in range(400):
        c = rng.uniform()
        for arm in range(3):
            tuner.observe(arm, 2.0 + np.cos(c + arm), context=c)
    grid = np.linspace(0.0, 1.0, 11)
    np.testing.assert_allclose([tuner.predict(c) for c in grid], 2.0 + np.cos(grid[:, None] + np.arange(3)), atol=2e-3)


def test_untried_arms_attract():
    tuner = ChebCB(4, rng=0, **UNIT)
    for arm in (0, 1, 3):
        for _ in range(3):
            tuner.observe(arm, 5.0 + arm, context=0.5)
    tuner.suggest(0.5)
    assert tuner.probabilities.argmax() == 2


@pytest.mark.parametrize(
    "options", [{"features": 0}, {"features": 2.5}, {"floor": -1.0}, {"low": 1.0}, {"low": [0, 0], "high": [1, 1]}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=r"features|floor|low|range"):
        ChebCB(3, **(UNIT | options))
