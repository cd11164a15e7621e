"""The forms of spectral weights by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from ..model import check_among
from .cp import CPWeights
from .ranks import check_fraction
from .separable import SeparableWeights
from .tensor_train import TensorTrainWeights
from .tucker import TuckerWeights
from .weights import DenseWeights, Implementation, SpectralWeights

Form = Literal["dense", "cp", "tucker", "tt", "separable"]


def make_weights(
    form: Form,
    channels: int,
    modes: Sequence[int],
    *,
    rank: float,
    implementation: Implementation,
    layers: int | None = None,
) -> SpectralWeights:
    """Return spectral weights from `channels` to as many, for one layer or as many as share them."""
    check_among("weights", form, get_args(Form))
    check_among("implementation", implementation, get_args(Implementation))
    check_fraction(rank)
    if form == "dense":
        return DenseWeights(channels, channels, modes, layers=layers)
    if form == "separable":
        return SeparableWeights(channels, modes, layers=layers)
    if form == "cp":
        return CPWeights(channels, channels, modes, rank, layers=layers, implementation=implementation)
    if form == "tucker":
        return TuckerWeights(channels, channels, modes, rank, layers=layers, implementation=implementation)
    return TensorTrainWeights(channels, channels, modes, rank, layers=layers, implementation=implementation)
