"""The application: which commands there are, and the one place where their errors become messages and exit codes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import (
    calibrate,
    describe,
    evaluate,
    export,
    families,
    generate,
    gp,
    list_models,
    merge,
    plot,
    predict,
    reproduce,
    solve,
    train,
    verify,
    version,
)
from .errors import INPUT, DebugOption, expected_errors, report, report_usage

# Typer brings its own copy of click from some version on, so the class is taken from what Typer exports.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


class CommandLine(TyperGroup):
    """A group of commands whose expected errors end in ``error: …``, ``hint: …`` and an exit code."""

    arguments: tuple[str, ...] = ()
    """What was typed after the program's name, to say how to resume."""

    def main(
        self,
        args: Any = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Parse the command line, run the command and exit."""
        self.arguments = tuple(sys.argv[1:] if args is None else args)
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except _UsageError as error:
            if not standalone_mode:
                raise
            report_usage(error)
            code = INPUT
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; report expected errors."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output has gone: not worth a message
            raise
        except expected_errors() as error:
            raise typer.Exit(report(error, ctx, self.arguments)) from error


app = typer.Typer(
    cls=CommandLine,
    name="resolvent",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 success; 1 not converged, not certified or not verified; 2 bad input, files or options; "
    "130 interrupted.",
)


@app.callback(invoke_without_command=True)
def start(
    ctx: typer.Context,
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=version.print_and_exit, is_eager=True),
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Solve linear systems, generate certified PDE datasets, and train neural operators on them."""
    from .console import show_warnings

    show_warnings()
    if ctx.invoked_subcommand is None:
        help_text = ctx.get_help()  # empty where Typer has printed it already
        if help_text:
            typer.echo(help_text)


def _add(command: Callable[..., None], panel: str, example: str | None = None) -> None:
    """Add a command whose help is its docstring, each paragraph as one line for the terminal to wrap."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    app.command(help=text, rich_help_panel=panel, epilog=example)(command)


_SYSTEMS, _DATASETS, _MODELS, _ABOUT = "Linear systems", "Datasets", "Neural operators", "About"
_add(solve.solve, _SYSTEMS, solve.EXAMPLE)
_add(gp.gp, _SYSTEMS, gp.EXAMPLE)
_add(calibrate.calibrate, _SYSTEMS)
_add(families.families, _DATASETS)
_add(generate.generate, _DATASETS, generate.EXAMPLE)
_add(merge.merge, _DATASETS, merge.EXAMPLE)
_add(verify.verify, _DATASETS)
_add(describe.describe, _DATASETS)
_add(reproduce.reproduce, _DATASETS)
_add(plot.plot, _DATASETS, plot.EXAMPLE)
_add(export.export, _DATASETS, export.EXAMPLE)
_add(list_models.models, _MODELS)
_add(train.train, _MODELS, train.EXAMPLE)
_add(evaluate.evaluate, _MODELS, evaluate.EXAMPLE)
_add(predict.predict, _MODELS, predict.EXAMPLE)
_add(version.version, _ABOUT)
