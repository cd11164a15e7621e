"""Mean, deviation and range of a field, accumulated sample by sample in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class RunningStatistics:
    """Statistics over all grid points of all samples seen so far.

    Means and sums of squared deviations are merged by the update of Chan, Golub and LeVeque (1983),
    https://doi.org/10.2307/2683386, one sample at a time in index order: the result depends neither on how the samples
    arrive in blocks nor on the number of workers, and no sum of large squares cancels. Samples that are not finite
    (flagged failures) are left out and counted.

    Complex fields: the deviation is that of |z − mean|, the range is that of |z|.

    Examples
    --------
    >>> s = RunningStatistics()
    >>> for sample in ([1.0, 2.0], [3.0, 6.0]):
    ...     s.add(np.array(sample))
    >>> s.summary()["mean"], round(s.summary()["std"], 6)
    (3.0, 1.870829)
    """

    def __init__(self) -> None:
        self.count = 0
        self.samples = 0
        self.skipped = 0
        self.mean: complex = 0.0
        self.squares = 0.0
        self.min = math.inf
        self.max = -math.inf

    def add(self, field: np.ndarray) -> None:
        """Add one sample of the field."""
        values = np.asarray(field)
        values = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64, copy=False)
        if not np.isfinite(values).all():
            self.skipped += 1
            return
        size = values.size
        mean = values.mean()
        deviation = np.abs(values - mean)
        squares = float(np.dot(deviation.ravel(), deviation.ravel()))
        total = self.count + size
        delta = mean - self.mean
        self.mean = self.mean + delta * (size / total)
        self.squares += squares + float(abs(delta) ** 2) * (self.count * size / total)
        self.count = total
        self.samples += 1
        magnitude = np.abs(values) if values.dtype.kind == "c" else values
        self.min = min(self.min, float(magnitude.min()))
        self.max = max(self.max, float(magnitude.max()))

    def summary(self) -> dict[str, Any]:
        """Return mean, std (population), min, max, count (numbers), samples and skipped; NaN where nothing was seen."""
        empty = self.count == 0
        mean: Any = complex(self.mean) if isinstance(self.mean, complex | np.complexfloating) else float(self.mean)
        return {
            "mean": math.nan if empty else mean,
            "std": math.nan if empty else math.sqrt(self.squares / self.count),
            "min": math.nan if empty else self.min,
            "max": math.nan if empty else self.max,
            "count": self.count,
            "samples": self.samples,
            "skipped": self.skipped,
        }
