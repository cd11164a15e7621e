"""How a solve ended."""

from __future__ import annotations

import enum


class Status(enum.Enum):
    """Reason why a solver returned, with advice; ordered from best to worst.

    CONVERGED is only ever given after the true residual b − A x was recomputed and met the tolerance. LEAST_SQUARES is
    given by methods for least-squares problems alone, after ‖Aᴴ(b − A x)‖ was recomputed.
    """

    CONVERGED = "the true residual meets the tolerance"
    LEAST_SQUARES = "a least-squares solution: Aᴴ(b − A x) meets its tolerance, b − A x itself does not"
    STOPPED = "the callback asked to stop"
    MAXITER = "maxiter reached: raise it, use a stronger preconditioner, or loosen rtol"
    STAGNATED = (
        "no further progress: the tolerance is below what rounding allows, or the system is singular and inconsistent"
    )
    BREAKDOWN = "the method broke down: try another method or preconditioner, or a direct solver"
    INDEFINITE = "A or M is not positive definite: use MINRES (A symmetric) or GMRES, or mend the preconditioner"
    DIVERGED = "the residual grew without bound: check the matrix, or use another method or preconditioner"
    NONFINITE = "NaN or infinity in A, b, x0, the preconditioner or an iterate: check the input"

    @property
    def message(self) -> str:
        """What happened and what to do."""
        return self.value

    @property
    def severity(self) -> int:
        """0 for CONVERGED, growing with the order above: the status of many columns is the worst of them."""
        return list(Status).index(self)

    def info(self, iterations: int) -> int:
        """Return scipy's code: 0 converged, the number of iterations if they ran out, negative for a breakdown."""
        if self in (Status.CONVERGED, Status.LEAST_SQUARES):
            return 0
        if self in (Status.MAXITER, Status.STOPPED, Status.STAGNATED):
            return max(iterations, 1)
        return -self.severity
