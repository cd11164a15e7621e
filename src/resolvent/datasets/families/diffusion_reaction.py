"""Diffusion and logistic growth: u_t = DΔu + λu(1 − u) on an insulated square, by BDF2 and Newton's method."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, final

import numpy as np
import scipy.special

from ...operators.stencil import Stencil
from ..diffusion import cell_transmissibilities, check_field
from ..discrete_problem import Fields
from ..family import FieldSpec, Inputs
from ..random_fields import FloatArray, GaussianRandomField, grid_points
from ..transient import Judge, March, TransientFamily, check_times, frame_times

if TYPE_CHECKING:
    from ...solvers.prepared import Prepared

_CORRECTIONS: Final = 12
"""Newton corrections a step, at most; two or three are usual."""
_CORRECTION_RTOL: Final = 1e-4
"""Residual of the linear systems: what is left of the nonlinear residual after a correction is of this size."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffusionReaction2D(TransientFamily):
    """Fisher's equation on the insulated unit square: u_t = DΔu + λu(1 − u), ∂u/∂n = 0, 0 ≤ u ≤ 1.

    Parameters
    ----------
    resolution : int
        Cells n per side, at least 4; fields are stored at their centres.
    diffusivities : (float, float)
        Range of D, log-uniform.
    rates : (float, float)
        Range of λ, log-uniform.
    frames : int
        Time steps; all of them are stored.
    final_time : float
        With λ · final_time/frames below 1, so that the linear systems are positive definite.

    Notes
    -----
    Finite volumes, and BDF2 with a first step of BDF1: α u + dt (D L u − λu(1 − u)) = r with L = −Δ, α = 3/2 and
    r = 2u_n − u_{n−1}/2 (first α = 1, r = u_0). Newton from the extrapolation 2u_n − u_{n−1}; its systems are symmetric
    positive definite and solved by conjugate gradients with the transform of their mean as preconditioner, a handful of
    iterations. No splitting: it would freeze the matrix, and its error stays. Second order in time and space. The
    evidence is the largest ‖residual‖₂/‖r‖₂ of these equations over all steps, computed from the stored frames.

    References
    ----------
    Hairer & Wanner, *Solving Ordinary Differential Equations II*, 1996, doi:10.1007/978-3-642-05221-7.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import DiffusionReaction2D
    >>> family = DiffusionReaction2D(resolution=16, frames=16)
    >>> march = family.march(family.draw(np.random.default_rng(0)), 1e-9)
    >>> march.solution["u"].shape, march.evidence["step_residual"] <= 1e-9
    ((16, 16, 16), True)
    """

    name: ClassVar[str] = "diffreact2d"
    aliases: ClassVar[tuple[str, ...]] = ("diffusion_reaction", "fisher")
    family_id: ClassVar[int] = 25
    title: ClassVar[str] = "Diffusion and logistic growth, 2-D"
    equation: ClassVar[str] = "u_t = DΔu + λu(1 − u)"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "∂u/∂n = 0"
    values_per_unknown: ClassVar[int] = 15
    evidence: ClassVar[Mapping[str, str]] = {
        "step_residual": "largest relative residual of the nonlinear equations of a step, over all steps"
    }

    diffusivities: tuple[float, float] = (1e-3, 1e-1)
    rates: tuple[float, float] = (1.0, 10.0)
    frames: int = 64
    final_time: float = 1.0

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 4:
            raise ValueError(f"{self.name} needs a resolution of at least 4 points per side, got {n!r}")
        check_times(self.name, self.frames, self.final_time)
        for option in ("diffusivities", "rates"):
            limits = tuple(float(value) for value in getattr(self, option))
            object.__setattr__(self, option, limits)
            if len(limits) != 2 or not 0.0 < limits[0] <= limits[1] < math.inf:
                raise ValueError(f"{self.name} needs {option}=(least, largest), both positive, got {limits!r}")
        if self.rates[1] * self.dt >= 1.0:
            raise ValueError(
                f"{self.name} needs rates · final_time/frames < 1, got {self.rates[1] * self.dt:g}: take more frames"
            )

    @property
    def dt(self) -> float:
        """Length of a step."""
        return self.final_time / self.frames

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: ``D``, ``rate``, the initial state ``u0``, and the steps ``u``."""
        n = self.resolution
        return {
            "D": FieldSpec((), "parameter", "diffusivity"),
            "rate": FieldSpec((), "parameter", "rate of growth λ"),
            "u0": FieldSpec((n, n), "input", "initial density at the cell centres"),
            "u": FieldSpec((self.frames, n, n), "solution", "density at the cell centres by time"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return times and cell centres."""
        centres = grid_points(self.resolution, "cell")
        return {"t": frame_times(self.frames, self.final_time), "x": centres, "y": centres}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        g, (D, E), (a, b) = _initial(), self.diffusivities, self.rates
        return (
            f"D log-uniform in [{D:g}, {E:g}], λ log-uniform in [{a:g}, {b:g}]; u₀ the normal distribution function of "
            f"g, Gaussian with covariance proportional to (−Δ + {g.tau:g}²)^(−{g.alpha:g}), Neumann cosine modes, unit "
            "mean variance."
        )

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw D and λ, then the initial density: one stream is one problem on every grid."""
        D, rate = (np.asarray(np.exp(rng.uniform(*np.log(limits)))) for limits in (self.diffusivities, self.rates))
        g = _initial().sample(rng, self.resolution, "cell")
        return {"D": D, "rate": rate, "u0": scipy.special.ndtr(g)}

    def steps(self, inputs: Inputs) -> int:
        """Return the number of frames; ValueError for bad inputs."""
        for name in ("D", "rate"):
            if not 0.0 < float(inputs.get(name, np.nan)) < math.inf:
                raise ValueError(f"{self.name} needs a positive number {name!r}, got {inputs.get(name)!r}")
        if "u0" not in inputs:
            raise ValueError(f"{self.name} needs 'u0' among its inputs, got {sorted(inputs)}")
        check_field(inputs["u0"], (self.resolution,) * 2, "u0")
        if float(inputs["rate"]) * self.dt >= 1.0:
            raise ValueError(f"rate · dt must be below 1, got {float(inputs['rate']) * self.dt:g}: take more frames")
        return self.frames

    def march(self, inputs: Inputs, aim: float) -> March:
        """March with Newton's method until the residual of every step is below the aim.

        Parameters
        ----------
        inputs : mapping
            ``D``, ``rate`` and ``u0``; optionally a steady source ``f``, a field on the grid.
        aim : float
        """
        equations = _Equations(self, inputs)
        u_old = np.array(inputs["u0"], dtype=np.float64)
        u_older, frames = u_old, np.empty((self.frames, *u_old.shape))
        for step in range(self.frames):
            frames[step] = equations.solve(u_old, u_older, first=step == 0, aim=aim)
            u_older, u_old = u_old, frames[step]
        judge = self.judge(inputs, self.frames)
        solution = {"u": frames}
        return March(solution, self.frames, judge, judge(solution))

    def judge(self, inputs: Inputs, steps: int) -> Judge:
        """Return what computes the residuals of all steps anew."""
        equations, u0 = _Equations(self, inputs), np.asarray(inputs["u0"], dtype=np.float64)

        def judge(solution: Fields) -> dict[str, float]:
            states, worst = [u0, u0, *np.asarray(solution["u"], dtype=np.float64)], 0.0
            for step in range(self.frames):
                alpha, r = _history(states[step + 1], states[step], first=step == 0)
                with np.errstate(over="ignore", invalid="ignore"):
                    left = np.linalg.norm(equations.residual(states[step + 2], alpha, r))
                worst = float(np.maximum(worst, left / (np.linalg.norm(r) or 1.0)))
            return {"step_residual": worst}

        return judge

    def checks(self, inputs: Inputs, solution: Fields) -> Sequence[tuple[str, bool, str]]:
        """Check that densities between 0 and 1 stay there, up to the error of a step."""
        low, high = (min(float(np.min(v)) for v in (inputs["u0"], solution["u"])), float(np.max(solution["u"])))
        if float(np.min(inputs["u0"])) < 0.0 or float(np.max(inputs["u0"])) > 1.0:
            return ()
        return [("bounds", low >= -1e-3 and high <= 1.0 + 1e-3, f"u between {low:.3g} and {high:.3g}")]


class _Equations:
    """The nonlinear equations of the steps of one trajectory."""

    def __init__(self, family: DiffusionReaction2D, inputs: Inputs) -> None:
        n, dt = family.resolution, family.dt
        self.growth = float(inputs["rate"]) * dt
        coefficient = np.full((n, n), float(inputs["D"]) * dt)
        self.faces = cell_transmissibilities(coefficient, 1.0 / n, 2, "insulated")
        self.diffusion = Stencil.from_transmissibilities(self.faces)
        self.source = dt * np.asarray(inputs.get("f", 0.0), dtype=np.float64)
        self.prepared: Prepared | None = None

    def residual(self, u: FloatArray, alpha: float, r: FloatArray) -> FloatArray:
        """Return α u + dt (D L u − λu(1 − u) − f) − r."""
        spread = self.diffusion.matvec(u.ravel()).reshape(u.shape)
        return np.asarray(alpha * u + spread - self.growth * u * (1.0 - u) - self.source - r)

    def solve(self, u_old: FloatArray, u_older: FloatArray, *, first: bool, aim: float) -> FloatArray:
        """Return the next state."""
        from ...solvers import CG, FastPoisson

        alpha, r = _history(u_old, u_older, first=first)
        u, size = 2.0 * u_old - u_older, float(np.linalg.norm(r)) or 1.0
        for _ in range(_CORRECTIONS):
            residual = self.residual(u, alpha, r)
            if float(np.linalg.norm(residual)) <= aim * size:
                break
            shift = alpha - self.growth * (1.0 - 2.0 * u)
            J = Stencil.from_transmissibilities(self.faces, shift=shift)
            if self.prepared is None:
                self.prepared = CG(rtol=_CORRECTION_RTOL).prepare(J, FastPoisson())
            else:
                self.prepared.update(J)
            u = u - self.prepared.solve(residual.ravel()).x.reshape(u.shape)
        return u


def _history(u_old: FloatArray, u_older: FloatArray, *, first: bool) -> tuple[float, FloatArray]:
    """Return α and r of a step."""
    return (1.0, u_old) if first else (1.5, 2.0 * u_old - 0.5 * u_older)


@functools.cache
def _initial() -> GaussianRandomField:
    return GaussianRandomField(2, alpha=2.5, tau=5.0, bc="neumann").normalised()
