"""What holds for every learner: determinism, resumption, priors, and clear errors."""

import io
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resolvent.solvers.tuning import Decision, EpsilonGreedy, FixedArm, TsallisINF

from .learners import ARMS, CHANCE, CONTEXTUAL, LEARNERS, play

every = pytest.mark.parametrize("name", LEARNERS)
names = st.sampled_from(list(LEARNERS))


def through_json(state):
    return json.loads(json.dumps({key: np.asarray(value).tolist() for key, value in state.items()}, allow_nan=False))


def through_npz(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


# ---------------------------------------------------------------------------------------------------------------
# Same seed, same arms


@every
def test_the_same_seed_gives_the_same_arms(name):
    assert play(LEARNERS[name](3), 200) == play(LEARNERS[name](np.random.default_rng(3)), 200)


@pytest.mark.parametrize("name", CHANCE)
def test_another_seed_gives_other_arms(name):
    assert play(LEARNERS[name](3), 200) != play(LEARNERS[name](4), 200)


@settings(max_examples=60)
@given(name=names, rounds=st.integers(0, 120), half=st.booleans(), form=st.sampled_from([through_json, through_npz]))
def test_a_saved_state_goes_on_with_the_same_arms(name, rounds, half, form):
    one, other = LEARNERS[name](1), LEARNERS[name](2)
    play(other, 7, seed=5)
    play(one, rounds)
    if half:  # between a suggestion and its observation
        arm = one.suggest(0.25)
    other.restore(form(one.state()))
    if half:
        one.observe(arm, 3.5)
        other.observe(arm, 3.5)
    assert play(one, 60, first=rounds) == play(other, 60, first=rounds)
    assert through_json(one.state()) == through_json(other.state())


@every
def test_a_state_is_a_copy(name):
    tuner = LEARNERS[name](1)
    play(tuner, 30)
    state = tuner.state()
    before = through_json(state)
    play(tuner, 30)
    assert through_json(state) == before


@every
def test_pickling_keeps_everything(name):
    tuner = LEARNERS[name](1)
    play(tuner, 40)
    copy = pickle.loads(pickle.dumps(tuner))
    assert play(copy, 40, first=40) == play(tuner, 40, first=40)


@every
def test_reset_forgets_everything_but_the_generator(name):
    tuner, fresh = LEARNERS[name](1), LEARNERS[name](1)
    play(tuner, 50)
    tuner.reset()
    kept = {key: value for key, value in through_json(tuner.state()).items() if not key.endswith("rng")}
    assert kept == {key: value for key, value in through_json(fresh.state()).items() if not key.endswith("rng")}
    assert np.isnan(tuner.predict(0.5)).all()


@every
def test_spawned_learners_have_learned_nothing_and_own_their_generators(name):
    tuner = LEARNERS[name](1)
    play(tuner, 50)
    others = [tuner.spawn() for _ in range(2)]
    assert not others[0].counts.any() and repr(others[0]) == repr(tuner)
    assert tuner.counts.sum() > 0
    if name in CHANCE:
        assert play(others[0], 200) != play(others[1], 200)


# ---------------------------------------------------------------------------------------------------------------
# Suggestions and what is known


@every
def test_decisions_are_indices_with_probabilities(name):
    tuner = LEARNERS[name](0)
    rng = np.random.default_rng(0)
    for _ in range(150):
        decision = tuner.suggest(rng.uniform())
        assert isinstance(decision, Decision) and decision.reason
        assert 0.0 < decision.probability <= 1.0 + 1e-12
        assert list(range(ARMS))[decision] == decision.arm
        tuner.observe(decision, rng.uniform(1.0, 9.0))


@pytest.mark.parametrize("name", CHANCE)
def test_probabilities_are_those_of_the_draw(name):
    """From one state with many generators, each arm comes as often as is said."""
    tuner = LEARNERS[name](1)
    play(tuner, 80)
    state = tuner.state()
    drawn, said = np.zeros(ARMS), np.zeros(ARMS)
    for seed in range(1500):
        other = LEARNERS[name](seed)
        # With the generators of the seed instead of the saved ones.
        fresh = {key: value for key, value in other.state().items() if key.rpartition(".")[2] == "rng"}
        other.restore(state | fresh)
        decision = other.suggest(0.4)
        drawn[decision.arm] += 1
        said[decision.arm] = decision.probability
    deviation = np.sqrt(1500 * said * (1.0 - said))
    assert (np.abs(drawn - 1500 * said) <= 4.5 * deviation + 1e-6).all(), (drawn / 1500, said)
    assert said[drawn > 0].sum() == pytest.approx(1.0, abs=0.02)


@every
def test_counts_and_predictions_say_what_was_observed(name):
    tuner = LEARNERS[name](0)
    assert tuner.best(0.5) in range(ARMS)
    for arm in (1, 1, 3):
        tuner.observe(arm, 4.0, context=0.5)
    assert np.flatnonzero(tuner.counts).tolist() == [1, 3]
    predicted = tuner.predict(0.5)
    assert np.isnan(predicted[[0, 2, 4]]).all()
    np.testing.assert_allclose(predicted[[1, 3]], 4.0, rtol=0.02)


@every
def test_suggestions_may_stay_without_observation(name):
    tuner = LEARNERS[name](0)
    for t in range(40):
        tuner.suggest(0.1)
        arm = tuner.suggest(0.9)
        tuner.observe(arm, 1.0 + t % 3)
    assert tuner.counts.sum() <= 40.0 + 1e-9


@every
def test_one_arm_is_enough(name):
    tuner = LEARNERS[name](0, 1)
    for t in range(50):
        arm = tuner.suggest(0.3)
        assert arm.arm == 0
        tuner.observe(arm, 1.0 + t % 2)


@every
def test_costs_that_are_all_equal_break_nothing(name):
    tuner = LEARNERS[name](0)
    for _ in range(300):
        tuner.observe(tuner.suggest(0.3), 1.0)
    predicted = tuner.predict(0.3)
    np.testing.assert_allclose(predicted[~np.isnan(predicted)], 1.0, rtol=1e-6)


@settings(max_examples=60)
@given(name=names, costs=st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=60), context=st.floats(-1e6, 1e6))
def test_any_finite_costs_and_contexts_are_survived(name, costs, context):
    tuner = LEARNERS[name](0)
    if name == "closed form":  # a shift is no label: outside of the definite ones is an error, tested below
        context = abs(context)
    for cost in costs:
        arm = tuner.suggest(context)
        assert 0 <= arm.arm < ARMS and 0.0 < arm.probability <= 1.0 + 1e-12
        tuner.observe(arm, cost)
    assert not np.isinf(tuner.predict(context)).any()
    through_json(tuner.state())


# ---------------------------------------------------------------------------------------------------------------
# What is refused


@settings(max_examples=60)
@given(
    name=names,
    cost=st.one_of(
        st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, "3", None, True]), st.floats(max_value=0.0)
    ),
)
def test_costs_that_are_none_are_refused(name, cost):
    tuner = LEARNERS[name](0)
    play(tuner, 10)
    arm = tuner.suggest(0.5)
    before = through_json(tuner.state())
    with pytest.raises(ValueError, match="a cost must be a positive finite number"):
        tuner.observe(arm, cost)
    assert through_json(tuner.state()) == before


@every
@pytest.mark.parametrize("arm", [-1, ARMS, 10**30])
def test_arms_there_are_not_are_refused(name, arm):
    with pytest.raises(IndexError, match="there are arms 0 to 4"):
        LEARNERS[name](0).observe(arm, 1.0, context=0.5)


@settings(max_examples=40)
@given(arms=st.one_of(st.integers(max_value=0), st.sampled_from([1.5, "3", None, True, math.nan])))
def test_fewer_than_one_arm_is_refused(arms):
    for name in set(LEARNERS) - {"closed form", "fixed"}:
        with pytest.raises(ValueError, match="arms must be a whole number ≥ 1"):
            LEARNERS[name](0, arms)
    with pytest.raises(ValueError, match="arms must be a whole number ≥ 1"):
        FixedArm(arms, arm=0)


@pytest.mark.parametrize("name", CONTEXTUAL)
@pytest.mark.parametrize("context", [None, math.nan, math.inf, [0.1, 0.2], "here"])
def test_contexts_that_are_none_are_refused(name, context):
    tuner = LEARNERS[name](0)
    with pytest.raises(ValueError, match="context"):
        tuner.suggest(context)
    with pytest.raises(ValueError, match="context"):
        tuner.observe(0, 1.0)  # nothing was suggested that would say which


@pytest.mark.parametrize("name", [name for name in CONTEXTUAL if name != "closed form"])
@given(outside=st.floats(1.0, 1e12))
def test_contexts_outside_of_the_range_are_moved_to_its_border(name, outside):
    tuner = LEARNERS[name](0)
    play(tuner, 60)
    np.testing.assert_array_equal(tuner.predict(outside), tuner.predict(1.0))
    np.testing.assert_array_equal(tuner.predict(-outside), tuner.predict(0.0))
    assert tuner.best(outside) == tuner.best(1.0)


@pytest.mark.parametrize("discount", [0.0, -0.5, 1.01, math.nan, "1"])
def test_discounts_outside_of_0_to_1_are_refused(discount):
    with pytest.raises(ValueError, match="discount must be above 0 and at most 1"):
        EpsilonGreedy(3, discount=discount)


# ---------------------------------------------------------------------------------------------------------------
# States that do not fit


@every
def test_damaged_states_are_refused_and_change_nothing(name):
    tuner = LEARNERS[name](0)
    play(tuner, 30)
    good = tuner.state()
    before = through_json(good)
    broken = {
        "lacks": {key: value for key, value in good.items() if key != "counts"},
        "shape": good | {"counts": np.zeros(ARMS + 1)},
        "not finite": good | {"totals": np.full(ARMS, np.nan)},
        "not numeric": good | {"totals": ["a"] * ARMS},
        "format": good | {"format": 99},
        "generator": good | {"rng": "{}"},
        "other options|this is": good | {"learner": "Other(3)"},
    }
    last = list(good)[-1]  # of a child, where there are any
    broken["lacks "] = {key: value for key, value in good.items() if key != last}
    for match, state in broken.items():
        for take in (tuner.restore, tuner.inherit):
            with pytest.raises(ValueError, match=match):
                take(state)
            assert through_json(tuner.state()) == before


def test_a_state_of_other_options_is_refused_but_may_be_inherited():
    old, new = EpsilonGreedy(ARMS), EpsilonGreedy(ARMS, discount=0.99)
    play(old, 50)
    with pytest.raises(ValueError, match=r"the state is of EpsilonGreedy\(5, explore=5\), this is"):
        new.restore(old.state())
    new.inherit(old.state())
    assert new.best() == old.best()
    with pytest.raises(ValueError, match="shape"):
        EpsilonGreedy(ARMS + 1).inherit(old.state())
    with pytest.raises(ValueError, match="this is a TsallisINF"):
        TsallisINF(ARMS).inherit(old.state())


def test_generators_of_another_kind_are_refused():
    one, other = EpsilonGreedy(3, rng=np.random.Generator(np.random.Philox(3))), EpsilonGreedy(3)
    for _ in range(5):
        one.observe(one.suggest(), 1.0)
    with pytest.raises(ValueError, match="pass a generator of the kind that was saved"):
        other.restore(one.state())
    other = EpsilonGreedy(3, rng=np.random.Generator(np.random.Philox(8)))
    other.restore(through_json(one.state()))
    assert [one.suggest().arm for _ in range(20)] == [other.suggest().arm for _ in range(20)]


# ---------------------------------------------------------------------------------------------------------------
# Priors


@every
def test_what_is_inherited_weighs_no_more_than_its_cap(name):
    old, new = LEARNERS[name](0), LEARNERS[name](9)
    play(old, 800)
    new.inherit(through_json(old.state()), counts=10, clock=100)
    assert (new.counts <= 10.0 + 1e-9).all()
    assert new.state()["clock"] == min(100.0, old.state()["clock"])
    np.testing.assert_allclose(new.predict(0.5), old.predict(0.5), rtol=0.15)
    assert new.state()["rng"] == LEARNERS[name](9).state()["rng"], "chance is its own, not the old run's"
    play(new, 20)


@pytest.mark.parametrize("wrong", [{"counts": 0}, {"counts": math.nan}, {"clock": -1}])
def test_caps_must_be_positive(wrong):
    tuner = EpsilonGreedy(3)
    with pytest.raises(ValueError, match="must be positive numbers"):
        tuner.inherit(tuner.state(), **wrong)


# ---------------------------------------------------------------------------------------------------------------
# Censored costs


@every
def test_a_bound_below_what_is_known_is_replaced_by_the_prediction(name):
    tuner = LEARNERS[name](0)
    for _ in range(20):
        tuner.observe(2, 10.0, context=0.5)
    tuner.observe(2, 1.0, censored=True, context=0.5)
    expected = 10.0 if "Tsallis" not in name and name != "bins" else (200.0 + 1.0) / 21.0
    if name == "Tsallis-INF, discounted":
        expected = tuner.predict()[2]
        assert expected < 10.0
    np.testing.assert_allclose(tuner.predict(0.5)[2], expected, rtol=0.01)


@every
def test_a_bound_above_what_is_known_counts_in_full(name):
    plain, censored = LEARNERS[name](0), LEARNERS[name](0)
    for tuner, flag in ((plain, False), (censored, True)):
        tuner.observe(2, 10.0, context=0.5)
        tuner.observe(2, 40.0, censored=flag, context=0.5)
    np.testing.assert_array_equal(plain.predict(0.5), censored.predict(0.5))
