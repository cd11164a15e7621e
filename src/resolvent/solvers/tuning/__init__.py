"""Choosing the parameters of solvers: by formula, or by learners that observe what solves cost."""

from .arm import Arm
from .arms import standard_arms
from .binned import Binned
from .chebcb import ChebCB
from .closed_form import (
    is_consistently_ordered,
    jacobi_radius,
    optimal_omega,
    shifted_radius,
    sor_radius,
    sor_surrogate,
    ssor_cg_constants,
    ssor_cg_surrogate,
    young_omega,
)
from .closed_form_arm import ClosedForm
from .epsilon_greedy import EpsilonGreedy
from .fixed_arm import FixedArm
from .lower_confidence_bound import LowerConfidenceBound
from .online import OnlineTuner
from .random_arm import RandomArm
from .restart import RestartOnDrift
from .ridge import Ridge
from .rounds import Play, Round
from .tsallis_inf import TsallisINF
from .tuner import Decision, Tuner

__all__ = [
    "Arm",
    "Binned",
    "ChebCB",
    "ClosedForm",
    "Decision",
    "EpsilonGreedy",
    "FixedArm",
    "LowerConfidenceBound",
    "OnlineTuner",
    "Play",
    "RandomArm",
    "RestartOnDrift",
    "Ridge",
    "Round",
    "TsallisINF",
    "Tuner",
    "is_consistently_ordered",
    "jacobi_radius",
    "optimal_omega",
    "shifted_radius",
    "sor_radius",
    "sor_surrogate",
    "ssor_cg_constants",
    "ssor_cg_surrogate",
    "standard_arms",
    "young_omega",
]
