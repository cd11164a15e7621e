"""Learners that choose a way to solve before each solve, from what the solves before it cost."""

from .binned import Binned
from .chebcb import ChebCB
from .epsilon_greedy import EpsilonGreedy
from .fixed_arm import FixedArm
from .lower_confidence_bound import LowerConfidenceBound
from .random_arm import RandomArm
from .tsallis_inf import TsallisINF
from .tuner import Decision, Tuner

__all__ = [
    "Binned",
    "ChebCB",
    "Decision",
    "EpsilonGreedy",
    "FixedArm",
    "LowerConfidenceBound",
    "RandomArm",
    "TsallisINF",
    "Tuner",
]
