"""A coefficient that varies in space, from values of the solution at sensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg

from ...operators import SPD, Function
from ...operators.spectral_mixture import SpectralMixture, matern
from ..krylov.cg import CG
from .along import along, tensor_product
from .chebyshev import ChebyshevFunction, barycentric_rows, chebyshev_matrix, chebyshev_nodes
from .collocation import unknown_nodes
from .pde import PDE
from .tikhonov import ridge, series_rows, smoothness

LENGTHS = (0.1, 0.2, 0.4, 0.8)
"""Correlation lengths of log a that are tried, in lengths of the box."""
SPREADS = (0.3, 1.0)
"""Standard deviations of log a that are tried."""
MOST = 2500
"""Chebyshev points up to which the equation is factorised: a matrix of 50 MB."""
MANY = 400
"""Sensors beyond which Gauss–Newton steps are found by conjugate gradients."""
DRAWS = 64
"""Draws for the standard deviation then: to about 9 %."""
STEPS = 30
"""Largest number of Gauss–Newton steps."""
SEED = 20240607


@dataclasses.dataclass(frozen=True, eq=False)
class DiffusivityInversion:
    """Posterior of the logarithm of a coefficient, linearised at its maximum.

    Attributes
    ----------
    log_a, deviation : ChebyshevFunction
        Maximum of the posterior of log a, and its standard deviation.
    solution : ChebyshevFunction
        u with this coefficient.
    tikhonov : ChebyshevFunction
        log a by Tikhonov regularisation: the baseline.
    kernels : list of SpectralMixture
        Prior of log a.
    evidence : float
        Its logarithm, by Laplace's approximation; NaN where there are many sensors.
    steps, products : int
        Gauss–Newton steps, and products with the linearised map where there are many sensors.
    """

    log_a: ChebyshevFunction
    deviation: ChebyshevFunction
    solution: ChebyshevFunction
    tikhonov: ChebyshevFunction
    kernels: list[SpectralMixture]
    evidence: float
    steps: int
    products: int


def invert_diffusivity(
    pde: PDE, n: int | Sequence[int] = 24, kernels: Sequence[SpectralMixture] | None = None, degree: int = 8
) -> DiffusivityInversion:
    """Return the posterior of a in Σ_j c_j ∂_j(a ∂_j u) + lower-order terms = f, given observations of u.

    log a has a Gaussian process prior of mean 0, so that c_j is the middle of what is expected. Its maximum a
    posteriori is found by Gauss–Newton steps with halving, u eliminated at Chebyshev points. With m sensors a step
    takes m solves with the factors of Aᵀ and a matrix of m²; beyond 400 sensors, conjugate gradients on the Hessian
    preconditioned by the prior, two solves a product. Length and spread of the prior are those of the largest
    evidence, of a part of the sensors where there are many.

    Parameters
    ----------
    pde : PDE
        Linear, with complete boundary data and observations that have noise. Its second-order terms are pure and their
        coefficients numbers c_j; lower-order terms stay as they are.
    n : int or sequence of int
        Chebyshev points along each axis; at most 2500 together.
    kernels : sequence of SpectralMixture, optional
        Prior of log a, one an axis; used as they are.
    degree : int
        Degree of the baseline's polynomials.

    Raises
    ------
    ValueError
        If the equation or the data are not of this form.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.gp import PDE, Observations, invert_diffusivity, laplacian
    >>> rng = np.random.default_rng(0)
    >>> points = rng.uniform(0.05, 0.95, (60, 2))
    >>> u = lambda x, y: x + y + 0.5 * x**2  # of ∇·(a ∇u) = 2 (1 + x) with a = 1 + x
    >>> seen = Observations(points, u(*points.T), 1e-3)
    >>> pde = PDE([(0.0, 1.0)] * 2, laplacian(2), lambda x, y: 2 * (1 + x) + 0 * y, u, observations=seen)
    >>> found = invert_diffusivity(pde, 10)
    >>> middle = np.array([[0.5, 0.5]])
    >>> bool(abs(found.log_a.at(middle, (0, 0)) - np.log(1.5)) < 0.1)
    True
    """
    forward = _Forward(pde, tuple(int(k) for k in np.broadcast_to(n, (pde.dimensions,))))
    rng = np.random.default_rng(SEED)
    few = np.arange(len(forward.y))
    if len(few) > MANY:
        few = np.sort(rng.choice(few, MANY, replace=False))
    part = forward.only(few)
    if kernels is None:
        tried = [_maximum(part, _prior(pde, length, spread)) for length in LENGTHS for spread in SPREADS]
        best = max(tried, key=lambda found: found.evidence)
        kernels = best.kernels
    else:
        kernels = list(kernels)
        if len(kernels) != pde.dimensions:
            raise ValueError(f"give one kernel for each of the {pde.dimensions} axes, got {len(kernels)}")
        best = _maximum(part, kernels)
    if part is not forward and len(few) < len(forward.y):
        best = _maximum_by_gradients(forward, kernels, best.z, rng)

    def function(values: np.ndarray) -> ChebyshevFunction:
        return ChebyshevFunction(forward.axes, values.reshape(forward.shape))

    return DiffusivityInversion(
        function(best.theta),
        function(best.deviation),
        function(forward.solve(best.theta)),
        function(_baseline(part, degree)),
        list(kernels),
        best.evidence,
        best.steps,
        best.products,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Maximum:
    z: np.ndarray
    theta: np.ndarray
    deviation: np.ndarray
    kernels: list[SpectralMixture]
    evidence: float
    steps: int
    products: int = 0


class _Forward:
    """u at Chebyshev points for given log a, its values at the sensors and their derivatives, by the noise."""

    def __init__(self, pde: PDE, shape: tuple[int, ...]) -> None:
        _check(pde, shape)
        seen = pde.observations
        assert seen is not None  # _check has said so
        self.pde, self.shape, self.noise = pde, shape, seen.noise
        self.axes = [chebyshev_nodes(low, high, n) for (low, high), n in zip(pde.box, shape, strict=True)]
        self.D = [chebyshev_matrix(n, high - low, 1) for (low, high), n in zip(pde.box, shape, strict=True)]
        free = np.zeros(shape, bool)
        free[unknown_nodes(pde)] = True
        self.inside = np.flatnonzero(free.ravel())
        self.known = np.flatnonzero(~free.ravel())
        U = np.zeros(shape)
        for side in pde.boundary_at(self.axes):
            U[side.index] = side.values
        self.boundary, self.f = U.ravel(), pde.source_at(self.axes).ravel()
        self.c = [0.0] * len(shape)
        self.lower = np.zeros((self.boundary.size,) * 2)
        for orders in pde.operator:
            value = pde.coefficient_at(orders, self.axes)
            if sum(orders) == 2:
                self.c[orders.index(2)] = float(np.mean(value))
            else:
                self.lower += np.broadcast_to(value, shape).reshape(-1, 1) * self._matrix(orders)
        points = np.asarray(seen.points)
        rows = np.ones((len(points), 1))
        for j, x in enumerate(self.axes):
            one = barycentric_rows(x, points[:, j])
            rows = (rows[:, :, None] * one[:, None, :]).reshape(len(points), -1)
        self.S, self.y = rows / self.noise, np.asarray(seen.values) / self.noise
        self.points = points

    def only(self, chosen: np.ndarray) -> _Forward:
        """Return the same with some of the sensors."""
        other = object.__new__(_Forward)
        other.__dict__.update(self.__dict__)
        other.S, other.y, other.points = self.S[chosen], self.y[chosen], self.points[chosen]
        return other

    def solve(self, theta: np.ndarray) -> np.ndarray:
        """Return u at all points."""
        return self.linearised(theta)[0]

    def linearised(
        self, theta: np.ndarray
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
        """Return u, and the products with the derivative of the sensors' values by log a and its transpose.

        Both take and return columns.
        """
        a = np.exp(theta)
        A = self.lower.copy()
        index = np.arange(a.size).reshape(self.shape)
        for j, (D, c) in enumerate(zip(self.D, self.c, strict=True)):
            lines = np.moveaxis(index, j, -1).reshape(-1, self.shape[j])
            A[lines[:, :, None], lines[:, None, :]] += c * (D @ (a[lines][:, :, None] * D))
        lu = scipy.linalg.lu_factor(A[np.ix_(self.inside, self.inside)], check_finite=False)
        if not np.isfinite(lu[0]).all() or not np.diag(lu[0]).all():
            raise np.linalg.LinAlgError("the equation has no unique solution with this coefficient")
        u = self.boundary.copy()
        known = A[np.ix_(self.inside, self.known)] @ u[self.known]
        u[self.inside] = scipy.linalg.lu_solve(lu, self.f[self.inside] - known, check_finite=False)
        slopes = [self._along(D, u[:, None], j)[:, 0] for j, D in enumerate(self.D)]

        def forward(change: np.ndarray) -> np.ndarray:
            flux = np.zeros_like(change)
            for j, (D, c, slope) in enumerate(zip(self.D, self.c, slopes, strict=True)):
                flux += c * self._along(D, (a * slope)[:, None] * change, j)
            moved = scipy.linalg.lu_solve(lu, flux[self.inside], check_finite=False)
            return np.asarray(-self.S[:, self.inside] @ moved)

        def backward(w: np.ndarray) -> np.ndarray:
            adjoint = np.zeros((a.size, w.shape[1]))
            adjoint[self.inside] = scipy.linalg.lu_solve(lu, self.S[:, self.inside].T @ w, trans=1, check_finite=False)
            total = np.zeros_like(adjoint)
            for j, (D, c, slope) in enumerate(zip(self.D, self.c, slopes, strict=True)):
                total -= c * (a * slope)[:, None] * self._along(D.T, adjoint, j)
            return total

        return u, forward, backward

    def _along(self, D: np.ndarray, X: np.ndarray, axis: int) -> np.ndarray:
        return along(D, X.reshape(*self.shape, X.shape[1]), axis).reshape(X.shape)

    def _matrix(self, orders: tuple[int, ...]) -> np.ndarray:
        out: np.ndarray = np.eye(1)
        for D, r in zip(self.D, orders, strict=True):
            out = np.kron(out, np.linalg.matrix_power(D, r))
        return out


def _maximum(forward: _Forward, kernels: Sequence[SpectralMixture]) -> _Maximum:
    """Return the maximum a posteriori with few sensors: steps in the space of the sensors."""
    roots = _roots(forward, kernels)
    z = np.zeros(forward.boundary.size)
    m = len(forward.y)

    def step(z: np.ndarray, r: np.ndarray, backward: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        W = _by_roots(roots, forward, backward(np.eye(m)), back=True).T
        found: np.ndarray = W.T @ np.linalg.solve(W @ W.T + np.eye(m), r + W @ z)
        return found

    z, r, backward, steps = _newton(forward, roots, z, lambda z, r, _, back: step(z, r, back))
    W = _by_roots(roots, forward, backward(np.eye(m)), back=True).T
    factor = scipy.linalg.cholesky(W @ W.T + np.eye(m), lower=True)
    told = scipy.linalg.solve_triangular(factor, _by_roots(roots, forward, W.T).T, lower=True)
    prior = float(np.prod([k.variance for k in kernels]))
    deviation = np.sqrt(np.maximum(prior - np.sum(told**2, axis=0), 0.0))
    evidence = -0.5 * float(r @ r + z @ z) - float(np.log(np.diag(factor)).sum())
    evidence -= m * float(np.log(forward.noise * np.sqrt(2.0 * np.pi)))
    return _Maximum(z, _by_roots(roots, forward, z[:, None])[:, 0], deviation, list(kernels), evidence, steps)


def _maximum_by_gradients(
    forward: _Forward, kernels: Sequence[SpectralMixture], z: np.ndarray, rng: np.random.Generator
) -> _Maximum:
    """Return the same with many sensors: systems with I + WᵀW, the Hessian preconditioned by the prior, by CG."""
    roots, products = _roots(forward, kernels), 0

    def solve(
        b: np.ndarray, ahead: Callable[[np.ndarray], np.ndarray], backward: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        def product(X: np.ndarray) -> np.ndarray:
            nonlocal products
            X = X.reshape(len(b), -1)
            products += X.shape[1]
            return np.asarray(X + _by_roots(roots, forward, backward(ahead(_by_roots(roots, forward, X))), back=True))

        H = Function((len(b),) * 2, lambda x: product(x)[:, 0], matmat=product, props=SPD)
        return np.asarray(CG(rtol=1e-8, maxiter=500).solve(H, b).x)

    def step(
        z: np.ndarray,
        r: np.ndarray,
        ahead: Callable[[np.ndarray], np.ndarray],
        backward: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        right = r[:, None] + ahead(_by_roots(roots, forward, z[:, None]))
        return solve(_by_roots(roots, forward, backward(right), back=True)[:, 0], ahead, backward)

    z, _, backward, steps = _newton(forward, roots, z, step)
    theta = _by_roots(roots, forward, z[:, None])[:, 0]
    _, ahead, backward = forward.linearised(theta)
    # (I + WᵀW)⁻¹ (ξ + Wᵀη) with normal ξ and η is a draw of the linearised posterior.
    b = rng.standard_normal((z.size, DRAWS))
    b += _by_roots(roots, forward, backward(rng.standard_normal((len(forward.y), DRAWS))), back=True)
    draws = _by_roots(roots, forward, solve(b, ahead, backward))
    deviation = np.sqrt(np.mean(draws**2, axis=1))
    return _Maximum(z, theta, deviation, list(kernels), float("nan"), steps, products)


def _newton(
    forward: _Forward, roots: list[np.ndarray], z: np.ndarray, step: Callable[..., np.ndarray]
) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray], int]:
    """Return z, the residual, the transposed derivative there and the number of steps."""
    u, ahead, backward = forward.linearised(_by_roots(roots, forward, z[:, None])[:, 0])
    r = forward.y - forward.S @ u
    value = float(r @ r + z @ z)
    for count in range(1, STEPS + 1):
        change = step(z, r, ahead, backward) - z
        share = 1.0
        while share > 1e-4:
            trial = z + share * change
            try:
                moved = forward.linearised(_by_roots(roots, forward, trial[:, None])[:, 0])
                residual = forward.y - forward.S @ moved[0]
                lower = float(residual @ residual + trial @ trial)
            except np.linalg.LinAlgError:
                lower = np.inf
            if lower <= value * (1.0 + 1e-12):
                break
            share *= 0.5
        else:
            return z, r, backward, count
        gain = value - lower
        z, r, value, (_, ahead, backward) = trial, residual, lower, moved
        if share == 1.0 and gain <= 1e-6 * (1.0 + value):
            return z, r, backward, count
    raise ValueError(f"log a did not settle in {STEPS} steps: give a prior with a smaller spread, or more noise")


def _roots(forward: _Forward, kernels: Sequence[SpectralMixture]) -> list[np.ndarray]:
    found = []
    for kernel, x in zip(kernels, forward.axes, strict=True):
        values, V = np.linalg.eigh(kernel.matrix(x))
        found.append(V * np.sqrt(np.maximum(values, 0.0)))
    return found


def _by_roots(roots: list[np.ndarray], forward: _Forward, X: np.ndarray, *, back: bool = False) -> np.ndarray:
    """Return L X, or Lᵀ X, for columns."""
    shaped = X.reshape(*forward.shape, X.shape[1])
    return tensor_product([R.T if back else R for R in roots], shaped).reshape(X.shape)


def _prior(pde: PDE, length: float, spread: float) -> list[SpectralMixture]:
    sizes = [high - low for low, high in pde.box]
    return [matern(length * size, spread**2 if j == 0 else 1.0) for j, size in enumerate(sizes)]


def _baseline(forward: _Forward, degree: int) -> np.ndarray:
    """Return log a as a polynomial by Tikhonov regularisation of each linearised problem."""
    shape = (degree + 1,) * len(forward.shape)
    grid = np.stack([x.ravel() for x in np.meshgrid(*forward.axes, indexing="ij")], axis=1)
    B = series_rows(forward.pde.box, shape, grid, (0,) * len(shape))
    c, weights, m = np.zeros(B.shape[1]), smoothness(shape), len(forward.y)
    u, _, backward = forward.linearised(B @ c)
    r = forward.y - forward.S @ u
    for _ in range(12):
        W = backward(np.eye(m)).T @ B
        change = ridge(W, r + W @ c, weights, 1.0)[0] - c
        share, size = 1.0, float(r @ r)
        while share > 1e-3:
            try:
                moved = forward.linearised(B @ (c + share * change))
                residual = forward.y - forward.S @ moved[0]
                if float(residual @ residual) <= max(size, 1.05 * m):
                    break
            except np.linalg.LinAlgError:
                pass
            share *= 0.5
        else:
            break
        c, r, backward = c + share * change, residual, moved[2]
        if np.abs(share * change).max() <= 1e-4 * max(float(np.abs(c).max()), 1e-3):
            break
    return np.asarray(B @ c)


def _check(pde: PDE, shape: tuple[int, ...]) -> None:
    if pde.observations is None:
        raise ValueError("there is nothing to find a coefficient from: give the PDE observations of u")
    if not pde.observations.noise > 0.0:
        raise ValueError("a field is found from observations with noise: give its standard deviation")
    if pde.nonlinear is not None:
        raise ValueError("coefficient fields of linear equations can be found: linearise the equation first")
    if int(np.prod(shape)) > MOST:
        raise ValueError(f"{int(np.prod(shape))} Chebyshev points are too many (at most {MOST}): give a smaller n")
    second = [orders for orders in pde.operator if sum(orders) == 2]
    if not second or any(max(o) < 2 or callable(pde.operator[o]) for o in second) or max(map(sum, pde.operator)) > 2:
        raise ValueError(
            "the operator must have second-order terms that are pure and constant, such as laplacian(2), and none of "
            f"higher order; it has {dict(pde.operator)}"
        )
