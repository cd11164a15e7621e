"""What a file or folder is: one of our datasets, a foreign one, a trained model, or something else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py

from . import pdebench_reader, the_well_reader
from .neuraloperator import family_of_files

DATASET_FORMATS = ("pdebench", "the_well", "neuraloperator")
"""Formats that datasets are exported to."""
MODEL_FORMATS = ("torch_export", "onnx")
"""Formats of trained models."""
_MODEL_ENDINGS = (".pt", ".pth", ".ckpt", ".pt2", ".safetensors", ".onnx")


def foreign_format(path: Path) -> str | None:
    """Return the foreign format of a file or folder; None if it has none of them.

    Nothing is unpickled: a file of tensors is told by its content, where torch is installed, and else by its name.
    """
    if path.is_dir():
        if any(the_well_reader.split_files(path).values()):
            return "the_well"
        return "neuraloperator" if any(map(family_of_files, path.glob("*.pt"))) else None
    if not path.is_file():
        return None
    if family_of_files(path) is not None:  # so named, even a damaged one is meant to be one
        return "neuraloperator"
    if _is_archive(path):
        return "neuraloperator" if _holds_pairs(path) else None
    try:
        with h5py.File(path, "r") as file:
            if the_well_reader.recognises(file):
                return "the_well"
            return "pdebench" if "format" not in file.attrs and pdebench_reader.recognises(file) else None
    except (OSError, KeyError, ValueError, RuntimeError, TypeError):
        return None


def is_model(path: Path) -> bool:
    """Whether a file is a trained model or a checkpoint, by its content or else its name."""
    if not path.is_file() or foreign_format(path) is not None:
        return False
    if _is_archive(path):
        with zipfile.ZipFile(path) as archive:
            # Archives that torch makes hold these; an .npz does not.
            if any(name.endswith(("data.pkl", "model.json", "archive_format")) for name in archive.namelist()):
                return True
    return path.suffix.lower() in _MODEL_ENDINGS


def _is_archive(path: Path) -> bool:
    """Whether a file is a whole zip archive: also by its beginning, since any file may happen to end like one."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return False
    return zipfile.is_zipfile(path)


def _holds_pairs(path: Path) -> bool:
    """Whether an archive of torch holds the tensors x and y."""
    from ..errors import FormatError

    with zipfile.ZipFile(path) as archive:
        if not any(name.endswith("data.pkl") for name in archive.namelist()):
            return False
    try:
        from ._torch import load_tensors

        content = load_tensors(path)
    except (ImportError, FormatError):
        return False
    return isinstance(content, dict) and {"x", "y"} <= content.keys()
