"""Solvers for Kronecker-structured systems: factors of the axes instead of factors of the whole."""

from .inverse import StructuredFactors, StructuredInverse
from .solver import KroneckerSolver

__all__ = ["KroneckerSolver", "StructuredFactors", "StructuredInverse"]
