"""Bootstrap algebraic multigrid by compatible weighted matching."""

from .near_null_space import near_null_space
from .recipe import BootstrapAMG

__all__ = ["BootstrapAMG", "near_null_space"]
