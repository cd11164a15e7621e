"""Trained networks inside of solvers: as preconditioners of flexible methods, and as initial guesses.

Loaded when it is asked for, since it needs torch: ``from resolvent.solvers.learned import NeuralPreconditioner``.
"""

from __future__ import annotations

from .guess import NeuralGuess
from .image import diagonal_image
from .preconditioner import NeuralPreconditioner

__all__ = ["NeuralGuess", "NeuralPreconditioner", "diagonal_image"]
