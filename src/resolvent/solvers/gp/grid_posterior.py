"""The posterior on a large tensor grid: exact values on sides, a noisy equation, products and no dense matrix."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from ...operators import SPD, Diagonal, Function, Kronecker, LinearOperator
from ...operators.spectral_mixture import SpectralMixture
from ..krylov.cg import CG
from .along import along, tensor_product
from .grid_axis import GridAxis
from .interpolant import KernelInterpolant
from .log_determinant import lanczos_logdet
from .pde import PDE, Orders

JITTER = 1e-10
"""Added to the covariance matrix of each axis, whose kernel is scaled to a variance of 1."""
LONGEST = 3000
"""Most nodes along an axis: its matrices take 70 MB each."""
TOLERANCE = 1e-10
"""Relative residual of the systems."""
ENOUGH = 1e-6
"""Relative residual that is accepted where rounding leaves no less."""
EXACTLY = 32
"""Points up to which a variance takes a solve each; beyond, it is estimated from draws."""
DRAWS = 128
"""Draws for such estimates: deviations to about 6 %."""
SEED = 20240607
"""Of these draws and of the probes of the evidence, so that both are functions of the data."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Term:
    """One term of the equation at the unknown nodes: its orders and its coefficient."""

    orders: Orders
    c: float | np.ndarray


class GridPosterior:
    """A Gaussian process on a tensor grid, given exact values on sides of the box and a noisy equation.

    Values at the nodes have the prior N(0, ⊗(K_j + eps I)). Given those on sides they keep such a prior inside, with
    covariance C = ⊗ C_j. The equation y = A u + noise then has the covariance G = A C Aᵀ + R, a sum of Kronecker
    products and a diagonal. Systems with G are solved by conjugate gradients, preconditioned in a
    basis of each axis. R holds the variance of the noise, and what u at the nodes leaves unknown of L u,
    taken as independent from node to node: small for smooth kernels, and refused where it is larger than the noise.

    Storage: some ten arrays of the grid, and some ten matrices of each axis. Cost: each product O(n^(d+1)); one system
    for the mean, one a draw, one a point for an exact variance.

    Parameters
    ----------
    kernels : sequence of SpectralMixture
        One an axis; used as they are.
    pde : PDE
        Linear, with source_noise; boundary data exact, perhaps missing on some sides; no observations.
    nodes : sequence of (n_j,) array
        The grid of the equation.

    Attributes
    ----------
    amplitude : float
        1.
    iterations : int
        Of conjugate gradients for the mean.
    remainder : float
        Largest part of R that is not noise, relative to the noise, at most 1.

    Raises
    ------
    ValueError
        For data that are not of this form, or kernels too rough for the grid: it says what to do.

    References
    ----------
    Wilson et al. 2021, arXiv:2011.04026 (pathwise conditioning); Ubaru, Chen & Saad 2017, doi:10.1137/16M1104974.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.gp import PDE, GridPosterior, laplacian, squared_exponential
    >>> u = lambda x, y: np.sin(3.0 * x + y)
    >>> f = -10.0 * u(*np.meshgrid(*[np.linspace(0, 1, 80)] * 2, indexing="ij"))
    >>> noisy = f + 0.5 * np.random.default_rng(0).standard_normal(f.shape)
    >>> pde = PDE([(0.0, 1.0)] * 2, laplacian(2), noisy, u, source_noise=0.5)
    >>> posterior = GridPosterior([squared_exponential(0.5)] * 2, pde, pde.grid((80, 80)))
    >>> point = np.array([[0.4, 0.7]])
    >>> bool(abs(posterior.at(point, (0, 0)) - u(0.4, 0.7)) < 0.01)
    True
    """

    amplitude = 1.0

    def __init__(self, kernels: Sequence[SpectralMixture], pde: PDE, nodes: Sequence[np.ndarray]) -> None:
        _check(pde, nodes)
        self.kernels, self.pde, self.nodes = list(kernels), pde, list(nodes)
        self._axes = []
        # Inside, u is measured in its prior standard deviation.
        self._scale = math.sqrt(math.prod(kernel.variance for kernel in kernels))
        for j, (kernel, x) in enumerate(zip(kernels, nodes, strict=True)):
            ends = sorted(end for axis, end in pde.sides if axis == j)
            unit = kernel.with_(log_w=kernel.log_w - math.log(kernel.variance))
            self._axes.append(GridAxis(unit, x, [end * (x.size - 1) for end in ends], JITTER))
        self._inside = tuple(axis.inside for axis in self._axes)
        self.shape = tuple(axis.covariance(0, 0).shape[0] for axis in self._axes)
        self._terms = [_Term(orders, self._inner(pde.coefficient_at(orders, nodes))) for orders in pde.operator]
        self._noise, self.remainder = self._variances()
        if self.remainder > 1.0:
            raise ValueError(
                f"the grid is too coarse for the kernels: u at the nodes leaves {self.remainder:.2g} times the "
                "variance of the source's noise unknown of the equation, with errors that are not independent; give "
                "smoother kernels (shape 'gaussian'), more nodes, or so few that the posterior is dense"
            )
        self._G, self._M = self._equation(), self._preconditioner()
        self._known = self._extended()
        self._y = pde.source_at(nodes)[self._inside] / self._scale - self._applied(self._known)
        self._alpha, self.iterations = self._solve(self._y)
        self._mean = self._function(self._values(self._alpha, self._known))
        self._evidence: tuple[float, float] | None = None

    # Mean, variance, draws -----------------------------------------------------------------------------------------

    def at(self, points: np.ndarray, orders: Orders) -> np.ndarray:
        """Return the posterior mean of a derivative at points of shape (m, d)."""
        return self._mean.at(points, orders)

    def on_tensor(self, axes: Sequence[np.ndarray], orders: Orders) -> np.ndarray:
        """Return the posterior mean of a derivative at the nodes of a grid."""
        return self._mean.on_tensor(axes, orders)

    def variance(self, points: np.ndarray) -> np.ndarray:
        """Return the posterior variance of u at points, (m,).

        Up to 32 points take one system each. More take 128 draws: their deviations have a relative error of about 6 %.
        """
        if len(points) > EXACTLY:
            total = np.zeros(len(points))
            for draw in self._draws(np.random.default_rng(SEED), DRAWS):
                total += self._function(draw).at(points, (0,) * len(self.nodes)) ** 2
            return np.asarray(total / DRAWS + self._between(points))
        out = np.empty(len(points))
        rows = [axis.projected(axis.turned(points[:, j])) for j, axis in enumerate(self._axes)]
        prior = np.prod([np.sum(T * T, axis=1) for T in rows], axis=0)
        for i in range(len(points)):
            row = np.zeros(self.shape)
            for term in self._terms:
                parts = [axis.root(r) @ T[i] for axis, T, r in zip(self._axes, rows, term.orders, strict=True)]
                row += term.c * _outer(parts)
            out[i] = prior[i] - float(np.vdot(row, self._solve(row)[0]))
        return np.asarray(self._scale**2 * np.maximum(out, 0.0) + self._between(points))

    def samples(self, points: np.ndarray, size: int, rng: np.random.Generator | int) -> np.ndarray:
        """Return draws of u at points, (size, m): a draw of the prior, corrected by one system each."""
        zero, mean = (0,) * len(self.nodes), self.at(points, (0,) * len(self.nodes))
        draws = self._draws(np.random.default_rng(rng), size)
        return np.stack([mean + self._function(draw).at(points, zero) for draw in draws])

    # Evidence ------------------------------------------------------------------------------------------------------

    @property
    def evidence(self) -> float:
        """Logarithm of the evidence of the equation and the sides, found when first asked for."""
        return self._found_evidence()[0]

    @property
    def evidence_error(self) -> float:
        """Standard error of the evidence, which is that of a log-determinant by stochastic Lanczos quadrature."""
        return self._found_evidence()[1]

    def _found_evidence(self) -> tuple[float, float]:
        if self._evidence is None:
            rng = np.random.default_rng(SEED)
            root = 1.0 / np.sqrt(self._spectrum)

            def between(z: np.ndarray) -> np.ndarray:
                z = self._turned(root * z.reshape(self.shape), back=True)
                return np.asarray(root * self._turned((self._G @ z.ravel()).reshape(self.shape))).ravel()

            log, error = lanczos_logdet(between, self._y.size, rng)
            log += float(np.log(self._spectrum).sum())
            quadratic = float(np.vdot(self._y, self._alpha))
            equation = -0.5 * (quadratic + log + self._y.size * math.log(2.0 * math.pi))
            units = self._known.size * math.log(self._scale)
            self._evidence = equation + self._boundary_evidence() - units, 0.5 * error
        return self._evidence

    def _boundary_evidence(self) -> float:
        """Return the log density of the values on sides: that of the whole mean, without what it says of the inside."""
        U, count = self._known, self._known.size - self._y.size
        if not count:
            return 0.0
        weights, log = U, 0.0
        for j, a in enumerate(self._axes):
            weights = along(a.axis.inverse(a.eps), weights, j)
            log += U.size / U.shape[j] * float(np.log(a.values).sum())
        inner = [np.linalg.slogdet(axis.covariance(0, 0))[1] for axis in self._axes]
        log -= sum(self._y.size / n * float(part) for n, part in zip(self.shape, inner, strict=True))
        return float(-0.5 * (float(np.vdot(U, weights)) + log + count * math.log(2.0 * math.pi)))

    # Construction --------------------------------------------------------------------------------------------------

    def _inner(self, c: float | np.ndarray) -> float | np.ndarray:
        return np.ascontiguousarray(c[self._inside]) if isinstance(c, np.ndarray) else c

    def _pairs(self) -> Iterator[tuple[_Term, _Term]]:
        return itertools.product(self._terms, self._terms)

    def _variances(self) -> tuple[np.ndarray, float]:
        """Return the diagonal of R, and its largest part that is not noise."""
        left = np.zeros(self.shape)
        for one, other in self._pairs():
            pairs = list(zip(self._axes, one.orders, other.orders, strict=True))
            prior = math.prod(axis.prior(r, s) for axis, r, s in pairs)
            left += one.c * other.c * (prior - _outer([axis.own(r, s) for axis, r, s in pairs]))
        left = np.maximum(left, 0.0)
        noise = (self.pde.source_noise / self._scale) ** 2
        return noise + left, float(left.max()) / noise

    def _equation(self) -> LinearOperator:
        total: LinearOperator = Diagonal(self._noise.ravel())
        for one, other in self._pairs():
            factors = [a.covariance(r, s) for a, r, s in zip(self._axes, one.orders, other.orders, strict=True)]
            term: LinearOperator = Kronecker(*factors)
            for c, left in ((one.c, True), (other.c, False)):
                if isinstance(c, np.ndarray):
                    scaling = Diagonal(c.ravel())
                    term = scaling @ term if left else term @ scaling
                else:
                    term = c * term
            total = total + term
        return Function(total.shape, total.matvec, matmat=total.matmat, props=SPD)

    def _preconditioner(self) -> LinearOperator:
        """Return V (diag(Vᵀ G V))⁻¹ Vᵀ with V = ⊗ V_j, one basis an axis, coefficients and R by their means.

        Covariances of derivatives of a stationary kernel nearly commute: on a circle V would diagonalise G.
        """
        self._bases = [axis.basis({t.orders[j] for t in self._terms}) for j, axis in enumerate(self._axes)]
        spectrum = np.zeros(self.shape)
        for one, other in self._pairs():
            parts = [
                np.sum(V * (axis.covariance(r, s) @ V), axis=0)
                for V, axis, r, s in zip(self._bases, self._axes, one.orders, other.orders, strict=True)
            ]
            spectrum += float(np.mean(one.c * np.asarray(other.c))) * _outer(parts)
        self._spectrum = np.maximum(spectrum, 0.0) + float(np.mean(self._noise))

        def apply(r: np.ndarray) -> np.ndarray:
            turned = self._turned(r.reshape(self.shape)) / self._spectrum
            return self._turned(turned, back=True).ravel()

        return Function((spectrum.size,) * 2, apply, props=SPD)

    def _turned(self, X: np.ndarray, *, back: bool = False) -> np.ndarray:
        return tensor_product([V if back else V.T for V in self._bases], X)

    def _extended(self) -> np.ndarray:
        """Return the mean of u at all nodes given the sides: one axis after the other takes what is still missed."""
        data = np.zeros(tuple(x.size for x in self.nodes))
        known = np.zeros(data.shape, bool)
        for side in self.pde.boundary_at(self.nodes):
            data[side.index] = side.values / self._scale
            known[side.index] = True
        U = np.zeros_like(data)
        for j, axis in enumerate(self._axes):
            if axis.given:
                missed = np.take(data - U, axis.given, axis=j)
                U += along(axis.extension(), missed, j)
        U[known] = data[known]
        return U

    def _applied(self, U: np.ndarray) -> np.ndarray:
        """Return A U at the unknown nodes, U being known at all."""
        total = np.zeros(self.shape)
        for term in self._terms:
            V = U
            for j, (axis, r) in enumerate(zip(self._axes, term.orders, strict=True)):
                if r:
                    moved = np.moveaxis(V, j, 0)
                    found = axis.derivative(r, moved.reshape(len(moved), -1))
                    V = np.moveaxis(found.reshape(-1, *moved.shape[1:]), 0, j)
                else:
                    V = V[(slice(None),) * j + (axis.inside,)]
            total += term.c * V
        return total

    def _solve(self, b: np.ndarray) -> tuple[np.ndarray, int]:
        result = CG(rtol=TOLERANCE, maxiter=2000).solve(self._G, b.ravel(), M=self._M)
        # The equation's own errors are far larger than what rounding may leave.
        scale = max(float(np.linalg.norm(b)), np.finfo(float).tiny)
        if not result.converged and not float(np.max(result.residual_norm)) <= ENOUGH * scale:
            raise np.linalg.LinAlgError(
                f"the posterior was not found: {result.status.message}; the noise is small for the variance of the "
                "kernel: give exact data (method='kernel'), or fewer nodes"
            )
        return np.asarray(result.x).reshape(self.shape), result.iterations

    def _values(self, alpha: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return start + C Aᵀ alpha on the whole grid."""
        out = start.copy()
        for term in self._terms:
            factors = [axis.covariance(0, r) for axis, r in zip(self._axes, term.orders, strict=True)]
            out[self._inside] += tensor_product(factors, term.c * alpha)
        return out

    def _draws(self, rng: np.random.Generator, size: int) -> Iterator[np.ndarray]:
        """Draw u at the nodes, its mean subtracted."""
        for _ in range(size):
            z = rng.standard_normal(tuple(x.size for x in self.nodes))
            drawn = np.zeros(z.shape)
            drawn[self._inside] = tensor_product([axis.root(0) for axis in self._axes], z)
            y = np.sqrt(self._noise) * rng.standard_normal(self.shape)
            for term in self._terms:
                y += term.c * tensor_product([a.root(r) for a, r in zip(self._axes, term.orders, strict=True)], z)
            yield self._values(-self._solve(y)[0], drawn)

    def _function(self, U: np.ndarray) -> KernelInterpolant:
        return KernelInterpolant([axis.axis for axis in self._axes], self._scale * U, JITTER)

    def _between(self, points: np.ndarray) -> np.ndarray:
        """Return the variance of u at points that its values at the nodes leave."""
        told = np.ones(len(points))
        for j, axis in enumerate(self._axes):
            told = told * np.sum(axis.turned(points[:, j]) ** 2, axis=1)
        return self._scale**2 * np.maximum(1.0 - told, 0.0)


def _outer(parts: Sequence[np.ndarray]) -> np.ndarray:
    out = np.asarray(parts[0])
    for part in parts[1:]:
        out = out[..., None] * part
    return out


def _check(pde: PDE, nodes: Sequence[np.ndarray]) -> None:
    if pde.observations is not None or any(piece.noise for piece in pde.pieces):
        raise ValueError(
            "posteriors on large grids are for exact boundary values and no observations: with those at most 6000 "
            "equations, boundary values and observations are too many for a dense posterior; give a smaller n"
        )
    if not pde.source_noise > 0.0:
        raise ValueError(
            "the equation is exact, and its nodes too many for a dense posterior: give data on all sides and solve by "
            "method='kernel', or a smaller n, or the noise of the source"
        )
    if max(x.size for x in nodes) > LONGEST:
        raise ValueError(f"{max(x.size for x in nodes)} nodes along an axis are too many (at most {LONGEST})")
