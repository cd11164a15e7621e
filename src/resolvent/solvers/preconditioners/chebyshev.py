"""Polynomial preconditioning."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import Array, LinearOperator, Props
from ...operators.workspace import Workspace
from .entries import on_host
from .jacobi import Jacobi
from .recipe import Recipe, is_number, is_whole
from .spectral_bounds import largest_eigenvalue

SAFETY = 1.1
"""The upper bound is this multiple of the largest Ritz value, as PETSc's and ML's smoothers have it."""


@dataclasses.dataclass(frozen=True)
class Chebyshev(Recipe):
    """M = p(D⁻¹A) D⁻¹ with D the diagonal of A and p the Chebyshev polynomial of the given degree.

    Of all polynomials of that degree, p makes the largest |1 − λ p(λ)| over the interval [b/ratio, b] least; b is 1.1
    times the largest eigenvalue of D⁻¹A as `steps` Lanczos steps from a fixed vector see it, or more where their
    residual says so. M is self-adjoint where A is, and definite where A is and the eigenvalues lie below
    b (1 + 1/ratio).

    It needs nothing of A but products and the diagonal, so that it works without a stored matrix, on torch storage,
    and distributed over processes; all work is parallel.

    Storage: D and 3 vectors. An application costs `degree` products with A and 5 vector passes after each. Set-up:
    `steps` products with A, and that many vectors for the time being; ``M.setup_products`` tells them. CG takes fewer
    iterations but, with degree d, nearly d + 1 products each: it gains where inner products or SSOR's and IC's
    sequential sweeps cost more than products. Do not use it where they do not, nor for an indefinite A.

    Parameters
    ----------
    degree : int
        Products with A an application, ≥ 0; 0 is Jacobi up to a factor.
    ratio : float
        Upper over lower end of the interval, > 1. Around 30 for a smoother or a few iterations; the condition number
        of D⁻¹A, if it is known, for a high degree.
    bounds : (float, float), optional
        The interval itself; no estimate is made then. Eigenvalues beyond the sum of the two make M indefinite.
    steps : int
        Lanczos steps for the estimate.

    Raises
    ------
    ValueError
        When built for a matrix with a zero, infinite or not-a-number on the diagonal, or if the estimate is not
        finite and positive.
    StructureError
        For an operator that does not know its diagonal.

    References
    ----------
    Saad 1985, doi:10.1137/0906059; Adams, Brezina, Hu & Tuminaro 2003, doi:10.1016/S0021-9991(03)00194-3; Zhou & Li
    2011, doi:10.1016/j.laa.2010.06.034, for the bound.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG, Chebyshev
    >>> T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(30, 30))
    >>> A = sp.csr_array(sp.kron(T, sp.eye_array(30)) + sp.kron(sp.eye_array(30), T))
    >>> [CG().solve(A, np.ones(900), M=M).iterations for M in (None, Chebyshev(2), Chebyshev(4))]
    [55, 22, 15]
    """

    degree: int = 3
    ratio: float = 30.0
    bounds: tuple[float, float] | None = None
    steps: int = 10
    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not is_whole(self.degree, 0):
            raise ValueError(f"degree must be a whole number ≥ 0, got {self.degree!r}")
        if not (is_number(self.ratio) and self.ratio > 1.0):
            raise ValueError(f"ratio must be greater than 1, got {self.ratio!r}")
        if not is_whole(self.steps, 1):
            raise ValueError(f"steps must be a whole number ≥ 1, got {self.steps!r}")
        if self.bounds is not None and not (len(self.bounds) == 2 and 0.0 < self.bounds[0] < self.bounds[1] < np.inf):
            raise ValueError(f"bounds must be (low, high) with 0 < low < high, got {self.bounds!r}")

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A, on the storage of A."""
        return Polynomial(A, self)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims."""
        return A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)


class Polynomial(LinearOperator):
    """The Chebyshev preconditioner of one operator.

    Attributes
    ----------
    bounds : (float, float)
        The interval.
    setup_products : int
        Products with A that finding it took.
    """

    def __init__(self, A: LinearOperator, recipe: Chebyshev) -> None:
        if A.shape[0] != A.shape[1]:
            raise ValueError(f"Chebyshev needs a square operator, got {A.shape[0]} x {A.shape[1]}")
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid, device=A.device)
        self.recipe = recipe
        # A copy that shares the values: `A.update` gives A new ones, and leaves these to us.
        self._A = copy.copy(A) if not A._parts() else A
        self._scaling = Jacobi()(A)
        self._inverse = None if A._holds_torch() else self._scaling.diagonal()
        self.setup_products = 0
        if recipe.bounds is not None:
            self.bounds = (float(recipe.bounds[0]), float(recipe.bounds[1]))
        else:
            largest, excess, self.setup_products = largest_eigenvalue(on_host(A), int(recipe.steps))
            high = max(SAFETY * largest, largest + excess)
            if not 0.0 < high < np.inf:
                raise ValueError(
                    f"Chebyshev needs eigenvalues of D⁻¹A in the right half-plane, but the largest of {A!r} is about "
                    f"{largest:.3g}: give bounds=(low, high), or use another preconditioner"
                )
            self.bounds = (high / float(recipe.ratio), high)
        self._work = Workspace()

    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self._A,)

    def _holds_torch(self) -> bool:
        return self._A._holds_torch()

    def _matmat(self, X: Array) -> Array:
        out = X + 0 * X  # of the storage of X
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._iterate(X, out, adjoint=False)

    def _rmatmat(self, X: Array) -> Array:
        out = X + 0 * X
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        # Mᴴ is the same polynomial of Aᴴ: its coefficients are real.
        self._iterate(X, out, adjoint=Props.SELF_ADJOINT not in self.props)

    def _iterate(self, X: Array, out: Array, *, adjoint: bool) -> None:
        """Chebyshev iteration for A z = X from z = 0, preconditioned by D."""
        low, high = self.bounds
        centre, radius = 0.5 * (high + low), 0.5 * (high - low)
        rho = radius / centre
        multiply = self._A._rmatmat_into if adjoint else self._A._matmat_into
        if self._inverse is None:
            self._iterate_on_device(X, out, multiply, adjoint=adjoint)
            return
        from .chebyshev_kernels import first_step, next_step

        inverse = self._inverse.conj() if adjoint and self._inverse.dtype.kind == "c" else self._inverse
        real = X.real.dtype.type
        R, D, Q = (self._work.array(name, X.shape, X.dtype) for name in ("R", "D", "Q"))
        first_step(inverse, real(1.0 / centre), X, R, D, out)
        for _ in range(int(self.recipe.degree)):
            multiply(D, Q)
            rho, old = 1.0 / (2.0 * centre / radius - rho), rho
            next_step(inverse, real(rho * old), real(2.0 * rho / radius), Q, R, D, out)

    def _iterate_on_device(self, X: Array, out: Array, multiply: Any, *, adjoint: bool) -> None:
        low, high = self.bounds
        centre, radius = 0.5 * (high + low), 0.5 * (high - low)
        rho = radius / centre
        scale = self._scaling._rmatmat if adjoint else self._scaling._matmat
        R, Q = X + 0 * X, X + 0 * X
        D = scale(R) / centre
        out[...] = D
        for _ in range(int(self.recipe.degree)):
            multiply(D, Q)
            rho, old = 1.0 / (2.0 * centre / radius - rho), rho
            R -= Q
            D = rho * old * D + 2.0 * rho / radius * scale(R)
            out += D

    def _summary(self) -> str:
        return f"Chebyshev polynomial of degree {self.recipe.degree} on [{self.bounds[0]:.3g}, {self.bounds[1]:.3g}]"
