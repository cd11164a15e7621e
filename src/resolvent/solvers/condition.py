"""The condition number of a preconditioned operator, from products."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.linalg

from ..operators import Array, LinearOperator, Props, StructureError, as_operator
from .preconditioners.recipe import build, is_whole
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

    Storage: 7 vectors. Cost: one product with A and one with M a step, about as many steps as CG takes to `rtol`².

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
        If A or M is not self-adjoint, or turns out not to be positive definite, or A to be singular.
    ValueError
        If A or M gives NaN or infinity, or A is not square.

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
    n = operator.shape[0]
    if operator.shape != (n, n):
        raise ValueError(f"condition_number needs a square operator, got {n} x {operator.shape[1]}")
    if operator._holds_torch():
        raise StructureError(f"condition_number works on the host, and {operator!r} holds tensors: convert it")
    preconditioner = build(M, operator)
    refuse_variable(operator, preconditioner, "condition_number", "FlexibleCG, whose convergence no number tells")
    refuse_not_self_adjoint(operator, "condition_number", preconditioner)
    if not 0.0 < rtol < 1.0:
        raise ValueError(f"rtol must lie between 0 and 1, got {rtol!r}")
    if not is_whole(maxsteps, 1):
        raise ValueError(f"maxsteps must be a whole number ≥ 1, got {maxsteps!r}")
    given = np.random.default_rng(rng).standard_normal(n) if start is None else np.asarray(start)
    types = [operator.dtype, given.dtype, *([] if preconditioner is None else [preconditioner.dtype])]
    r = np.array(given, dtype=np.result_type(*types, np.float64)).reshape(-1, 1)
    if r.shape[0] != n or not np.isfinite(r).all() or not r.any():
        raise ValueError(f"start must be a finite vector of {n} entries, not all zero, got shape {np.shape(given)}")
    pair = _Pair(operator, preconditioner)
    behind, w_behind = np.zeros_like(r), np.zeros_like(r)
    alphas: list[float] = []
    betas: list[float] = []
    z, beta = pair.preconditioned(r)
    if beta == 0.0:
        raise StructureError(
            f"the preconditioner {preconditioner!r} is not positive definite: it maps the start vector to zero"
        )
    unit, check, last = 1.0, 8, min(maxsteps, 20 * n)
    smallest = largest = 1.0
    settled = False
    for step in range(1, last + 1):
        w = z / beta
        v = r / beta
        q = operator.matmat(w)
        curvature = complex(np.vdot(w, q))
        if not np.isfinite(curvature):
            raise ValueError(f"{operator!r} or its preconditioner gives NaN or infinity: check how it was assembled")
        if step == 1 and curvature.real > 0.0:
            # Relative to the first Ritz value, no scale of A over- or underflows. Division by a power of two is exact.
            unit = float(np.ldexp(1.0, np.frexp(curvature.real)[1]))
        q /= unit
        alpha = curvature.real / unit
        # Where A and M are self-adjoint, wᴴ A w is real and q has the last beta as its part along the last w.
        odd = abs(curvature.imag) / unit, abs(np.vdot(w_behind, q) - (betas[-1] if betas else 0.0))
        if not pair.claimed and (
            odd[0] > pair.accuracy * _norm(w) * _norm(q) or odd[1] > pair.accuracy * _norm(w_behind) * _norm(q)
        ):
            pair.refuse_what_is_not_self_adjoint()
        if not alpha > 0.0:
            raise pair.refusal("is not positive definite: its condition number says nothing about CG")
        alphas.append(alpha)
        r = q - alpha * v - (betas[-1] if betas else 0.0) * behind
        behind, w_behind = v, w
        z, beta = pair.preconditioned(r)
        invariant = beta <= 1e-13 * max(alphas)
        if step >= check or invariant or step == last:
            check += max(4, check // 8)
            smallest, largest, errors = _ends(alphas, betas, beta)
            rounding = 10.0 * float(np.sqrt(n) * np.finfo(np.float64).eps) * largest
            if smallest < -rounding:
                raise pair.refusal(f"is not positive definite: the smallest Ritz value is {smallest * unit:.2g}")
            if smallest <= rounding:
                raise pair.refusal(
                    f"is singular to rounding: the smallest Ritz value is {smallest * unit:.2g}, the largest "
                    f"{largest * unit:.2g}. Give start= a vector orthogonal to the null space, such as b of a system "
                    "that has a solution"
                )
            settled = invariant or (errors[0] <= rtol * smallest and errors[1] <= rtol * largest)
            if settled:
                break
        betas.append(beta)
    return ConditionNumber(largest / smallest, smallest * unit, largest * unit, settled, len(alphas))


@dataclasses.dataclass(frozen=True)
class _Pair:
    """A and M, and what can be wrong with them."""

    A: LinearOperator
    M: LinearOperator | None

    @property
    def claimed(self) -> bool:
        """Whether both claim to be self-adjoint."""
        return all(Props.SELF_ADJOINT in operator.props for operator in (self.A, self.M) if operator is not None)

    @property
    def accuracy(self) -> float:
        """Part of its size up to which a number may be rounding, in the coarser precision of the two."""
        kinds = [operator.dtype for operator in (self.A, self.M) if operator is not None]
        return float(max(np.sqrt(np.finfo(kind if kind.kind in "fc" else np.float64).eps) for kind in kinds))

    def preconditioned(self, r: Array) -> tuple[Array, float]:
        """Return M r and √(rᴴ M r)."""
        size = float(np.abs(r).max())
        if self.M is None or size == 0.0:
            return r, _norm(r)
        s = r / size
        z = self.M.matmat(s)
        square = float(np.vdot(s, z).real)
        if not np.isfinite(square):
            raise ValueError(f"{self.M!r} gives NaN or infinity: check the preconditioner")
        if square < 0.0:
            self.refuse_what_is_not_self_adjoint()
            raise StructureError(f"the preconditioner {self.M!r} is not positive definite: CG cannot use it")
        return size * z, size * float(np.sqrt(square))

    def refuse_what_is_not_self_adjoint(self) -> None:
        """Raise StructureError if ⟨x, B y⟩ = ⟨B x, y⟩ fails for B = A or M, with random x and y."""
        x, y = np.random.default_rng(0).standard_normal((2, self.A.shape[0], 1))
        for name, operator in (("A", self.A), ("M", self.M)):
            if operator is None or Props.SELF_ADJOINT in operator.props:
                continue
            Bx, By = operator.matmat(x), operator.matmat(y)
            bound = self.accuracy * max(_norm(x) * _norm(By), _norm(Bx) * _norm(y))
            if abs(np.vdot(x, By) - np.vdot(Bx, y)) > bound:
                raise StructureError(
                    f"condition_number needs {name} = {name}ᴴ, but {operator!r} is not self-adjoint: CG cannot use it"
                )

    def refusal(self, fault: str) -> StructureError:
        """Return the error for a spectrum that is not positive; raise another where A ≠ Aᴴ or M ≠ Mᴴ is the cause."""
        self.refuse_what_is_not_self_adjoint()
        return StructureError(f"{self.A!r} {fault}")


def _norm(x: Array) -> float:
    """Return ‖x‖ without overflow or underflow of its square."""
    return float(scipy.linalg.norm(x, check_finite=False))


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
