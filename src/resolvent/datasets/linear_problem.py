"""The discrete problem of a stationary family: one linear system, certified by its relative residual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .discrete_problem import DiscreteProblem, Fields, Measured, rounding_error
from .evidence.certification import relative_residual

if TYPE_CHECKING:
    from .family import Inputs, LinearFamily, System


class LinearProblem(DiscreteProblem):
    """A x = b.

    Parameters
    ----------
    family : LinearFamily
    inputs : dict
        In working precision; ValueError if they are not admissible.
    """

    def __init__(self, family: LinearFamily, inputs: Inputs) -> None:
        self.family, self.inputs = family, inputs
        self.system: System = family.assemble(inputs)

    @property
    def task(self) -> System:
        """The system."""
        return self.system

    @property
    def work(self) -> int:
        """Number of unknowns."""
        return self.system.A.shape[0]

    def expand(self, x: Any) -> dict[str, np.ndarray]:
        """Return the stored fields of a vector of unknowns."""
        return self.family.expand(np.asarray(x), self.inputs)

    def measure(self, x: Any, stored: Fields) -> Measured:
        """Return both relative residuals."""
        x = np.asarray(x).ravel()
        rho = relative_residual(self.system, x)
        x_stored = self._unknowns(stored)
        if x_stored.shape == x.shape and np.array_equal(x_stored, x):
            return Measured(rho, rho, 0.0, {})
        return Measured(rho, relative_residual(self.system, x_stored), rounding_error(x, x_stored), {})

    def rho(self, stored: Fields, iterations: int) -> float:
        """Return the relative residual of stored fields."""
        return relative_residual(self.system, self._unknowns(stored))

    def difference(self, new: Fields, stored: Fields) -> float:
        """Return ‖A (x_new − x_stored)‖₂/‖b‖₂."""
        scale = float(np.linalg.norm(self.system.b))
        change = self._unknowns(new) - self._unknowns(stored)
        return float(np.linalg.norm(self.system.A.matvec(change))) / (scale or 1.0)

    def checks(self, stored: Fields | None = None) -> Sequence[tuple[str, bool, str]]:
        """Return the structural checks of the matrix."""
        return self.family.checks(self.inputs, self.system)

    def _unknowns(self, solution: Fields) -> np.ndarray:
        return np.asarray(self.family.restrict(solution)).ravel()
