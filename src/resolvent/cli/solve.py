"""`resolvent solve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import RESULT, DebugOption, InputError

if TYPE_CHECKING:
    from ..solvers import Result

EXAMPLE = "Example: resolvent solve A.mtx b.npy --rtol 1e-10 --out x.npy --plot history.png --explain"

_INPUT, _METHOD, _OUTPUT = "Input", "Method", "Output"


def solve(
    matrix: Annotated[
        Path, typer.Argument(metavar="MATRIX", help="File with the matrix A, square.", show_default=False)
    ],
    rhs: Annotated[
        Path | None,
        typer.Argument(metavar="RHS", help="File with the right-hand side b, (n,) or (n, k).", show_default="ones"),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="Which array of an .npz file, or dataset or group of an HDF5 file, is A.", rich_help_panel=_INPUT
        ),
    ] = None,
    rhs_key: Annotated[str | None, typer.Option(help="The same for b.", rich_help_panel=_INPUT)] = None,
    solver: Annotated[
        str,
        typer.Option(
            "--solver",
            "-s",
            help="auto, direct, cg, minres, gmres, fgmres, bicgstab, …; auto decides by the structure of A.",
            rich_help_panel=_METHOD,
        ),
    ] = "auto",
    preconditioner: Annotated[
        str,
        typer.Option(
            "--preconditioner",
            "-p",
            help="auto, none, jacobi, ssor, ilu, amg, …; auto is what suits A with --solver auto, and none otherwise.",
            rich_help_panel=_METHOD,
        ),
    ] = "auto",
    rtol: Annotated[
        float, typer.Option(help="Solved when ‖b − A x‖ ≤ max(rtol ‖b‖, atol).", rich_help_panel=_METHOD)
    ] = 1e-8,
    atol: Annotated[float, typer.Option(help="Absolute tolerance.", rich_help_panel=_METHOD)] = 0.0,
    maxiter: Annotated[
        int | None,
        typer.Option(help="Largest number of iterations.", show_default="10 n", rich_help_panel=_METHOD),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Further option of the solver, such as restart=50.", rich_help_panel=_METHOD
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print why the method was chosen.", rich_help_panel=_METHOD)
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write x to an .npy, .h5 or .mtx file.", rich_help_panel=_OUTPUT),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the residual history into a .png, .pdf or .svg file.", rich_help_panel=_OUTPUT),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Solve A x = b for a matrix in a file, and say how accurate the solution is.

    A is read from MatrixMarket (.mtx, .mtx.gz), NumPy (.npz of scipy.sparse.save_npz, or a dense array in .npz or
    .npy) or HDF5 (.h5: a dense dataset, or a group with the datasets data, indices, indptr and shape of compressed
    sparse rows). b may have the same formats; without it every entry is 1.

    The exit status is 0 if the recomputed residual meets the tolerance, 1 if not, 2 if the input cannot be used.
    """
    from .writing import PICTURES, SOLUTIONS, check_target, write_figure, write_solution

    inputs = [matrix] if rhs is None else [matrix, rhs]
    if out is not None:
        check_target(out, SOLUTIONS, inputs)
    if plot is not None:
        check_target(plot, PICTURES, inputs)
    if not 0.0 <= rtol < 1.0:
        raise InputError(f"rtol must be a number from 0 to below 1, such as 1e-8, got {rtol:g}", "correct --rtol")

    result, A = _solve(matrix, key, rhs, rhs_key, solver, preconditioner, (rtol, atol, maxiter), option or [], explain)

    from .console import messages, write

    write(str(result))
    if out is not None:
        write_solution(out, result)
        write(f"solution    {out}" + ("" if result.converged else " (not converged)"))
    if plot is not None:
        from matplotlib.figure import Figure

        from ..solvers.plots import plot_history

        figure = Figure(figsize=(6.4, 4.2), layout="constrained", dpi=150)
        plot_history(result, figure.subplots())
        write_figure(plot, figure)
        write(f"plot        {plot}")
    if not result.converged:
        from rich.text import Text

        messages().print(Text.assemble(("hint: ", "bold cyan"), _advice(result, A)), soft_wrap=True)
        raise typer.Exit(RESULT)


def _solve(
    matrix: Path,
    key: str | None,
    rhs: Path | None,
    rhs_key: str | None,
    solver: str,
    preconditioner: str,
    tolerances: tuple[float, float, int | None],
    pairs: list[str],
    explain: bool,
) -> tuple[Result, Any]:
    import numpy as np

    from ..operators import as_operator
    from ..solvers.choose import Choice, choose
    from .compilation import compilation_announced
    from .console import write
    from .progress import residual_shown
    from .reading import read_matrix, read_right_hand_side
    from .registry import chosen, fitted, parse_options, recipe_classes, solver_classes

    methods, recipes = solver_classes(), recipe_classes()
    method = None if solver.lower() == "auto" else chosen("solver", solver, {"auto": None, **methods})
    recipe = None
    if preconditioner.lower() not in ("auto", "none"):
        recipe = chosen("preconditioner", preconditioner, {"auto": None, "none": None, **recipes})()
    options = dict(zip(("rtol", "atol", "maxiter"), tolerances, strict=True)) | parse_options(pairs)
    if method is None and pairs:
        raise InputError("--option is for a solver named with --solver", "name one, for example --solver gmres")
    if method is not None:
        _check_options(method, options)
        method = method(**fitted(method, options))

    A = read_matrix(matrix, key)
    n = A.shape[0]
    entries = "dense" if isinstance(A, np.ndarray) else f"{A.nnz} entries"
    write(f"matrix      {matrix}: {n} x {n}, {entries}, {A.dtype}")
    if rhs is None:
        b = np.ones(n)
        write("rhs         ones (no right-hand side was given)")
    else:
        b = read_right_hand_side(rhs, n, rhs_key)
        write(f"rhs         {rhs}: {b.shape[0]}{''.join(f' x {k}' for k in b.shape[1:])}, {b.dtype}")

    with compilation_announced():
        operator = as_operator(A)
        if method is None:
            choice = choose(operator, recipe, **options)
            if preconditioner.lower() != "auto":
                reason = f"preconditioner {preconditioner.lower()}, as asked"
                choice = Choice(choice.solver, recipe, (*choice.reasons, reason))
        else:
            choice = Choice(method, recipe, ("as asked",))
        if explain:
            head, *reasons = str(choice).splitlines()
            write(f"choice      {head}")
            for reason in reasons:
                write(f"            {reason.strip()}")
        with residual_shown(str(choice.solver)) as callback:
            return choice.solver.solve(operator, b, None, choice.M, callback=callback), A


def _check_options(method: Any, options: dict[str, Any]) -> None:
    """Refuse options that a solver does not have, naming those it has."""
    import dataclasses

    from .registry import nearest

    valid = [field.name for field in dataclasses.fields(method) if field.init]
    for name in options:
        if name not in valid:
            near = nearest(name, valid)
            raise InputError(
                f"{method.__name__} has no option {name!r}: expected one of {', '.join(valid)}",
                f"did you mean {near}?" if near else "correct --option",
            )


def _advice(result: Result, A: Any) -> str:
    """Return what to try on the command line for a result that did not converge."""
    import numpy as np

    reason = str(result.extra.get("reason", ""))
    stored = abs(A)
    for name, sums in (("row", stored.sum(axis=1)), ("column", stored.sum(axis=0))):
        empty = np.flatnonzero(np.asarray(sums).ravel() == 0.0)
        if empty.size:
            return f"the matrix is singular: {name} {empty[0]} (counted from 0) holds zeros only"
    if "singular" in reason:
        return (
            "the matrix is singular: mend it (a missing boundary condition?), or, if b is consistent with it, try "
            "--solver minres (symmetric) or --solver gmres"
        )
    return {
        "MAXITER": "raise --maxiter, try a stronger --preconditioner (ilu, amg), --solver direct, or a larger --rtol",
        "STAGNATED": "raise --rtol to what rounding allows; if the system is singular, b must be consistent with it",
        "BREAKDOWN": "try --solver gmres or --solver direct, or another --preconditioner",
        "INDEFINITE": "try --solver minres (symmetric), --solver gmres or --solver direct",
        "DIVERGED": "check the matrix; try --solver gmres or --solver direct, or another --preconditioner",
        "NONFINITE": "the numbers overflowed: rescale the system, or try another --preconditioner",
    }.get(result.status.name, "try --solver direct")
