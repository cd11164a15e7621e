"""Writing solutions and pictures: complete or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from ..solvers import Result

SOLUTIONS = (".npy", ".h5", ".mtx")
PICTURES = (".png", ".pdf", ".svg")


def check_target(path: Path, endings: Sequence[str], inputs: Sequence[Path] = ()) -> None:
    """Find out before the work whether its result can be written.

    Raises
    ------
    InputError
        For an unknown ending, a folder that does not exist or cannot be written, or a target that is an input.
    """
    if not path.name:
        raise InputError("no file name was given", f"give one that ends in {', '.join(endings)}")
    if path.suffix.lower() not in endings:
        raise InputError(f"{path}: expected a file name that ends in {', '.join(endings)}", "choose another name")
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a file name")
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {folder}", f"make it first: mkdir -p {folder}")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path} cannot be written: no permission to write in {folder}", "choose another folder")
    if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
        raise InputError(f"{path} is also an input and would be overwritten", "choose another name")


def write_solution(path: Path, result: Result) -> None:
    """Write x, in an HDF5 file together with what is known about it.

    Raises
    ------
    StorageError
        If the file cannot be written; an older one is then left as it was.
    """
    import numpy as np

    content = io.BytesIO()
    if path.suffix.lower() == ".npy":
        np.save(content, result.x, allow_pickle=False)
    elif path.suffix.lower() == ".mtx":
        import scipy.io

        columns = np.asarray(result.x).reshape(len(result.x), -1)
        scipy.io.mmwrite(content, columns, comment=f" {result.solver}, {result.status.name}", precision=17)
    else:
        content.write(_hdf5_image(result))
    put(path, content.getvalue())


def _hdf5_image(result: Result) -> bytes:
    """Return the bytes of an HDF5 file: written by ourselves, since a full disk can end the HDF5 library badly."""
    import h5py

    with h5py.File("solution", "w", driver="core", backing_store=False) as file:
        file["x"] = result.x
        file["history"] = result.history
        attributes: dict[str, Any] = {
            "status": result.status.name,
            "solver": result.solver,
            "iterations": result.iterations,
            "residual_norm": result.residual_norm,
            "rhs_norm": result.rhs_norm,
            "tolerance": result.tolerance,
        }
        file.attrs.update(attributes)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def write_figure(path: Path, figure: Figure | SubFigure | None) -> None:
    """Write a picture in the format its name ends in; what an Axes says is its figure is one."""
    assert figure is not None
    content = io.BytesIO()
    figure.figure.savefig(content, format=path.suffix[1:].lower())
    put(path, content.getvalue())


def put(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all."""
    from ..datasets.storage.durable import storage_errors, write_atomically

    with storage_errors("write", path):
        write_atomically(path, content)
