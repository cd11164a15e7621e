"""What the pipeline asks of the discrete problem of one sample, whatever kind of family posed it.

There are two kinds of families, and this is the one place where they differ for the pipeline:

==================  =====================================  =====================================================
                    `LinearFamily`                         `TransientFamily`
==================  =====================================  =====================================================
a sample is         the solution of A x = b                a trajectory, made by the family's own integrator
methods are given   the `System`                           the problem itself: `transient.Marching` is the method
rho                 ‖b − A x‖₂/‖b‖₂                        the largest of the family's evidence numbers
certificate has     the common columns                     those, and one for each evidence number
iterations          of the solver                          time steps
verified by         the residual of what is stored         the evidence of what is stored, from a judge made anew
==================  =====================================  =====================================================

`Family.pose` turns inputs into a `DiscreteProblem`, and worker, verification, reproduction and the look at the
discretisation talk to that alone.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Fields = Mapping[str, np.ndarray]
"""Solution fields by name, in double precision."""


class Measured(NamedTuple):
    """What a certificate is made of.

    Attributes
    ----------
    rho, rho_stored : float
        Of the solution as it was made, and as it is stored.
    rounding : float
        Relative change of the solution by storing, 0 where nothing changed.
    evidence : dict of str to float
        The further numbers that the family announces.
    """

    rho: float
    rho_stored: float
    rounding: float
    evidence: Mapping[str, float]


class DiscreteProblem(abc.ABC):
    """The discrete problem of one sample, as its inputs pose it."""

    @property
    @abc.abstractmethod
    def task(self) -> Any:
        """What a method for this kind of problem is given."""

    @property
    @abc.abstractmethod
    def work(self) -> int:
        """Unknowns of the problem, or of a sparse system that takes about as long."""

    @abc.abstractmethod
    def expand(self, x: Any) -> dict[str, np.ndarray]:
        """Return the solution fields of what a method returned as ``x``."""

    @abc.abstractmethod
    def measure(self, x: Any, stored: Fields) -> Measured:
        """Measure what a method returned, and the fields that are stored of it."""

    @abc.abstractmethod
    def rho(self, stored: Fields, iterations: int) -> float:
        """Measure stored fields alone, with `iterations` as their certificate states."""

    @abc.abstractmethod
    def difference(self, new: Fields, stored: Fields) -> float:
        """Return what a difference of two solutions means for the problem, in the measure of rho."""

    @abc.abstractmethod
    def checks(self, stored: Fields | None = None) -> Sequence[tuple[str, bool, str]]:
        """Return (name, passed, detail) of structural checks; `stored` is the solution, where there is one."""


def rounding_error(x: np.ndarray, stored: np.ndarray) -> float:
    """Return ‖stored − x‖₂/‖x‖₂, absolute for x = 0."""
    size, change = float(np.linalg.norm(x)), float(np.linalg.norm(stored - x))
    return change / size if size > 0.0 else change
