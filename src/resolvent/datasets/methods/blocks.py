"""Families of one matrix: the right-hand sides of several samples solved together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..choosing.judgement import same_matrix
from ..family import System
from .strategies import Method, SolveSystems, without_setup

if TYPE_CHECKING:
    from ...solvers.prepared import Prepared
    from ...solvers.result import Result
    from ...solvers.solver import Solver


@dataclasses.dataclass(frozen=True)
class InBlocks(Method):
    """One solver for right-hand sides of one matrix, several of them at once as the columns of a block.

    Systems of a window whose matrices differ are solved one by one.

    Parameters
    ----------
    solver : Solver
        One that solves many columns together faster than one after the other: factors, fast transforms.
    columns : int
        It is part of what is stored with a set, as for `Together`.
    """

    solver: Solver
    columns: int = 16

    @property
    def window(self) -> int:
        """As many as there are columns."""
        return self.columns

    def start(self) -> SolveSystems:
        """Return a function that solves a window of systems."""
        prepared: Prepared | None = None

        def solve(systems: Sequence[System]) -> Sequence[Result]:
            nonlocal prepared
            results: list[Result] = []
            alike = all(same_matrix(systems[0][0], A) for A, _ in systems)
            for block in [systems] if alike and systems else [[system] for system in systems]:
                A, anew = block[0][0], True
                if prepared is None or prepared.A.shape != A.shape:
                    prepared = self.solver.prepare(A)
                elif not same_matrix(prepared.A, A):
                    prepared.update(A)
                else:
                    anew = False
                # Always a full block, for the same reason as the full windows of `Together`.
                rights = [b for _, b in block] + [block[-1][1]] * (self.columns - len(block)) * alike
                result = prepared.solve(np.stack(rights, axis=1))
                columns = _apart(result if anew else without_setup(result))
                results += columns[: len(block)]
            return results

        return solve


def _apart(result: Result) -> list[Result]:
    """Return a result of its own for each column, which share their times."""
    x = np.asarray(result.x)
    found = []
    for number, column in enumerate(result.columns):
        shared = {name: getattr(column, name) for name in ("status", "iterations", "residual_norm", "rhs_norm")}
        shared |= {"tolerance": column.tolerance, "history": column.history, "columns": (column,)}
        found.append(dataclasses.replace(result, x=np.ascontiguousarray(x[:, number]), **shared))
    return found
