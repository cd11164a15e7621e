"""Advection on a circle: u_t + βu_x = 0, by an exact shift of the Fourier modes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, final

import numpy as np
import scipy.fft

from ..discrete_problem import Fields
from ..family import FieldSpec, Inputs
from ..random_fields import FloatArray, grid_points
from ..transient import Judge, March, TransientFamily, check_times, frame_times, worst_frame
from .sines import RandomSines, check_choices, one_of


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Advection1D(TransientFamily):
    """Advection on the unit circle: u_t + βu_x = 0, u(x, 0) a sum of sines.

    Parameters
    ----------
    resolution : int
        Points i/n of the circle, more than twice `most`.
    speeds : tuple of float
        Values of β, each as probable.
    frames : int
        States stored, at equidistant times up to `final_time`.
    final_time : float
    waves, most : int
        Number of sines of the initial state, and their largest wave number.

    Notes
    -----
    The Fourier coefficients turn by exp(−2πikβt): no error but rounding, and no time step; the certificate's
    ``iterations`` are the frames. Evidence is the largest difference to Σ A sin(2πk(x − βt) + φ), evaluated from the
    stored numbers without a transform. Cost: a transform of n points a frame.

    References
    ----------
    β as in PDEBench: Takamoto et al. 2022, arXiv 2210.07182.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Advection1D
    >>> family = Advection1D(resolution=64)
    >>> march = family.march(family.draw(np.random.default_rng(0)), 1e-10)
    >>> march.solution["u"].shape, march.evidence["exact_error"] < 1e-12
    ((40, 64), True)
    """

    name: ClassVar[str] = "advection1d"
    aliases: ClassVar[tuple[str, ...]] = ("advection",)
    family_id: ClassVar[int] = 21
    title: ClassVar[str] = "Advection on a circle, 1-D"
    equation: ClassVar[str] = "u_t + βu_x = 0"
    domain: ClassVar[str] = "[0, 1)"
    boundary: ClassVar[str] = "periodic"
    grid: ClassVar[str] = "periodic"
    default_rtol: ClassVar[float] = 1e-10
    evidence: ClassVar[Mapping[str, str]] = {
        "exact_error": "largest difference of a frame to the exact solution, relative to the largest frame"
    }

    resolution: int = 256
    speeds: tuple[float, ...] = (0.2, 0.4, 0.7, 2.0, 4.0)
    frames: int = 40
    final_time: float = 2.0
    waves: int = 2
    most: int = 8

    def __post_init__(self) -> None:
        check_times(self.name, self.frames, self.final_time)
        object.__setattr__(self, "speeds", check_choices(self.name, "speeds", self.speeds, positive=False))
        n, least = self.resolution, 2 * self._sines.most + 1
        if isinstance(n, bool) or not isinstance(n, int) or n < least:
            raise ValueError(f"{self.name} needs a resolution of at least 2·most + 1 = {least} points, got {n!r}")

    @property
    def _sines(self) -> RandomSines:
        return RandomSines(self.waves, self.most)

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: the numbers of the problem, the initial state ``u0``, and the frames ``u``."""
        return {
            "beta": FieldSpec((), "parameter", "speed β"),
            **self._sines.fields(),
            "u0": FieldSpec((self.resolution,), "input", "initial state"),
            "u": FieldSpec((self.frames, self.resolution), "solution", "states by time"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return times and points."""
        return {"t": frame_times(self.frames, self.final_time), "x": grid_points(self.resolution, "periodic")}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        return f"{self._sines.text()}; β {one_of(self.speeds)}."

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw β, then the sines; the field ``u0`` is made of them, and the problem is posed by the numbers."""
        beta = np.asarray(self.speeds[int(rng.integers(len(self.speeds)))])
        numbers = self._sines.draw(rng)
        return {"beta": beta, **numbers, "u0": self._sines.evaluate(numbers, self.axes()["x"])}

    def steps(self, inputs: Inputs) -> int:
        """Return the number of frames: each is one shift. ValueError for numbers that are not admissible."""
        if not np.isfinite(np.asarray(inputs.get("beta", np.nan))):
            raise ValueError(f"{self.name} needs a finite number 'beta', got {inputs.get('beta')!r}")
        self._sines.evaluate(inputs, np.zeros(1))
        return self.frames

    def integrator(self) -> str:
        """Return how steps are made."""
        return "no systems to solve: Fourier modes are shifted exactly, whatever the time"

    def march(self, inputs: Inputs, aim: float) -> March:
        """Shift the initial state to every frame."""
        solution = {"u": self.shifted(inputs)}
        judge = self.judge(inputs, self.frames)
        return March(solution, self.frames, judge, judge(solution))

    def shifted(self, inputs: Inputs) -> FloatArray:
        """Return the frames by transforms, a (frames, resolution) array."""
        n, axes = self.resolution, self.axes()
        modes = scipy.fft.rfft(self._sines.evaluate(inputs, axes["x"]))
        k = np.arange(modes.size)
        turned = modes * np.exp(-2j * np.pi * float(inputs["beta"]) * axes["t"][:, None] * k)
        return np.asarray(scipy.fft.irfft(turned, n, overwrite_x=True))

    def judge(self, inputs: Inputs, steps: int) -> Judge:
        """Return what compares with the exact solution."""
        axes = self.axes()
        exact = {"u": self._sines.evaluate(inputs, axes["x"] - float(inputs["beta"]) * axes["t"][:, None])}
        return lambda solution: {"exact_error": worst_frame(solution, exact)}

    def checks(self, inputs: Inputs, solution: Fields) -> Sequence[tuple[str, bool, str]]:
        """Check that the mean square is that of the initial state, as a shift keeps it."""
        begun = np.mean(self._sines.evaluate(inputs, self.axes()["x"]) ** 2)
        change = float(np.abs(np.mean(np.asarray(solution["u"]) ** 2, axis=1) - begun).max() / begun)
        return [("conservation", change <= 1e-5, f"mean square changes by {change:.1e} of itself")]
