"""Losses by name, and their weighted sums."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import torch

from ..data.geometry import Geometry
from .derivatives import H1, HelmholtzEnergy, RelativeDerivative
from .l2 import VRMSE, AbsoluteL2, RelativeL2
from .loss import Loss
from .residual import Residual
from .spectral import SpectralH1

LOSSES: dict[str, type[Loss]] = {
    each.name: each
    for each in (RelativeL2, AbsoluteL2, H1, SpectralH1, HelmholtzEnergy, RelativeDerivative, VRMSE, Residual)
}

LossSpec = str | Mapping[str, Any] | Sequence[Any] | Loss
"""What `build_loss` takes."""


@final
@dataclasses.dataclass(frozen=True)
class WeightedSum(Loss):
    """Σ w_i L_i.

    Parameters
    ----------
    terms : sequence of (float, Loss)
        Weights, not negative, and losses.
    """

    name: ClassVar[str] = "weighted_sum"
    terms: tuple[tuple[float, Loss], ...]

    def __post_init__(self) -> None:
        terms = tuple((float(weight), loss) for weight, loss in self.terms)
        if not terms:
            raise ValueError("a sum of losses needs at least one term")
        for weight, loss in terms:
            if not 0.0 <= weight < float("inf"):
                raise ValueError(f"the weight of {loss.name} must be finite and not negative, got {weight}")
        object.__setattr__(self, "terms", terms)

    @property
    def needs_inputs(self) -> bool:
        """Whether one of the terms does."""
        return any(loss.needs_inputs for _, loss in self.terms)

    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Return the sum of terms that need no inputs."""
        return self.judge(prediction, target, geometry, None)

    def judge(
        self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry, inputs: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the sum."""
        total = prediction.new_zeros(prediction.shape[0])
        for weight, loss in self.terms:
            total = total + weight * loss.judge(prediction, target, geometry, inputs)
        return total

    def spec(self) -> dict[str, Any]:
        """Return the terms as JSON has them."""
        return {"loss": self.name, "terms": [{**loss.spec(), "weight": weight} for weight, loss in self.terms]}


def build_loss(spec: LossSpec) -> Loss:
    """Return the loss that a specification names.

    Parameters
    ----------
    spec : str, mapping, sequence or Loss
        A name of `LOSSES`; ``{"loss": name, **options}``; or several of them, each with a ``"weight"`` (1 by default),
        for their sum. What `Loss.spec` returns builds the same loss again.

    Raises
    ------
    ValueError
        For an unknown name or option, with what there is.

    Examples
    --------
    >>> from resolvent.training.losses import build_loss
    >>> build_loss("h1")
    H1(a=1.0, channels='together')
    >>> build_loss(["relative_l2", {"loss": "relative_derivative", "weight": 0.1}]).spec()["terms"][1]
    {'loss': 'relative_derivative', 'channels': 'together', 'weight': 0.1}
    """
    if isinstance(spec, Loss):
        return spec
    if isinstance(spec, str):
        return _named(spec, {})
    if not isinstance(spec, Mapping | Sequence):
        raise ValueError(f"a loss is a name, a mapping or a list of them, got {spec!r}")
    if isinstance(spec, Mapping):
        options = dict(spec)
        if "loss" not in options:
            raise ValueError(f'a loss is given as {{"loss": name, **options}}, got {dict(spec)!r}')
        name = options.pop("loss")
        if name == WeightedSum.name:
            return _sum(options.get("terms", []))
        weight = options.pop("weight", None)
        loss = _named(name, options)
        return loss if weight is None else WeightedSum(((weight, loss),))
    return _sum(spec)


def _sum(specs: Sequence[Any]) -> Loss:
    terms = []
    for spec in specs:
        if isinstance(spec, Mapping):
            options = dict(spec)
            weight = options.pop("weight", 1.0)
            terms.append((weight, build_loss(options)))
        else:
            terms.append((1.0, build_loss(spec)))
    return WeightedSum(tuple(terms))


def _named(name: str, options: Mapping[str, Any]) -> Loss:
    if name not in LOSSES:
        near = difflib.get_close_matches(str(name), LOSSES, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"there is no loss {name!r}{hint}: expected one of {', '.join(LOSSES)}")
    known = [field.name for field in dataclasses.fields(LOSSES[name])]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(f"{name} has no option {', '.join(unknown)}: expected some of {', '.join(known) or 'none'}")
    return LOSSES[name](**options)
