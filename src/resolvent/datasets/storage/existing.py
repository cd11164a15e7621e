"""What an output holds already, and whether a run may continue it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CertificationError, ConfigurationMismatch, FormatError
from ..reader import Dataset
from ..settings import differences
from .durable import storage_error
from .file_format import USER_BLOCK, hash_file, stored_file_sha256
from .workspace import read_manifest


def begun_set(out: Path, parts: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return configuration and solver decision of the set at an output, finished or in parts; None if there is none."""
    if out.is_file():
        try:
            with Dataset(out) as found:
                return found.config, found.provenance["decision"]
        except FormatError:
            return None
    manifest = read_manifest(parts)
    return None if manifest is None else (manifest["config"], manifest["decision"])


def finished_set(out: Path, config: Mapping[str, Any], n: int, *, overwrite: bool) -> Dataset | None:
    """Return the finished file of a configuration with at most n samples; None if there is none or it may go.

    Raises
    ------
    StorageError, FormatError
        If something else is there: a folder, or a file that is not a dataset. It is never overwritten.
    ConfigurationMismatch
        If it has another configuration, unless `overwrite`.
    ValueError
        If it has more than n samples, unless `overwrite`.
    """
    if out.is_dir():
        raise storage_error("write", out, IsADirectoryError(errno.EISDIR, "Is a directory"))
    try:
        if not out.exists():
            return None
    except OSError as error:
        raise storage_error("write", out, error) from error
    try:
        found = Dataset(out)
    except FormatError as error:
        raise FormatError(f"{error}. Nothing was overwritten: move it away, or choose another output") from error
    changed = differences(found.config, config)
    if (changed or len(found) > n) and overwrite:
        return None
    if changed:
        raise ConfigurationMismatch(str(out), changed)
    if len(found) > n:
        raise ValueError(
            f"{out} has {len(found)} samples already, {n} were requested: its first {n} are the set you ask for; read "
            "those, or choose another output"
        )
    return found


def refuse_flagged(found: Dataset) -> None:
    """Raise CertificationError for the first sample that an earlier run stored although it failed."""
    with found:
        flagged = np.flatnonzero(~found.column("certificate/certified"))
        if flagged.size:
            index = int(flagged[0])
            raise CertificationError(
                index,
                int(found.config["seed"]),
                found.column("certificate/status", index).item().decode(),
                float(found.column("certificate/rho_float64", index)),
                float(found.config["rtol"]),
                f"stored with on_failure='flag' in {found.path}",
            )


def refuse_altered(path: Path) -> None:
    """Raise FormatError unless a published file has the hash that it states; one rewritten by a tool states none."""
    stated = stored_file_sha256(path)
    if stated is not None and stated != hash_file(path, USER_BLOCK):
        raise FormatError(f"{path} was altered or damaged since it was made and cannot be extended: run `verify` on it")
