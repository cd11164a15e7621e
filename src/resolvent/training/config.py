"""What determines a training run, besides the model and the data."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from ..datasets.family import Family
from ..operators.neural.model import check_among, check_whole, plain
from .data.normalisers import Kind
from .losses import Loss, build_loss
from .physics.solver_in_loop import Correction
from .schedules import Schedule, build_schedule

OPTIMISERS = ("adamw", "adam")
AMP = (None, "bfloat16", "float16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Options of a training run, as plain values: a checkpoint stores them, and a resumed run must have the same.

    Parameters
    ----------
    epochs : int
    batch_size : int
        Samples of an update, over all processes and accumulated parts.
    lr, weight_decay : float
    optimiser : {"adamw", "adam"}
        ``adam`` adds the decay to the gradient, as published MgNO runs do.
    schedule : str or dict
        See `Schedule`.
    loss : str, dict or list
        See `build_loss`; a list is a weighted sum.
    loss_space : {"physical", "encoded"}
        Whether the loss sees fields in their own units or normalised ones.
    metric : str
        Validation error by which the best model is kept, a loss in physical units.
    x_normaliser, y_normaliser : {"none", "scalar", "per_point", "range"}
    boundary : {"auto", "none", "zero"}
        ``zero`` sets the output to zero on the outermost points; ``auto`` does so where all training targets are zero.
    correction : dict or None
        Steps of a solver after the network, part of the model: options of `Correction`, such as
        ``{"family": "darcy2d", "steps": 2}``.
    clip : float or None
        Largest norm of the gradient.
    accumulate : int
        Parts of a batch, one after the other: less memory, the same update.
    ema : float or None
        Decay of an average of the parameters over updates, which is then what is evaluated and kept.
    patience : int or None
        Epochs without a better validation error after which training stops.
    min_delta : float
        What counts as better, as a part of the error.
    stages : sequence of dict
        Coarser grids first: ``{"stride": 2, "epochs": 10, "batch_size": 80}``; the epochs that are left are on the
        whole grid. Validation always is.
    amp : {None, "bfloat16", "float16"}
        Mixed precision; transforms stay in float32.
    compile, ddp : bool
        torch.compile; data parallelism over the processes that torchrun started.
    seed : int
        Of the order of samples, and of the split of arrays.
    device : str
        ``auto`` is a GPU where there is one.

    Examples
    --------
    >>> TrainingConfig(epochs=2).schedule
    'onecycle'
    """

    epochs: int = 25
    batch_size: int = 20
    lr: float = 2e-3
    weight_decay: float = 1e-4
    optimiser: str = "adamw"
    schedule: str | dict[str, Any] = "onecycle"
    loss: str | dict[str, Any] | Sequence[Any] = "h1"
    loss_space: Literal["physical", "encoded"] = "physical"
    metric: str = "relative_l2"
    x_normaliser: Kind = "scalar"
    y_normaliser: Kind = "scalar"
    boundary: Literal["auto", "none", "zero"] = "auto"
    correction: dict[str, Any] | None = None
    clip: float | None = None
    accumulate: int = 1
    ema: float | None = None
    patience: int | None = None
    min_delta: float = 0.0
    stages: Sequence[Mapping[str, int]] = ()
    amp: str | None = None
    compile: bool = False
    ddp: bool = False
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            check_whole(name, getattr(self, name))
        for name in ("lr", "weight_decay", "min_delta"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0.0 <= value < float("inf")) or (name == "lr" and value == 0.0):
                raise ValueError(
                    f"{name} must be a finite number {'above' if name == 'lr' else 'of at least'} 0, got {value!r}"
                )
        check_whole("seed", self.seed, 0)
        if self.min_delta >= 1.0:
            raise ValueError(f"min_delta is a part of the error, below 1, got {self.min_delta}")
        for name in ("loss", "metric"):
            if isinstance(getattr(self, name), Loss):
                object.__setattr__(self, name, getattr(self, name).spec())
        if isinstance(self.schedule, Schedule):
            object.__setattr__(self, "schedule", dataclasses.asdict(self.schedule))
        check_among("optimiser", self.optimiser, OPTIMISERS)
        check_among("loss_space", self.loss_space, ("physical", "encoded"))
        check_among("x_normaliser", self.x_normaliser, get_args(Kind))
        check_among("y_normaliser", self.y_normaliser, get_args(Kind))
        check_among("boundary", self.boundary, ("auto", "none", "zero"))
        check_among("amp", self.amp, AMP)
        if self.ema is not None and not (isinstance(self.ema, int | float) and 0.0 < self.ema < 1.0):
            raise ValueError(f"ema is the decay of an average, between 0 and 1, got {self.ema!r}")
        if self.clip is not None and not (isinstance(self.clip, int | float) and self.clip > 0.0):
            raise ValueError(f"clip is the largest norm of a gradient, above 0, got {self.clip!r}")
        if self.patience is not None:
            check_whole("patience", self.patience)
        loss = build_loss(self.loss)
        build_loss(self.metric)
        if self.correction is not None:
            _check_correction(self.correction)
        if self.loss_space == "encoded" and (loss.needs_inputs or self.correction is not None):
            raise ValueError(
                "a residual and a correction are of fields in their own units: they need loss_space='physical'"
            )
        build_schedule(self.schedule)
        self._check_stages()

    def _check_stages(self) -> None:
        taken = 0
        stages: Any = self.stages
        if not isinstance(stages, list | tuple) or not all(isinstance(stage, Mapping) for stage in stages):
            raise ValueError(
                f'stages is a list of mappings such as {{"stride": 2, "epochs": 10}}, got {stages!r}: put a single '
                "one into a list too"
            )
        for stage in stages:
            if not {"stride", "epochs"} <= set(stage) <= {"stride", "epochs", "batch_size"}:
                raise ValueError(f"a stage has stride, epochs and perhaps batch_size, got {sorted(stage)}")
            for name, value in stage.items():
                check_whole(f"{name} of a stage", value)
            taken += stage["epochs"]
        if taken > self.epochs:
            raise ValueError(f"the stages take {taken} epochs, and there are {self.epochs} in all")

    def stage_of(self, epoch: int) -> tuple[int, int]:
        """Return (stride, batch size) of an epoch, counted from 0."""
        end = 0
        for stage in self.stages:
            end += stage["epochs"]
            if epoch < end:
                return stage["stride"], stage.get("batch_size", self.batch_size)
        return 1, self.batch_size

    def as_dict(self) -> dict[str, Any]:
        """Return the options as JSON has them."""
        values: dict[str, Any] = plain(dataclasses.asdict(self))
        return values

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> TrainingConfig:
        """Return a configuration from its options; ValueError for one that there is not, with all there are."""
        known = [f.name for f in dataclasses.fields(cls)]
        unknown = [name for name in options if name not in known]
        if unknown:
            raise ValueError(f"training has no option {', '.join(unknown)}: expected some of {', '.join(known)}")
        return cls(**options)


def _check_correction(options: Any) -> None:
    """Raise ValueError unless these make a `Correction`."""
    known = [name for name in inspect.signature(Correction).parameters if name != "self"]
    if not isinstance(options, Mapping) or "family" not in options or not set(options) <= set(known):
        raise ValueError(
            f"correction is a mapping with family and perhaps {', '.join(known[1:])}, such as "
            f'{{"family": "darcy2d", "steps": 2}}, got {options!r}'
        )
    for name, kinds, wanted in (
        ("family", (str, Mapping, Family), "a name, or a mapping with it and options"),
        ("inputs", (list, tuple), "a list of names of fields"),
        ("constants", (Mapping, type(None)), "a mapping of names to fields"),
    ):
        if not isinstance(options.get(name, () if name == "inputs" else None), kinds):
            raise ValueError(f"{name} of a correction is {wanted}, got {options[name]!r}")
    Correction(**options)


RECIPES: dict[str, dict[str, Any]] = {
    "fno": {"batch_size": 20, "lr": 2e-3},
    "mgno": {"batch_size": 10, "lr": 1e-3},
}
"""Options that suit an architecture better than the defaults; measured by benchmarks/neural.py."""
