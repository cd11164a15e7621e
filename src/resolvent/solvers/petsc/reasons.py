"""What PETSc's converged reasons and error codes mean here, by value: the names changed between its versions."""

from __future__ import annotations

from typing import Any

from ..status import Status

CONVERGED_ITS = 4
"""A fixed number of iterations was done: no claim about the residual, no failure either."""

ITERATING, CONVERGED_ATOL, DIVERGED_ITS = 0, 3, -3
"""What our convergence test answers: go on, the tolerance is met, stop."""

MEANING: dict[int, tuple[Status, str]] = {
    0: (Status.BREAKDOWN, "PETSc returned without a reason"),
    1: (Status.CONVERGED, "the normal equations meet rtol"),
    2: (Status.CONVERGED, "rtol is met"),
    3: (Status.CONVERGED, "atol is met"),
    4: (Status.MAXITER, "the fixed number of iterations is done"),
    5: (Status.INDEFINITE, "a direction of negative curvature"),
    6: (Status.STOPPED, "the step reached the trust region"),
    7: (Status.STOPPED, "the step reached its largest length"),
    8: (Status.CONVERGED, "happy breakdown: the Krylov space holds the solution"),
    9: (Status.CONVERGED, "the normal equations meet atol"),
    -2: (Status.BREAKDOWN, "a null vector"),
    -3: (Status.MAXITER, "the largest number of iterations is done"),
    -4: (Status.DIVERGED, "the residual grew beyond divtol"),
    -5: (Status.BREAKDOWN, "the Krylov space cannot be enlarged"),
    -6: (Status.BREAKDOWN, "the initial residual is orthogonal to the preconditioned one"),
    -7: (Status.BREAKDOWN, "the matrix or the preconditioner is not symmetric"),
    -8: (Status.INDEFINITE, "the preconditioner is indefinite"),
    -9: (Status.NONFINITE, "NaN or infinity in the iteration"),
    -10: (Status.INDEFINITE, "the matrix is indefinite"),
    -11: (Status.BREAKDOWN, "the set-up or an application of the preconditioner failed"),
}
"""Status and explanation of each reason; CONVERGED is PETSc's claim, which the true residual has to confirm.

7 and 8 as since PETSc 3.12: 7 is the length of a step, 8 the happy breakdown.
"""

REASON_OF: dict[Status, int] = {
    Status.CONVERGED: 2,
    Status.LEAST_SQUARES: 1,
    Status.STOPPED: -5,  # PETSc has no reason for being stopped; a positive one would claim too much
    Status.MAXITER: -3,
    Status.STAGNATED: -5,
    Status.BREAKDOWN: -5,
    Status.INDEFINITE: -10,
    Status.DIVERGED: -4,
    Status.NONFINITE: -9,
}
"""What a method of ours tells PETSc when it is used as a KSP."""

FAULTY_OPTIONS = (56, 60, 61, 62, 63, 65, 73, 75, 80, 85, 86, 92)
"""Error codes for what the caller asked for: unsupported, sizes, indices, wrong or unknown arguments and types, a
missing package. Other codes (zero pivots, floating point, external libraries, memory) say that the numbers did not
allow it."""


def meaning(reason: int) -> tuple[Status, str]:
    """Return the status PETSc's reason claims, and the reason in words; unknown negative ones are breakdowns."""
    status = Status.CONVERGED if reason > 0 else Status.BREAKDOWN
    return MEANING.get(reason, (status, f"PETSc's reason {reason}"))


def message(error: Any) -> str:
    """Return what PETSc says about an error, without the stack of C functions."""
    lines = [line.split("] ", 1)[-1] for line in str(error).splitlines()[1:]]
    words = [line for line in lines if "() at " not in line]
    return f"PETSc error {getattr(error, 'ierr', '?')}: {'; '.join(words) or str(error)}"
