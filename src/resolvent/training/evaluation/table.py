"""A table of results: text to read, CSV to keep."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any, final


@final
@dataclasses.dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Parameters
    ----------
    columns : tuple of str
    rows : tuple of tuple
        One entry for each column: text, numbers, or None for what there is not.

    Examples
    --------
    >>> from resolvent.training import Table
    >>> table = Table(("grid", "error"), (("33 × 33", 0.0123456), ("65 × 65", None)))
    >>> print(table)
    grid     error
    33 × 33  0.01235
    65 × 65
    >>> table.column("error")
    (0.0123456, None)
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row needs an entry for each of {', '.join(self.columns)}, got {row!r}")

    def column(self, name: str) -> tuple[Any, ...]:
        """Return the entries of a column; KeyError, listing the columns, if there is none of that name."""
        if name not in self.columns:
            raise KeyError(f"there is no column {name!r}: expected one of {', '.join(self.columns)}")
        return tuple(row[self.columns.index(name)] for row in self.rows)

    def write_csv(self, path: str | Path) -> Path:
        """Write all columns in full precision; return the path. What there is not is left empty."""
        path = Path(path)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            writer.writerows([["" if entry is None else _plain(entry) for entry in row] for row in self.rows])
        return path

    def __str__(self) -> str:
        cells = [self.columns, *([_shown(entry) for entry in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def _plain(entry: Any) -> Any:
    """Return numbers of numpy and torch as those of Python, which are written in full."""
    return entry.item() if hasattr(entry, "item") else entry


def _shown(entry: Any) -> str:
    entry = _plain(entry)
    return "" if entry is None else f"{entry:.4g}" if isinstance(entry, float) else str(entry)
