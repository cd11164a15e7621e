"""Learned relaxation factors on the two published experiments, in short deterministic forms.

`benchmarks/relaxation.py` measures them in full, on many draws and finer grids.
"""

import numpy as np
import pytest

from resolvent.solvers.tuning import Binned, ChebCB, EpsilonGreedy, FixedArm, RestartOnDrift, Ridge, TsallisINF

from ...benchmarks.loading import load

problems = load("_relaxation_problems")

ARMS, T, EXTRA = 20, 5_000, 500
SEEDS = range(3)
FIXED = {"low": (269.0, 81.3, 59.0, 1.65), "high": (617.0, 200.0, 103.8, 1.80)}  # ω = 1, ω = 1.5, best; best ω


@pytest.fixture(scope="module", params=["low", "high"])
def law(request):
    return request.param


@pytest.fixture(scope="module")
def draws():
    made = {}

    def drawn(law):
        if law not in made:
            c, b = problems.draw_shifted(law, T + (EXTRA if law == "low" else 0), np.random.default_rng(7))
            made[law] = c, b, problems.sor_costs(c, b)
        return made[law]

    return drawn


@pytest.fixture
def experiment(law, draws):
    c, b, table = draws(law)
    return c[:T], b[:, :T], table[:T]


def ratios(make, c, table):
    """Return the cost of a learner with each seed, relative to the best fixed factor."""
    best = table.mean(axis=0).min()
    return [problems.run_table(table, c, make(seed)).mean() / best for seed in SEEDS]


# ---------------------------------------------------------------------------------------------------------------
# SOR on the shifted Laplacian


def test_fixed_factors_cost_what_was_measured_elsewhere(law, experiment):
    _, _, table = experiment
    means = table.mean(axis=0)
    *expected, omega = FIXED[law]
    np.testing.assert_allclose([means[0], means[10], means.min()], expected, rtol=0.03)
    assert problems.OMEGAS[means.argmin()] == omega


def test_the_table_holds_what_solves_report(experiment):
    from resolvent.solvers.relaxation import SOR

    c, b, table = experiment
    A = problems.laplacian(10)
    for t, arm in ((0, 0), (1, 7), (2, 13), (3, 19)):
        solver = SOR(omega=float(problems.OMEGAS[arm]), rtol=1e-8, maxiter=10_000)
        assert solver.solve(A + c[t] * np.eye(100), b[:, t]).iterations == table[t, arm]


@pytest.mark.parametrize(("reduced_variance", "bound"), [(False, 1.20), (True, 1.17)])
def test_tsallis_inf_is_near_the_best_fixed_factor(experiment, reduced_variance, bound):
    c, _, table = experiment
    found = ratios(lambda seed: TsallisINF(ARMS, reduced_variance=reduced_variance, floor=1.0, rng=seed), c, table)
    assert max(found) <= bound, found


def test_epsilon_greedy_is_near_the_best_fixed_factor(experiment):
    c, _, table = experiment
    found = ratios(lambda seed: EpsilonGreedy(ARMS, rng=seed), c, table)
    assert max(found) <= 1.15, found


def test_chebcb_beats_the_best_fixed_factor(law, experiment):
    c, _, table = experiment
    found = ratios(lambda seed: ChebCB(ARMS, floor=1.0, rng=seed, **problems.SHIFTS), c, table)
    low, high = {"low": (0.75, 0.85), "high": (0.60, 0.70)}[law]
    assert low <= min(found) and max(found) <= high, found


def test_ridge_does_as_chebcb(law, experiment):
    c, _, table = experiment
    best = table.mean(axis=0).min()
    ratio = problems.run_table(table, c, Ridge(ARMS, degree=5, **problems.SHIFTS)).mean() / best
    assert ratio <= {"low": 0.85, "high": 0.70}[law]


def test_the_closed_form_beats_every_learner(law, experiment):
    c, b, table = experiment
    c, b, table = c[:1_000], b[:, :1_000], table[:1_000]
    ratio = problems.closed_form_costs(c, b).mean() / table.mean(axis=0).min()
    assert ratio <= {"low": 0.74, "high": 0.58}[law]


# ---------------------------------------------------------------------------------------------------------------
# Conjugate gradients with SSOR on the heat equation


def test_chebcb_beats_the_best_fixed_factor_on_the_heat_equation():
    heat = problems.Heat(25, 2_000)
    found = {arm: problems.run_heat(heat, FixedArm(ARMS, arm=arm)).mean() for arm in (0, 7, 8, 9, 10)}
    assert min(found, key=found.get) == 8 and problems.OMEGAS[8] == 1.40
    assert found[8] == pytest.approx(5.88, rel=0.02) and found[0] == pytest.approx(6.56, rel=0.02)
    learned = problems.run_heat(heat, ChebCB(ARMS, floor=1.0, rng=0, **heat.range)).mean()
    assert learned <= 0.93 * found[8]


def test_the_table_of_the_heat_equation_agrees_with_solves():
    heat = problems.Heat(16, 300)
    table, plain = problems.heat_costs(heat)
    assert (plain >= table[:, 8]).mean() > 0.5
    for make in (lambda: EpsilonGreedy(ARMS, rng=0), lambda: Binned(TsallisINF(ARMS, rng=0), bins=6, **heat.range)):
        by_table = problems.run_table(table, heat.contexts, make()).mean()
        assert problems.run_heat(heat, make()).mean() == pytest.approx(by_table, rel=0.01)


# ---------------------------------------------------------------------------------------------------------------
# Drift and priors

DRIFTING = {
    "discount, ChebCB": lambda seed: ChebCB(ARMS, floor=1.0, discount=0.99, rng=seed, **problems.SHIFTS),
    "discount, ridge": lambda seed: Ridge(
        ARMS, exploration="epsilon", explore=5.0, discount=0.99, rng=seed, **problems.SHIFTS
    ),
    "discount, ε-greedy": lambda seed: EpsilonGreedy(ARMS, explore=5.0, discount=0.99, rng=seed),
    "restart, ε-greedy": lambda seed: RestartOnDrift(EpsilonGreedy(ARMS, rng=seed)),
}


def drifted(draws):
    """Return the first 2,000 contexts of low variance, with a copy of their table and another of its second half."""
    c, _, table = draws("low")
    return c[:2_000], table[:2_000].copy(), table[1_000:2_000].copy()


@pytest.mark.parametrize("name", DRIFTING)
def test_a_new_best_arm_is_found_after_the_old_one_was_swapped_with_the_worst(name, draws):
    c, table, later = drifted(draws)
    means = table.mean(axis=0)
    best, worst = means.argmin(), means.argmax()
    table[1_000:, [best, worst]] = later[:, [worst, best]]
    new_best = table[-500:].mean(axis=0).min()
    found = [problems.run_table(table, c, DRIFTING[name](seed))[-500:].mean() / new_best for seed in range(8)]
    # The neighbours of the best factor are within 5 % of it and the noise is 40 %, so that without a context one run
    # in ten settles on a worse one for a while.
    assert np.mean(found) <= 1.15, found
    if name in ("discount, ChebCB", "discount, ridge"):
        assert max(found) <= 1.15, found


def test_only_a_discount_sees_that_another_arm_became_better(draws):
    c, table, later = drifted(draws)
    table[1_000:, 3] = np.maximum(later[:, table.mean(axis=0).argmin()] // 2, 1)
    makers = (
        lambda seed: EpsilonGreedy(ARMS, explore=5.0, discount=0.99, rng=seed),
        lambda seed: EpsilonGreedy(ARMS, explore=5.0, rng=seed),
        lambda seed: RestartOnDrift(EpsilonGreedy(ARMS, explore=5.0, rng=seed)),
    )
    discounted, plain, restarted = (
        np.mean([problems.run_table(table, c, make(seed))[-500:].mean() for seed in SEEDS]) for make in makers
    )
    assert discounted < 0.75 * min(plain, restarted)


def test_a_second_run_begins_where_the_first_one_ended(draws):
    c, _, table = draws("low")
    for seed in SEEDS:
        first = EpsilonGreedy(ARMS, rng=seed)
        before = problems.run_table(table[:T], c[:T], first)
        second = EpsilonGreedy(ARMS, rng=100 + seed)
        second.inherit(first.state())
        after = problems.run_table(table[T:], c[T:], second)
        assert len(after) == 500
        assert after.mean() <= 1.10 * before[-500:].mean(), seed
        afresh = problems.run_table(table[T:], c[T:], EpsilonGreedy(ARMS, rng=100 + seed))
        assert after.mean() < afresh.mean()
