"""What learners refuse, and what they say then."""

import math

import pytest

from resolvent.solvers import CG, SOR
from resolvent.solvers.tuning import Arm, EpsilonGreedy, OnlineTuner, Ridge

from .mock_streams import mock_tuner, play

WRONG = [
    ({"cost": "euros"}, ValueError, "cost must be"),
    ({"safe": 9}, ValueError, "safe must be"),
    ({"safe": Arm(CG())}, ValueError, "one of the arms"),
    ({"patience": 1.0}, ValueError, "patience must be"),
    ({"backstop": "x"}, ValueError, "backstop must be"),
    ({"waste": -0.1}, ValueError, "waste must be"),
    ({"prune": 0.5}, ValueError, "prune must be"),
    ({"keep": 0}, ValueError, "keep must be"),
    ({"learner": EpsilonGreedy(3)}, TypeError, "must make a Tuner"),
    ({"learner": "greedy"}, TypeError, "must make a Tuner"),
]


@pytest.mark.parametrize(("options", "error", "message"), WRONG)
def test_wrong_options_say_what_is_expected(options, error, message):
    with pytest.raises(error, match=message):
        mock_tuner(3, **options)


def test_wrong_arms_say_what_is_expected():
    with pytest.raises(ValueError, match="must not be empty"):
        OnlineTuner([])
    with pytest.raises(TypeError, match="arms must be Arm"):
        OnlineTuner([CG()])
    with pytest.raises(ValueError, match="is there twice"):
        OnlineTuner([Arm(CG()), Arm(CG())])
    with pytest.raises(ValueError, match="the same tolerance"):
        OnlineTuner([Arm(CG()), Arm(SOR(rtol=1e-6))])


def test_wrong_contexts_and_costs_say_what_is_expected():
    tuner = mock_tuner(3)
    for context in ("x", math.nan, [[1.0]], []):
        with pytest.raises(ValueError, match="a context must be"):
            tuner.suggest(context)
    with pytest.raises(ValueError, match="call suggest first"):
        tuner.observe(0, 1.0)
    tuner.suggest(1.0)
    for cost in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="a cost must be"):
            tuner.observe(0, cost)
    with pytest.raises(ValueError, match="arms 0 to 2"):
        tuner.observe(3, 1.0)
    tuner.observe(0, 1.0)
    for context in (None, [1.0, 2.0]):
        with pytest.raises(ValueError, match="of one length"):
            tuner.suggest(context)


def test_a_learner_for_another_number_of_arms_is_refused():
    tuner = mock_tuner(3, learner=lambda d: Ridge(d + 1, low=0.0, high=1.0))
    with pytest.raises(TypeError, match=r"must make a Tuner for \d arms, got Ridge"):
        play(tuner, lambda t, arm: 1.0 + arm, 20)
