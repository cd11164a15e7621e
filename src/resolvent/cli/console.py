"""Where the command line writes: results to standard output; progress, warnings and errors to standard error."""

from __future__ import annotations

import functools
import logging
import os
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PIPE_WIDTH = 120
"""Columns of a table that goes into a file or a pipe, where there is no terminal to ask."""


@functools.cache
def output() -> Console:
    """Return the console for results."""
    return _console(stderr=False)


@functools.cache
def messages() -> Console:
    """Return the console for progress, warnings and errors: one object, so that messages appear above a live bar."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=_PIPE_WIDTH)
    return console


def write(text: Any = "") -> None:
    """Print a line of a result as it is: no wrapping, no interpretation."""
    output().print(text, soft_wrap=True)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "sample"), counted(12, "sample")
    ('1 sample', '12 samples')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def note(text: str) -> None:
    """Print a line that is not part of the result."""
    messages().print(text, style="dim", soft_wrap=True)


def write_pairs(entries: Mapping[str, Any], *, indent: int = 2) -> None:
    """Print names and values in two columns, long values continued below themselves."""
    width = max([12, *(len(name) + 2 for name in entries)])
    room = max(output().width - indent - width, 30)
    for name, value in entries.items():
        lines = textwrap.wrap(str(value), room, break_long_words=False, break_on_hyphens=False) or [""]
        head = f"{name:<{width - 1}} "
        for line in lines:
            write(" " * indent + head + line)
            head = " " * len(head)


def write_table(table: Table) -> None:
    """Print a table; into a file or a pipe without the blanks that fill its lines."""
    console = output()
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    write("\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines()))


class _Warnings(logging.Handler):
    """Shows what the library logs as warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        from rich.text import Text

        line = Text.assemble((f"{record.levelname.lower()}: ", "bold yellow"), record.getMessage())
        messages().print(line, soft_wrap=True)


def show_warnings() -> None:
    """Show warnings of the library, once however often it is called."""
    logger = logging.getLogger(__name__.partition(".")[0])
    if not any(isinstance(handler, _Warnings) for handler in logger.handlers):
        logger.addHandler(_Warnings(logging.WARNING))
