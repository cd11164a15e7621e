"""Smoothers of geometric multigrid."""

from collections.abc import Callable, Mapping

from .chebyshev import ChebyshevSmoother
from .damped_jacobi import DampedJacobi
from .gauss_seidel import GaussSeidel
from .lines import Lines, alternating_lines, strongest_line
from .red_black import RedBlack
from .smoother import Smoother

SMOOTHERS: Mapping[str, Callable[..., Smoother]] = {
    "red_black": RedBlack,
    "jacobi": DampedJacobi,
    "chebyshev": ChebyshevSmoother,
    "gauss_seidel": GaussSeidel,
    "lines": strongest_line,
    "alternating_lines": alternating_lines,
}
"""What makes the smoother of a level, by the names that `GeometricMultigrid` takes."""

__all__ = [
    "SMOOTHERS",
    "ChebyshevSmoother",
    "DampedJacobi",
    "GaussSeidel",
    "Lines",
    "RedBlack",
    "Smoother",
    "alternating_lines",
    "strongest_line",
]
