"""What to try on the command line when a solve did not converge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..solvers import Result, Solver


def advice(result: Result, solver: Solver, A: Any, b: Any) -> str:
    """Return a hint for a result that did not converge.

    Parameters
    ----------
    solver : Solver
        The method that gave the result.
    A, b : array
        The system, A dense or sparse.
    """
    import numpy as np

    from ..operators import Props

    reason, status = str(result.extra.get("reason", "")), result.status.name
    stored = abs(A)
    for name, sums in (("row", stored.sum(axis=1)), ("column", stored.sum(axis=0))):
        empty = np.flatnonzero(np.asarray(sums).ravel() == 0.0)
        if empty.size:
            return f"the matrix is singular: {name} {empty[0]} (counted from 0) holds zeros only"
    if status == "NONFINITE":
        return _out_of_range(float(stored.max()), float(np.abs(b).max()), reason)
    if Props.SELF_ADJOINT in solver.needs and not _self_adjoint(A):
        kind = "Hermitian" if A.dtype.kind == "c" else "symmetric"
        method = type(solver).__name__
        return f"A is not {kind}, as {method} needs it to be: use --solver gmres or --solver bicgstab"
    if "singular" in reason:
        return (
            "the matrix is singular: mend it (a missing boundary condition?), or, if b is consistent with it, try "
            "--solver minres (symmetric) or --solver gmres"
        )
    if type(solver).__name__ == "Direct":
        return (
            "the factorisation gives no more digits: raise --rtol to what rounding allows; a nearly singular "
            "matrix needs other scaling, or is wrong"
        )
    stronger = "amg or ssor" if Props.SELF_ADJOINT in solver.needs else "ilu or amg"
    return {
        "MAXITER": f"raise --maxiter, try a stronger --preconditioner ({stronger}), --solver direct, or a larger "
        "--rtol",
        "STAGNATED": "raise --rtol to what rounding allows; if the system is singular, b must be consistent with it",
        "BREAKDOWN": "try --solver gmres or --solver direct, or another --preconditioner",
        "INDEFINITE": "try --solver minres (symmetric), --solver gmres or --solver direct",
        "DIVERGED": "check the matrix; try --solver gmres or --solver direct, or another --preconditioner",
    }.get(status, "try --solver direct")


def _out_of_range(largest_A: float, largest_b: float, reason: str) -> str:
    if "leaves the range" not in reason:
        return "the numbers overflowed: rescale the system, or try another --preconditioner"
    if largest_b < largest_A:
        return "the solution is too small for this precision (underflow): multiply b by a large number, or rescale A"
    return "the solution is too large for this precision (overflow): divide b by a large number, or rescale A"


def _self_adjoint(A: Any) -> bool:
    """Whether the entries of a matrix equal those of its adjoint to rounding."""
    import numpy as np

    difference = abs(A - A.conj().T)
    return bool(difference.max() <= 100.0 * np.finfo(A.dtype).eps * abs(A).max())
