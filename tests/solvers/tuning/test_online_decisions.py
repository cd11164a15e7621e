"""What is played, and when it is given up: safety, pruning, drift, contexts, overhead, priors, on mock costs."""

import json
import logging
import math

import numpy as np
import pytest

from resolvent.solvers import SOR
from resolvent.solvers.tuning import Arm, EpsilonGreedy, LowerConfidenceBound, OnlineTuner, TsallisINF

from ...benchmarks.loading import load
from .mock_streams import Clock, mock_arms, mock_tuner, noisy, play, true_total

T = 1_000


def backstop_of(tuner):
    return tuner.strategy.backstop


# Safety: 1.10 × the safe arm, and one solve that was given up.

ADVERSARIES = {
    "all others are hopeless": lambda t, arm: math.inf,
    "all others are slightly worse": lambda t, arm: 1.3,
    "good until they are trusted": lambda t, arm: 0.5 if t < 100 else math.inf,
    "good and hopeless in turn": lambda t, arm: 0.4 if (t // 20) % 2 else math.inf,
    "hopeless every third time": lambda t, arm: math.inf if t % 3 == 0 else 0.9,
    "just below patience": lambda t, arm: 2.99,
    "one is good, later none": lambda t, arm: 0.3 if arm == 3 and t < 400 else math.inf,
    "hopeless by turns": lambda t, arm: math.inf if (t + arm) % 5 else 0.2,
}


@pytest.mark.parametrize("learner", [None, EpsilonGreedy, TsallisINF], ids=["default", "ε-greedy", "Tsallis-INF"])
@pytest.mark.parametrize("name", ADVERSARIES)
def test_no_adversary_costs_more_than_the_safe_arm_a_tenth_and_one_solve(name, learner):
    tuner = mock_tuner(20, learner=learner)
    charged, _ = play(tuner, lambda t, arm: 1.0 if arm == 0 else ADVERSARIES[name](t, arm), T)
    totals, rounds = np.cumsum(charged), 1 + np.arange(T)
    assert (totals <= 1.10 * rounds + backstop_of(tuner) + 1e-9).all(), "at every time, not only at the end"
    assert tuner.charged == pytest.approx(totals[-1])


def test_an_adversary_that_knows_the_choice_does_not_do_better():
    tuner = mock_tuner(10)
    total, safe = 0.0, 0.0
    for t in range(T):
        decision = tuner.suggest()
        safe += 1.0
        for arm, limit in decision.steps:
            # Whatever is trusted fails; whatever is only tried looks well.
            stopped = arm != 0 and decision.reason != "probe"
            spent = limit if stopped else 1.0 if arm == 0 else 0.5
            total += spent
            tuner.observe(arm, spent, censored=stopped)
            if not stopped:
                break
        assert total <= 1.10 * safe + backstop_of(tuner) + 1e-9, t


@pytest.mark.parametrize("waste", [0.0, 0.05, 0.5])
def test_the_bound_is_the_one_that_was_asked_for(waste):
    tuner = mock_tuner(20, waste=waste, backstop=6.0)
    charged, _ = play(tuner, lambda t, arm: 1.0 if arm == 0 else math.inf, T)
    assert charged.sum() <= (1.0 + waste) * T + 6.0 + 1e-9
    assert sum(len(each.attempts) > 1 for each in tuner.history) >= (19 if waste else 1), "probes were made"


def test_costs_of_the_safe_arm_that_vary_are_estimated():
    cost = noisy([1.0] + [50.0] * 19, 0.3)
    tuner = mock_tuner(20)
    charged, _ = play(tuner, cost, T)
    assert charged.sum() <= 1.10 * true_total(cost, 0, T) * 1.02 + backstop_of(tuner)


@pytest.mark.parametrize("learner", [None, LowerConfidenceBound, TsallisINF], ids=["default", "bound", "Tsallis-INF"])
@pytest.mark.parametrize("seed", range(3))
def test_arms_that_are_good_on_easy_systems_alone_do_not_break_the_bound(seed, learner):
    """The safe arm then finishes hard systems, which must not count as what it costs on the mean."""
    hard = np.random.default_rng(seed).lognormal(0.0, 0.8, 3_000)
    tuner = mock_tuner(8, learner=learner)
    charged, _ = play(tuner, lambda t, arm: hard[t] * (1.0 if arm == 0 else 0.4 if hard[t] < 1.0 else 50.0), 3_000)
    assert charged.sum() <= 1.13 * hard.sum() + backstop_of(tuner) * hard.mean()


def test_the_safe_arm_is_played_first_and_never_given_up():
    tuner = mock_tuner(4, safe=2)
    decision = tuner.suggest()
    assert decision.steps == ((2, math.inf),) and "measure" in decision.reason
    tuner.observe(2, 5.0)
    assert all(each[-1] == (2, math.inf) for each in [tuner.suggest().steps])


# Probes and pruning


def test_each_arm_is_probed_once_in_order_and_the_bad_ones_are_dropped():
    means = [2.0, 1.0, 30.0, 1.5, 4.9, 6.0]
    tuner = mock_tuner(6, patience=6.0)
    play(tuner, lambda t, arm: means[arm], 200)
    probed = [each.play.arm for each in tuner.history if each.play.reason == "probe"]
    assert probed == [1, 2, 3, 4, 5]
    assert tuner.strategy.kept == [0, 1, 3, 4], "more than five times the best"
    after = [each.play.arm for each in tuner.history[10:]]
    assert not {2, 5} & set(after) and after.count(1) > 150


def test_a_probe_is_given_up_at_patience_times_the_best_so_far():
    means = [4.0, 1.0, 100.0, 100.0]
    tuner = mock_tuner(4, patience=2.5)
    play(tuner, lambda t, arm: means[arm], 4)
    limits = [each.play.limit for each in tuner.history[1:]]
    assert limits == [10.0, 2.5, 2.5]
    assert [each.attempts[0][2] for each in tuner.history[1:]] == [1.0, 2.5, 2.5]


def test_the_favourite_finishes_what_a_probe_leaves():
    means = [4.0, 1.0, 100.0]
    tuner = mock_tuner(3)
    play(tuner, lambda t, arm: means[arm], 3)
    assert [(arm, outcome) for arm, outcome, _ in tuner.history[2].attempts] == [
        (2, "given up for its cost"),
        (1, "solved"),
    ]
    assert tuner.history[2].cost == 3.0 + 1.0


def test_arms_that_fail_are_dropped_and_say_why():
    tuner = mock_tuner(3)
    tuner.observe(tuner.suggest().arm, 1.0)
    tuner.suggest()
    tuner.observe(1, 0.5, note="DIVERGED")
    tuner.observe(0, 1.0)
    tuner.suggest()
    tuner.observe(2, 1.2)
    tuner.suggest()
    assert tuner.strategy.kept == [0, 2]
    assert "dropped: DIVERGED" in tuner.report()


def test_nothing_is_dropped_without_a_factor_but_what_fails():
    tuner = mock_tuner(4, prune=math.inf, patience=60.0, backstop=1e6)
    play(tuner, lambda t, arm: [1.0, 50.0, 7.0, 2.0][arm], 10)
    assert tuner.strategy.kept == [0, 1, 2, 3]


def test_with_one_arm_it_is_played():
    charged, arms = play(mock_tuner(1), lambda t, arm: 2.0, 30)
    assert charged.sum() == 60.0 and not arms.any()


# What it costs to learn


@pytest.mark.parametrize("seed", range(3))
def test_learning_costs_a_fifth_at_500_and_a_twelfth_at_5000(seed):
    rng = np.random.default_rng(seed)
    # As those of real arms are: some alike, some several times worse, some hopeless.
    means = np.concatenate([[2.0, 1.0], rng.uniform(1.1, 4.0, 12), [1e6] * 6])
    cost = noisy(means, 0.2, seed)
    best = cost(0, 1) * 0 + true_total(cost, 1, 5_000)
    charged, _ = play(mock_tuner(20), cost, 5_000)
    assert charged[:500].sum() <= 1.20 * true_total(cost, 1, 500)
    assert charged.sum() <= 1.08 * best


def test_the_best_arm_may_change_with_the_context():
    contexts = np.random.default_rng(1).uniform(-1.0, 1.0, 1_500)

    def cost(t, arm):
        return [3.0, math.exp(contexts[t]), math.exp(-contexts[t]), 8.0][arm]

    charged, arms = play(mock_tuner(4), cost, 1_500, contexts=contexts)
    fixed = min(sum(cost(t, arm) for t in range(1_500)) for arm in range(4))
    oracle = sum(min(cost(t, arm) for arm in range(4)) for t in range(1_500))
    assert charged.sum() < 0.75 * fixed
    assert charged[500:].sum() < 1.05 * oracle * 1_000 / 1_500 * 1.1
    clear = np.abs(contexts[500:]) > 0.3
    right = np.where(contexts[500:] < 0, 1, 2)
    assert (arms[500:][clear] == right[clear]).mean() > 0.95


def test_a_best_arm_that_is_swapped_is_found_again():
    rounds = 2_000
    before, after = [2.0, 1.0, 1.6, 3.0, 9.0, 4.0, 2.5, 5.0], [2.0, 6.0, 1.6, 3.0, 1.0, 4.0, 2.5, 5.0]
    early, late = noisy(before, 0.1, 1), noisy(after, 0.1, 2)
    tuner = mock_tuner(8)
    charged, arms = play(tuner, lambda t, arm: (early if t < rounds // 2 else late)(t, arm), rounds)
    assert tuner.restarts >= 1
    best = np.mean([late(t, 4) for t in range(rounds - 500, rounds)])
    assert charged[-500:].mean() <= 1.15 * best
    assert "begun anew" in tuner.report()
    assert (arms[800:1000] == 1).mean() > 0.9 and (arms[-500:] == 4).mean() > 0.9


# Overhead


def overhead_run(solve_seconds, rounds=400):
    clock = Clock(a_look=50e-6)
    tuner = OnlineTuner(mock_arms(5), cost="seconds", clock=clock)
    play(tuner, lambda t, arm: solve_seconds * (1.0 + 0.2 * arm), rounds, clock=clock)
    return tuner


def test_it_switches_itself_off_where_solves_are_short(caplog):
    with caplog.at_level(logging.INFO, logger="resolvent.solvers.tuning"):
        tuner = overhead_run(1e-3)
    assert "1%" in tuner.frozen and "µs" in tuner.frozen
    assert "switched off" in tuner.report() and "switched off" in caplog.text
    last = tuner.history[-1]
    assert last.play.reason == "frozen" and last.play.arm == 0
    looks = last.deciding / 50e-6
    assert looks <= 10, "a decision still looks at the clock, and does nothing else"


def test_it_stays_on_where_solves_are_long():
    tuner = overhead_run(0.1)
    assert not tuner.frozen and tuner.history[-1].play.reason != "frozen"


def test_work_units_do_not_look_at_the_clock_for_decisions():
    tuner = OnlineTuner(mock_arms(5), cost="work", clock=Clock(a_look=1.0))
    play(tuner, lambda t, arm: 1.0 + arm, 100)
    assert not tuner.frozen


def test_an_arm_that_fails_while_frozen_gives_way_to_the_safe_one():
    clock = Clock(a_look=50e-6)
    tuner = OnlineTuner(mock_arms(3), cost="seconds", safe=1, clock=clock)
    good = lambda t, arm: [1e-3, 2e-3, 3e-3][arm]  # noqa: E731
    play(tuner, good, 100, clock=clock)
    assert tuner.frozen and tuner.history[-1].play.arm == 0
    _, arms = play(tuner, lambda t, arm: math.inf if arm == 0 else good(t, arm), 20, clock=clock)
    assert (arms == 1).all()
    assert [each.play.arm for each in tuner.history[-20:]] == [0] * 3 + [1] * 17


# Determinism, priors


def test_two_runs_choose_the_same_arms():
    found = []
    for _ in range(2):
        tuner = mock_tuner(12, learner=lambda d: EpsilonGreedy(d, rng=5))
        _, arms = play(tuner, noisy(1.0 + np.arange(12.0), 0.3), 400)
        found.append((arms.tolist(), [each.play for each in tuner.history]))
    assert found[0] == found[1]


def test_reset_begins_as_at_first():
    tuner, cost = mock_tuner(6), noisy(1.0 + np.arange(6.0), 0.2)
    first, _ = play(tuner, cost, 100)
    tuner.reset()
    assert not tuner.history and tuner.charged == 0.0
    again, _ = play(tuner, cost, 100)
    np.testing.assert_array_equal(first, again)


def saved(tuner, path, key="some systems"):
    tuner.key = key
    tuner.save(path)
    return path


def loaded(tuner, path, key="some systems"):
    tuner.load(path)
    tuner.key = key
    tuner._adopt_prior(key)
    return tuner


def test_a_second_run_begins_where_the_first_one_ended(tmp_path):
    """ε-greedy on the shifted Laplacian: the first 500 cost at most 1.10 × the last 500 of the first run, the same."""
    problems = load("_relaxation_problems")
    c, b = problems.draw_shifted("low", 2_000, np.random.default_rng(3))
    table = problems.sor_costs(c, b)

    def make():
        arms = [Arm(SOR(float(omega), maxiter=10_000)) for omega in problems.OMEGAS]
        return OnlineTuner(arms, lambda d: EpsilonGreedy(d, rng=1), cost="work", safe=10)

    first = make()
    charged, _ = play(first, lambda t, arm: table[t, arm], 2_000)
    second = loaded(make(), saved(first, tmp_path / "priors.json"))
    again, _ = play(second, lambda t, arm: table[t, arm], 500, first=1_500)
    assert again.sum() <= 1.10 * charged[-500:].sum()
    assert not [each for each in second.history if each.play.reason == "probe"]
    assert "2000 systems" in second.report()


def test_priors_of_several_kinds_share_a_file_and_are_kept_apart(tmp_path):
    path, cost = tmp_path / "priors.json", noisy(1.0 + np.arange(5.0), 0.1)
    for key in ("small", "large"):
        tuner = mock_tuner(5)
        play(tuner, cost, 60)
        saved(tuner, path, key)
    assert set(json.loads(path.read_text())["entries"]) == {"small", "large"}
    other = loaded(mock_tuner(5), path, "medium")
    assert other.prior == "" and "none for medium" in other.report()
    assert loaded(mock_tuner(5), path, "small").prior


def test_priors_with_contexts_keep_their_range(tmp_path):
    contexts = np.random.default_rng(0).uniform(5.0, 9.0, 300)
    tuner = mock_tuner(3)
    cost = lambda t, arm: 1.0 + abs(contexts[t] - (5.0, 7.0, 9.0)[arm])  # noqa: E731
    play(tuner, cost, 300, contexts=contexts)
    second = loaded(mock_tuner(3), saved(tuner, tmp_path / "p.json"))
    found, before = second.strategy.learner, tuner.strategy.learner
    assert (found.range.low < contexts.min()).all() and (found.range.high > contexts.max()).all()
    assert [found.best(c) for c in (5.2, 7.0)] == [before.best(c) for c in (5.2, 7.0)] == [0, 1]
    assert found.counts.max() <= 20.0


def test_priors_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "p.json"
    tuner = mock_tuner(4)
    with pytest.raises(ValueError, match="nothing was learned"):
        tuner.save(path)
    play(tuner, lambda t, arm: 1.0 + arm, 20)
    saved(tuner, path)
    with pytest.raises(ValueError, match="other arms"):
        mock_tuner(5).load(path)
    with pytest.raises(ValueError, match="there are no priors"):
        mock_tuner(4).load(tmp_path / "nowhere.json")
    data = json.loads(path.read_text())
    for change, message in (
        ({"version": 0}, "version"),
        ({"format": "x"}, "does not hold priors"),
        ({"entries": {"k": {"arms": []}}}, "damaged"),
    ):
        path.write_text(json.dumps(data | change))
        with pytest.raises(ValueError, match=message):
            mock_tuner(4).load(path)
    with pytest.raises(ValueError, match="before the first system"):
        tuner.load(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        mock_tuner(4).load(path)


def test_priors_of_another_learner_are_refused(tmp_path):
    tuner = mock_tuner(3, learner=EpsilonGreedy)
    play(tuner, lambda t, arm: 1.0 + arm, 20)
    saved(tuner, tmp_path / "p.json")
    with pytest.raises(ValueError, match="the state is of EpsilonGreedy"):
        loaded(mock_tuner(3, learner=LowerConfidenceBound), tmp_path / "p.json")
