"""The choice of kernels for noisy or incomplete data: the largest evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...operators.spectral_mixture import Shape, SpectralMixture
from .averaged_posterior import AveragedPosterior
from .direct import source_kernels
from .pde import PDE
from .posterior import Functionals, Posterior, functionals

SCALES = (-4.0, -2.0, 0.0, 2.0)
"""Values of log_ls to begin with."""
WORK = 4e10
"""Multiplications that refining a kernel may take: about a minute at most on a slow core."""
REACH = 12.0
"""Largest change of a logarithm while refining."""
SPREAD = 2.0
"""Standard deviation of the prior of these changes: what the data say nothing about stays, and keeps its variance."""

QUARTER = 0.25
"""Part of a period in the box by which a unit of its parameter changes a frequency."""
LARGEST_RATIO = 2.0
"""Largest logarithm of a weight over that of the Gaussian approximation."""
PART, PART_SEED = 300, 20240607
"""Equations by whose evidence kernels for a large grid are chosen, and the seed they are drawn with."""


def best_posterior(
    pde: PDE,
    nodes: Sequence[np.ndarray],
    data: Sequence[Functionals],
    shapes: Sequence[Shape] = ("student-t", "gaussian"),
) -> AveragedPosterior:
    """Return the posterior averaged over the kernels that the data leave possible.

    A scan over shapes and scales, frequencies being those that stand out of the noise in the data; then the simplex
    method of Nelder and Mead on scale, weights and frequencies of the best, one set an axis, with a wide log-normal
    prior (frequencies: half a period of the box). The amplitude is averaged over for each candidate. Around the
    maximum, kernels are weighted by their evidence (`averaged`). At most some hundred evaluations of O(m³) for m
    functionals; where these are too many, the best of the scan stands alone, and its error bars may be too small.
    """
    from scipy.optimize import minimize

    best: Posterior | None = None
    for shape in shapes:
        for log_ls in SCALES:
            posterior = Posterior(source_kernels(pde, nodes, log_ls, shape), data)
            if best is None or posterior.marginal > best.marginal:
                best = posterior
    assert best is not None  # there are scales to try
    start = best.kernels
    m = sum(len(d.values) for d in data)
    evaluations = int(min(200, WORK / (25.0 * m**3)))
    bins = [1.0 / float(np.ptp(x)) for x in nodes]
    size = sum(freedom(k) for k in start)
    if evaluations < 4 * size:
        return AveragedPosterior([best], np.ones(1))
    # Scales are expected around the middle of the scan, weights equal, frequencies where the transform has them.
    middle, place = np.zeros(size), 0
    for kernel in start:
        middle[place] = float(np.mean(SCALES)) - kernel.log_ls[0]
        place += freedom(kernel)
    highest: list[tuple[float, np.ndarray, Posterior]] = [
        (best.marginal - 0.5 * float(middle @ middle) / SPREAD**2, np.zeros(size), best)
    ]

    def score(theta: np.ndarray) -> tuple[float, Posterior | None]:
        """Return the logarithm of evidence times prior; None where it is not positive definite to working precision."""
        try:
            posterior = Posterior(changed(start, np.clip(theta, -REACH, REACH), bins), data)
        except ValueError:
            return -np.inf, None
        value = posterior.marginal - 0.5 * float(np.sum(((theta - middle) / SPREAD) ** 2))
        if value > highest[0][0]:
            highest[0] = value, theta.copy(), posterior
        return value, posterior

    simplex = np.vstack([np.zeros(size), 1.5 * np.eye(size)])
    options = {"maxfev": evaluations, "initial_simplex": simplex, "fatol": 0.01, "xatol": 0.01}
    minimize(lambda theta: min(-score(theta)[0], 1e300), simplex[0], method="Nelder-Mead", options=options)
    return averaged(score, *highest[0])


def averaged(
    score: Callable[[np.ndarray], tuple[float, Posterior | None]], top: float, theta: np.ndarray, best: Posterior
) -> AveragedPosterior:
    """Return the average of posteriors around a maximum θ of the score, weighted by it.

    Second differences of the score give a Gaussian approximation of the density of θ; along its principal axes, 2p
    points and the middle integrate polynomials of degree 3. Each is weighted by the score itself relative to the
    approximation, so that skewness counts.

    References
    ----------
    Rue, Martino & Chopin 2009, doi:10.1111/j.1467-9868.2008.00700.x.
    """
    p = theta.size
    H, steps = np.diag(np.full(p, SPREAD**-2)), np.full(p, 0.5)
    beside = np.empty((p, 2))
    for i in range(p):
        for _ in range(6):  # a step over which the score falls by about 1/2, so that neither noise nor skewness rules
            beside[i] = [score(theta + s * steps[i] * np.eye(p)[i])[0] for s in (1.0, -1.0)]
            fall = 2.0 * top - beside[i].sum()
            if not fall > 8.0 and not (fall < 0.25 and steps[i] < SPREAD):
                break
            steps[i] *= 0.25 if fall > 8.0 else 2.0
        fall = 2.0 * top - beside[i].sum()
        H[i, i] = max(fall / steps[i] ** 2, SPREAD**-2) if np.isfinite(fall) else (2.0 / steps[i]) ** 2
    for i in range(p):
        for j in range(i):
            both = score(theta + steps[i] * np.eye(p)[i] + steps[j] * np.eye(p)[j])[0]
            mixed = (beside[i, 0] + beside[j, 0] - top - both) / (steps[i] * steps[j])
            H[i, j] = H[j, i] = mixed if np.isfinite(mixed) else 0.0
    values, V = np.linalg.eigh(H)
    deviation = V / np.sqrt(np.maximum(values, SPREAD**-2))
    radius = p + 1.0
    found, weights = [best], [1.0 - p / radius]
    for column in deviation.T:
        for sign in (1.0, -1.0):
            value, posterior = score(theta + sign * np.sqrt(radius) * column)
            if posterior is not None:
                found.append(posterior)
                # A point that scores far above the approximation would stand for all others.
                weights.append(0.5 / radius * float(np.exp(min(value - top + 0.5 * radius, LARGEST_RATIO))))
    kept = np.array(weights) / np.sum(weights)
    return AveragedPosterior(found, kept)


def freedom(kernel: SpectralMixture) -> int:
    """Return how many parameters of a kernel are changed: a scale, relative weights, and frequencies that are not 0."""
    return kernel.mu.size + int(np.count_nonzero(kernel.mu))


def changed(kernels: Sequence[SpectralMixture], theta: np.ndarray, bins: Sequence[float]) -> list[SpectralMixture]:
    """Return kernels with another scale, other relative weights and frequencies: `freedom` numbers an axis.

    The scale's change comes first. Frequencies change by a quarter of `bins`, a period in the length of the axis.
    """
    made, begin = [], 0
    for kernel, width in zip(kernels, bins, strict=True):
        Q = kernel.mu.size
        part = theta[begin : begin + freedom(kernel)]
        log_w = kernel.log_w + np.concatenate([[0.0], part[1:Q]])
        log_w -= np.logaddexp.reduce(log_w)
        mu = kernel.mu.copy()
        mu[mu != 0.0] += QUARTER * width * part[Q:]
        made.append(kernel.with_(log_w=log_w, log_ls=kernel.log_ls + part[0], mu=mu))
        begin += part.size
    return made


def kernels_from_part(pde: PDE, nodes: Sequence[np.ndarray]) -> list[SpectralMixture]:
    """Return kernels for a large grid: smooth ones, by the evidence of some hundred of its equations and values.

    Which ones is drawn with a fixed seed, so that the choice is a function of the data.
    """
    rng = np.random.default_rng(PART_SEED)
    parts = []
    for place, d in enumerate(functionals(pde, nodes)):
        size = min(len(d.values), PART if place == 0 else PART // 6)
        chosen = np.sort(rng.choice(len(d.values), size, replace=False))
        terms = tuple((orders, c[chosen] if isinstance(c, np.ndarray) else c) for orders, c in d.terms)
        parts.append(Functionals(d.points[chosen], terms, d.values[chosen], d.noise))
    best = best_posterior(pde, nodes, parts, ("gaussian",)).members[0]
    first, *others = best.kernels
    return [first.with_(log_w=first.log_w + np.log(best.amplitude)), *others]
