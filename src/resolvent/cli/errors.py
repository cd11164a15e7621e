"""What a person is told about an error: one message, one hint, one exit code."""

from __future__ import annotations

import dataclasses
import errno
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

SUCCESS, RESULT, INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: RESULT when the work was done but its result is not good, INPUT when it could not be done as asked."""

_DEBUG = "resolvent.debug"


class InputError(ValueError):
    """Something given to a command cannot be used.

    Parameters
    ----------
    message : str
        What was expected and what was found.
    hint : str
        What to do.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What to print about an error, and the exit code."""

    message: str
    hint: str = ""
    code: int = INPUT
    label: str = "error"
    details: RenderableType | None = None


def _remember_debug(ctx: typer.Context, value: bool) -> bool:
    if value:
        ctx.find_root().meta[_DEBUG] = True
    return value


DebugOption = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Show the traceback of an error; RESOLVENT_DEBUG=1 does the same.",
        callback=_remember_debug,
        is_eager=True,
    ),
]


def expected_errors() -> tuple[type[BaseException], ...]:
    """Return the errors that are reported instead of raised. Anything else is a fault of the program."""
    library = _dataset_errors()
    known = (ValueError, TypeError, LookupError, OSError, ImportError, MemoryError, KeyboardInterrupt)
    return known if library is None else (*known, library.DatasetError)


def _dataset_errors() -> ModuleType | None:
    """Return the module of dataset errors if anything has loaded it: otherwise none of them can have been raised."""
    return sys.modules.get(f"{__name__.partition('.')[0]}.datasets.errors")


def report(error: BaseException, ctx: Any, arguments: Sequence[str]) -> int:
    """Print an error and return the exit code.

    Parameters
    ----------
    error : exception
        One of `expected_errors`.
    ctx : Context
        Of the application.
    arguments : sequence of str
        The command line, without the program's name.
    """
    from .console import messages
    from .wording import in_options

    if ctx.find_root().meta.get(_DEBUG) or os.environ.get("RESOLVENT_DEBUG", "") not in ("", "0"):
        messages().print("".join(traceback.format_exception(error)), soft_wrap=True, end="")
    program = ctx.find_root().info_name or "resolvent"
    diagnosis = diagnose(error, f"{program} {ctx.invoked_subcommand or ''}".strip(), shlex.join([program, *arguments]))
    if ctx.invoked_subcommand and (not isinstance(error, InputError) or error.__cause__ is not None):
        # What the library says is in the words of Python.
        command = ctx.command.get_command(ctx, ctx.invoked_subcommand)
        message, hint = (in_options(text, command, arguments) for text in (diagnosis.message, diagnosis.hint))
        diagnosis = dataclasses.replace(diagnosis, message=message, hint=hint)
    _print(diagnosis)
    return diagnosis.code


def report_usage(error: Any) -> None:
    """Print an error of the command line itself: an unknown option, a value that is not a number."""
    ctx = getattr(error, "ctx", None)
    hint = "" if ctx is None else f"`{ctx.command_path} --help` shows what is valid"
    _print(Diagnosis(_lower_first(error.format_message()), hint))


def _print(diagnosis: Diagnosis) -> None:
    from rich.text import Text

    from .console import messages

    colour = "bold red" if diagnosis.label == "error" else "bold yellow"
    messages().print(Text.assemble((f"{diagnosis.label}: ", colour), diagnosis.message), soft_wrap=True)
    if diagnosis.details is not None:
        messages().print(diagnosis.details)
    if diagnosis.hint:
        messages().print(Text.assemble(("hint: ", "bold cyan"), diagnosis.hint), soft_wrap=True)


def diagnose(error: BaseException, command: str, command_line: str) -> Diagnosis:
    """Return what to print about an error.

    Parameters
    ----------
    command, command_line : str
        Program and command, such as ``resolvent solve``; and all that was typed.
    """
    library = _dataset_errors()
    if library is not None:
        found = _diagnose_dataset_error(error, library, command_line)
        if found is not None:
            return found
    text = _text(error)
    # Errors of training are told by name, so that nothing needs to import torch.
    if type(error).__name__ == "CheckpointError":
        return Diagnosis(text)
    if isinstance(error, InputError):
        return Diagnosis(text, error.hint or f"`{command} --help` explains the arguments")
    if type(error).__name__ == "TrainingInterrupted":
        done = f"{error.epoch} of {error.epochs} epochs are finished"  # type: ignore[attr-defined]
        return Diagnosis(done, f"resume with: {command_line}", INTERRUPTED, "interrupted")
    if isinstance(error, KeyboardInterrupt):
        resume = f"resume with: {command_line}" if command.endswith(" generate") else ""
        return Diagnosis("stopped before the end", resume, INTERRUPTED, "interrupted")
    if isinstance(error, MemoryError):
        return Diagnosis(f"not enough memory ({text})" if text else "not enough memory", "try a smaller problem")
    if isinstance(error, ImportError):
        return Diagnosis(text, "" if "pip install" in text else "install what is missing, then run the command again")
    if isinstance(error, IndexError):
        return Diagnosis(text, "choose an --index in this range; samples are counted from 0")
    if isinstance(error, OSError):
        return _diagnose_system_error(error, text)
    return Diagnosis(text or type(error).__name__, f"`{command} --help` explains the arguments")


def _diagnose_system_error(error: OSError, text: str) -> Diagnosis:
    if error.filename is not None and error.strerror:
        text = f"{error.filename}: {_lower_first(error.strerror)}"
    hints = {
        errno.ENOENT: f"check the spelling; relative paths start at {Path.cwd()}",
        errno.EACCES: "choose a file or folder you may read and write, or change its permissions",
        errno.EPERM: "choose a file or folder you may read and write, or change its permissions",
        errno.EROFS: "the file system is read-only: choose another place",
        errno.ENOSPC: "the disk is full: free some space, then run the command again",
        errno.EDQUOT: "the disk quota is used up: free some space, then run the command again",
        errno.EISDIR: "give a file name, not a folder",
        errno.ENOTDIR: "a part of the path is a file, not a folder",
    }
    if isinstance(error, FileNotFoundError) and "to resume" not in text:
        return Diagnosis(text, hints[errno.ENOENT])
    return Diagnosis(text, hints.get(error.errno or 0, ""))


def _diagnose_dataset_error(error: BaseException, library: ModuleType, command_line: str) -> Diagnosis | None:
    if isinstance(error, library.GenerationInterrupted):
        begun = f"{error.done} of {error.total} samples are on disk beside {error.out}"
        nothing = f"no chunk of the {error.total} samples was finished yet"
        return Diagnosis(
            begun if error.done else nothing,
            f"{'resume' if error.done else 'start again'} with: {command_line}",
            INTERRUPTED,
            "interrupted",
        )
    if isinstance(error, library.ConfigurationMismatch):
        return Diagnosis(
            f"{error.where} holds samples of another configuration",
            "use the same options to continue it, choose another --out, or discard it with --overwrite",
            details=_differences(error.differences),
        )
    if isinstance(error, library.CertificationError):
        detail = f", {error.detail}" if error.detail else ""
        return Diagnosis(
            f"sample {error.index} of seed {error.seed} is not certified: relative residual {error.rho:.3e}, at most "
            f"{error.tolerance:.1e} accepted (solver status {error.status}{detail}); finished chunks are kept",
            "try another --solver, loosen --rtol, or keep such samples, marked, with --on-failure flag",
            RESULT,
        )
    if isinstance(error, library.WorkerLostError):
        return Diagnosis(_text(error), f"resume, perhaps with fewer --workers: {command_line}", RESULT)
    if isinstance(error, library.DiscretisationError):
        return Diagnosis(_text(error), code=RESULT)
    if isinstance(error, library.StorageError) and error.errno == errno.EEXIST:
        text, _, advice = _text(error).partition(": ")
        return Diagnosis(text, advice)
    if isinstance(error, library.DatasetError):
        return Diagnosis(_text(error))
    return None


def _differences(differences: dict[str, tuple[Any, Any]]) -> RenderableType:
    """Return a table of what was found and what is requested, in the words of the command line."""
    from rich import box
    from rich.table import Table

    table = Table("option", "there", "requested", box=box.SIMPLE_HEAD, pad_edge=False)
    decided = differences.keys() & {"rtol", "solver"}  # what the method and its window follow from
    for key, (there, requested) in differences.items():
        if decided and key in ("method", "window"):
            continue
        name = key.removeprefix("family.")
        option = "FAMILY" if key == "family.family" else f"--{name.replace('_', '-')}" if name in _OPTIONS else name
        table.add_row(option, *("(none)" if value is None else str(value) for value in (there, requested)))
    return table


_OPTIONS = frozenset({"resolution", "seed", "rtol", "chunk", "dtype", "solver", "grid"})


def _text(error: BaseException) -> str:
    """Return the message of an error; KeyError would show it in quotes."""
    if isinstance(error, KeyError) and len(error.args) == 1:
        return str(error.args[0])
    return str(error)


def _lower_first(text: str) -> str:
    """Return a sentence as what follows ``error:``, acronyms kept."""
    text = text.strip().rstrip(".")
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
