"""Random sums of a few sines on the unit interval: initial states of the one-dimensional transient families."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..family import FieldSpec, Inputs
from ..random_fields import FloatArray


@dataclasses.dataclass(frozen=True)
class RandomSines:
    """u₀(x) = Σ_j A_j sin(2π k_j x + φ_j): A_j uniform on (0, 1), k_j on 1, …, `most`, φ_j on (0, 2π).

    The law of PDEBench (Takamoto et al. 2022, arXiv 2210.07182) without its random windows and signs. It is stored by
    its numbers, so that it can be evaluated anywhere in double precision.

    Parameters
    ----------
    waves : int
        Number of sines.
    most : int
        Largest wave number.
    """

    waves: int
    most: int

    def __post_init__(self) -> None:
        for name, value in (("waves", self.waves), ("most", self.most)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"random sines need {name} ≥ 1, got {value!r}")

    def fields(self) -> dict[str, FieldSpec]:
        """Return the specifications of the numbers."""
        shape = (self.waves,)
        return {
            "amplitude": FieldSpec(shape, "parameter", "amplitudes A_j of the initial sines"),
            "wavenumber": FieldSpec(shape, "parameter", "periods k_j of the initial sines", kind="integer"),
            "phase": FieldSpec(shape, "parameter", "phases φ_j of the initial sines", "rad"),
        }

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw the numbers of one state."""
        return {
            "amplitude": rng.uniform(0.0, 1.0, self.waves),
            "wavenumber": rng.integers(1, self.most, self.waves, endpoint=True),
            "phase": rng.uniform(0.0, 2.0 * np.pi, self.waves),
        }

    def evaluate(self, inputs: Inputs, x: FloatArray) -> FloatArray:
        """Return u₀ at points of any shape.

        Raises
        ------
        ValueError
            If the numbers are missing, not finite, or of other shapes.
        """
        state = np.zeros(np.shape(x))
        amplitude, wavenumber, phase = (_numbers(inputs, name) for name in ("amplitude", "wavenumber", "phase"))
        for A, k, angle in zip(amplitude, wavenumber, phase, strict=True):
            state += A * np.sin(2.0 * np.pi * k * x + angle)
        return state

    def text(self) -> str:
        """Return the law in words and symbols."""
        return (
            f"u₀ = Σ A_j sin(2π k_j x + φ_j) with {self.waves} terms, A uniform on (0, 1), k on 1, …, {self.most}, "
            "φ on (0, 2π)"
        )


def _numbers(inputs: Inputs, name: str) -> FloatArray:
    values = np.asarray(inputs.get(name, np.nan), dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"the initial state needs a list of finite numbers {name!r}, got {values!r}")
    return values


def check_choices(name: str, option: str, values: tuple[float, ...], *, positive: bool = True) -> tuple[float, ...]:
    """Return the values that a parameter is drawn from, as floats, or raise ValueError."""
    chosen = tuple(float(v) for v in np.atleast_1d(np.asarray(values, dtype=np.float64)))
    if not chosen or not np.isfinite(chosen).all() or (positive and min(chosen) <= 0.0):
        kind = "positive" if positive else "finite"
        raise ValueError(f"{name} needs a list of {kind} {option}, got {values!r}")
    return chosen


def one_of(values: tuple[float, ...]) -> str:
    """Return a law in words: one of some values."""
    listed = ", ".join(f"{v:g}" for v in values)
    return listed if len(values) == 1 else f"uniform on {{{listed}}}"
