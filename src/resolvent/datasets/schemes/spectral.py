"""What pseudo-spectral families share: marching with evidence about resolution and about the equation itself.

Spectra are Fourier coefficients (``norm="forward"``) of real fields, last axis halved, and hold the modes |k| ≤ K only
with 3K < N on N points: products of two such fields are then free of aliasing in these modes (the 2/3 rule), and the
truncated equation keeps the invariants of the continuous one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .etdrk4 import Coefficients, FloatArray, Nonlinear, Spectrum, coefficients, etdrk4

EVIDENCE: Final[Mapping[str, str]] = {
    "step_halving": "largest difference of a frame to that of half the step, relative to the largest frame",
    "top_third": "largest share of the energy in the top third of the retained modes, over all frames",
    "mean_drift": "largest change of the mean, relative to the largest root mean square",
    "transfer": "mean square that the nonlinear term makes instead of moving it, ⟨v, N⟩/(‖v‖ ‖N‖), over all frames",
}
"""The certificate's further columns. All but the first are of the trajectory with half the step."""


class Budget(NamedTuple):
    """What the evidence about a spectrum is weighed with.

    Attributes
    ----------
    energy : array
        The energy is Σ energy |v|² over the stored half of the spectrum.
    square : array
        The mean square is Σ square |v|², so 1 where a mode is its own conjugate, else 2.
    top : array of bool
        The modes above two thirds of the largest retained one.
    """

    energy: FloatArray
    square: FloatArray
    top: npt.NDArray[np.bool_]


class Piece(NamedTuple):
    """A stretch of time with equal steps.

    Attributes
    ----------
    length : float
    steps : int
    stored : bool
        Whether a frame is stored at its end.
    """

    length: float
    steps: int
    stored: bool


def equal_pieces(final_time: float, frames: int, each: int) -> list[Piece]:
    """Return one piece of `each` steps for every frame."""
    return [Piece(final_time / frames, each, True)] * frames


def graded_pieces(final_time: float, frames: int, each: int, decay: float) -> list[Piece]:
    """Return one piece of `each` steps for every frame, the first one halved until its first step is at most 1/decay.

    A layer in which fast modes decay and drive slow ones is so resolved with steps that grow like the time.
    """
    length = final_time / frames
    halvings = max(0, int(np.ceil(np.log2(length * decay / each))))
    parts = [2.0**-halvings, *(2.0**-j for j in range(halvings, 0, -1))]
    layer = [Piece(length * part, each, False) for part in parts[:-1]] + [Piece(length * parts[-1], each, True)]
    return layer + equal_pieces(final_time - length, frames - 1, each) if frames > 1 else layer


def march_spectra(
    nonlinear: Nonlinear,
    L: FloatArray,
    v: Spectrum,
    budget: Budget,
    pieces: Sequence[Piece],
    forcing: Spectrum | None = None,
) -> tuple[list[Spectrum], dict[str, float]]:
    """March and return the spectra of the frames, and the evidence of `EVIDENCE` but for the first.

    Parameters
    ----------
    nonlinear : callable
        N(v), whose mean square with v vanishes.
    L : array
        The linear term, diagonal.
    forcing : array, optional
        Constant in time, added to N.
    """

    def right(v: Spectrum) -> Spectrum:
        N = nonlinear(v)
        if forcing is not None:
            N += forcing
        return N

    steps: dict[float, Coefficients] = {}
    now, kept = v, []
    with np.errstate(over="ignore", invalid="ignore"):  # an unstable step is told by the evidence
        for piece in pieces:
            h = piece.length / piece.steps
            if h not in steps:
                steps = {h: coefficients(L, h)}
            now = etdrk4(right, steps[h], now, piece.steps)
            if piece.stored:
                kept.append(now)
        return kept, _evidence(nonlinear, budget, [v, *kept])


def _evidence(nonlinear: Nonlinear, budget: Budget, states: Sequence[Spectrum]) -> dict[str, float]:
    v = states[0]
    zero = (0,) * v.ndim
    size = max(_sum(budget.square, state) for state in states) ** 0.5
    drift = np.max([abs(complex(state[zero] - v[zero])) for state in states])
    return {
        "top_third": float(np.max([_share(budget, state) for state in states])),
        "mean_drift": float(drift / (size or 1.0)),
        "transfer": float(np.max([_made(budget.square, state, nonlinear(state)) for state in states])),
    }


def _sum(weights: FloatArray, v: Spectrum) -> float:
    return float(np.sum(weights * (v.real**2 + v.imag**2)))


def _share(budget: Budget, v: Spectrum) -> float:
    total = _sum(budget.energy, v)
    return _sum(budget.energy * budget.top, v) / total if total != 0.0 else 0.0


def _made(weights: FloatArray, v: Spectrum, N: Spectrum) -> float:
    size = (_sum(weights, v) * _sum(weights, N)) ** 0.5
    return abs(float(np.sum(weights * (v.real * N.real + v.imag * N.imag)))) / size if size != 0.0 else 0.0
