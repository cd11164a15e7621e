"""Commands that all ranks of ``mpiexec`` run, and the first one leads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., None])


def first_rank_leads(command: Command) -> Command:
    """Return a command which, with ``--solver petsc``, rank 0 runs, while the other ranks take part in its solves."""

    @functools.wraps(command)
    def led(*arguments: Any, **options: Any) -> None:
        if options.get("solver") != "petsc":
            command(*arguments, **options)
            return
        from ..datasets.errors import WorkerLostError
        from ..datasets.methods.petsc_ranks import session

        try:
            with session() as leads:
                if leads:
                    command(*arguments, **options)
                    return
        except WorkerLostError:
            if leads_here():
                raise
            raise typer.Exit(1) from None  # rank 0 says why

    return led  # type: ignore[return-value]


def leads_here() -> bool:
    """Whether this is rank 0, or the only one."""
    from ..datasets.methods.petsc_ranks import rank

    return rank() == 0
