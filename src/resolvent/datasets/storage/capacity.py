"""Whether a set can be made at all: the size of a sample, and the room on the disk."""

from __future__ import annotations

import errno
import math
import shutil
from collections.abc import Iterable
from pathlib import Path

from ..errors import StorageError
from .file_format import USER_BLOCK, Layout


def refuse_full_disk(out: Path, layout: Layout, n: int, made: int, parts: Iterable[Path]) -> None:
    """Raise StorageError if a set cannot fit on the disk, before anything of it is written.

    When the file is put together the finished chunks are still there, so that both need room at once. Where the
    system does not say how much is free, nothing is refused.

    Parameters
    ----------
    n, made : int
        Samples of the set, and how many of them the finished file at `out` has already.
    parts : iterable of Path
        Folders whose finished chunks will be used, so that they need no room again.
    """
    folder = next((parent for parent in out.absolute().parents if parent.is_dir()), None)
    if folder is None:
        return
    try:
        disk = shutil.disk_usage(folder)
        begun = sum(entry.stat().st_size for begun_in in parts for entry in begun_in.glob("*.npy"))
    except OSError:
        return
    file = USER_BLOCK + n * sum(column.dtype.itemsize * math.prod(column.shape) for column in layout.columns)
    needed = file + max((n - made) * layout.record.itemsize - begun, 0)
    if disk.total == 0 or needed <= disk.free:
        return
    error = StorageError(
        f"{n} samples do not fit on the disk of {out}: {bytes_text(needed)} needed (the file of {bytes_text(file)}, "
        f"and its chunks until it is complete), {bytes_text(disk.free)} free. Ask for fewer samples or a lower "
        "resolution, store float32, or choose an output on a larger disk; nothing was written"
    )
    error.errno = errno.ENOSPC
    raise error


def bytes_text(count: int) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> bytes_text(900), bytes_text(1_500_000)
    ('900 B', '1.4 MiB')
    """
    if count < 1024:
        return f"{count} B"
    units = ("KiB", "MiB", "GiB", "TiB", "PiB")
    power = min((int(count).bit_length() - 1) // 10, len(units))
    value = count / 1024**power
    return f"{value:.1f} {units[power - 1]}" if value < 1e6 else f"{value:.1e} {units[power - 1]}"
