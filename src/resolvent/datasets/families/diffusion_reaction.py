"""Diffusion and logistic growth: u_t = DΔu + λu(1 − u) on an insulated square, by BDF2 and Newton's method."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, final

import numpy as np
import scipy.special

from ...operators import SPD, Props
from ...operators.stencil import Stencil
from ..discrete_problem import Fields
from ..family import FieldSpec, Inputs
from ..random_fields import FloatArray, GaussianRandomField, grid_points
from ..schemes.diffusion import check_field, insulated_diffusion
from ..schemes.implicit_steps import DefiniteSteps, extrapolated, history
from ..transient import Judge, March, TransientFamily, check_times, frame_times

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
    r = 2u_n − u_{n−1}/2 (first α = 1, r = u_0). Newton's method from the extrapolation of the last three states, its
    matrix kept for the second correction; it is symmetric positive definite, and the systems of several samples are
    solved together by conjugate gradients with multigrid. No splitting: it would freeze the matrix from step to step,
    and its error stays. Second order in time and space. The evidence is the largest ‖residual‖₂/‖r‖₂ of these equations
    over all steps, computed from the stored frames.

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
    values_per_unknown: ClassVar[int] = 30
    stores_steps: ClassVar[bool] = True
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

    def members(self, chunk: int) -> int:
        """Return how many trajectories are marched together: what keeps their fields in the cache."""
        from ...solvers.costs import ensemble_width

        return ensemble_width(self.resolution**2, 2, chunk)

    def integrator(self) -> str:
        """Return how steps are made."""
        return "BDF2 and Newton's method, drifting positive definite systems for multigrid-preconditioned CG"

    def march(self, inputs: Inputs, aim: float) -> March:
        """March with Newton's method until the residual of every step is below the aim.

        Parameters
        ----------
        inputs : mapping
            ``D``, ``rate`` and ``u0``; optionally a steady source ``f``, a field on the grid.
        aim : float
        """
        return self.march_together([inputs], aim)[0]

    def march_together(self, several: Sequence[Inputs], aim: float) -> list[March]:
        """March several samples, the Newton corrections of all of them together.

        A sample whose step is solved takes no part in further corrections, so that it is the one that it is alone.
        """
        equations = [_Equations(self, inputs) for inputs in several]
        systems = DefiniteSteps(_CORRECTION_RTOL)
        states = [np.stack([np.asarray(inputs["u0"], dtype=np.float64) for inputs in several])]
        for _ in range(self.frames):
            alpha, r = history(states)
            with np.errstate(over="ignore", invalid="ignore"):
                u = extrapolated(states, 3)
            for correction in range(_CORRECTIONS):
                residual = np.stack([e.residual(v, alpha, s) for e, v, s in zip(equations, u, r, strict=True)])
                with np.errstate(over="ignore", invalid="ignore"):
                    left = np.linalg.norm(residual, axis=(1, 2)) > aim * np.linalg.norm(r, axis=(1, 2))
                if not left.any():
                    break
                if correction != 1:  # the extrapolated state is nearly the new one: its matrix does for two corrections
                    systems.take([e.derivative(v, alpha) for e, v in zip(equations, u, strict=True)])
                u = u - systems.solve(np.where(left[:, None, None], residual, 0.0))
            states.append(u)
        marches = []
        for number, inputs in enumerate(several):
            solution = {"u": np.stack([state[number] for state in states[1:]])}
            judge = self.judge(inputs, self.frames)
            marches.append(March(solution, self.frames, judge, judge(solution)))
        return marches

    def judge(self, inputs: Inputs, steps: int) -> Judge:
        """Return what computes the residuals of all steps anew."""
        equations, u0 = _Equations(self, inputs), np.asarray(inputs["u0"], dtype=np.float64)

        def judge(solution: Fields) -> dict[str, float]:
            states, worst = [u0, *np.asarray(solution["u"], dtype=np.float64)], 0.0
            for step in range(self.frames):
                alpha, r = history(states[max(step - 1, 0) : step + 1])
                with np.errstate(over="ignore", invalid="ignore"):
                    left = np.linalg.norm(equations.residual(states[step + 1], alpha, r))
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
        # Constant coefficients but for the diagonal, to which α and the growth are added.
        self.diffusion = insulated_diffusion(np.ones((n, n)), 1.0 / n, float(inputs["D"]) * dt, 0.0)
        self.source = dt * np.asarray(inputs.get("f", 0.0), dtype=np.float64)

    def residual(self, u: FloatArray, alpha: float, r: FloatArray) -> FloatArray:
        """Return α u + dt (D L u − λu(1 − u) − f) − r."""
        spread = self.diffusion.matvec(u.ravel()).reshape(u.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(alpha * u + spread - self.growth * u * (1.0 - u) - self.source - r)

    def derivative(self, u: FloatArray, alpha: float) -> Stencil:
        """Return α + dt (D L − λ(1 − 2u)), definite for densities above zero and λ dt below 1."""
        coefficients = self.diffusion.coefficients.copy()
        coefficients[0] += alpha - self.growth * (1.0 - 2.0 * u)
        return Stencil(coefficients, props=SPD | Props.M_MATRIX, mirrored=True)


@functools.cache
def _initial() -> GaussianRandomField:
    return GaussianRandomField(2, alpha=2.5, tau=5.0, bc="neumann").normalised()
