"""What an exporter takes of a dataset: real channels on the grid, numbers, times, and the samples to be written."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import FormatError
from ..family import FieldSpec
from ..reader import Dataset
from ..seeding import SPLITS

MOST_NUMBERS = 64
"""Entries of a parameter array that become numbers of their own; longer ones stay in the dataset."""
_BLOCK_BYTES = 1 << 22
_PARTS = {"real": np.real, "imag": np.imag}


@dataclasses.dataclass(frozen=True)
class Channel:
    """One real field on the grid.

    Attributes
    ----------
    name : str
        In the foreign file: that of the field, with ``_real`` or ``_imag`` for the parts of a complex one.
    field, part : str
        Where it comes from.
    timed : bool
        Whether its first axis is time.
    """

    name: str
    field: str
    part: str
    timed: bool
    description: str
    units: str


@dataclasses.dataclass(frozen=True)
class Number:
    """One number a sample: a parameter, an entry of a small parameter array, or an input that is a number."""

    name: str
    field: str
    position: int
    role: str


class Source:
    """A dataset as foreign schemas see it.

    Parameters
    ----------
    dataset : Dataset
        Its selected samples are exported, without those that are not certified: foreign files have no place for a
        certificate.

    Attributes
    ----------
    grid : dict of str to array
        Coordinates by name, without time.
    times : (T,) array or None
        Of the frames, the initial state not among them; None for stationary problems.
    inputs, outputs : tuple of Channel
    numbers : tuple of Number
    rows : (n,) int array
        Positions among the dataset's selected samples.
    split : (n,) array
        0 train, 1 valid, 2 test.
    uncertified : int
        Samples left out.
    left_out : tuple of str
        Fields that no foreign schema has a place for.

    Raises
    ------
    FormatError
        If no sample is certified, or a solution does not lie on the grid.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        axes = dataset.axes
        self.times = axes.get("t")
        self.grid = {name: axis for name, axis in axes.items() if name != "t"}
        self.shape = tuple(len(axis) for axis in self.grid.values())
        certified = np.asarray(dataset.column("certificate/certified"), dtype=bool)
        self.rows = np.flatnonzero(certified)
        self.uncertified = int(len(certified) - len(self.rows))
        if not len(self.rows):
            raise FormatError(f"{dataset.path} has no certified sample among the {len(dataset)} to be exported")
        self.split = np.asarray(dataset.column("split"))[self.rows]
        self.index = dataset.indices[self.rows]
        self.inputs, self.outputs, self.numbers, self.left_out = self._sorted()

    def _sorted(self) -> tuple[tuple[Channel, ...], tuple[Channel, ...], tuple[Number, ...], tuple[str, ...]]:
        inputs: list[Channel] = []
        outputs: list[Channel] = []
        numbers: list[Number] = []
        left_out: list[str] = []
        for name, spec in self.dataset.fields.items():
            timed = self.times is not None and spec.shape == (len(self.times), *self.shape)
            if spec.shape == self.shape or (timed and spec.role == "solution"):
                (outputs if spec.role == "solution" else inputs).extend(_channels(name, spec, timed))
            elif spec.role == "solution":
                raise FormatError(
                    f"the solution {name!r} of shape {spec.shape} does not lie on the grid {self.shape}: no foreign "
                    "format here can hold it"
                )
            elif spec.kind != "complex" and math.prod(spec.shape) <= MOST_NUMBERS:
                entries = itertools.product(*(range(length) for length in spec.shape))
                numbers += [Number("_".join([name, *map(str, e)]), name, i, spec.role) for i, e in enumerate(entries)]
            else:
                left_out.append(name)
        return tuple(inputs), tuple(outputs), tuple(numbers), tuple(left_out)

    # About the equation ----------------------------------------------------------------------------------------------

    @property
    def family(self) -> str:
        """Name of the family."""
        return str(self.dataset.config["family"]["family"])

    def initial(self, channel: Channel) -> Channel | None:
        """Return the input that is the state of an output at the beginning; None if there is none."""
        wanted = (f"{channel.field}0", f"{channel.field}_old")
        return next((c for c in self.inputs if c.field in wanted and c.part == channel.part), None)

    def begins_at_rest(self, channel: Channel) -> bool:
        """Whether an output is zero at the beginning, which its family says."""
        try:
            return channel.field in getattr(self.dataset.family(), "at_rest", ())
        except (KeyError, ValueError, TypeError):  # a family that is not registered here cannot be asked
            return False

    @property
    def has_beginnings(self) -> bool:
        """Whether the state of every output at the beginning is known."""
        return all(self.initial(channel) or self.begins_at_rest(channel) for channel in self.outputs)

    @property
    def constant_inputs(self) -> tuple[Channel, ...]:
        """The input channels that are not initial states."""
        states = [self.initial(channel) for channel in self.outputs]
        return tuple(channel for channel in self.inputs if channel not in states)

    def boundary_type(self) -> str:
        """Return the kind of the outer boundary: ``periodic``, ``open`` or ``wall``."""
        text = str(self.dataset.attributes["boundary"]).lower()
        return "periodic" if "periodic" in text else "open" if "absorbing" in text else "wall"

    # Numbers ---------------------------------------------------------------------------------------------------------

    def values(self, number: Number, rows: np.ndarray) -> np.ndarray:
        """Return a number of some samples, an (n,) array of float64."""
        column = self.dataset.column(number.field, rows)
        return np.asarray(column.reshape(len(column), -1)[:, number.position], dtype=np.float64)

    def read(self, channel: Channel, row: int) -> np.ndarray:
        """Return a channel of one sample in float64, with its time axis if it has one."""
        values = self.dataset.column(channel.field, int(row))
        return np.asarray(_PARTS.get(channel.part, np.asarray)(values), dtype=np.float64)

    def states(self, channel: Channel, row: int) -> np.ndarray:
        """Return an output with its state at the beginning as the first frame: (1 + T, *grid)."""
        frames = self.read(channel, row).reshape(-1, *self.shape)
        first = self.initial(channel)
        start = np.zeros(self.shape) if first is None else self.read(first, row)
        return np.concatenate([start[None], frames])

    def rows_of(self, *splits: str) -> np.ndarray:
        """Return the rows of some splits, one split after the other, each in the order of the index."""
        parts = [self.rows[self.split == SPLITS.index(name)] for name in splits]
        return np.concatenate(parts) if parts else self.rows[:0]


def _channels(name: str, spec: FieldSpec, timed: bool) -> Iterator[Channel]:
    if spec.kind == "complex":
        for part in _PARTS:
            yield Channel(f"{name}_{part}", name, part, timed, f"{part} part of {spec.description}", spec.units)
    else:
        yield Channel(name, name, "whole", timed, spec.description, spec.units)


class Rounding:
    """Turns float64 into float32 and remembers what that changed.

    Examples
    --------
    >>> import numpy as np
    >>> rounding = Rounding()
    >>> rounding("u", np.array([1.0, 1.0 + 2.0**-24])).dtype, rounding.worst["u"] < 6e-8
    (dtype('float32'), True)
    """

    def __init__(self) -> None:
        self.worst: dict[str, float] = {}

    def __call__(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return one sample of a field in float32.

        Raises
        ------
        FormatError
            For numbers that are not finite, or are not in single precision.
        """
        if not np.isfinite(values).all():
            raise FormatError(f"{name} holds numbers that are not finite: `verify` the dataset")
        with np.errstate(over="ignore", under="ignore"):
            rounded = np.asarray(values).astype(np.float32)
        if not np.isfinite(rounded).all():
            raise FormatError(
                f"{name} holds {np.abs(values).max():.3g}, which single precision, the precision of all three foreign "
                "formats, cannot hold: scale the equation"
            )
        size = float(np.linalg.norm(values))
        change = float(np.linalg.norm(values - rounded)) / size if size > 0.0 else 0.0
        self.worst[name] = max(self.worst.get(name, 0.0), change)
        return rounded


def provenance(source: Source) -> dict[str, Any]:
    """Return what is to be known of the origin of exported samples, as plain values."""
    dataset = source.dataset
    keys = ("title", "equation", "domain", "boundary", "law", "licence", "code_version", "created")
    return {
        "origin": "generated and certified by resolvent",
        "family": source.family,
        "options": {key: value for key, value in dataset.config["family"].items() if key != "family"},
        **{key: dataset.attributes[key] for key in keys if key in dataset.attributes},
        "seed": int(dataset.config["seed"]),
        "rtol": float(dataset.config["rtol"]),
        "worst_rho": float(np.max(dataset.column("certificate/rho_float64", source.rows))),
        "content_sha256": dataset.content_sha256,
        "samples": len(source.rows),
        "samples_of_the_set": dataset.total,
        "not_certified_left_out": source.uncertified,
        "fields_left_out": list(source.left_out),
        "units": {c.name: f"{c.description} [{c.units}]" for c in (*source.inputs, *source.outputs)},
    }


def listed(names: Sequence[str]) -> str:
    """Return names as words.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
