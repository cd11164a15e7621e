"""The source of an equation from values of its solution at sensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.linalg

from ...operators.spectral_mixture import SpectralMixture, mixture
from .along import along
from .chebyshev import ChebyshevFunction, barycentric_rows, chebyshev_system
from .collocation import Collocation
from .pde import PDE
from .posterior import EXACT
from .tikhonov import ridge, series_rows, smoothness

LENGTHS = (0.05, 0.1, 0.2, 0.4)
"""Correlation lengths of the source that are tried, in lengths of the box."""


@dataclasses.dataclass(frozen=True, eq=False)
class SourceInversion:
    """Posterior of a source and of the solution.

    Attributes
    ----------
    source, deviation : ChebyshevFunction
        Posterior mean of the source and its standard deviation.
    solution : ChebyshevFunction
        Posterior mean of u.
    tikhonov : ChebyshevFunction
        The source by Tikhonov regularisation: the baseline.
    kernels : list of SpectralMixture
        Prior of the source, amplitude included in the first.
    evidence : float
        Its logarithm.
    adjoint_solves : int
        One for each sensor.
    """

    source: ChebyshevFunction
    deviation: ChebyshevFunction
    solution: ChebyshevFunction
    tikhonov: ChebyshevFunction
    kernels: list[SpectralMixture]
    evidence: float
    adjoint_solves: int


def invert_source(
    pde: PDE, n: int | Sequence[int] = 48, kernels: Sequence[SpectralMixture] | None = None, degree: int = 12
) -> SourceInversion:
    """Return the posterior of the source of a linear equation, given boundary data and observations of u.

    The source has a Gaussian process prior whose mean is ``pde.source``; u = A⁻¹ f at Chebyshev points. With m sensors
    it takes m solves with Aᵀ and a matrix of m². Length and amplitude of the prior are those of the largest evidence.

    Parameters
    ----------
    pde : PDE
        With observations and complete boundary data.
    n : int or sequence of int
        Chebyshev points along each axis.
    kernels : sequence of SpectralMixture, optional
        Prior of the source, one an axis; used as they are.
    degree : int
        Degree of the baseline's polynomials.

    Raises
    ------
    ValueError
        Without observations, or for a nonlinear equation.
    """
    if pde.observations is None:
        raise ValueError("there is nothing to find a source from: give the PDE observations of u")
    if pde.nonlinear is not None:
        raise ValueError("sources of linear equations can be found: linearise the equation first")
    shape = tuple(int(k) for k in np.broadcast_to(n, (pde.dimensions,)))
    system = chebyshev_system(pde, shape)
    if pde.dimensions > 1 and not system.separable:
        raise ValueError("in several dimensions the operator must have constant coefficients and no mixed derivatives")
    mean = pde.source_at(system.axes)
    base, _ = system.solve(mean)
    seen = pde.observations
    points = np.asarray(seen.points)
    S = [barycentric_rows(x, points[:, j]) for j, x in enumerate(system.axes)]
    y = np.asarray(seen.values) - ChebyshevFunction(system.axes, base).at(points, (0,) * pde.dimensions)
    G = adjoint_solves(system, S)
    candidates = [list(kernels)] if kernels is not None else [_prior(pde, length) for length in LENGTHS]
    best: tuple[float, float, list[SpectralMixture], np.ndarray] | None = None
    for prior in candidates:
        KG = _covariance(system, prior, G)
        gram = np.tensordot(G, KG, axes=(range(1, G.ndim), range(1, G.ndim)))
        noise = max(seen.noise**2, EXACT * float(np.trace(gram)) / len(y))
        amplitude, evidence = (1.0, _evidence(gram, y, noise, 1.0)) if kernels is not None else _profile(gram, y, noise)
        if best is None or evidence > best[0]:
            best = evidence, amplitude, prior, KG
    assert best is not None  # there is at least one candidate
    evidence, amplitude, prior, KG = best
    gram = np.tensordot(G, KG, axes=(range(1, G.ndim), range(1, G.ndim)))
    noise = max(seen.noise**2, EXACT * amplitude * float(np.trace(gram)) / len(y))
    factor = scipy.linalg.cho_factor(amplitude * gram + noise * np.eye(len(y)), lower=True)
    change = np.zeros(system.shape)
    change[system.unknown] = amplitude * np.tensordot(scipy.linalg.cho_solve(factor, y), KG, axes=1)
    half = scipy.linalg.solve_triangular(factor[0], amplitude * KG.reshape(len(y), -1), lower=True)
    variance = amplitude * float(np.prod([k.variance for k in prior])) - np.sum(half**2, axis=0)
    deviation = np.full(system.shape, np.nan)
    deviation[system.unknown] = np.sqrt(np.maximum(variance, 0.0)).reshape(G.shape[1:])
    u, _ = system.solve(mean + change)
    # Values on the boundary do not enter the equation there; the nearest inner ones stand for them.
    change, deviation = _extended(change, system), _extended(deviation, system)
    scaled = [prior[0].with_(log_w=prior[0].log_w + np.log(amplitude)), *prior[1:]]
    baseline = mean + _baseline(pde, system, G, y, degree, seen.noise)

    def function(values: np.ndarray) -> ChebyshevFunction:
        return ChebyshevFunction(system.axes, values)

    return SourceInversion(
        function(mean + change), function(deviation), function(u), function(baseline), scaled, evidence, len(y)
    )


def adjoint_solves(system: Collocation, S: Sequence[np.ndarray]) -> np.ndarray:
    """Return the rows of S A⁻¹, (m, *inner shape), S being products of interpolation rows restricted to the inside."""
    rows = S[0][:, system.unknown[0]]
    for j, part in enumerate(S[1:], 1):
        rows = rows[..., None] * part[:, system.unknown[j]].reshape(len(part), *(1,) * j, -1)
    if rows.ndim == 2:
        return np.asarray(scipy.linalg.solve(system.dense().T, rows.T).T)
    from .sum_solver import sum_solver

    solve = sum_solver([A.T for A in system.factors()])
    return np.stack([solve(row) for row in rows])


def _prior(pde: PDE, length: float) -> list[SpectralMixture]:
    made = []
    for low, high in pde.box:
        made.append(mixture([0.0], -np.log(length * (high - low)), "student-t"))
    return made


def _covariance(system: Collocation, prior: Sequence[SpectralMixture], G: np.ndarray) -> np.ndarray:
    out = G
    for j, (kernel, x, part) in enumerate(zip(prior, system.axes, system.unknown, strict=True)):
        out = along(kernel.matrix(x[part], x[part]), out, j + 1)
    return out


def _profile(gram: np.ndarray, y: np.ndarray, noise: float) -> tuple[float, float]:
    """Return the amplitude of the largest evidence on a logarithmic grid, and the evidence."""
    values, V = np.linalg.eigh(gram)
    z = V.T @ y
    grid = np.exp(np.linspace(-20.0, 30.0, 201)) * noise / max(values[-1], np.finfo(float).tiny)
    scores = []
    for s in grid:
        spread = s * np.maximum(values, 0.0) + noise
        scores.append(-0.5 * float(np.sum(np.log(2.0 * np.pi * spread) + z * z / spread)))
    best = int(np.argmax(scores))
    return float(grid[best]), scores[best]


def _evidence(gram: np.ndarray, y: np.ndarray, noise: float, amplitude: float) -> float:
    values, V = np.linalg.eigh(gram)
    spread = amplitude * np.maximum(values, 0.0) + noise
    return -0.5 * float(np.sum(np.log(2.0 * np.pi * spread) + (V.T @ y) ** 2 / spread))


def _baseline(pde: PDE, system: Collocation, G: np.ndarray, y: np.ndarray, degree: int, noise: float) -> np.ndarray:
    shape = (degree + 1,) * pde.dimensions
    grid = np.meshgrid(*system.axes, indexing="ij")
    basis = series_rows(pde.box, shape, np.stack([x.ravel() for x in grid], axis=1), (0,) * pde.dimensions)
    inside = ~system.boundary_nodes().ravel()
    c, _ = ridge(G.reshape(len(G), -1) @ basis[inside], y, smoothness(shape), noise)
    return np.asarray((basis @ c).reshape(system.shape))


def _extended(values: np.ndarray, system: Collocation) -> np.ndarray:
    widths = [(part.start or 0, 1 if part.stop == -1 else 0) for part in system.unknown]
    return np.pad(values[system.unknown], widths, mode="edge")
