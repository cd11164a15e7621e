"""The certificate of a sample: evidence in float64 that what is stored solves its discrete problem."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .family import Inputs, LinearFamily, System
from .file_format import Layout
from .sample_arrays import working_solution

INADMISSIBLE = "INADMISSIBLE"
"""Status of a sample whose problem could not be assembled."""


class Certificate(NamedTuple):
    """One row of the certificate columns; see `file_format`."""

    rho_float64: float
    rho_stored: float
    rounding_error: float
    tolerance: float
    iterations: int
    status: str
    certified: bool


def relative_residual(system: System, x: np.ndarray) -> float:
    """Return ‖b − A x‖₂/‖b‖₂ in double precision.

    For b = 0 it is 0 if A x = 0 exactly, else infinite; NaN for an x that is not finite.
    """
    from ..solvers.vector_kernels import residual_norms

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
    family: LinearFamily,
    layout: Layout,
    inputs: Inputs,
    x: np.ndarray,
    stored: Mapping[str, np.ndarray],
    *,
    tolerance: float,
    iterations: int,
    status: str,
) -> Certificate:
    """Assemble the problem anew from the stored inputs and measure both residuals.

    Parameters
    ----------
    inputs : dict
        Stored inputs in working precision.
    x : (n,) array
        The unknowns as the solver returned them.
    stored : dict
        Solution fields in storage precision.
    tolerance : float
        Largest relative residual of x accepted.
    """
    system = family.assemble(inputs)
    x = np.asarray(x).ravel()
    rho = relative_residual(system, x)
    x_stored = np.asarray(family.restrict(working_solution(stored, layout))).ravel()
    if x_stored.shape == x.shape and np.array_equal(x_stored, x):
        rho_stored, rounding = rho, 0.0
    else:
        rho_stored = relative_residual(system, x_stored)
        size = float(np.linalg.norm(x))
        change = float(np.linalg.norm(x_stored - x))
        rounding = change / size if size > 0.0 else change
    return Certificate(rho, rho_stored, rounding, tolerance, iterations, status, bool(rho <= tolerance))
