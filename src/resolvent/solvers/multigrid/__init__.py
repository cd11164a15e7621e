"""Geometric multigrid on boxes, for numpy and torch; bootstrap algebraic multigrid for matrices."""

from .bootstrap import BootstrapAMG, near_null_space
from .geometric import GeometricMultigrid
from .hierarchy import Hierarchy
from .multigrid_cg import MultigridCG
from .network import Network
from .solver import Multigrid

__all__ = [
    "BootstrapAMG",
    "GeometricMultigrid",
    "Hierarchy",
    "Multigrid",
    "MultigridCG",
    "Network",
    "near_null_space",
]
