"""The numbers of The Well's ``stats.yaml``: of fields, and of their changes from frame to frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..storage.statistics import RunningStatistics

if TYPE_CHECKING:
    from .the_well import WellField

_KINDS = ("mean", "std", "rms", "mean_delta", "std_delta", "rms_delta")


class FrameStatistics:
    """Statistics of one field in float64, sample by sample, each component of a vector for itself."""

    def __init__(self) -> None:
        self.values: list[RunningStatistics] = []
        self.changes: list[RunningStatistics] = []

    def add(self, sample: np.ndarray, *, vector: bool, frames: bool) -> None:
        """Add one sample: ([T,] *grid[, D])."""
        components = np.moveaxis(sample, -1, 0) if vector else sample[None]
        if not self.values:
            self.values = [RunningStatistics() for _ in components]
            self.changes = [RunningStatistics() for _ in components]
        for component, values, changes in zip(components, self.values, self.changes, strict=True):
            values.add(component)
            if frames and len(component) > 1:
                changes.add(np.diff(component, axis=0))

    def numbers(self, kind: str) -> list[float]:
        """Return one kind of statistics, a number for each component."""
        delta = kind.endswith("_delta")
        summaries = [s.summary() for s in (self.changes if delta else self.values)]
        if delta and (not summaries or summaries[0]["count"] == 0):
            # One frame has no changes: 0 and 1 leave them as they are.
            return [0.0 if kind == "mean_delta" else 1.0] * max(len(self.values), 1)
        what = kind.removesuffix("_delta")
        if what == "rms":
            return [math.hypot(s["mean"], s["std"]) for s in summaries]
        return [float(s[what]) for s in summaries]


def statistics_text(statistics: Mapping[str, FrameStatistics], fields: Sequence[WellField]) -> str:
    """Return the file ``stats.yaml``: kind, then field, then a number or a list of them.

    Fields that do not vary in time have no changes. YAML takes a number with an exponent for text unless it has a
    point, so every number is written with one.
    """
    lines = []
    for kind in _KINDS:
        lines.append(f"{kind}:")
        for field in fields:
            if kind.endswith("_delta") and not field.time_varying:
                continue
            numbers = statistics[field.name].numbers(kind)
            texts = [".nan" if math.isnan(number) else f"{number:.17e}" for number in numbers] or [".nan"]
            shown = texts[0] if field.order == 0 else f"[{', '.join(texts)}]"
            lines.append(f"  {field.name}: {shown}")
    return "\n".join([*lines, ""])
