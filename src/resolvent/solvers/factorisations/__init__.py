"""Factorisations behind the direct solver: each analyses a pattern once and factorises every matrix that has it."""

from .analysis import Analysis, Pattern, SingularError
from .banded import BandedCholesky
from .dense import DenseLU
from .sparse_lu import SparseLU

__all__ = ["Analysis", "BandedCholesky", "DenseLU", "Pattern", "SingularError", "SparseLU"]
