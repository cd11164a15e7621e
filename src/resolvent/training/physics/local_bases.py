"""Local reduced bases: solutions clustered by angle, one basis of proper orthogonal modes for each cluster.

Solutions that differ by a factor are one direction, and projection on a basis sees directions only; so clusters are
those of the angle δ between solutions, not of their distance. Which cluster a new sample belongs to is not known before
it is solved: a classifier of its inputs, or a cheap approximate solution, has to say.
"""

from __future__ import annotations

import dataclasses
from typing import final

import numpy as np

from ...operators.neural.model import check_whole
from ...solvers.subspace_angles import distances, orthonormal_basis


@final
@dataclasses.dataclass(frozen=True)
class Clusters:
    """Samples around some of them.

    Parameters
    ----------
    medoids : (k,) array
        The sample in the middle of each cluster.
    labels : (N,) array
        The cluster of each sample.
    cost : float
        Sum of the distances of all samples to their medoids.
    """

    medoids: np.ndarray
    labels: np.ndarray
    cost: float


def k_medoids(distance: np.ndarray, k: int, *, rng: np.random.Generator | int, starts: int = 5) -> Clusters:
    """Return k samples, and each sample with the nearest of them, so that the sum of distances is small.

    Each start draws medoids far apart (with the squared distance as probability), swaps a medoid with any other sample
    as long as that lowers the sum, and the best of all starts is kept: a local minimum under swaps.

    Parameters
    ----------
    distance : (N, N) array
        Symmetric, not negative, zero on the diagonal.
    k : int
        Clusters, at most N.
    rng : Generator or int
    starts : int

    Notes
    -----
    A sweep over all swaps costs O(N² k) operations: for some thousands of samples at most.

    References
    ----------
    Kaufman, Rousseeuw, Finding groups in data, 1990, doi:10.1002/9780470316801.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training.physics.local_bases import k_medoids
    >>> x = np.array([0.0, 0.1, 0.2, 5.0, 5.1])
    >>> k_medoids(np.abs(x[:, None] - x), 2, rng=0).labels
    array([0, 0, 0, 1, 1])
    """
    N = len(distance)
    check_whole("k", k)
    check_whole("starts", starts)
    if distance.shape != (N, N) or k > N:
        raise ValueError(f"expected distances (N, N) of at least k = {k} samples, got shape {distance.shape}")
    if not (np.isfinite(distance).all() and (distance >= 0.0).all()):
        raise ValueError("distances must be finite and not negative")
    rng = np.random.default_rng(rng)
    best: tuple[float, np.ndarray] | None = None
    for _ in range(starts):
        medoids = _swapped(distance, _far_apart(distance, k, rng))
        cost = float(distance[:, medoids].min(1).sum())
        if best is None or cost < best[0]:
            best = cost, medoids
    assert best is not None
    medoids = np.sort(best[1])
    labels = distance[:, medoids].argmin(1)
    labels[medoids] = np.arange(k)  # medoids at distance zero from each other keep their own clusters
    return Clusters(medoids, labels, best[0])


@final
@dataclasses.dataclass(frozen=True)
class LocalBases:
    """One orthonormal basis of proper orthogonal modes for each cluster of solutions.

    Parameters
    ----------
    bases : tuple of (n, r) array
    clusters : Clusters
        Of the solutions they were made from.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training import LocalBases
    >>> solutions = np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 5.0, 5.0]])
    >>> bases = LocalBases.fit(solutions, clusters=2, modes=1, rng=0)
    >>> bases.clusters.labels, bases.errors(solutions).max() < 1e-12
    (array([0, 0, 1, 1]), np.True_)
    """

    bases: tuple[np.ndarray, ...]
    clusters: Clusters

    @classmethod
    def fit(
        cls, solutions: np.ndarray, clusters: int, modes: int, *, rng: np.random.Generator | int, starts: int = 5
    ) -> LocalBases:
        """Cluster solutions (N, …) by angle; take the leading `modes` modes of each cluster, of directions.

        Solutions are scaled to norm one first, so that the basis of a cluster serves each of them alike. Clusters with
        fewer independent solutions than `modes` get a smaller basis. Weight solutions by the square roots of a
        quadrature beforehand for its inner product.
        """
        check_whole("modes", modes)
        vectors = solutions.reshape(len(solutions), -1)
        found = k_medoids(distances(vectors), clusters, rng=rng, starts=starts)
        norms = np.linalg.norm(vectors, axis=1)
        unit = vectors / np.where(norms > 0.0, norms, 1.0)[:, None]
        bases = tuple(orthonormal_basis(unit[found.labels == c].T)[:, :modes] for c in range(clusters))
        return cls(bases, found)

    def projection_errors(self, solutions: np.ndarray) -> np.ndarray:
        """Return the relative errors of projecting solutions (N, …) on each basis, (N, clusters)."""
        vectors = solutions.reshape(len(solutions), -1)
        norms = np.linalg.norm(vectors, axis=1)
        unit = vectors / np.where(norms > 0.0, norms, 1.0)[:, None]
        each = [np.linalg.norm(unit - (unit @ V.conj()) @ V.T, axis=1) for V in self.bases]
        return np.stack(each, 1)

    def nearest(self, solutions: np.ndarray) -> np.ndarray:
        """Return which basis is best for each solution (N, …): what a classifier is to foresee."""
        return np.asarray(self.projection_errors(solutions).argmin(1))

    def errors(self, solutions: np.ndarray) -> np.ndarray:
        """Return the relative errors of projecting solutions (N, …) on their best basis, (N,)."""
        return np.asarray(self.projection_errors(solutions).min(1))


def _far_apart(distance: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw k different samples, each with the squared distance to those before as probability."""
    chosen = [int(rng.integers(len(distance)))]
    while len(chosen) < k:
        weight = distance[:, chosen].min(1) ** 2
        weight[chosen] = 0.0
        if not weight.any():  # all others coincide with one that is chosen
            weight = np.ones(len(distance))
            weight[chosen] = 0.0
        chosen.append(int(rng.choice(len(distance), p=weight / weight.sum())))
    return np.array(chosen)


def _swapped(distance: np.ndarray, medoids: np.ndarray) -> np.ndarray:
    """Swap medoids with other samples, the best swap each time, until none lowers the sum of distances."""
    medoids = medoids.copy()
    cost = float(distance[:, medoids].min(1).sum())
    while True:
        best = cost, -1, -1
        for at in range(len(medoids)):
            others = np.delete(medoids, at)
            without = distance[:, others].min(1) if len(others) else np.full(len(distance), np.inf)
            costs = np.minimum(without[:, None], distance).sum(0)
            candidate = int(costs.argmin())
            if costs[candidate] < best[0] - 1e-12 * max(cost, 1e-300):
                best = float(costs[candidate]), at, candidate
        if best[1] < 0:
            return medoids
        cost = best[0]
        medoids[best[1]] = best[2]
