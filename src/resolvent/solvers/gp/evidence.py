"""The choice of kernels for noisy or incomplete data: the largest evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...operators.spectral_mixture import Shape, SpectralMixture
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

PART, PART_SEED = 300, 20240607
"""Equations by whose evidence kernels for a large grid are chosen, and the seed they are drawn with."""


def best_posterior(
    pde: PDE,
    nodes: Sequence[np.ndarray],
    data: Sequence[Functionals],
    shapes: Sequence[Shape] = ("student-t", "gaussian"),
) -> Posterior:
    """Return the posterior of the largest evidence found.

    A scan over shapes and scales, frequencies being those that stand out of the noise in the data; then the simplex
    method of Nelder and Mead on the scale and the weights of the best, one set an axis, with a wide log-normal prior.
    The amplitude is maximised over for each candidate. At most some hundred evaluations of O(m³) for m functionals.

    The uncertainty of kernels is not part of the posterior: where data say little, error bars may be too small.
    """
    from scipy.optimize import minimize

    best: Posterior | None = None
    for shape in shapes:
        for log_ls in SCALES:
            posterior = Posterior(source_kernels(pde, nodes, log_ls, shape), data)
            if best is None or posterior.evidence > best.evidence:
                best = posterior
    assert best is not None  # there are scales to try
    start, found, highest = best.kernels, [best], [best.evidence]
    m = sum(len(d.values) for d in data)
    evaluations = int(min(150, WORK / (25.0 * m**3)))
    size = sum(k.mu.size for k in start)
    if evaluations < 4 * size:
        return best

    def loss(theta: np.ndarray) -> float:
        theta = np.clip(theta, -REACH, REACH)
        try:
            posterior = Posterior(changed(start, theta), data)
        except ValueError:  # not positive definite to working precision there
            return 1e300
        score = posterior.evidence - 0.5 * float(np.sum((theta / SPREAD) ** 2))
        if score > highest[0]:
            found[0], highest[0] = posterior, score
        return -score

    simplex = np.vstack([np.zeros(size), 1.5 * np.eye(size)])
    minimize(
        loss,
        simplex[0],
        method="Nelder-Mead",
        options={"maxfev": evaluations, "initial_simplex": simplex, "fatol": 0.01},
    )
    return found[0]


def changed(kernels: Sequence[SpectralMixture], theta: np.ndarray) -> list[SpectralMixture]:
    """Return kernels with another scale and other relative weights: Q numbers an axis, the scale's change first."""
    made, begin = [], 0
    for kernel in kernels:
        part = theta[begin : begin + kernel.mu.size]
        log_w = kernel.log_w + np.concatenate([[0.0], part[1:]])
        log_w -= np.logaddexp.reduce(log_w)
        made.append(kernel.with_(log_w=log_w, log_ls=kernel.log_ls + part[0]))
        begin += kernel.mu.size
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
    best = best_posterior(pde, nodes, parts, ("gaussian",))
    first, *others = best.kernels
    return [first.with_(log_w=first.log_w + np.log(best.amplitude)), *others]
