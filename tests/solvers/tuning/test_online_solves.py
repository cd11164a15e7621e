"""The online tuner on systems: sequences, failures of every kind, charges, results that do not depend on the choice."""

import dataclasses
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.families.darcy import Darcy2D
from resolvent.operators import SPD, Ensemble, LinearOperator, Props, Sparse, StructureError
from resolvent.solvers import (
    CG,
    GMRES,
    IC,
    ILU0,
    SSOR,
    Chebyshev,
    DeflatedCG,
    Direct,
    Jacobi,
    Recipe,
    Refresh,
    Richardson,
    Sequence,
    Status,
)
from resolvent.solvers.tuning import Arm, EpsilonGreedy, OnlineTuner, standard_arms

from .mock_streams import SIDE, laplacian


def stream(count, seed=0):
    rng = np.random.default_rng(seed)
    return [(laplacian(0.3 * rng.random()), rng.standard_normal(SIDE**2)) for _ in range(count)]


@dataclasses.dataclass(frozen=True)
class Spoilt(Recipe):
    """Returns not-a-number."""

    def __call__(self, A):
        return _Spoilt(A.shape, A.dtype, props=Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)


class _Spoilt(LinearOperator):
    def _matmat(self, X):
        return X * np.nan


@dataclasses.dataclass(frozen=True)
class Raises(Recipe):
    """Meets a zero pivot."""

    error: type = ValueError

    def __call__(self, A):
        raise self.error("a zero pivot")


@dataclasses.dataclass(frozen=True)
class Negative(Recipe):
    """Is not definite: CG stops with INDEFINITE."""

    def __call__(self, A):
        return -1.0 * Jacobi()(A)


SAFE = Arm(CG(), SSOR(1.5))
BAD = {
    "diverges": (Arm(Richardson(2.0)), "DIVERGED"),
    "returns NaN": (Arm(CG(), Spoilt()), "NONFINITE"),
    "breaks down": (Arm(CG(), Negative()), "INDEFINITE"),
    "runs out": (Arm(CG(maxiter=3)), "MAXITER"),
    "raises": (Arm(CG(), Raises()), "ValueError: a zero pivot"),
    "lacks structure": (Arm(CG(), Raises(StructureError)), "StructureError: a zero pivot"),
    "never converges": (Arm(Richardson(1e-6, maxiter=100_000)), "given up for its cost"),
}


def residual(A, b, x):
    return np.linalg.norm(b - A @ x) / np.linalg.norm(b)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_arm_costs_at_most_its_limit_and_loses_nothing(name):
    arm, outcome = BAD[name]
    tuner = OnlineTuner([SAFE, arm], cost="work")
    systems = stream(12)
    for A, b in systems:
        result = tuner.solve(A, b).check()
        assert residual(A, b, result.x) <= 1.001e-8
    probe = tuner.history[1]
    assert [(who, how) for who, how, _ in probe.attempts] == [(1, outcome), (0, "solved")]
    limit, safe = probe.play.limit, probe.attempts[1][2]
    # One iteration may pass the limit, and a set-up that raised is charged what it may have cost.
    assert probe.attempts[0][2] <= max(limit + 3.0, 50.0)
    assert probe.cost == probe.attempts[0][2] + safe
    assert all(each.arm == 0 and len(each.attempts) == 1 for each in tuner.history[2:]), "it is not tried again"
    assert f"dropped: {outcome}" in tuner.report() or "× the best" in tuner.report()


def test_the_account_is_the_sum_of_what_results_counted():
    arms = [SAFE, Arm(CG(), IC()), Arm(CG(), Jacobi()), Arm(CG())]
    tuner = OnlineTuner(arms, cost="work")
    results = [tuner.solve(A, b) for A, b in stream(30)]
    assert tuner.charged == pytest.approx(sum(result.extra["cost"] for result in results))
    for each, result in zip(tuner.history, results, strict=True):
        assert result.extra["arm"] == arms[each.arm].name
        assert result.extra["why"] == each.play.reason
        assert [cost for *_, cost in result.extra["attempts"]] == [cost for *_, cost in each.attempts]
    # Without a preconditioner: products, and five vectors an iteration.
    plain = next(r for r in results if r.extra["arm"] == "CG" and len(r.extra["attempts"]) == 1)
    A = laplacian()
    assert plain.extra["cost"] == pytest.approx(plain.counts.products + 5.0 * plain.iterations * 256 / A.matrix.nnz)


def test_counts_hold_attempts_that_were_given_up():
    tuner = OnlineTuner([SAFE, Arm(Richardson(1e-6, maxiter=100_000))], cost="work")
    systems = stream(2)
    alone = SAFE.sequence()
    tuner.solve(*systems[0])
    alone.solve(*systems[0])
    both, safe = tuner.solve(*systems[1]), alone.solve(*systems[1])
    assert both.extra["arm"] == SAFE.name and both.iterations == safe.iterations
    assert both.counts.products > safe.counts.products
    np.testing.assert_array_equal(both.x, safe.x)


def test_results_do_not_depend_on_the_choice_beyond_the_tolerance():
    systems = stream(60)
    arms = [SAFE, Arm(CG(), IC()), Arm(Direct()), Arm(DeflatedCG(k=4), IC()), Arm(CG(), IC(), warm_start="scaled")]
    tuner = Sequence(tuner=OnlineTuner(arms, lambda d: EpsilonGreedy(d, explore=100.0, rng=1), cost="work"))
    names = set()
    for A, b in systems:
        result = tuner.solve(A, b).check()
        names.add(result.extra["arm"])
        assert residual(A, b, result.x) <= 1.001e-8
        exact = np.linalg.solve(A.to_dense(), b)
        assert np.linalg.norm(result.x - exact) <= 1e-6 * np.linalg.norm(exact)
    assert len(names) == len(arms), "all arms were chosen at some time"


def test_two_runs_choose_the_same_arms_and_charge_the_same():
    found = []
    for _ in range(2):
        tuner = OnlineTuner(standard_arms(laplacian()), lambda d: EpsilonGreedy(d, rng=3), cost="work")
        for A, b in stream(80):
            tuner.solve(A, b)
        found.append([(each.play, each.attempts) for each in tuner.history])
    assert found[0] == found[1]


def darcy(count, side=20):
    family = Darcy2D(resolution=side, coefficient="lognormal_unit")
    return [tuple(family.assemble(family.draw(np.random.default_rng([5, i])))) for i in range(count)]


def test_learning_costs_a_fifth_at_500_on_a_real_stream():
    """Against the best fixed arm in hindsight, with bad arms among them; all set-ups and trials are counted."""
    systems = darcy(500)
    bad = [arm for arm, _ in BAD.values()]
    usual = [arm for arm in standard_arms(systems[0][0], maxiter=2_000) if arm.name != "CG"]  # of which one is bad
    arms = [*usual[:3], *bad[:4], *usual[3:], *bad[4:]]
    assert len(arms) >= 24
    tuner = OnlineTuner(arms, cost="work")
    total = sum(tuner.solve(A, b).extra["cost"] for A, b in systems)
    # What was often chosen, and whatever looks as if it might have been better.
    fixed = {}
    for arm in np.argsort(tuner.strategy.pruning.ratios)[:8]:
        alone = OnlineTuner([arms[arm]], cost="work")
        fixed[arms[arm].name] = sum(alone.solve(A, b).extra["cost"] for A, b in systems)
    assert total <= 1.20 * min(fixed.values()), (total, fixed)


def test_with_a_context_it_beats_the_best_fixed_arm():
    """Steps of the heat equation: for short ones any set-up is too dear, for long ones it pays."""
    rng = np.random.default_rng(2)
    arms = [SAFE, Arm(CG()), Arm(CG(), IC()), Arm(CG(), IC(drop_tol=1e-3)), Arm(Direct()), Arm(CG(), Jacobi())]
    A, eye = 256.0 * laplacian().to_sparse(), sp.eye_array(SIDE**2)
    steps = rng.uniform(-6.0, 0.0, 600)
    systems = [(Sparse(sp.csr_array(eye + 10.0**step * A), props=SPD), rng.standard_normal(SIDE**2)) for step in steps]
    tuner = OnlineTuner(arms, cost="work")
    total = sum(tuner.solve(*system, context=step).extra["cost"] for system, step in zip(systems, steps, strict=True))
    fixed = []
    for arm in arms:
        alone = OnlineTuner([arm], cost="work")
        fixed.append(sum(alone.solve(*system).extra["cost"] for system in systems))
    assert total < 0.95 * min(fixed), (total, fixed)
    chosen = [tuner.best(step).name for step in (-6.0, 0.0)]
    assert chosen[0] != chosen[1]


# Sequence


def test_a_sequence_with_a_tuner_delegates():
    tuner = OnlineTuner([SAFE, Arm(CG(), IC())], cost="work")
    steps = Sequence(tuner=tuner)
    for A, b in stream(5):
        steps.solve(A, b, context=1.0).check()
    assert steps.solved == 5 == len(tuner.history)
    steps.reset()
    assert steps.solved == 0 and not tuner.history


def test_a_sequence_takes_a_tuner_or_the_rest():
    tuner = OnlineTuner([SAFE], cost="work")
    with pytest.raises(TypeError, match="nothing else is given"):
        Sequence(CG(), tuner=tuner)
    with pytest.raises(TypeError, match="must be an OnlineTuner"):
        Sequence(tuner=EpsilonGreedy(3))
    with pytest.raises(TypeError, match="a context is for a tuner"):
        Sequence(CG()).solve(laplacian(), np.ones(SIDE**2), context=1.0)
    with pytest.raises(TypeError, match="needs a Solver"):
        Sequence()
    members = Ensemble([laplacian(), laplacian()])
    with pytest.raises(TypeError, match="one system after the other"):
        Sequence(tuner=tuner).solve(members, np.ones((SIDE**2, 2)))


def test_what_nobody_can_solve_teaches_nothing_and_raises_the_error_of_the_safe_arm():
    tuner = OnlineTuner([SAFE, Arm(CG(), IC())], cost="work")
    A, b = stream(1)[0]
    tuner.solve(A, b)
    with pytest.raises(ValueError, match="b must have shape"):
        tuner.solve(A, np.ones(3))
    assert len(tuner.history) == 1
    assert tuner.solve(A, b).extra["why"] == "probe", "the arm has another chance"


def test_a_safe_arm_that_fails_gives_its_result():
    tuner = OnlineTuner([Arm(CG(maxiter=2))], cost="work")
    result = tuner.solve(*stream(1)[0])
    assert result.status is Status.MAXITER and tuner.history[0].attempts[0][1] == "MAXITER"


def test_a_callback_of_the_caller_stops_the_solve_for_good():
    tuner = OnlineTuner([SAFE, Arm(CG(), IC())], cost="work")
    (A, b), (B, c) = stream(2)
    tuner.solve(A, b)
    seen = []
    result = tuner.solve(B, c, callback=lambda progress: seen.append(progress.iteration) or len(seen) == 4)
    assert result.status is Status.STOPPED and seen == [1, 2, 3, 4]
    assert len(tuner.history[1].attempts) == 1


def test_set_ups_are_charged_when_made_and_compared_spread():
    lagged = Arm(CG(), IC(drop_tol=1e-3), refresh=Refresh.EVERY(10))
    tuner = OnlineTuner([lagged], cost="work")
    for A, b in stream(30):
        tuner.solve(A, b)
    costs = np.array([each.cost for each in tuner.history])
    told = np.array([each.told for each in tuner.history])
    dear = costs > 2.0 * np.median(costs)
    assert np.flatnonzero(dear).tolist() == [0, 10, 20]
    assert told.max() < 0.5 * costs.max() and told.sum() == pytest.approx(costs.sum(), rel=0.15)


def test_only_so_many_arms_keep_what_they_built():
    tuner = OnlineTuner([SAFE, *(Arm(CG(), IC(drop_tol=10.0**-k)) for k in range(1, 5))], cost="work", keep=2)
    for A, b in stream(8):
        tuner.solve(A, b)
        assert len(tuner.attempts._systems) <= 2


def test_a_system_that_costs_nothing_is_no_error():
    tuner = OnlineTuner([SAFE, Arm(CG(), IC())], cost="work")
    A = laplacian()
    for b in (np.ones(SIDE**2), np.zeros(SIDE**2), np.zeros(SIDE**2), np.ones(SIDE**2)):
        assert tuner.solve(A, b).check().extra["cost"] > 0.0


def test_many_right_hand_sides_and_other_matrices():
    tuner = OnlineTuner([SAFE, Arm(CG(), IC()), Arm(Direct())], cost="work")
    for k in range(6):
        A = laplacian(0.1 * k).to_sparse()
        B = np.random.default_rng(k).standard_normal((SIDE**2, 3))
        result = tuner.solve(A, B).check()
        assert np.abs(A @ result.x - B).max() < 1e-6


def test_seconds_are_measured_and_compiled_code_is_not_charged():
    arms = [SAFE, Arm(CG(), IC()), Arm(CG(), Jacobi())]
    tuner = OnlineTuner(arms)
    for A, b in stream(30):
        tuner.solve(A, b).check()
    assert tuner.attempts.warming > 0.0 and "not charged" in tuner.report()
    assert all(0.0 < each.cost < 30.0 for each in tuner.history)


def test_it_survives_pickling():
    tuner = OnlineTuner([SAFE, Arm(CG(), IC())], cost="work")
    systems = stream(30)
    for A, b in systems[:15]:
        tuner.solve(A, b)
    copy = pickle.loads(pickle.dumps(tuner))
    for A, b in systems[15:]:
        assert copy.solve(A, b).extra["arm"] == tuner.solve(A, b).extra["arm"]


# Arms


def test_arms_are_values():
    arm = Arm(CG(), IC(), refresh=Refresh.WHEN_SLOW(1.5), warm_start="scaled")
    assert arm == Arm(CG(), IC(), refresh=Refresh.WHEN_SLOW(1.5), warm_start="scaled")
    assert str(arm) == "CG + IC, Refresh.WHEN_SLOW(1.5), warm_start='scaled'"
    assert Arm(CG(rtol=1e-4), name="mine").name == "mine"
    assert len({arm, Arm(CG()), Arm(CG())}) == 2
    assert (Arm(CG()).settling, arm.settling, Arm(DeflatedCG()).settling) == (0, 1, 1)
    assert Arm(CG(), IC(), refresh=Refresh.EVERY(4)).renewal == 0.25
    with pytest.raises(dataclasses.FrozenInstanceError):
        arm.M = None
    with pytest.raises(TypeError, match="must be a recipe"):
        Arm(CG(), np.eye(3))
    with pytest.raises(TypeError, match="needs a Solver"):
        Arm("cg")
    with pytest.raises(ValueError, match="warm_start must be"):
        Arm(CG(), warm_start="yesterday")


# Work units


@pytest.mark.parametrize(
    ("arm", "least", "most"),
    [
        (Arm(CG()), 1.9, 2.1),  # a product and five vectors
        (Arm(CG(), Jacobi()), 2.1, 2.3),
        (Arm(CG(), SSOR(1.5)), 3.1, 3.4),
        (Arm(CG(), IC()), 2.9, 3.4),
        (Arm(GMRES(), ILU0()), 6.0, 9.0),
        (Arm(CG(), Chebyshev(degree=4)), 5.9, 6.1),
    ],
    ids=str,
)
def test_an_iteration_costs_what_it_reads(arm, least, most):
    tuner = OnlineTuner([arm], cost="work")
    A, b = laplacian(), np.ones(SIDE**2)
    tuner.solve(A, b)
    result = tuner.solve(A, 2.0 * b + np.arange(SIDE**2))  # the same matrix: no set-up
    assert least <= result.extra["cost"] / result.iterations <= most * (1.0 + 2.0 / result.iterations)


def test_refactorising_is_charged_only_where_the_matrix_changed():
    tuner = OnlineTuner([Arm(Direct())], cost="work")
    A, b = laplacian(), np.ones(SIDE**2)
    first, again, changed = tuner.solve(A, b), tuner.solve(A, b), tuner.solve(laplacian(0.1), b)
    assert first.extra["cost"] == changed.extra["cost"] > again.extra["cost"] + 40.0
