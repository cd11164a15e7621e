"""Choosing the parameters of solvers."""

from .closed_form import (
    is_consistently_ordered,
    jacobi_radius,
    optimal_omega,
    shifted_radius,
    sor_radius,
    sor_surrogate,
    ssor_cg_constants,
    ssor_cg_surrogate,
    young_omega,
)

__all__ = [
    "is_consistently_ordered",
    "jacobi_radius",
    "optimal_omega",
    "shifted_radius",
    "sor_radius",
    "sor_surrogate",
    "ssor_cg_constants",
    "ssor_cg_surrogate",
    "young_omega",
]
