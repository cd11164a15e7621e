"""Preconditioners, initial guesses and deflation spaces that are learned. Loaded when asked for, since it needs torch.

`SPDCycle` and what belongs to it are trained on solves (``resolvent.training.preconditioners``); `NeuralPreconditioner`
and `NeuralGuess` take any network that was trained to map a coefficient and a right-hand side to the solution.

They are arms among others: `Gated` lets one take part only where it pays. Around obstacles as in its training,
`SPDCycle` takes as long as the best classical method on squares and half as long on 64³, elsewhere longer; others, DCDM
and operators trained as surrogates among them, never paid (``benchmarks/learned.py``, ``benchmarks/neural_guess.py``).
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('learned preconditioners need torch: pip install "resolvent[learn]"') from error

from .cycle import SPDCycle
from .dcdm import DCDM
from .deflation import DeflationNetwork, LearnedSpaces
from .gate import Gated, GatedOperator, Verdict
from .guess import NeuralGuess
from .image import diagonal_image
from .learned_guess import LearnedGuess
from .mgno_gram import MgNOGram
from .network import PreconditionerNetwork
from .npsd import NPSD
from .operator import LearnedOperator
from .preconditioner import NeuralPreconditioner
from .recipe import Learned, ModelFileError

__all__ = [
    "DCDM",
    "NPSD",
    "DeflationNetwork",
    "Gated",
    "GatedOperator",
    "Learned",
    "LearnedGuess",
    "LearnedOperator",
    "LearnedSpaces",
    "MgNOGram",
    "ModelFileError",
    "NeuralGuess",
    "NeuralPreconditioner",
    "PreconditionerNetwork",
    "SPDCycle",
    "Verdict",
    "diagonal_image",
]
