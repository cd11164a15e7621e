"""`resolvent families`."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import DebugOption

if TYPE_CHECKING:
    from ..datasets import Family


def families(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show this family whole.", show_default="list all")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """List the equations that datasets can be generated for, or show one with its options and fields."""
    if name is None:
        _list()
    else:
        _show(name)


def _list() -> None:
    from rich import box
    from rich.table import Table

    from ..datasets import families as registry
    from .console import write, write_table

    table = Table("family", "equation", "options and defaults", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    table.columns[1].overflow = table.columns[2].overflow = "fold"
    for name, family in registry.available().items():
        aliases = f"\n({', '.join(family.aliases)})" if family.aliases else ""
        options = ", ".join(f"{f.name}={_default(f)}" for f in dataclasses.fields(family))
        table.add_row(f"{name}{aliases}", f"{family.equation}\n{family.domain}", options)
    write_table(table)
    write("`resolvent families NAME` shows one whole; `resolvent generate NAME --out FILE` makes a dataset of it.")


def _show(name: str) -> None:
    from rich import box
    from rich.table import Table

    from ..datasets import families as registry
    from .console import write, write_pairs, write_table

    cls = registry.family_class(name)
    write(f"{cls.name}: {cls.title}")
    needed = [f.name for f in dataclasses.fields(cls) if f.init and _default(f) == "(required)"]
    family = None if needed else cls()
    rows: dict[str, Any] = {"aliases": ", ".join(cls.aliases) or "none"}
    rows |= {"equation": cls.equation, "domain": cls.domain, "boundary": cls.boundary}
    if family is not None:
        rows["law"] = family.law()
    rows |= {"licence": cls.licence, "read more": f"help({cls.__module__}.{cls.__qualname__})"}
    write_pairs(rows)

    table = Table("option", "default", "values", "meaning", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[2:]:
        column.overflow = "fold"
    meanings, hints = option_meanings(cls), typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        table.add_row(field.name, _default(field), _values(hints[field.name]), meanings.get(field.name, ""))
    write_table(table)
    if family is not None:
        _print_fields(family)
    write(f"Set them with --resolution, --grid, --preset, or --option key=value: resolvent generate {cls.name} --help")


def _print_fields(family: Family) -> None:
    from rich import box
    from rich.table import Table

    from .console import write_table

    table = Table("field", "role", "shape", "units", "meaning", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, spec in family.fields().items():
        shape = " × ".join(map(str, spec.shape)) or "a number"
        table.add_row(name, spec.role, shape, spec.units, spec.description)
    write_table(table)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return str(field.default)
    return "(required)" if field.default_factory is dataclasses.MISSING else str(field.default_factory())


def _values(hint: Any) -> str:
    """Return what an option may be, in words."""
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(map(str, typing.get_args(hint)))
    if type(None) in typing.get_args(hint):
        return " | ".join(_values(kind) if kind is not type(None) else "None" for kind in typing.get_args(hint))
    names = {int: "whole number", float: "number", str: "text", bool: "true | false"}
    return names.get(hint, str(getattr(hint, "__name__", hint)))


def option_meanings(cls: type[Any]) -> dict[str, str]:
    """Return the descriptions in the Parameters section of a numpydoc docstring, by name, one line each."""
    sections = re.split(r"\n([A-Z]\w+)\n-{3,}\n", inspect.getdoc(cls) or "")
    text = dict(zip(sections[1::2], sections[2::2], strict=False)).get("Parameters", "")
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in text.splitlines():
        if line[:1].strip():
            names = [name.strip() for name in line.partition(" :")[0].split(",")]
        elif line.strip():
            meanings |= {name: f"{meanings.get(name, '')} {line.strip()}".strip() for name in names}
    return {name: meaning.replace("``", "").replace("`", "") for name, meaning in meanings.items()}
