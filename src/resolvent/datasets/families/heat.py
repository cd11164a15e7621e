"""Heat in an insulated square with a drifting conductivity: u_t = ∇·(a(x, t)∇u), by BDF2."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, final

import numpy as np

from ...operators.stencil import Stencil
from ..discrete_problem import Fields
from ..family import FieldSpec, Inputs
from ..random_fields import FloatArray, GaussianRandomField, grid_points
from ..schemes.diffusion import check_coefficient, check_field, insulated_diffusion
from ..schemes.implicit_steps import DefiniteSteps, extrapolated, history
from ..transient import Judge, March, TransientFamily, check_times, frame_times
from .coefficients import coefficient_law

_CONSERVING: Final = 1e-8
"""Systems are solved to this at least, so that what is left of residuals is no source of heat that can be seen."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Heat2D(TransientFamily):
    """Heat equation on the insulated unit square: u_t = ∇·(a(x, t)∇u), ∂u/∂n = 0.

    Parameters
    ----------
    resolution : int
        Cells n per side, at least 4; fields are stored at their centres.
    frames : int
        Time steps; all of them are stored.
    final_time : float
    coefficient : str
        Law of a at any time; a preset of `coefficients.coefficient_law` of the form a = exp(g).
    drift : float
        Angular velocity ω of the path log a(t) = g₁ cos ωt + g₂ sin ωt, g₁ and g₂ independent: at every time a has the
        given law. With 0 a is constant in time.

    Notes
    -----
    Finite volumes (harmonic face means, no flux through walls), L u = −∇·(a∇u), and BDF2 with a first step of BDF1:
    (α + dt L) u = r with α = 3/2 and r = 2u_n − u_{n−1}/2 (first α = 1, r = u_0). Second order in time and space. The
    operators are symmetric positive definite M-matrices; several samples are marched together by conjugate gradients
    with multigrid, from the extrapolation of the last five states. Where a does not change, nor do α and dt, the
    hierarchy is kept. The evidence is the largest ‖residual‖₂/‖r‖₂ over all steps, computed from the stored frames with
    operators assembled anew. Storage: 8 n² bytes a frame, 2 MB a sample of 64 steps on 64².

    References
    ----------
    Hairer & Wanner, *Solving Ordinary Differential Equations II*, 1996, doi:10.1007/978-3-642-05221-7.

    See Also
    --------
    heat_step.HeatStep2D : single steps of three schemes, as linear systems for any solver.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Heat2D
    >>> family = Heat2D(resolution=16, frames=8)
    >>> march = family.march(family.draw(np.random.default_rng(0)), 1e-9)
    >>> march.solution["u"].shape, march.evidence["step_residual"] <= 1e-9
    ((8, 16, 16), True)
    """

    name: ClassVar[str] = "heat2d"
    aliases: ClassVar[tuple[str, ...]] = ("heat",)
    family_id: ClassVar[int] = 26
    title: ClassVar[str] = "Heat equation with drifting conductivity, 2-D"
    equation: ClassVar[str] = "u_t = ∇·(a(x, t)∇u)"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "∂u/∂n = 0"
    values_per_unknown: ClassVar[int] = 30
    stores_steps: ClassVar[bool] = True
    evidence: ClassVar[Mapping[str, str]] = {
        "step_residual": "largest relative residual of the equations of a step, over all steps"
    }

    frames: int = 64
    final_time: float = 0.16
    coefficient: str = "fno_lognormal"
    drift: float = 20.0

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 4:
            raise ValueError(f"{self.name} needs a resolution of at least 4 points per side, got {n!r}")
        check_times(self.name, self.frames, self.final_time)
        if not math.isfinite(self.drift):
            raise ValueError(f"{self.name} needs a finite drift, got {self.drift!r}")
        if coefficient_law(self.coefficient, 2).phases is not None:
            raise ValueError(
                f"{self.name} needs a law a = exp(g), which can drift; {self.coefficient!r} has two phases"
            )

    @property
    def dt(self) -> float:
        """Length of a step."""
        return self.final_time / self.frames

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: ``a``, ``a_turned`` if a drifts, the initial state ``u0``, and the steps ``u``."""
        n = self.resolution
        fields = {"a": FieldSpec((n, n), "input", "conductivity at t = 0")}
        if self.drift != 0.0:
            fields["a_turned"] = FieldSpec((n, n), "input", "conductivity after a quarter turn, t = π/(2 drift)")
        fields["u0"] = FieldSpec((n, n), "input", "initial temperature at the cell centres")
        fields["u"] = FieldSpec((self.frames, n, n), "solution", "temperature at the cell centres by time")
        return fields

    def axes(self) -> dict[str, FloatArray]:
        """Return times and cell centres."""
        centres = grid_points(self.resolution, "cell")
        return {"t": frame_times(self.frames, self.final_time), "x": centres, "y": centres}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        g = _initial()
        turning = f"turning into an independent one with angular velocity {self.drift:g}"
        return (
            f"{coefficient_law(self.coefficient, 2).text()}, {turning if self.drift else 'constant in time'}; initial "
            f"temperature Gaussian with covariance proportional to (−Δ + {g.tau:g}²)^(−{g.alpha:g}), Neumann cosine "
            "modes, unit mean variance."
        )

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw two conductivities and an initial temperature: one stream is one problem on every grid."""
        law = coefficient_law(self.coefficient, 2)
        a, turned = law.draw(rng, self.resolution), law.draw(rng, self.resolution)
        inputs = {"a": a, "a_turned": turned, "u0": _initial().sample(rng, self.resolution)}
        return {name: inputs[name] for name in self.fields() if name in inputs}

    def steps(self, inputs: Inputs) -> int:
        """Return the number of frames; ValueError for bad inputs."""
        shape = (self.resolution,) * 2
        for name, spec in self.fields().items():
            if spec.role == "input":
                if name not in inputs:
                    raise ValueError(f"{self.name} needs {name!r} among its inputs, got {sorted(inputs)}")
                check_field(inputs[name], shape, name)
                if name != "u0":
                    check_coefficient(inputs[name], shape, name)
        f = inputs.get("f")
        if f is not None and np.shape(f) not in (shape, (self.frames, *shape)):
            raise ValueError(f"f must have the shape {shape}, or one more axis of {self.frames} times: {np.shape(f)}")
        return self.frames

    def members(self, chunk: int) -> int:
        """Return how many trajectories are marched together: what keeps their fields in the cache."""
        from ...solvers.costs import ensemble_width

        return ensemble_width(self.resolution**2, 2, chunk)

    def integrator(self) -> str:
        """Return how steps are made."""
        kept = "multigrid hierarchies are set up for each" if self.drift else "a is constant: one multigrid hierarchy"
        return f"BDF2, a positive definite system a step, from an extrapolated guess; {kept}"

    def march(self, inputs: Inputs, aim: float) -> March:
        """March with BDF2.

        Parameters
        ----------
        inputs : mapping
            ``a``, ``a_turned`` if the conductivity drifts, and ``u0``; optionally a source ``f``, a field on the grid
            or one for each time.
        aim : float
            Relative residual of each step.
        """
        return self.march_together([inputs], aim)[0]

    def march_together(self, several: Sequence[Inputs], aim: float) -> list[March]:
        """March several samples with BDF2, one step of all of them after the other."""
        equations = [_Equations(self, inputs) for inputs in several]
        systems = DefiniteSteps(min(aim, _CONSERVING))
        states = [np.stack([np.asarray(inputs["u0"], dtype=np.float64) for inputs in several])]
        for step in range(self.frames):
            alpha, r = history(states)
            if step < 2 or self.drift != 0.0:  # else neither a nor α nor dt has changed
                systems.take([each.operator(step, alpha) for each in equations])
            right = r + np.stack([np.broadcast_to(each.source(step), r.shape[1:]) for each in equations])
            states.append(systems.solve(right, extrapolated(states)))
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
            A = None
            for step in range(self.frames):
                alpha, r = history(states[max(step - 1, 0) : step + 1])
                if A is None or step < 2 or self.drift != 0.0:
                    A = equations.operator(step, alpha)
                right = r + equations.source(step)
                with np.errstate(over="ignore", invalid="ignore"):
                    left = np.linalg.norm(right.ravel() - A.matvec(states[step + 1].ravel()))
                    worst = float(np.maximum(worst, left / (np.linalg.norm(right) or 1.0)))
            return {"step_residual": worst}

        return judge

    def checks(self, inputs: Inputs, solution: Fields) -> Sequence[tuple[str, bool, str]]:
        """Check the first operator of BDF2, that heat is conserved, and that differences of temperature decay."""
        n, equations = self.resolution, _Equations(self, inputs)
        matrix = equations.operator(1, 1.5).to_sparse()
        size = float(abs(matrix).max())
        asymmetry, sums = float(abs(matrix - matrix.T).max()), matrix @ np.ones(n * n)
        rows = np.repeat(np.arange(n * n), np.diff(matrix.indptr))
        coupling = float(matrix.data[rows != matrix.indices].max())
        u0, u = np.asarray(inputs["u0"], dtype=np.float64), np.asarray(solution["u"], dtype=np.float64)
        scale = float(np.abs(u0).max()) or 1.0
        change = float(np.abs(u.mean(axis=(1, 2)) - u0.mean()).max())
        begun, left = float(np.std(u0)), float(np.std(u[-1]))
        return [
            ("symmetry", asymmetry <= 1e-13 * size, f"max |A − Aᵀ| = {asymmetry:.2e}"),
            ("M-matrix signs", coupling <= 0.0, f"off-diagonal entries up to {coupling:.2e}"),
            ("row sums", bool(np.abs(sums - 1.5).max() <= 1e-12 * size), f"3/2 up to {np.abs(sums - 1.5).max():.2e}"),
            ("conservation", change <= 1e-6 * scale, f"mean temperature changes by {change:.1e} of {scale:.2g}"),
            ("decay", left <= begun + 1e-6 * scale, f"standard deviation from {begun:.2g} to {left:.2g}"),
        ]

    def manufactured(self) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return inputs with a source, and the exact solution u(x, t) that they belong to: tests both orders at once.

        u = cos πx cos 2πy cos 4t + cos(3πx)/2 · (1 + t) has no flux through the walls.
        """
        x, y = np.meshgrid(*[grid_points(self.resolution, "cell")] * 2, indexing="ij")
        g = 0.5 * np.sin(2.0 * x + 1.0) + 0.3 * np.cos(3.0 * y)
        turned = 0.4 * np.cos(2.0 * x) - 0.3 * np.sin(3.0 * y + 0.5)
        gradients = (
            (np.cos(2.0 * x + 1.0), -0.8 * np.sin(2.0 * x)),
            (-0.9 * np.sin(3.0 * y), -0.9 * np.cos(3 * y + 0.5)),
        )
        p, q, pi = np.cos(np.pi * x) * np.cos(2.0 * np.pi * y), 0.5 * np.cos(3.0 * np.pi * x), np.pi
        p_x, p_y = -pi * np.sin(pi * x) * np.cos(2.0 * pi * y), -2.0 * pi * np.cos(pi * x) * np.sin(2.0 * pi * y)
        q_x = -1.5 * pi * np.sin(3.0 * pi * x)
        u, f = [], []
        for t in self.axes()["t"]:
            c, s = math.cos(self.drift * t), math.sin(self.drift * t)
            phi_x, phi_y = (c * first + s * second for first, second in gradients)
            wave, growth = math.cos(4.0 * t), 1.0 + t
            u.append(wave * p + growth * q)
            laplacian = -5.0 * pi**2 * wave * p - 9.0 * pi**2 * growth * q
            gradient = phi_x * (wave * p_x + growth * q_x) + phi_y * wave * p_y
            f.append(-4.0 * math.sin(4.0 * t) * p + q - np.exp(c * g + s * turned) * (laplacian + gradient))
        inputs = {"a": np.exp(g), "u0": p + q, "f": np.stack(f)}
        return inputs | ({"a_turned": np.exp(turned)} if self.drift else {}), {"u": np.stack(u)}


class _Equations:
    """The equations (α + dt L) u = r + dt f of the steps of one trajectory."""

    def __init__(self, family: Heat2D, inputs: Inputs) -> None:
        self.family = family
        self.a = np.asarray(inputs["a"], dtype=np.float64)
        if family.drift != 0.0:
            self.logarithms = np.log(self.a), np.log(np.asarray(inputs["a_turned"], dtype=np.float64))
        self.f = np.asarray(inputs.get("f", 0.0), dtype=np.float64)

    def operator(self, step: int, alpha: float) -> Stencil:
        """Return α + dt L at the end of a step, counted from 0."""
        a, dt = self.a, self.family.dt
        if self.family.drift != 0.0:
            angle = self.family.drift * dt * (step + 1)
            a = np.exp(math.cos(angle) * self.logarithms[0] + math.sin(angle) * self.logarithms[1])
        return insulated_diffusion(a, 1.0 / self.family.resolution, dt, alpha)

    def source(self, step: int) -> FloatArray:
        """Return dt f at the end of a step."""
        return np.asarray(self.family.dt * (self.f[step] if self.f.ndim == 3 else self.f))


@functools.cache
def _initial() -> GaussianRandomField:
    return GaussianRandomField(2, alpha=2.5, tau=7.0, bc="neumann").normalised()
