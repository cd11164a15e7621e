"""Relaxation: sweeps that correct one unknown, or one block of them, after the other."""

from .counts import sweep_counts
from .gauss_southwell import GaussSouthwell
from .richardson import Richardson
from .sor import SOR
from .sweeps import Relaxation

__all__ = ["SOR", "GaussSouthwell", "Relaxation", "Richardson", "sweep_counts"]
