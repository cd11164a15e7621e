"""Telling a damaged dataset from something that never was one."""

from __future__ import annotations

from pathlib import Path

import h5py

from .errors import FormatError
from .storage.file_format import FORMAT, USER_BLOCK

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def refuse_foreign(path: Path) -> None:
    """Raise FormatError for a folder or file that is not a dataset of this package; a damaged one passes."""
    what = _something_else(path)
    if what:
        raise FormatError(f"{path} is not a dataset of this package: expected an HDF5 file made by `generate`, {what}")


def _something_else(path: Path) -> str:
    """Return what is there instead of a dataset; empty for a dataset, whole or damaged, and where one cannot tell."""
    if path.is_dir():
        return "it is a folder"
    with path.open("rb") as file:
        head = file.read(USER_BLOCK + len(_SIGNATURE))
    if not head:
        return "it is empty"
    if head.startswith(FORMAT.encode() + b"\n"):
        return ""
    try:
        with h5py.File(path, "r") as content:
            found = content.attrs.get("format")
    except (OSError, KeyError, ValueError, RuntimeError, TypeError):
        signed = head.startswith(_SIGNATURE) or head[USER_BLOCK:].startswith(_SIGNATURE)
        return "" if signed else "it is not an HDF5 file"
    found = found.decode(errors="replace") if isinstance(found, bytes) else found
    if isinstance(found, str) and found == FORMAT:
        return ""
    return f"it is an HDF5 file whose root attribute format should be {FORMAT!r}, found {found!r}"
