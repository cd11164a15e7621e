"""By the angles between solutions, as far as a few solved systems let them be foreseen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .features import spectral_features
from .ordering import Ordering, Sample, SolvePilots
from .walk import distances_of_features, nearest_neighbours


@dataclasses.dataclass(frozen=True)
class Angle(Ordering):
    """From the first system always to the one left whose solution makes the smallest angle with the present one.

    Solutions are not known before they are solved for, so they are predicted: `pilots` systems, spread evenly along the
    order of `TruncatedFFT`, are solved; the coefficients of their solutions in the leading proper orthogonal modes
    (those with more than `share` of the energy) are regressed on the features of `TruncatedFFT` by ridge regression,
    with their mean as the constant term, and evaluated for all samples. The angle between two samples is arccos
    |c_iᴴc_j| / (‖c_i‖ ‖c_j‖) of these coefficients: the principal angle of the two lines that the solutions span.

    The pilot systems are solved again in their turn, so that they cost `pilots` solves without recycling. Where fewer
    than two of them can be solved, the order is that of `TruncatedFFT`.

    Parameters
    ----------
    pilots : int
        Systems to solve beforehand; all, if there are fewer.
    ridge : float
        Weight of the squared coefficients, relative to the mean of the diagonal of the kernel matrix.
    share : float
        Least energy of a mode, relative to the first.
    """

    name: ClassVar[str] = "angle"
    needs_solutions: ClassVar[bool] = True
    pilots: int = 8
    ridge: float = 1e-2
    share: float = 1e-8

    def __post_init__(self) -> None:
        if int(self.pilots) != self.pilots or self.pilots < 2:
            raise ValueError(f"pilots must be a whole number ≥ 2, got {self.pilots!r}")

    def __call__(self, samples: Sequence[Sample], solve: SolvePilots | None = None) -> np.ndarray:
        """Return the order of the walk."""
        assert solve is not None
        features = spectral_features(samples)
        walk = nearest_neighbours(len(features), distances_of_features(features))
        count = min(int(self.pilots), len(walk))
        chosen = sorted({int(walk[number * len(walk) // count]) for number in range(count)})
        found = [(at, np.ravel(x)) for at, x in zip(chosen, solve(chosen), strict=True) if x is not None]
        found = [(at, x) for at, x in found if np.isfinite(x).all() and x.any()]
        if len(found) < 2:
            return walk
        coefficients = self._modes(np.stack([x for _, x in found]))
        predicted = self._predict(features, [at for at, _ in found], coefficients)
        norms = np.linalg.norm(predicted, axis=1)
        unit = predicted / np.where(norms > 0.0, norms, 1.0)[:, None]
        return nearest_neighbours(len(unit), lambda i: -np.abs(unit.conj() @ unit[i]))

    def _modes(self, solutions: np.ndarray) -> np.ndarray:
        """Return the coefficients of (p, n) solutions in their leading proper orthogonal modes, a (p, r) array."""
        energies, vectors = np.linalg.eigh(solutions.conj() @ solutions.T)
        kept = energies > self.share * energies[-1]
        return np.asarray(vectors[:, kept].conj() * np.sqrt(energies[kept]))

    def _predict(self, features: np.ndarray, known: list[int], coefficients: np.ndarray) -> np.ndarray:
        """Return the coefficients of all samples by ridge regression, in the form with a matrix of the pilots' size."""
        centre = features[known].mean(axis=0)
        pilots, mean = features[known] - centre, coefficients.mean(axis=0)
        kernel = pilots @ pilots.T
        weight = self.ridge * float(np.trace(kernel)) / len(known)
        if weight == 0.0:
            return np.broadcast_to(mean, (len(features), len(mean)))
        weights = np.linalg.solve(kernel + weight * np.eye(len(known)), coefficients - mean)
        return np.asarray(mean + (features - centre) @ pilots.T @ weights)
