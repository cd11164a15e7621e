"""`resolvent version`."""

from __future__ import annotations

import importlib.metadata
import platform

import typer

from .. import __version__
from .errors import DebugOption

_LIBRARIES = ("numpy", "scipy", "numba", "pyamg", "h5py", "matplotlib")
_EXTRAS = {"learn": ("torch",), "petsc": ("petsc4py", "mpi4py"), "cluster": ("dask", "distributed", "mpi4py")}


def print_and_exit(value: bool) -> None:
    """Print the version alone: the callback of ``--version``."""
    if value:
        typer.echo(f"resolvent {__version__}")
        raise typer.Exit


def version(debug: DebugOption = False) -> None:
    """Print the versions of resolvent, Python, the libraries and the installed extras."""
    from .console import write_pairs

    rows = {"resolvent": __version__, "python": f"{platform.python_version()} on {platform.platform(terse=True)}"}
    rows |= {name: _installed(name) or "missing" for name in _LIBRARIES}
    for extra, packages in _EXTRAS.items():
        found = {name: _installed(name) for name in packages}
        if all(found.values()):
            rows[extra] = "extra, installed: " + ", ".join(f"{name} {number}" for name, number in found.items())
        else:
            rows[extra] = f'extra, not installed: pip install "resolvent[{extra}]"'
    write_pairs(rows, indent=0)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
