"""Posteriors of several kernels as one: the uncertainty of the kernel in the error bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .pde import Orders
from .posterior import Posterior


class AveragedPosterior:
    """Σ w_k p_k(u), each p_k the posterior with a kernel of its own.

    Storage and cost: those of all members. The mean is the weighted mean; the variance is that of the members on
    average, and that of their means.

    Parameters
    ----------
    members : sequence of Posterior
        The best one first.
    weights : (k,) array
        Positive, with sum 1.

    Attributes
    ----------
    kernels, amplitude, evidence
        Those of the best.
    """

    def __init__(self, members: Sequence[Posterior], weights: np.ndarray) -> None:
        self.members, self.weights = list(members), np.asarray(weights, float)
        best = self.members[0]
        self.kernels, self.amplitude, self.evidence = best.kernels, best.amplitude, best.evidence

    def at(self, points: np.ndarray, orders: Orders) -> np.ndarray:
        """Return the posterior mean of a derivative at points of shape (m, d)."""
        return np.asarray(self.weights @ np.stack([p.at(points, orders) for p in self.members]))

    def on_tensor(self, axes: Sequence[np.ndarray], orders: Orders) -> np.ndarray:
        """Return the posterior mean of a derivative at the nodes of a grid."""
        return np.tensordot(self.weights, np.stack([p.on_tensor(axes, orders) for p in self.members]), 1)

    def variance(self, points: np.ndarray) -> np.ndarray:
        """Return the posterior variance of u at points, (m,)."""
        within = self.weights @ np.stack([p.variance(points) for p in self.members])
        return np.asarray(within + np.sum(self._spread(points) ** 2, axis=0))

    def covariance(self, points: np.ndarray) -> np.ndarray:
        """Return the posterior covariance of u between points, (m, m)."""
        within = sum(w * p.covariance(points) for w, p in zip(self.weights, self.members, strict=True))
        spread = self._spread(points)
        return np.asarray(within + spread.T @ spread)

    def samples(self, points: np.ndarray, size: int, rng: np.random.Generator | int) -> np.ndarray:
        """Return draws of u at points, (size, m): of a member drawn first, by the weights."""
        rng = np.random.default_rng(rng)
        chosen = rng.choice(len(self.members), size, p=self.weights)
        out = np.empty((size, len(points)))
        for k in np.unique(chosen):
            of = np.flatnonzero(chosen == k)
            out[of] = self.members[k].samples(points, of.size, rng)
        return out

    def _spread(self, points: np.ndarray) -> np.ndarray:
        """Return √w_k times the deviation of each member's mean from the mean of all."""
        means = np.stack([p.at(points, (0,) * len(self.kernels)) for p in self.members])
        return np.asarray(np.sqrt(self.weights)[:, None] * (means - self.weights @ means))
