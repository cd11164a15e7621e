"""Saying why the first run takes longer: numba compiles its kernels, and keeps them on disk.

numba announces every compilation it really does, after its cache had no entry, as an event. Listening to it is exact:
nothing is said when all kernels come from the cache. Worker processes cannot be listened to, so for them the cache is
looked at beforehand.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .console import note

MESSAGE = "compiling kernels for the first time (cached afterwards)…"
_PACKAGE = __name__.partition(".")[0]
_ESSENTIAL = "solvers.vector_kernels"
"""Module with kernels that every solve uses."""


@contextmanager
def compilation_announced(*, workers: int = 1) -> Iterator[None]:
    """Print `MESSAGE` once if kernels are compiled inside the block.

    Parameters
    ----------
    workers : int
        Above 1, processes other than this one will need the kernels.
    """
    from numba.core import event

    say_once = functools.cache(functools.partial(note, MESSAGE))

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            kernel = event.data["dispatcher"]
            if str(kernel.py_func.__module__).startswith(_PACKAGE) and kernel.stats.cache_path:
                say_once()

        def on_end(self, event: Any) -> None:
            pass

    if workers > 1 and not _has_cache(_ESSENTIAL):
        say_once()
    with event.install_listener("numba:compile", Listener()):
        yield


def _has_cache(name: str) -> bool:
    """Whether numba's cache holds anything of a module that is not older than its source."""
    module = importlib.import_module(f"..{name}", __package__)
    source = Path(str(module.__file__))
    folders = {Path(f.stats.cache_path) for f in vars(module).values() if hasattr(f, "py_func") and f.stats.cache_path}
    indices = [index for folder in folders for index in folder.glob(f"{source.stem}.*.nbi")]
    return any(index.stat().st_mtime >= source.stat().st_mtime for index in indices)
