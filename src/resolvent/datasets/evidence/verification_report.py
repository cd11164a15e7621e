"""What checking a dataset found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

MAX_LISTED = 100
"""Problems listed in a report; all of them are counted."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes
    ----------
    index : int or None
        The sample, or None for the file as a whole.
    field : str
        Path of the dataset concerned, such as ``solution/u``, or ``file``.
    what : str
    """

    index: int | None
    field: str
    what: str

    def __str__(self) -> str:
        where = self.field if self.index is None else f"sample {self.index}, {self.field}"
        return f"{where}: {self.what}"


@dataclasses.dataclass
class VerificationReport:
    """What `verify` found.

    Attributes
    ----------
    samples : int
        Samples checked.
    checks : dict of str to str
        What was done, and how it went.
    problems : list of Problem
        The first `MAX_LISTED` findings.
    count : int
        Number of findings.
    worst_rho : float
        Largest recomputed relative residual of a stored solution that is certified. In single precision it may exceed
        the tolerance, which is for the solution before rounding.
    worst_certified : float
        Largest relative residual in float64 that the certificates of certified samples state.
    warnings : list of str
        What is no fault of the file, but of its use.
    foreign : str or None
        Format of a set that is not of this package.
    label_errors : (n,) array or None
        Distance of each label of a foreign Darcy set to its discrete steady state.
    """

    path: Path
    samples: int = 0
    checks: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    count: int = 0
    worst_rho: float = 0.0
    worst_certified: float = 0.0
    seconds: float = 0.0
    warnings: list[str] = dataclasses.field(default_factory=list)
    foreign: str | None = None
    label_errors: np.ndarray | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return self.count == 0

    def add(self, index: int | None, field: str, what: str) -> None:
        """Enter a finding."""
        self.count += 1
        if len(self.problems) < MAX_LISTED:
            self.problems.append(Problem(index, field, what))

    def __str__(self) -> str:
        verdict = "passed" if self.passed else f"FAILED: {self.count} problem{'s' if self.count > 1 else ''}"
        lines = [
            f"{self.path}: {verdict} ({self.samples} sample{'s' if self.samples != 1 else ''}, {self.seconds:.1f} s)"
        ]
        lines += [f"  {name:<12} {outcome}" for name, outcome in self.checks.items()]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        lines += [f"  ! {problem}" for problem in self.problems]
        if self.count > len(self.problems):
            lines.append(f"  ! and {self.count - len(self.problems)} more")
        return "\n".join(lines)
