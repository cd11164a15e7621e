"""PETSc options for one object only: set under a prefix of its own while they are needed, and taken away again."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from ...operators.petsc_lifetime import load_petsc

_numbers = itertools.count()


def unique_prefix() -> str:
    """Return a prefix that no other object uses; the same on all ranks that make the same objects in the same order."""
    return f"resolvent_{next(_numbers)}_"


def spelt(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without the leading dash that they have on a command line."""
    return {str(key).lstrip("-"): value for key, value in options.items()}


@contextlib.contextmanager
def in_database(prefix: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Hold options in PETSc's global database, each under the prefix, for the duration of a block."""
    database = load_petsc().Options()
    try:
        for key, value in options.items():
            database[prefix + key] = value
        yield
    finally:
        for key in options:
            database.delValue(prefix + key)


def unused(prefix: str, options: Mapping[str, Any]) -> list[str]:
    """Return which options in the database nobody has asked for yet, in the order they were given."""
    petsc = load_petsc()
    database = petsc.Options()
    if hasattr(database, "used"):  # petsc4py 3.21 and later
        return [key for key in options if not database.used(prefix + key)]
    library = ctypes.CDLL(petsc.__file__)
    used = ctypes.c_int(1)
    found = []
    for key in options:
        library.PetscOptionsUsed(None, (prefix + key).encode(), ctypes.byref(used))
        if not used.value:
            found.append(key)
    return found


def built_from_database(cls: Any, prefix: str, head: str, **given: Any) -> Any:
    """Return a dataclass of options with the fields that stand in PETSc's database as ``-<prefix><head>_<field>``.

    A field is read in the type of its default. `given` fields are left alone.
    """
    database = load_petsc().Options(prefix)
    found: dict[str, Any] = dict(given)
    for field in dataclasses.fields(cls):
        key = f"{head}_{field.name}"
        if field.name in given or not database.hasName(key):
            continue
        found[field.name] = _read(database, key, field.default)
    return cls(**found)


def _read(database: Any, key: str, default: Any) -> Any:
    if isinstance(default, bool):
        return bool(database.getBool(key))
    if isinstance(default, float):
        return float(database.getReal(key))
    text = database.getString(key)
    if isinstance(default, str):
        return text
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text
