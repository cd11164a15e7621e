"""Loading PETSc, and destroying its objects in time."""

from __future__ import annotations

import atexit
import weakref
from typing import Any


def load_petsc() -> Any:
    """Return ``petsc4py.PETSc``.

    Raises
    ------
    ImportError
        Without petsc4py, with the line that installs it.
    """
    try:
        from petsc4py import PETSc
    except ImportError as error:
        raise ImportError(
            'petsc4py is missing: pip install "resolvent[petsc]" (it needs an installed PETSc)'
        ) from error
    if not _at_exit:
        # After petsc4py's own: functions registered later run earlier, so that PETSc is still there.
        atexit.register(_destroy_all)
        _at_exit.append(True)
    return PETSc


def destroyed_with(owner: Any, objects: list[Any], *, at_exit: bool = True) -> Any:
    """Destroy PETSc objects when `owner` is collected, or at the end of the process: the function that does it now.

    petsc4py 3.18 crashes at the end of a process in which objects with Python callbacks still live.
    """
    finalizer = weakref.finalize(owner, destroy, objects)
    finalizer.atexit = False  # which would be too late
    if at_exit:
        _living[id(objects)] = objects
        weakref.finalize(owner, _living.pop, id(objects), None).atexit = False
    return finalizer


_at_exit: list[bool] = []
_living: dict[int, list[Any]] = {}
_shells: dict[int, Any] = {}


def _destroy_all() -> None:
    shells = [shell for reference in list(_shells.values()) if (shell := reference()) is not None]
    for objects in [*_living.values(), shells]:
        destroy(objects)


def destroy(objects: list[Any]) -> None:
    """Destroy PETSc objects, the last first."""
    for thing in reversed(objects):
        thing.destroy()
    objects.clear()


def destroyed_at_exit(shell: Any) -> None:
    """Destroy a PETSc object with Python callbacks at the end of the process, if its owner has not."""
    key = id(shell)
    _shells[key] = weakref.ref(shell, lambda _: _shells.pop(key, None))
