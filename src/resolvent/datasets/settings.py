"""What determines the samples of a set, as one comparable and storable value."""

from __future__ import annotations

import dataclasses
import json
import numbers
import operator
from collections.abc import Mapping
from typing import Any

from .family import Family
from .methods.strategies import Method
from .ordering import ORDERINGS
from .seeding import check_shares
from .storage.file_format import FORMAT_VERSION

TUNED = "tuned"
"""The solver whose method is decided for each chunk."""

DTYPES = ("float64", "float32")
"""Storage precisions."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of a set besides its family; see `generate` for their meaning.

    Attributes
    ----------
    solver : str
        As requested: a strategy name, or the printed form of a solver.
    method : Method
        What `solver` resolved to; of a tuned set, what makes the chunk at hand.
    """

    seed: int
    rtol: float
    solver: str
    method: Method
    chunk: int
    threads: int
    dtype: str
    on_failure: str
    splits: tuple[float, float, float]
    order: str = "none"

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("chunk", 1), ("threads", 1)):
            check_count(name, getattr(self, name), least)
        check_tolerance(self.rtol)
        check_choice("dtype", self.dtype, DTYPES)
        check_choice("on_failure", self.on_failure, ("raise", "flag"))
        check_shares(self.splits)
        check_choice("order", self.order, tuple(ORDERINGS))
        if self.chunk % self.method.window:
            raise ValueError(
                f"{self.method!r} solves {self.method.window} samples at once: chunk must be a multiple of that, "
                f"got {self.chunk}"
            )


def check_count(name: str, value: Any, least: int) -> int:
    """Return a whole number ≥ `least`, or raise."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number ≥ {least}, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be a whole number ≥ {least}, got {value!r}")
    return number


def check_tolerance(rtol: Any) -> None:
    """Raise ValueError unless a tolerance is a number between 0 and 1."""
    if not (isinstance(rtol, numbers.Real) and 0.0 < float(rtol) < 1.0):
        raise ValueError(f"rtol must be a number between 0 and 1, such as 1e-8, got {rtol!r}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return a value that is one of some choices, or raise."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def configuration(family: Family, settings: Settings) -> dict[str, Any]:
    """Return everything that determines the samples, as plain JSON values."""
    # A failure that is refused and one that is flagged leave the other samples the same.
    left_out: tuple[str, ...] = ("method", "on_failure")
    if settings.order == "none":  # so that sets made before there were orders are still what they were
        left_out += ("order",)
    method: tuple[str, int | None] = (repr(settings.method), settings.method.window)
    if settings.solver == TUNED:  # the decisions about its chunks are stored besides: they are no part of the request
        method = ("decided for each chunk", None)
    options = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings) if f.name not in left_out}
    return plain(
        {
            "format_version": FORMAT_VERSION,
            "family": family.config(),
            **options,
            "method": method[0],
            "window": method[1],
        }
    )


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value as JSON would give it back: tuples as lists, keys as strings."""
    return dict(json.loads(json.dumps(value, default=_plain_scalar)))


def _plain_scalar(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy numbers and arrays
        return value.tolist()
    raise TypeError(f"a family's configuration must consist of plain values, found {value!r} of type {type(value)}")


def differences(found: Mapping[str, Any], requested: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return ``{dotted key: (found, requested)}`` for all that differs between two configurations.

    Examples
    --------
    >>> differences({"seed": 0, "family": {"resolution": 64}}, {"seed": 0, "family": {"resolution": 32}})
    {'family.resolution': (64, 32)}
    """
    changed: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys((*found, *requested)):
        old, new = found.get(key), requested.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changed |= {f"{key}.{name}": pair for name, pair in differences(old, new).items()}
        elif old != new:
            changed[key] = (old, new)
    return changed


def changes_text(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Return differences for people: old and new value where they are short, the key alone where they are not.

    Examples
    --------
    >>> changes_text({"python": ("3.11.2", "3.12.1"), "blas": ([{"version": "0.3.27"}] * 3, [])})
    'python (3.11.2 then, 3.12.1 now); blas'
    """
    texts = []
    for key, (then, now) in changed.items():
        values = f"{then} then, {now} now"
        texts.append(f"{key} ({values})" if len(values) <= 60 else key)
    return "; ".join(texts)
