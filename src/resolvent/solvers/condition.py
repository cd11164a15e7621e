"""The condition number of a preconditioned operator, from products."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.linalg

from ..operators import Array, LinearOperator, StructureError, as_operator
from .preconditioners.recipe import build
from .solver import refuse_not_self_adjoint, refuse_variable


@dataclasses.dataclass(frozen=True)
class ConditionNumber:
    """What `condition_number` found.

    Attributes
    ----------
    value : float
        largest / smallest: a lower bound of κ, near it where `settled`.
    smallest, largest : float
        Extreme Ritz values of M A.
    settled : bool
        Whether both are eigenvalues to the tolerance that was asked for.
    products : int
        Products with A, and applications of M.
    """

    value: float
    smallest: float
    largest: float
    settled: bool
    products: int

    def __str__(self) -> str:
        bound = "" if self.settled else "at least "
        return f"{bound}{self.value:.4g} ({self.smallest:.3g} to {self.largest:.3g})"


def condition_number(
    A: Any,
    M: Any = None,
    *,
    rtol: float = 1e-2,
    maxsteps: int = 1000,
    start: Array | None = None,
    rng: np.random.Generator | int = 0,
) -> ConditionNumber:
    """Estimate the condition number of M A, what the convergence of `CG` depends on.

    Lanczos' method for M A in the inner product in which it is self-adjoint, without reorthogonalisation, which extreme
    Ritz values do without. It ends when the residual of both extreme Ritz vectors is below `rtol` times their values.
    Ritz values lie between the eigenvalues: the result is never above κ, but for rounding.

    Storage: 6 vectors. Cost: one product with A and one with M a step, about as many steps as CG takes to `rtol`².

    Parameters
    ----------
    A : operator, matrix or array
        Self-adjoint and positive definite, real or complex.
    M : recipe or operator, optional
        Likewise, linear.
    rtol : float
        Of each end of the spectrum.
    maxsteps : int
        What is known after so many steps is returned, not `settled`.
    start : (n,) array, optional
        Of the Krylov space, a normal vector otherwise. Only the part of the spectrum that it has a component in is
        seen: with b, what CG meets in solving A x = b.
    rng : Generator or int
        Of the start.

    Raises
    ------
    StructureError
        If A is not self-adjoint, or A or M turns out not to be positive definite.
    ValueError
        If A or M gives NaN or infinity.

    References
    ----------
    Golub & Van Loan 2013, "Matrix Computations", 4th edition, section 11.5; Parlett 1998,
    doi:10.1137/1.9781611971163, chapter 13.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import SSOR, condition_number
    >>> T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40))
    >>> A = sp.csr_array(sp.kronsum(T, T))
    >>> exact = 1.0 / np.tan(np.pi / 82) ** 2
    >>> bool(abs(condition_number(A, rtol=1e-3).value / exact - 1.0) < 1e-3), condition_number(A, SSOR(1.5)).value < 40
    (True, True)
    """
    operator = as_operator(A)
    refuse_not_self_adjoint(operator, "condition_number")
    if operator._holds_torch():
        raise StructureError(f"condition_number works on the host, and {operator!r} holds tensors: convert it")
    preconditioner = build(M, operator)
    refuse_variable(operator, preconditioner, "condition_number", "FlexibleCG, whose convergence no number tells")
    if not 0.0 < rtol < 1.0:
        raise ValueError(f"rtol must lie between 0 and 1, got {rtol!r}")
    n = operator.shape[0]
    dtype = np.result_type(operator.dtype, np.float64)
    given = np.random.default_rng(rng).standard_normal(n) if start is None else start
    r = np.asarray(given, dtype=dtype).reshape(-1, 1)
    if r.shape[0] != n or not np.isfinite(r).all() or not r.any():
        raise ValueError(f"start must be a finite vector of {n} entries, not all zero, got shape {np.shape(given)}")
    r = np.ascontiguousarray(r)
    behind = np.zeros_like(r)
    alphas: list[float] = []
    betas: list[float] = []
    z, beta = _applied(preconditioner, r)
    check = 8
    smallest = largest = 1.0
    settled = False
    for step in range(1, min(maxsteps, 20 * n) + 1):
        w = z / beta
        v = r / beta
        q = operator._matmat(np.ascontiguousarray(w, dtype=operator.dtype)).astype(dtype)
        alpha = float(np.vdot(w, q).real)
        if not np.isfinite(alpha):
            raise ValueError(f"{operator!r} or its preconditioner gives NaN or infinity: check how it was assembled")
        if not alpha > 0.0:
            raise StructureError(f"{operator!r} is not positive definite: its condition number says nothing about CG")
        alphas.append(alpha)
        r = q - alpha * v - (betas[-1] if betas else 0.0) * behind
        behind = v
        z, beta = _applied(preconditioner, r)
        invariant = beta <= 1e-13 * max(alphas)
        if step >= check or invariant or step == maxsteps:
            check += max(4, check // 8)
            smallest, largest, errors = _ends(alphas, betas, beta)
            settled = invariant or (errors[0] <= rtol * smallest and errors[1] <= rtol * largest)
            if settled:
                break
        betas.append(beta)
    if not smallest > 0.0:
        raise StructureError(
            f"{operator!r} is singular or not positive definite: the smallest Ritz value is {smallest:.2g}"
        )
    return ConditionNumber(largest / smallest, smallest, largest, settled, len(alphas))


def _applied(M: LinearOperator | None, r: Array) -> tuple[Array, float]:
    """Return M r and √(rᴴ M r)."""
    if M is None:
        return r, float(np.linalg.norm(r))
    z = M._matmat(np.ascontiguousarray(r, dtype=np.result_type(r.dtype, M.dtype))).astype(r.dtype)
    square = float(np.vdot(r, z).real)
    if not np.isfinite(square):
        raise ValueError(f"{M!r} gives NaN or infinity: check the preconditioner")
    if square < 0.0:
        raise StructureError(f"the preconditioner {M!r} is not positive definite: CG cannot use it")
    return z, float(np.sqrt(square))


def _ends(alphas: list[float], betas: list[float], beta: float) -> tuple[float, float, tuple[float, float]]:
    """Return the extreme Ritz values, and the norms of the residuals of their vectors."""
    m = len(alphas)
    theta: list[float] = []
    errors: list[float] = []
    for end in (0, m - 1):
        values, vectors = scipy.linalg.eigh_tridiagonal(alphas, betas, select="i", select_range=(end, end))
        theta.append(float(values[0]))
        errors.append(abs(beta * float(vectors[-1, 0])))
    return theta[0], theta[1], (errors[0], errors[1])
