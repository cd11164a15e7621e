"""The relaxation factor that a formula names: nothing to learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_number
from .closed_form import shifted_radius, young_omega
from .context_range import finite_context
from .tuner import Decision, Tuner


class ClosedForm(Tuner):
    """Of relaxation factors in ascending order, the first that is not below Young's optimum for A + c I.

    Just right of the optimum the number of SOR sweeps grows slowly, left of it fast. Where the formula holds (see
    `optimal_omega`) one estimate of β beats every learner, from the first solve on; use learners where there is no
    formula. It is not the optimum of conjugate gradients with SSOR.

    Parameters
    ----------
    omegas : (arms,) array
        Relaxation factors, ascending.
    beta : float
        ρ(I − D⁻¹A), as `jacobi_radius` estimates it.
    diagonal : float, optional
        The constant diagonal d₀ of A; the context is then the shift c, and β(c) = β d₀/(d₀ + c). Without it every
        system is taken for A, and contexts are ignored.
    rng : numpy.random.Generator or int
        Not used.

    Raises
    ------
    ValueError
        In `suggest` for a shift with which A + c I is not positive definite.

    References
    ----------
    Young 1954, doi:10.1090/S0002-9947-1954-0059635-7.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.tuning import ClosedForm
    >>> omegas = np.arange(1.0, 2.0, 0.05)
    >>> tuner = ClosedForm(omegas, beta=np.cos(np.pi / 11), diagonal=4.0)
    >>> [float(omegas[tuner.suggest(c)].round(2)) for c in (-0.15, 0.0, 0.45)]
    [1.9, 1.6, 1.35]
    """

    def __init__(
        self, omegas: Any, *, beta: float, diagonal: float | None = None, rng: np.random.Generator | int = 0
    ) -> None:
        self.omegas = np.array(omegas, dtype=float)
        if self.omegas.ndim != 1 or not self.omegas.size or not (np.diff(self.omegas) > 0.0).all():
            raise ValueError(f"omegas must be a list of ascending factors, got {omegas!r}")
        if not 0.0 < self.omegas[0] <= self.omegas[-1] < 2.0:
            raise ValueError(f"factors must lie between 0 and 2, both excluded, got {omegas!r}")
        if diagonal is not None and not (is_number(diagonal) and diagonal > 0.0):
            raise ValueError(f"diagonal must be a positive number or None, got {diagonal!r}")
        young_omega(beta)  # says what is wrong with it
        self.beta, self.diagonal = float(beta), None if diagonal is None else float(diagonal)
        super().__init__(self.omegas.size, rng=rng)

    def _options(self) -> str:
        return f", beta={self.beta!r}, diagonal={self.diagonal}"

    def _read(self, context: Any) -> Array:
        return np.zeros(1) if self.diagonal is None else finite_context(context, 1)

    def _best(self, z: Array) -> int:
        beta = self.beta if self.diagonal is None else shifted_radius(self.beta, self.diagonal, float(z[0]))
        return min(int(np.searchsorted(self.omegas, young_omega(beta))), self.arms - 1)

    def _suggest(self, z: Array) -> Decision:
        return Decision(self._best(z), 1.0, "formula")
