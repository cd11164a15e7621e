"""Relaxation: sweeps that correct one unknown, or one block of them, after the other."""

from .counts import sweep_counts
from .sor import SOR

__all__ = ["SOR", "sweep_counts"]
