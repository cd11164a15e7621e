"""Burgers' equation on a circle: u_t + (u²/2)_x = νu_xx, pseudo-spectral."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, final

import numpy as np
import scipy.fft

from ..discrete_problem import Fields
from ..family import FieldSpec, Inputs
from ..random_fields import FloatArray, grid_points
from ..schemes.etdrk4 import Nonlinear, Spectrum
from ..schemes.spectral import EVIDENCE, Budget, Piece, graded_pieces, march_spectra
from ..transient import Judge, March, TransientFamily, check_times, frame_times, judge_by_halving, march_by_halving
from .sines import RandomSines, check_choices, one_of

_POINTS_A_FRONT: Final = 1.4
"""N ≥ 1.4 Δu/ν: a front between u and u + Δu is a hyperbolic tangent, its modes decay like exp(−4π²νk/Δu), and at the
top third, k = 2N/9, that is then below exp(−12)."""
_POINTS_A_WAVE: Final = 16


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Burgers1D(TransientFamily):
    """Burgers' equation on the unit circle: u_t + (u²/2)_x = νu_xx, u(x, 0) a sum of sines.

    Parameters
    ----------
    resolution : int
        Points i/n at which states are stored, at least 8. The equation is solved on its own grid, see below.
    viscosities : tuple of float
        Values of ν, each as probable.
    frames : int
        States stored, at equidistant times up to `final_time`.
    final_time : float
    waves, most : int
        Number of sines of the initial state, and their largest wave number.
    courant : float
        Largest max|u₀| dt/dx to begin with.
    refinement : int
        Factor on the points of the equation's grid.

    Notes
    -----
    Fourier modes |k| ≤ (N − 1)/3 on N points (2/3 rule), ETDRK4 in time, order 4. N is the power of two that resolves
    the thinnest front, N ≥ max(16 most, 1.4 Δu/ν) with Δu = max u₀ − min u₀, times `refinement`; it does not depend on
    the stored grid, at whose points the trigonometric polynomial is evaluated exactly. Steps: max|u₀| dt ≤ `courant` dx
    up to each frame; the way to the first frame is halved, and each part given as many steps, until the first of them
    is below 1/(2ν(2πk)²), the decay of the largest initial wave number k. All are halved at most four times until the
    difference to half the step is below half of rtol. ½∫u² falls by ν∫u_x² and the mean stays, also in the truncated
    equation. PDEBench writes the viscous term as (ν/π)u_xx: its ν is π times ours.

    References
    ----------
    Kassam & Trefethen 2005, doi:10.1137/S1064827502410633; Takamoto et al. 2022, arXiv 2210.07182 (values of ν).

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Burgers1D
    >>> family = Burgers1D(resolution=64, frames=4, viscosities=(0.04,))
    >>> march = family.march(family.draw(np.random.default_rng(0)), 1e-7)
    >>> march.solution["u"].shape, march.rho < 1e-7
    ((4, 64), True)
    """

    name: ClassVar[str] = "burgers1d"
    aliases: ClassVar[tuple[str, ...]] = ("burgers",)
    family_id: ClassVar[int] = 22
    title: ClassVar[str] = "Burgers' equation on a circle, 1-D"
    equation: ClassVar[str] = "u_t + (u²/2)_x = νu_xx"
    domain: ClassVar[str] = "[0, 1)"
    boundary: ClassVar[str] = "periodic"
    grid: ClassVar[str] = "periodic"
    default_rtol: ClassVar[float] = 1e-6
    evidence: ClassVar[Mapping[str, str]] = EVIDENCE

    resolution: int = 1024
    viscosities: tuple[float, ...] = (0.002, 0.007, 0.02, 0.04, 0.2, 0.4, 2.0)
    frames: int = 20
    final_time: float = 1.0
    waves: int = 2
    most: int = 8
    courant: float = 1.0
    refinement: int = 1

    def __post_init__(self) -> None:
        check_times(self.name, self.frames, self.final_time)
        object.__setattr__(self, "viscosities", check_choices(self.name, "viscosities", self.viscosities))
        for option, least in (("resolution", 8), ("refinement", 1)):
            value = getattr(self, option)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{self.name} needs {option} ≥ {least}, got {value!r}")
        if not 0.0 < self.courant < math.inf:
            raise ValueError(f"{self.name} needs a positive courant number, got {self.courant!r}")
        self._sines  # noqa: B018 - checks waves and most

    @property
    def _sines(self) -> RandomSines:
        return RandomSines(self.waves, self.most)

    def refined(self) -> Burgers1D:
        """Return the family with the equation's grid twice as fine; the stored points are the same."""
        return dataclasses.replace(self, refinement=2 * self.refinement)

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: the numbers of the problem, the initial state ``u0``, and the frames ``u``."""
        return {
            "nu": FieldSpec((), "parameter", "viscosity ν"),
            **self._sines.fields(),
            "u0": FieldSpec((self.resolution,), "input", "initial velocity"),
            "u": FieldSpec((self.frames, self.resolution), "solution", "velocity by time"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return times and points."""
        return {"t": frame_times(self.frames, self.final_time), "x": grid_points(self.resolution, "periodic")}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        return f"{self._sines.text()}; ν {one_of(self.viscosities)}."

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw ν, then the sines; the field ``u0`` is made of them, and the problem is posed by the numbers."""
        nu = np.asarray(self.viscosities[int(rng.integers(len(self.viscosities)))])
        numbers = self._sines.draw(rng)
        return {"nu": nu, **numbers, "u0": self._sines.evaluate(numbers, self.axes()["x"])}

    def points(self, inputs: Inputs) -> int:
        """Return the number N of points of the equation's grid."""
        nu = float(inputs["nu"])
        needed = max(_POINTS_A_WAVE * self.most, _POINTS_A_FRONT * np.ptp(self._scanned(inputs)) / nu)
        return int(self.refinement * 2 ** math.ceil(math.log2(needed)))

    def steps(self, inputs: Inputs) -> int:
        """Return the number of steps by the speed and the decay of the initial state."""
        nu = float(inputs.get("nu", np.nan))
        if not 0.0 < nu < math.inf:
            raise ValueError(f"{self.name} needs a positive number 'nu', got {nu!r}")
        return sum(piece.steps for piece in self._pieces(inputs))

    def _pieces(self, inputs: Inputs) -> list[Piece]:
        """Return the steps to begin with."""
        rate = float(np.abs(self._scanned(inputs)).max()) * self.points(inputs) / self.courant
        each = max(math.ceil(rate * self.final_time / self.frames), 2)
        decay = 2.0 * float(inputs["nu"]) * (2.0 * np.pi * float(np.max(inputs["wavenumber"]))) ** 2
        return graded_pieces(self.final_time, self.frames, each, self.refinement * decay)

    def _scanned(self, inputs: Inputs) -> FloatArray:
        return self._sines.evaluate(inputs, grid_points(64 * self.most, "periodic"))

    def integrator(self) -> str:
        """Return how steps are made."""
        return (
            "no systems to solve: diffusion is diagonal in Fourier space and exact (exponential time "
            "differencing), steps are halved until the difference is small"
        )

    def march(self, inputs: Inputs, aim: float) -> March:
        """March with smaller and smaller steps until the evidence is below the aim."""
        return march_by_halving(lambda steps: self.simulate(inputs, steps), self.steps(inputs), aim)

    def judge(self, inputs: Inputs, steps: int) -> Judge:
        """March with half the step, to compare with."""
        return judge_by_halving(lambda steps: self.simulate(inputs, steps), steps)

    def simulate(self, inputs: Inputs, steps: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """March with so many steps, a multiple of `steps`; return the frames and evidence about them."""
        begun, N, nu = self._pieces(inputs), self.points(inputs), float(inputs["nu"])
        finer = steps // sum(piece.steps for piece in begun)
        pieces = [piece._replace(steps=finer * piece.steps) for piece in begun]
        K = (N - 1) // 3
        k: FloatArray = 2.0 * np.pi * np.arange(K + 1, dtype=np.float64)
        v = scipy.fft.rfft(self._sines.evaluate(inputs, grid_points(N, "periodic")), norm="forward")[: K + 1]
        square = np.where(k > 0.0, 2.0, 1.0)
        budget = Budget(0.5 * square, square, np.arange(K + 1) > 2 * K / 3)
        spectra, evidence = march_spectra(_steepening(N, k), -nu * k**2, v, budget, pieces)
        return {"u": _at_points(np.asarray(spectra), self.resolution)}, evidence

    def checks(self, inputs: Inputs, solution: Fields) -> Sequence[tuple[str, bool, str]]:
        """Check the maximum principle and the decay of the mean square."""
        u0 = self._scanned(inputs)
        states = np.asarray(solution["u"])
        largest = [float(np.abs(u0).max()), *np.abs(states).max(axis=1).tolist()]
        squares = [float(np.mean(u0**2)), *np.mean(states**2, axis=1).tolist()]
        return [
            ("maximum principle", _falls(largest), f"max|u| from {largest[0]:.3g} to {largest[-1]:.3g}"),
            ("decay", _falls(squares), f"mean u² from {squares[0]:.3g} to {squares[-1]:.3g}"),
        ]


def _steepening(N: int, k: FloatArray) -> Nonlinear:
    """Return −(u²/2)_x of a truncated spectrum."""
    factor = -0.5j * k

    def nonlinear(v: Spectrum) -> Spectrum:
        u = scipy.fft.irfft(v, N, norm="forward")
        u *= u
        return np.asarray(factor * scipy.fft.rfft(u, norm="forward", overwrite_x=True)[: k.size])

    return nonlinear


def _at_points(spectra: Spectrum, n: int) -> FloatArray:
    """Return the values of trigonometric polynomials, one a row, at n points."""
    stride = -(-2 * spectra.shape[1] // n)
    return np.ascontiguousarray(scipy.fft.irfft(spectra, stride * n, norm="forward")[:, ::stride])


def _falls(values: Sequence[float]) -> bool:
    """Whether no value exceeds the first, up to what points, frames and rounding to single precision may miss."""
    return bool(max(values[1:]) <= (1.0 + 1e-3) * values[0])
