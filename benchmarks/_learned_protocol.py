"""The protocol of benchmarks of learned preconditioners: which columns a row must have, and after how many solves one
pays. A report that lacks a column is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

COLUMNS = (
    "case",
    "method",
    "tolerance",
    "setup seconds",
    "solve seconds",
    "solve interquartile seconds",
    "iterations",
    "products",
    "memory bytes",
    "data seconds",
    "training seconds",
    "true residual",
    "failed",
    "pays against",
)
"""``pays against`` maps each baseline to the number of solves after which the row's method is ahead, or "never"; it is
empty for the baselines themselves."""


def pays_after(invested: float, base: float, learned: float) -> float | str:
    """Return N* = (T_data + T_train)/(t_base − t_learned), rounded up, or "never" where a solve saves nothing."""
    if not (math.isfinite(base) and math.isfinite(learned)) or base <= learned:
        return "never"
    return math.ceil(invested / (base - learned))


def checked(rows: Iterable[Mapping[str, Any]], baselines: Iterable[str]) -> list[Mapping[str, Any]]:
    """Return the rows; ValueError naming what is missing from one of them."""
    rows, baselines = list(rows), set(baselines)
    if not rows:
        raise ValueError("a report needs rows")
    for row in rows:  # all of them, before any is compared with the others
        name = f"{row.get('case', '?')}, {row.get('method', '?')}"
        missing = [column for column in COLUMNS if row.get(column) is None]
        if missing:
            raise ValueError(f"the row of {name} lacks {', '.join(missing)}: a report without them is refused")
    for row in rows:
        against = {r["method"] for r in rows if r["case"] == row["case"] and r["method"] in baselines}
        if row["training seconds"] > 0.0 and against - set(row["pays against"]):
            raise ValueError(
                f"the row of {row['case']}, {row['method']} does not say when it pays against {sorted(against)}"
            )
    return rows
