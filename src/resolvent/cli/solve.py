"""`resolvent solve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import RESULT, DebugOption, InputError

if TYPE_CHECKING:
    from ..solvers import Result, Solver

EXAMPLE = "Example: resolvent solve A.mtx b.npy --rtol 1e-10 --out x.npy --plot history.png --explain"

SOLVERS = (
    *("direct", "fastpoisson", "cg", "flexiblecg", "blockcg", "deflatedcg", "minres", "minresqlp", "rminres"),
    *("gmres", "fgmres", "lgmres", "gcrot", "gcrodr", "blockgcrodr", "idr", "bicgstab", "bicg", "cgs", "qmr", "tfqmr"),
    *("cocg", "cocr", "lsqr", "lsmr", "multigridcg", "multigrid", "richardson", "sor", "gausssouthwell"),
    *("kroneckersolver", "toeplitzsolver"),
)
PRECONDITIONERS = (
    *("jacobi", "blockjacobi", "linejacobi", "sor", "ssor", "ic", "ilu", "ilu0", "chebyshev", "additiveschwarz", "amg"),
    "bootstrapamg",
    *("fastpoisson", "geometricmultigrid", "shiftedlaplacian", "factorised", "kroneckersolver", "toeplitzsolver"),
)
"""Names for the help, which is to appear without importing them; a test compares them with the registry."""

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
            help=f"auto, {', '.join(SOLVERS)}; auto decides by the structure of A and by costs.",
            rich_help_panel=_METHOD,
        ),
    ] = "auto",
    preconditioner: Annotated[
        str,
        typer.Option(
            "--preconditioner",
            "-p",
            help=f"auto, none, {', '.join(PRECONDITIONERS)}; auto is what suits A with --solver auto, "
            "and none otherwise.",
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

    result, used, A, b = _solve(
        matrix, key, rhs, rhs_key, solver, preconditioner, (rtol, atol, maxiter), option or [], explain
    )

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

        from .advice import advice

        messages().print(Text.assemble(("hint: ", "bold cyan"), advice(result, used, A, b)), soft_wrap=True)
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
) -> tuple[Result, Solver, Any, Any]:
    import numpy as np

    from ..operators import as_operator
    from ..solvers.choose import Choice, choose
    from ..solvers.facade.choosing import solve_as_chosen
    from .compilation import compilation_announced
    from .console import write
    from .progress import residual_shown
    from .reading import read_matrix, read_right_hand_side
    from .registry import check_types, chosen, fitted, parse_options, recipe_classes, solver_classes

    methods, recipes = solver_classes(), recipe_classes()
    method = None if solver.lower() == "auto" else chosen("solver", solver, {"auto": None, **methods})
    recipe = None
    if preconditioner.lower() not in ("auto", "none"):
        recipe = chosen("preconditioner", preconditioner, {"auto": None, "none": None, **recipes})()
    further = parse_options(pairs, "restart=50")
    options: dict[str, Any] = dict(zip(("rtol", "atol", "maxiter"), tolerances, strict=True))
    for name in further.keys() & options.keys():
        raise InputError(f"{name} is given by --{name}, not by --option", f"write --{name} {further[name]}")
    options |= further
    if method is None and pairs:
        raise InputError("--option is for a solver named with --solver", "name one, for example --solver gmres")
    if method is not None:
        _check_options(method, options)
        check_types(method, further)
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
            choice = choose(operator, recipe, **options, rhs=1 if b.ndim == 1 else b.shape[1], dtype=b.dtype)
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
            return solve_as_chosen(choice, operator, operator, b, None, callback), choice.solver, A, b


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
