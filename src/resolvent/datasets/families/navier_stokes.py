"""Incompressible flow in a periodic square: ω_t + v·∇ω = νΔω + F for the vorticity, pseudo-spectral."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, final

import numpy as np
import scipy.fft

from ..discrete_problem import Fields
from ..family import FieldSpec, Inputs
from ..random_fields import FloatArray, GaussianRandomField, grid_points
from ..schemes.diffusion import check_field
from ..schemes.etdrk4 import Nonlinear, Spectrum
from ..schemes.spectral import EVIDENCE, Budget, equal_pieces, march_spectra
from ..transient import Judge, March, TransientFamily, check_times, frame_times, judge_by_halving, march_by_halving
from .coefficients import coefficient_law
from .sines import check_choices, one_of


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class NavierStokes2D(TransientFamily):
    """Vorticity of an incompressible flow: ω_t + v·∇ω = νΔω + F, ω = ∂_x v_y − ∂_y v_x, ∇·v = 0, periodic unit square.

    Parameters
    ----------
    resolution : int
        Points i/n per side, at least 8.
    viscosities : tuple of float
        Values of ν, each as probable. The FNO paper has 1e-3, 1e-4 and 1e-5; the smaller ones need finer grids, as the
        energy in the top third says.
    forcing : float
        Amplitude of F = `forcing` (sin 2π(x + y) + cos 2π(x + y)).
    frames : int
        States stored, at equidistant times up to `final_time`.
    final_time : float
    courant : float
        Largest max(|v_x| + |v_y|) dt/dx to begin with, of the initial velocity and what the forcing alone adds.

    Notes
    -----
    Fourier modes |k|∞ ≤ (n − 1)/3 (2/3 rule), the initial vorticity cut to them; ETDRK4 in time, order 4. With
    −Δψ = ω and v = (∂_y ψ, −∂_x ψ) the nonlinear term is (∂_yy − ∂_xx)(v_x v_y) + ∂_xy (v_x² − v_y²), two transforms
    each way; in the truncated equation, as in the continuous one, it moves energy and enstrophy and makes none. Steps
    are halved at most four times until the difference to half the step is below half of rtol. The initial vorticity has
    an algebraic spectrum: on 64² the top third holds up to 5e-6 of its energy (40 samples), on 128² 25 times less.

    References
    ----------
    Li et al., arXiv 2010.08895 (law, forcing, ν); Basdevant 1983, doi:10.1016/0021-9991(83)90045-5 (nonlinear term);
    Kassam & Trefethen 2005, doi:10.1137/S1064827502410633.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import NavierStokes2D
    >>> family = NavierStokes2D(resolution=32, frames=2, final_time=1.0)
    >>> march = family.march(family.draw(np.random.default_rng(0)), 1e-6)
    >>> march.solution["omega"].shape, march.evidence["step_halving"] < 1e-6
    ((2, 32, 32), True)
    """

    name: ClassVar[str] = "ns2d_vorticity"
    aliases: ClassVar[tuple[str, ...]] = ("navier_stokes",)
    family_id: ClassVar[int] = 23
    title: ClassVar[str] = "Incompressible Navier–Stokes, vorticity, 2-D"
    equation: ClassVar[str] = "ω_t + v·∇ω = νΔω + F, ω = curl v, div v = 0"
    domain: ClassVar[str] = "[0, 1)²"
    boundary: ClassVar[str] = "periodic"
    grid: ClassVar[str] = "periodic"
    default_rtol: ClassVar[float] = 1e-4
    evidence: ClassVar[Mapping[str, str]] = EVIDENCE

    resolution: int = 64
    viscosities: tuple[float, ...] = (1e-3,)
    forcing: float = 0.1
    frames: int = 10
    final_time: float = 10.0
    courant: float = 1.0

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 8:
            raise ValueError(f"{self.name} needs a resolution of at least 8 points per side, got {n!r}")
        check_times(self.name, self.frames, self.final_time)
        object.__setattr__(self, "viscosities", check_choices(self.name, "viscosities", self.viscosities))
        if not math.isfinite(self.forcing):
            raise ValueError(f"{self.name} needs a finite forcing, got {self.forcing!r}")
        if not 0.0 < self.courant < math.inf:
            raise ValueError(f"{self.name} needs a positive courant number, got {self.courant!r}")

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: ``nu``, the initial vorticity ``omega0``, and the frames ``omega``."""
        n = self.resolution
        return {
            "nu": FieldSpec((), "parameter", "viscosity ν"),
            "omega0": FieldSpec((n, n), "input", "initial vorticity"),
            "omega": FieldSpec((self.frames, n, n), "solution", "vorticity by time"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return times and points."""
        points = grid_points(self.resolution, "periodic")
        return {"t": frame_times(self.frames, self.final_time), "x": points, "y": points}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        g = _initial()
        return (
            f"ω₀ Gaussian with covariance {g.sigma**2:.6g}·(−Δ + {g.tau:g}²)^(−{g.alpha:g}), periodic Fourier modes, "
            f"zero mean mode; ν {one_of(self.viscosities)}; F = {self.forcing:g} (sin 2π(x + y) + cos 2π(x + y))."
        )

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw ν, then the initial vorticity: one stream is one problem on every grid."""
        nu = np.asarray(self.viscosities[int(rng.integers(len(self.viscosities)))])
        return {"nu": nu, "omega0": _initial().sample(rng, self.resolution, "periodic")}

    def steps(self, inputs: Inputs) -> int:
        """Return the number of steps by the Courant number, see the parameter."""
        nu = float(inputs.get("nu", np.nan))
        if not 0.0 < nu < math.inf:
            raise ValueError(f"{self.name} needs a positive number 'nu', got {nu!r}")
        if "omega0" not in inputs:
            raise ValueError(f"{self.name} needs 'omega0' among its inputs, got {sorted(inputs)}")
        modes = _modes(self.resolution)
        v = modes.velocity(modes.cut(check_field(inputs["omega0"], (self.resolution,) * 2, "omega0")))
        # The forcing drives a velocity of amplitude forcing/(2π) √2 (|v_x| + |v_y|), until it decays as fast.
        lasting = min(self.final_time, 1.0 / (8.0 * np.pi**2 * nu))
        driven = abs(self.forcing) * lasting * math.sqrt(2.0) / (2.0 * np.pi)
        speed = float((np.abs(v[0]) + np.abs(v[1])).max()) + driven
        return self.frames * max(math.ceil(speed * self.resolution * self.final_time / self.courant / self.frames), 2)

    def integrator(self) -> str:
        """Return how steps are made."""
        return (
            "no systems to solve: diffusion and the Poisson equation are diagonal in Fourier space (exponential "
            "time differencing), steps are halved until the difference is small"
        )

    def march(self, inputs: Inputs, aim: float) -> March:
        """March with smaller and smaller steps until the difference to half the step is below the aim."""
        return march_by_halving(lambda steps: self.simulate(inputs, steps), self.steps(inputs), aim)

    def judge(self, inputs: Inputs, steps: int) -> Judge:
        """March with half the step, to compare with."""
        return judge_by_halving(lambda steps: self.simulate(inputs, steps), steps)

    def simulate(self, inputs: Inputs, steps: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """March with so many steps, a multiple of the frames; return the frames and evidence about them.

        Parameters
        ----------
        inputs : mapping
            ``nu`` and ``omega0``; optionally a steady forcing ``f``, a field on the grid, in place of F.
        """
        modes, nu = _modes(self.resolution), float(inputs["nu"])
        x, y = np.meshgrid(*[grid_points(self.resolution, "periodic")] * 2, indexing="ij")
        F = self.forcing * (np.sin(2.0 * np.pi * (x + y)) + np.cos(2.0 * np.pi * (x + y)))
        v = modes.cut(np.asarray(inputs["omega0"], dtype=np.float64))
        spectra, evidence = march_spectra(
            _advection(modes),
            -nu * modes.squares,
            v,
            modes.budget,
            equal_pieces(self.final_time, self.frames, steps // self.frames),
            modes.cut(np.asarray(inputs.get("f", F), dtype=np.float64)),
        )
        return {"omega": np.stack([modes.field(state) for state in spectra])}, evidence

    def checks(self, inputs: Inputs, solution: Fields) -> Sequence[tuple[str, bool, str]]:
        """Check that the vorticity has no mean, and grows by no more than the forcing."""
        omega = np.asarray(solution["omega"])
        sizes = np.sqrt(np.mean(omega**2, axis=(1, 2)))
        begun = math.sqrt(float(np.mean(np.asarray(inputs["omega0"]) ** 2)))
        allowed = begun + abs(self.forcing) * self.axes()["t"]  # the root mean square of F is its amplitude
        mean = float(np.abs(omega.mean(axis=(1, 2))).max())
        detail = f"root mean square of ω from {begun:.3g} to {sizes[-1]:.3g}"
        return [
            ("no mean", mean <= 1e-6 * (begun + sizes.max()), f"mean of ω up to {mean:.1e}"),
            ("enstrophy bound", bool((sizes <= (1.0 + 1e-6) * allowed).all()), detail),
        ]


class _Modes(NamedTuple):
    """The retained modes of an n by n grid: k_x in transform order, k_y ≥ 0."""

    n: int
    K: int
    kx: FloatArray
    ky: FloatArray
    squares: FloatArray
    budget: Budget

    def cut(self, field: FloatArray) -> Spectrum:
        """Return the retained modes of a field."""
        half = scipy.fft.rfft(field, axis=1, norm="forward")[:, : self.K + 1]
        full = scipy.fft.fft(half, axis=0, norm="forward", overwrite_x=True)
        return np.concatenate([full[: self.K + 1], full[-self.K :]])

    def field(self, v: Spectrum) -> FloatArray:
        """Return the values at the points."""
        padded = np.zeros((self.n, self.K + 1), dtype=np.complex128)
        padded[: self.K + 1], padded[-self.K :] = v[: self.K + 1], v[self.K + 1 :]
        half = scipy.fft.ifft(padded, axis=0, norm="forward", overwrite_x=True)
        return np.asarray(scipy.fft.irfft(half, self.n, axis=1, norm="forward"))

    def velocity(self, omega: Spectrum) -> tuple[FloatArray, FloatArray]:
        """Return (v_x, v_y) = (∂_y ψ, −∂_x ψ) at the points, −Δψ = ω."""
        psi = 1j * omega / np.where(self.squares > 0.0, self.squares, np.inf)
        return self.field(self.ky * psi), self.field(-self.kx * psi)


@functools.lru_cache(maxsize=4)
def _modes(n: int) -> _Modes:
    K = (n - 1) // 3
    i = np.concatenate([np.arange(K + 1), np.arange(-K, 0)])[:, None]
    j = np.arange(K + 1)[None, :]
    kx, ky = (2.0 * np.pi * k.astype(np.float64) for k in (i, j))
    squares = kx**2 + ky**2
    square = np.broadcast_to(np.where(j > 0, 2.0, 1.0), squares.shape)
    energy = 0.5 * square / np.where(squares > 0.0, squares, np.inf)  # ½∫|v|²
    top = np.maximum(np.abs(i), j) > 2.0 * K / 3.0
    return _Modes(n, K, kx, ky, squares, Budget(energy, square, top))


def _advection(modes: _Modes) -> Nonlinear:
    """Return −v·∇ω of a truncated spectrum."""
    straight, mixed = modes.kx**2 - modes.ky**2, modes.kx * modes.ky

    def nonlinear(omega: Spectrum) -> Spectrum:
        v_x, v_y = modes.velocity(omega)
        product = v_x * v_y
        v_x *= v_x
        v_y *= v_y
        v_y -= v_x
        out = straight * modes.cut(product)
        out += mixed * modes.cut(v_y)
        return out

    return nonlinear


def _initial() -> GaussianRandomField:
    """Law of ω₀: that of log a in the preset ``skr``."""
    return coefficient_law("skr", 2).field
