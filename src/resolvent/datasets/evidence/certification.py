"""The certificate of a sample: evidence in float64 that what is stored solves its discrete problem."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ..discrete_problem import DiscreteProblem, Fields
    from ..family import System

INADMISSIBLE = "INADMISSIBLE"
"""Status of a sample whose problem could not be posed."""


class Certificate(NamedTuple):
    """One row of the certificate columns; see `file_format`."""

    rho_float64: float
    rho_stored: float
    rounding_error: float
    tolerance: float
    iterations: int
    status: str
    certified: bool
    evidence: Mapping[str, float] = MappingProxyType({})
    """The numbers of the family's further columns."""

    @property
    def common(self) -> tuple[float, float, float, float, int, str, bool]:
        """The values of the columns that every set has."""
        return self[:7]


def relative_residual(system: System, x: np.ndarray) -> float:
    """Return ‖b − A x‖₂/‖b‖₂ in double precision.

    For b = 0 it is 0 if A x = 0 exactly, else infinite; NaN for an x that is not finite.
    """
    from ...solvers.vector_kernels import residual_norms

    precision = np.complex128 if np.iscomplexobj(x) or np.iscomplexobj(system.b) else np.float64
    b = np.asarray(system.b, dtype=precision).ravel()
    product = system.A.matvec(np.asarray(x, dtype=precision).ravel())
    if precision is np.float64:
        residual, scale = residual_norms(b, product)
    else:
        residual, scale = float(np.linalg.norm(b - product)), float(np.linalg.norm(b))
    if scale > 0.0:
        return residual / scale
    return residual if residual == 0.0 or math.isnan(residual) else math.inf


def certify(
    problem: DiscreteProblem, x: Any, stored: Fields, *, tolerance: float, iterations: int, status: str
) -> Certificate:
    """Measure a solution and what is stored of it.

    Parameters
    ----------
    problem : DiscreteProblem
        Posed anew by the stored inputs.
    x
        The solution as the method returned it.
    stored : dict
        Solution fields in storage precision, as double precision numbers.
    tolerance : float
        Largest rho of x accepted.
    """
    rho, rho_stored, rounding, evidence = problem.measure(x, stored)
    return Certificate(rho, rho_stored, rounding, tolerance, iterations, status, bool(rho <= tolerance), evidence)
