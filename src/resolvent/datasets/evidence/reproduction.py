"""Making one sample of a file again, from its seed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...solvers.fixed_threads import fixed_threads
from .. import provenance
from ..choosing.arms import arm_method
from ..choosing.chunk_decision import stored_decisions
from ..choosing.decision import decide
from ..errors import DatasetError
from ..family import Family
from ..methods.strategies import Method, is_named
from ..reader import Dataset
from ..settings import TUNED, Settings, check_count, differences, plain
from ..storage.file_format import Layout
from ..storage.sample_arrays import working_inputs, working_solution
from ..worker import ChunkTask, Clock, line_up, sample_records

if TYPE_CHECKING:
    from ...solvers.solver import Solver


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """A sample made again, compared with the stored one.

    Attributes
    ----------
    index : int
    replayed : int
        Samples solved for it: those of its chunk up to it, in the order in which they are solved.
    changes : dict of str to float
        Largest difference of each column, relative to its largest value; 0.0 where all bits agree.
    identical : bool
        Whether parameters, inputs, solution and certificate agree in every bit.
    residual_change : float
        ‖A (u_new − u_stored)‖₂/‖b‖₂: what a difference means for the equation; of trajectories
        ‖u_new − u_stored‖₂/‖u_stored‖₂.
    tolerance : float
        The set's rtol.
    environment : dict
        ``{key: (then, now)}`` where versions or machine differ from the session that made the set.
    """

    path: Path
    index: int
    replayed: int
    changes: dict[str, float]
    identical: bool
    residual_change: float
    tolerance: float
    environment: dict[str, tuple[Any, Any]]

    @property
    def passed(self) -> bool:
        """Whether the sample is the same up to what two solvers within tolerance may differ: a residual of 10 rtol."""
        return self.identical or self.residual_change < 10.0 * self.tolerance

    def __str__(self) -> str:
        verdict = "the same within tolerance" if self.passed else "DIFFERENT"
        verdict = "identical in every bit" if self.identical else verdict
        lines = [f"{self.path}, sample {self.index}: {verdict} ({self.replayed} samples of its chunk replayed)"]
        if not self.identical:
            lines.append(f"  ‖A(u_new − u_stored)‖/‖b‖ = {self.residual_change:.2e}, rtol {self.tolerance:.1e}")
            lines += [f"  {path:<28} differs by {change:.1e}" for path, change in self.changes.items() if change != 0.0]
        lines += [f"  {key}: then {then}, now {now}" for key, (then, now) in self.environment.items()]
        return "\n".join(lines)


def reproduce(
    path: str | Path,
    index: int,
    *,
    family: Family | None = None,
    solver: Solver | Method | None = None,
) -> Reproduction:
    """Make a sample again from its seed, replaying its chunk up to it, and compare it with the stored one.

    Parameters
    ----------
    path : path
    index : int
        Of the sample.
    family : Family, optional
        For a set of a family that is not registered.
    solver : Solver or Method, optional
        For a set made with one rather than with a named strategy.

    A sample of a tuned set is made by the method that was decided for its chunk.

    Returns
    -------
    reproduction : Reproduction
        Printable.

    Raises
    ------
    DatasetError
        If the sample cannot be made with this version, and why.
    """
    with Dataset(path) as dataset:
        index = check_count("index", index, 0)
        if index >= len(dataset):
            raise IndexError(f"{path} has samples 0 to {len(dataset) - 1}, not {index}")
        made = dataset.family() if family is None else family
        settings = settings_of(dataset, made, solver, index)
        layout = Layout(made, settings.dtype)
        task = ChunkTask(made, settings, index // settings.chunk, index, index + 1, dataset.path.parent)
        with fixed_threads(settings.threads):
            clock = Clock()
            line = line_up(task, layout, clock)
            record = next(sample_records(task, layout, clock, line))
        changes = {c.path: largest_change(record[c.path], dataset.column(c.path, index)) for c in layout.content}
        sessions = dataset.provenance["sessions"]
        here = provenance.versions() | {"processor": provenance.processor()}
        if "ranks" in sessions[-1]:
            here["ranks"] = "1"
        now = plain(provenance.comparable(here))
        return Reproduction(
            dataset.path,
            index,
            line.indices.index(index) + 1,
            changes,
            all(record[c.path].tobytes() == dataset.column(c.path, index).tobytes() for c in layout.content),
            _residual_change(made, layout, record, dataset, index),
            settings.rtol,
            differences(provenance.comparable(sessions[-1]), now),
        )


def settings_of(dataset: Dataset, family: Family, solver: Solver | Method | None = None, index: int = 0) -> Settings:
    """Return the settings with which a sample of a file was made.

    Raises
    ------
    DatasetError
        If its solver cannot be rebuilt from the file, or differs in this version.
    """
    config, chosen = dataset.config, dataset.provenance["decision"]["chosen"]
    rtol, seed, chunk = float(config["rtol"]), int(config["seed"]), int(config["chunk"])
    stated = config["method"]
    if config["solver"] == TUNED:
        decision = stored_decisions(dataset.provenance).get(index // chunk)
        if decision is None:
            raise DatasetError(f"{dataset.path} does not say how chunk {index // chunk} was solved: run `verify` on it")
        chosen, stated = decision.arm, decision.method
    own = family.own_method(rtol, chunk) if solver is None else None
    if solver is None and own is None and not is_named(chosen):
        raise DatasetError(f"{dataset.path} was solved by {chosen}: pass that as solver=")
    if own is not None:
        method = own
    elif solver is None and config["solver"] == TUNED:
        method = arm_method(chosen, dataset.provenance["decision"]["rule"], rtol, family, seed, chunk)
    else:
        method = decide(chosen if solver is None else solver, rtol, family, seed, chunk).method
    if repr(method) != stated:
        raise DatasetError(f"{dataset.path} was solved by {stated}, this version offers {method!r}")
    names = ("seed", "chunk", "threads", "dtype", "solver")
    return Settings(
        method=method,
        rtol=rtol,
        on_failure="flag",  # a failure is compared like anything else
        splits=tuple(config["splits"]),
        order=config.get("order", "none"),
        **{name: config[name] for name in names},
    )


def largest_change(new: Any, stored: Any) -> float:
    """Largest difference relative to the largest stored value; 1 for texts and flags that differ."""
    new, stored = np.asarray(new), np.asarray(stored)
    if new.tobytes() == stored.tobytes():
        return 0.0
    if new.dtype.kind not in "fciu":
        return 1.0
    scale = float(np.abs(stored).max(initial=0.0))
    return float(np.abs(new - stored).max()) / (scale or 1.0)


def _residual_change(family: Family, layout: Layout, record: np.ndarray, dataset: Dataset, index: int) -> float:
    new = {name: record[column.path] for name, column in layout.fields.items()}
    old = {name: dataset.column(name, index) for name in layout.fields}
    try:
        problem = family.pose(working_inputs(old, layout))
    except ValueError:
        return np.nan
    return problem.difference(working_solution(new, layout), working_solution(old, layout))
