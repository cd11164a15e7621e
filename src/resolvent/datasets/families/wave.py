"""Acoustic waves in a medium of two phases: u_tt = ∇·(c²∇u) on a periodic square, by leapfrog."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, final

import numpy as np

from ..discrete_problem import Fields
from ..family import FieldSpec, Inputs
from ..random_fields import FloatArray, GaussianRandomField, grid_points
from ..schemes.diffusion import check_coefficient, check_field
from ..transient import Judge, March, TransientFamily, check_times, frame_times
from .sines import check_choices


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Wave2D(TransientFamily):
    """Waves on the periodic unit square: u_tt = ∇·(c²∇u), at rest to begin with.

    Parameters
    ----------
    resolution : int
        Points i/n per side, at least 8.
    speeds : (float, float)
        c where a Gaussian field is ≥ 0, and where it is < 0.
    frames : int
        States stored, at equidistant times up to `final_time`.
    final_time : float
    courant : float
        Largest max c · dt √2/h, below 1: the limit of stability.

    Notes
    -----
    Finite volumes around the points, c² on faces by harmonic means, and leapfrog in its form with positions u and
    velocities v = u_t at the same times. With L u = −∇·(c²∇u) it keeps ½‖v‖² + ½⟨u, Lu⟩ − dt²/8 ‖Lu‖², a positive form
    for stable dt, to rounding: the evidence is its drift, so it says that the scheme was followed, and the two-grid
    estimate what the scheme is worth. Second order where c is smooth. u and v are stored, so that the energy can be
    computed again. Cost: two passes over u and v a step.

    References
    ----------
    Hairer, Lubich & Wanner 2003, doi:10.1017/S0962492902000144.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Wave2D
    >>> family = Wave2D(resolution=32, frames=4)
    >>> march = family.march(family.draw(np.random.default_rng(0)), 1e-10)
    >>> march.solution["u"].shape, march.evidence["energy_drift"] < 1e-12
    ((4, 32, 32), True)
    """

    name: ClassVar[str] = "wave2d"
    aliases: ClassVar[tuple[str, ...]] = ("wave",)
    family_id: ClassVar[int] = 24
    title: ClassVar[str] = "Acoustic waves in two phases, 2-D"
    equation: ClassVar[str] = "u_tt = ∇·(c²∇u)"
    domain: ClassVar[str] = "[0, 1)²"
    boundary: ClassVar[str] = "periodic"
    grid: ClassVar[str] = "periodic"
    default_rtol: ClassVar[float] = 1e-10
    values_per_unknown: ClassVar[int] = 5000
    at_rest: ClassVar[tuple[str, ...]] = ("v",)
    evidence: ClassVar[Mapping[str, str]] = {
        "energy_drift": "largest change of the discrete energy over all frames, relative to the initial energy"
    }

    resolution: int = 64
    speeds: tuple[float, float] = (1.0, 2.0)
    frames: int = 20
    final_time: float = 1.0
    courant: float = 0.9

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 8:
            raise ValueError(f"{self.name} needs a resolution of at least 8 points per side, got {n!r}")
        check_times(self.name, self.frames, self.final_time)
        object.__setattr__(self, "speeds", check_choices(self.name, "speeds", self.speeds))
        if len(self.speeds) != 2:
            raise ValueError(f"{self.name} needs two speeds, got {self.speeds!r}")
        if not 0.0 < self.courant < 1.0:
            raise ValueError(f"{self.name} needs a courant number between 0 and 1, got {self.courant!r}")

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: ``c``, the initial state ``u0``, and the frames ``u`` and ``v``."""
        n = self.resolution
        frames = (self.frames, n, n)
        return {
            "c": FieldSpec((n, n), "input", "speed of sound"),
            "u0": FieldSpec((n, n), "input", "initial pressure"),
            "u": FieldSpec(frames, "solution", "pressure by time"),
            "v": FieldSpec(frames, "solution", "rate of change of the pressure by time"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return times and points."""
        points = grid_points(self.resolution, "periodic")
        return {"t": frame_times(self.frames, self.final_time), "x": points, "y": points}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        phase, start = _phase(), _start()
        return (
            f"c = {self.speeds[0]:g} where g ≥ 0, else {self.speeds[1]:g}, g Gaussian with covariance proportional to "
            f"(−Δ + {phase.tau:g}²)^(−{phase.alpha:g}); u₀ Gaussian with covariance proportional to "
            f"(−Δ + {start.tau:g}²)^(−{start.alpha:g}), unit variance; both periodic, zero mean mode; u_t = 0 at t = 0."
        )

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw c, then the initial pressure: one stream is one problem on every grid."""
        g = _phase().sample(rng, self.resolution, "periodic")
        return {"c": np.where(g >= 0.0, *self.speeds), "u0": _start().sample(rng, self.resolution, "periodic")}

    def steps(self, inputs: Inputs) -> int:
        """Return the least multiple of `frames` that keeps to the Courant number; ValueError for bad inputs."""
        missing = [name for name in ("c", "u0") if name not in inputs]
        if missing:
            raise ValueError(f"{self.name} needs {missing[0]!r} among its inputs, got {sorted(inputs)}")
        shape = (self.resolution,) * 2
        c = check_coefficient(inputs["c"], shape, "c")
        check_field(inputs["u0"], shape, "u0")
        rate = float(c.max()) * math.sqrt(2.0) * self.resolution / self.courant
        return self.frames * math.ceil(rate * self.final_time / self.frames)

    def integrator(self) -> str:
        """Return how steps are made."""
        return "no systems to solve: explicit leapfrog at a stable step"

    def march(self, inputs: Inputs, aim: float) -> March:
        """March with the stated steps: the energy does not depend on their length."""
        steps = self.steps(inputs)
        solution, judge = self.simulate(inputs, steps), self.judge(inputs, steps)
        return March(solution, steps, judge, judge(solution))

    def simulate(self, inputs: Inputs, steps: int) -> dict[str, np.ndarray]:
        """March with so many steps, a multiple of the frames; ``v0`` may be given besides ``c`` and ``u0``."""
        from ..schemes.wave_kernels import leapfrog

        n = self.resolution
        u = np.array(inputs["u0"], dtype=np.float64)
        v = np.array(inputs.get("v0", np.zeros_like(u)), dtype=np.float64)
        tx, ty = self._couplings(inputs)
        solution = {name: np.empty((self.frames, n, n)) for name in ("u", "v")}
        for frame in range(self.frames):
            leapfrog(u, v, tx, ty, self.final_time / steps, steps // self.frames)
            solution["u"][frame], solution["v"][frame] = u, v
        return solution

    def judge(self, inputs: Inputs, steps: int) -> Judge:
        """Return what compares the energies of frames with the initial one."""
        dt, couplings = self.final_time / steps, self._couplings(inputs)
        u0 = np.asarray(inputs["u0"], dtype=np.float64)
        begun = _energy(u0, np.zeros_like(u0), couplings, dt)

        def judge(solution: Fields) -> dict[str, float]:
            frames = zip(solution["u"], solution["v"], strict=True)
            drift = np.max([abs(_energy(u, v, couplings, dt) - begun) for u, v in frames])
            return {"energy_drift": float(drift / (begun or 1.0))}

        return judge

    def _couplings(self, inputs: Inputs) -> tuple[FloatArray, FloatArray]:
        """Return the harmonic means of c² between a point and the next along each axis, over h²."""
        a = np.asarray(inputs["c"], dtype=np.float64) ** 2
        across = (np.roll(a, -1, axis=axis) for axis in (0, 1))
        tx, ty = (2.0 * a * (b / (a + b)) * self.resolution**2 for b in across)
        return tx, ty

    def checks(self, inputs: Inputs, solution: Fields) -> Sequence[tuple[str, bool, str]]:
        """Check that the mean pressure stays."""
        u0 = np.asarray(inputs["u0"], dtype=np.float64)
        change = np.abs(np.mean(solution["u"], axis=(1, 2)) - u0.mean()).max()
        size = float(np.abs(u0).max())
        return [("conservation", bool(change <= 1e-6 * size), f"mean pressure changes by {change:.1e} of {size:.2g}")]


def _energy(u: FloatArray, v: FloatArray, couplings: tuple[FloatArray, FloatArray], dt: float) -> float:
    """Return ½‖v‖² + ½⟨u, Lu⟩ − dt²/8 ‖Lu‖²."""
    from ..schemes.wave_kernels import kick

    Lu = np.zeros(u.shape)
    kick(np.ascontiguousarray(u, dtype=np.float64), *couplings, -1.0, Lu)
    with np.errstate(over="ignore", invalid="ignore"):  # of an unstable march
        return float(0.5 * np.sum(v * v) + 0.5 * np.sum(u * Lu) - dt**2 / 8.0 * np.sum(Lu * Lu))


def _phase() -> GaussianRandomField:
    return GaussianRandomField(2, alpha=2.0, tau=3.0, bc="periodic")


def _start() -> GaussianRandomField:
    return GaussianRandomField(2, alpha=4.0, tau=10.0, bc="periodic").normalised()
