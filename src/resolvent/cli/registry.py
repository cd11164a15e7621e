"""Solvers and preconditioners by the names they have on the command line.

Whatever `resolvent.solvers` exports and can be made from defaults alone is offered under its name in lower case, so a
new solver needs no entry here.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import typing
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from ..solvers import Recipe, Solver


def solver_classes() -> dict[str, type[Solver]]:
    """Return the classes of all solvers by name."""
    from .. import solvers

    return _named(solvers.Solver)


def recipe_classes() -> dict[str, type[Recipe]]:
    """Return the classes of all preconditioner recipes by name."""
    from .. import solvers

    return _named(solvers.Recipe)


def _named(base: type[Any]) -> dict[str, type[Any]]:
    from .. import solvers

    classes = (getattr(solvers, name) for name in solvers.__all__)
    return {
        found.__name__.lower(): found
        for found in classes
        if inspect.isclass(found)
        and issubclass(found, base)
        and not inspect.isabstract(found)
        and _needs_nothing(found)
    }


def _needs_nothing(found: type[Any]) -> bool:
    missing = dataclasses.MISSING
    return all(
        f.default is not missing or f.default_factory is not missing or not f.init for f in dataclasses.fields(found)
    )


def chosen(what: str, name: str, known: Mapping[str, Any]) -> Any:
    """Return the entry of this name, in any case, or raise InputError with the nearest and all names."""
    if name.lower() in known:
        return known[name.lower()]
    near = nearest(name.lower(), known)
    raise InputError(
        f"unknown {what} {name!r}: expected one of {', '.join(known)}",
        f"did you mean {near}?" if near else f"choose a {what} from this list",
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known names nearest to a wrong one, as words; empty if none is near."""
    return " or ".join(difflib.get_close_matches(name, list(known), n=2, cutoff=0.5))


def parse_options(pairs: Iterable[str], example: str = "source=grf", option: str = "--option") -> dict[str, Any]:
    """Return ``key=value`` pairs as a dict, with numbers and booleans as such and anything else as text.

    Parameters
    ----------
    pairs : iterable of str
    example : str
        A pair to show to someone who gave something else.
    option : str
        What they were given by.

    Examples
    --------
    >>> parse_options(["source=grf", "nu=1e-3", "steps=64"])
    {'source': 'grf', 'nu': 0.001, 'steps': 64}
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key.isidentifier():
            raise InputError(f"{option} expects key=value, got {pair!r}", f"for example {option} {example}")
        if key in options:
            raise InputError(f"{option} {key} is given twice", "keep one of them")
        options[key] = _value(text.strip())
    return options


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def fitted(cls: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with whole numbers turned into floats where the field of a dataclass is one."""
    hints = typing.get_type_hints(cls)
    return {
        key: float(value) if hints.get(key) is float and type(value) is int else value for key, value in options.items()
    }


def check_types(cls: type[Any], options: Mapping[str, Any]) -> None:
    """Raise InputError for an option whose value is not of the kind that a field of a dataclass holds."""
    hints = typing.get_type_hints(cls)
    for name, value in options.items():
        hint = hints[name]
        kinds = typing.get_args(hint) or (hint,)
        if typing.get_origin(hint) is typing.Literal:
            fits, expected = value in kinds, f"one of {', '.join(map(str, kinds))}"
        elif bool in kinds:
            fits, expected = isinstance(value, bool), "true or false"
        elif float in kinds:
            fits, expected = isinstance(value, int | float) and not isinstance(value, bool), "a number"
        elif int in kinds:
            fits, expected = type(value) is int, "a whole number"
        else:
            continue
        if not (fits or (value is None and type(None) in kinds)):
            raise InputError(f"{cls.__name__}: {name} must be {expected}, got {value!r}", f"correct --option {name}")
