"""Smoothers of geometric multigrid."""

from .red_black import RedBlack
from .smoother import Smoother

__all__ = ["RedBlack", "Smoother"]
