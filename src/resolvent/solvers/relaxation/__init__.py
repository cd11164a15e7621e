"""Relaxation: sweeps that correct one unknown, or one block of them, after the other."""

from .counts import sweep_counts
from .sor import SOR
from .sweeps import Relaxation

__all__ = ["SOR", "Relaxation", "sweep_counts"]
