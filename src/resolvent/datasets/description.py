"""What a dataset file holds, where it comes from and what it cost."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .choosing.chunk_decision import Share
from .evidence.discretisation import describe_evidence
from .reader import Dataset
from .seeding import SPLITS


@dataclasses.dataclass(frozen=True)
class Description:
    """Summary of a dataset file, printable.

    Attributes
    ----------
    card : dict
        Title, equation, domain, boundary, law and licence.
    fields : dict of str to str
        Shape, meaning and units of each field.
    splits : dict of str to int
    certificates : dict of str to (float, float, float)
        Smallest, median and largest value of each certificate column.
    statuses : dict of str to int
        How the solves ended.
    certified : int
        Samples within tolerance.
    cost : dict of str to float
        Seconds by stage (`COST_STAGES`), summed over workers, and ``wall``, the sum of the workers' wall times.
        ``setup`` is what methods spent on preparing for matrices, as far as they tell, and no part of ``solve`` here.
    shares : tuple of Share
        What each method did for a tuned set; empty for others.
    config, provenance : dict
        As stored.
    """

    path: Path
    samples: int
    size_bytes: int
    content_sha256: str
    card: dict[str, str]
    fields: dict[str, str]
    splits: dict[str, int]
    statistics: dict[str, dict[str, Any]]
    certificates: dict[str, tuple[float, float, float]]
    statuses: dict[str, int]
    certified: int
    cost: dict[str, float]
    shares: tuple[Share, ...]
    config: dict[str, Any]
    provenance: dict[str, Any]

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.samples} samples, {self.size_bytes / 2**20:.1f} MiB"]
        lines += _section("equation", self.card)
        lines += _section("fields", self.fields)
        lines += _section("splits", self.splits)
        lines += _table(
            "statistics (train)",
            ("mean", "std", "min", "max"),
            {name: [values[k] for k in ("mean", "std", "min", "max")] for name, values in self.statistics.items()},
        )
        lines += _table("certificate", ("min", "median", "max"), {k: list(v) for k, v in self.certificates.items()})
        statuses = ", ".join(f"{count} {status}" for status, count in self.statuses.items())
        lines.append(f"  {self.certified} of {self.samples} certified ({statuses})")
        lines += ["cost"]
        wall = self.cost["wall"] or 1.0
        names = COST_STAGES | {"wall": "wall"}
        lines += [f"  {names[stage]:<12} {s:10.3f} s {100 * s / wall:5.1f} %" for stage, s in self.cost.items()]
        lines.append(f"  {'a sample':<12} {1e3 * self.cost['wall'] / self.samples:10.3f} ms of one worker")
        lines += _section("configuration", {k: v for k, v in self.config.items() if k != "family"})
        lines += _section("family options", self.config["family"])
        lines += _section("solver", self.provenance["decision"])
        for share in self.shares:
            lines.append(
                f"  {share.arm:<20} {share.chunks} chunks, {1e3 * share.seconds:.3g} ms a sample: {share.told}"
            )
        lines += _section("discretisation", describe_evidence(self.provenance["discretisation"]))
        for number, session in enumerate(self.provenance["sessions"], start=1):
            lines += _section(f"session {number}", session)
        return "\n".join([*lines, f"content SHA-256 {self.content_sha256}"])


def describe(path: str | Path) -> Description:
    """Summarise a dataset file: provenance, certificates, statistics and cost.

    Raises
    ------
    FileNotFoundError, FormatError
        As `resolvent.datasets.open` does.
    """
    with Dataset(path) as dataset:
        certificates, chunks = dataset.certificates, dataset.chunks
        stated = ("tolerance", "status", "certified")
        common = ("rho_float64", "rho_stored", "rounding_error", "iterations")
        ranged = (*common, *(name for name in certificates if name not in (*common, *stated)))
        split = np.bincount(dataset.column("split"), minlength=len(SPLITS))
        provenance = dataset.provenance
        keys = ("title", "equation", "domain", "boundary", "law", "licence")
        return Description(
            path=dataset.path,
            samples=len(dataset),
            size_bytes=dataset.path.stat().st_size,
            content_sha256=dataset.content_sha256,
            card={key: str(dataset.attributes[key]) for key in keys},
            fields={
                name: f"{spec.role}, {'×'.join(map(str, spec.shape)) or 'number'}, {spec.description} [{spec.units}]"
                for name, spec in dataset.fields.items()
            },
            splits={name: int(split[i]) for i, name in enumerate(SPLITS)},
            statistics=dataset.statistics,
            certificates={name: _range(certificates[name]) for name in ranged},
            statuses=dict(Counter(status.decode() for status in certificates["status"].tolist())),
            certified=int(certificates["certified"].sum()),
            cost=_cost(chunks),
            shares=dataset.shares,
            config=dataset.config,
            provenance=provenance,
        )


COST_STAGES = {
    "draw": "parameters",
    "sort": "ordering",
    "assemble": "assembly",
    "setup": "set-up",
    "solve": "solve",
    "certify": "verification",
    "write": "writing",
}
"""Stages of the cost report, by what each is called for people; their sum is the wall time."""


def _cost(chunks: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the seconds by stage, set-up taken out of what is stored as the time of solving."""
    cost = {stage: float(np.sum(chunks.get(f"seconds_{stage}", 0.0))) for stage in (*COST_STAGES, "wall")}
    cost["solve"] -= cost["setup"]
    return cost


def _range(values: np.ndarray) -> tuple[float, float, float]:
    return float(np.min(values)), float(np.median(values)), float(np.max(values))


def _section(title: str, entries: Any) -> list[str]:
    return [title, *(f"  {key:<14} {value}" for key, value in entries.items())]


def _table(title: str, columns: tuple[str, ...], rows: dict[str, list[Any]]) -> list[str]:
    head = f"{title:<22}" + "".join(f"{column:>12}" for column in columns)
    return [head, *(f"  {name:<20}" + "".join(f"{value:>12.3g}" for value in row) for name, row in rows.items())]
