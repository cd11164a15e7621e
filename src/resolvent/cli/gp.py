"""`resolvent gp`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import DebugOption, InputError

if TYPE_CHECKING:
    from ..datasets.multiscale import MultiscaleProblem

EXAMPLE = "Example: resolvent gp u5 --plot u5.png"
METHODS = ("auto", "features", "kernel", "adam")


def gp(
    problem: Annotated[
        str, typer.Argument(metavar="PROBLEM", help="u1 … u7, a1, a2, a3 or v1; list prints them.", show_default=False)
    ],
    method: Annotated[str, typer.Option("--method", "-m", help=f"{', '.join(METHODS)}.")] = "auto",
    n: Annotated[
        int | None, typer.Option("-n", help="Nodes along each axis.", show_default="as the data need; adam: published")
    ] = None,
    updates: Annotated[int, typer.Option(help="Updates of --method adam; published runs take 1e5 to 3e6.")] = 1000,
    plot: Annotated[Path | None, typer.Option(help="Draw the solution into a .png, .pdf or .svg file.")] = None,
    debug: DebugOption = False,
) -> None:
    """Solve a high-frequency problem by Gaussian processes, and compare with its exact solution.

    The solver sees the equation, the source and the boundary values, never the exact solution. Beside its error and
    time stand those of a classical Chebyshev method, which such smooth problems with exact data are better solved by.
    """
    from ..datasets.multiscale import MULTISCALE, classical_solution, multiscale_problem
    from ..solvers.gp import solve
    from .console import write, write_pairs
    from .writing import PICTURES, check_target, write_figure

    if problem == "list":
        write_pairs({name: _described(multiscale_problem(name)) for name in MULTISCALE})
        return
    if problem not in MULTISCALE:
        raise InputError(f"there is no problem {problem!r}", f"choose one of {', '.join(MULTISCALE)}")
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}", f"choose one of {', '.join(METHODS)}")
    if updates < 0:
        raise InputError(f"--updates must be at least 0, got {updates}", "correct --updates")
    if plot is not None:
        check_target(plot, PICTURES)
    posed = multiscale_problem(problem)
    begin = time.perf_counter()
    if method == "adam":
        field = solve(
            posed.published_pde,
            "adam",
            posed.nodes if n is None else n,
            updates=updates,
            frequencies=posed.frequencies,
            boundary_weight=500.0 if problem == "v1" else 200.0,
        )
    else:
        field = solve(posed.pde, method, n)  # type: ignore[arg-type]
    taken = time.perf_counter() - begin
    begin = time.perf_counter()
    classical = classical_solution(posed)
    beside = time.perf_counter() - begin
    write(f"solution    {posed.formula} (not known to the solver)")
    write(str(field))
    write(f"true error  {posed.error(field):.1e} in {taken:.3g} s")
    size = " × ".join(map(str, posed.classical))
    write(f"classical   {posed.error(classical):.1e} in {beside:.3g} s, {size} Chebyshev points")
    if plot is not None:
        write_figure(plot, field.plot())
        write(f"plot        {plot}")


def _described(problem: MultiscaleProblem) -> str:
    return f"{problem.formula}; {problem.pde!r}"
