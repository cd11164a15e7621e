"""What `generate` would do, without doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..family import Family
from ..methods.strategies import Method
from ..pipeline import as_family
from ..settings import check_count, check_tolerance
from .decision import Decision, decide

if TYPE_CHECKING:
    from ...solvers.solver import Solver


def explain(
    family: Family | str,
    *,
    solver: str | Solver | Method = "auto",
    rtol: float | None = None,
    seed: int = 0,
    chunk: int = 64,
) -> Decision:
    """Return the method that `generate` takes with these arguments, why, and what the others were estimated to take.

    Two samples are drawn and assembled, nothing is solved. A set that was begun keeps the decision it was begun with.

    Parameters
    ----------
    family, solver, rtol, seed, chunk
        As for `generate`.

    Returns
    -------
    decision : Decision
        Print it.

    Examples
    --------
    >>> from resolvent import datasets
    >>> decision = datasets.explain("darcy")
    >>> decision.chosen, sorted(estimate.way for estimate in decision.estimates)
    ('multigrid', ['cg+amg', 'cg+fft', 'cg+ic', 'cg+ssor', 'direct', 'multigrid'])
    """
    family = as_family(family)
    rtol = family.default_rtol if rtol is None else rtol
    check_tolerance(rtol)
    return decide(solver, float(rtol), family, check_count("seed", seed, 0), check_count("chunk", chunk, 1))
