"""Geometric multigrid on boxes: one code for numpy and torch, for one system or many members at once."""

from .geometric import GeometricMultigrid
from .hierarchy import Hierarchy
from .multigrid_cg import MultigridCG
from .network import Network
from .solver import Multigrid

__all__ = ["GeometricMultigrid", "Hierarchy", "Multigrid", "MultigridCG", "Network"]
