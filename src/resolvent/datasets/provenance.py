"""Where a set comes from: code, libraries, machine and command of each session that worked on it."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from .. import __version__
from .family import Family

_LIBRARIES = ("numpy", "scipy", "h5py", "numba", "pyamg", "threadpoolctl")


def family_card(family: Family) -> dict[str, Any]:
    """Return what describes the equation, for people: texts, units, and the law under the present options."""
    return {
        "name": family.name,
        "family_id": family.family_id,
        "title": family.title,
        "equation": family.equation,
        "domain": family.domain,
        "boundary": family.boundary,
        "law": family.law(),
        "licence": family.licence,
        "class": f"{type(family).__module__}.{type(family).__qualname__}",
    }


def session(**options: Any) -> dict[str, Any]:
    """Return the record of a session that starts now.

    Parameters
    ----------
    options
        Anything JSON that does not influence the samples, such as the number of workers.
    """
    return {
        "started": utc_now(),
        "command": shlex.join(sys.argv) if sys.argv else "",
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **versions(),
        **options,
    }


def utc_now() -> str:
    """Return the present time in UTC, to the second, in ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def versions() -> dict[str, Any]:
    """Return the versions on which the last bits of a result can depend."""
    import h5py
    import scipy.linalg  # noqa: F401 - brings its own BLAS, which must be in the list whether or not it is loaded yet
    import threadpoolctl

    found = {name: _version(name) for name in _LIBRARIES}
    found["hdf5"] = h5py.version.hdf5_version
    keys = ("user_api", "internal_api", "version", "architecture", "threading_layer")
    pools = [{key: pool[key] for key in keys if key in pool} for pool in threadpoolctl.threadpool_info()]
    return {
        "code": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "libraries": found,
        # Sorted: threadpoolctl lists libraries in the order in which they were loaded.
        "blas": sorted((pool for pool in pools if pool.get("user_api") == "blas"), key=str),
    }


def comparable(one: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a session that must agree for two of them to give the same bits."""
    keys = ("code", "commit", "python", "libraries", "blas", "processor")
    # Over how many ranks a system was spread, where it was.
    return {key: one.get(key) for key in keys} | ({"ranks": one["ranks"]} if "ranks" in one else {})


@functools.cache
def commit() -> str | None:
    """Return the git commit of the running code, with ``+changes`` if files differ from it; None outside a checkout."""
    here = Path(__file__)

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here.parent), *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # An installed copy may lie inside a checkout of something else, which does not track it.
    if git("ls-files", "--error-unmatch", here.name) is None:
        return None
    head = git("rev-parse", "HEAD")
    changes = git("status", "--porcelain", "--untracked-files=no", "--", str(here.parent.parent))
    return head if head is None or not changes else f"{head}+changes"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def processor() -> str:
    """Return the name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
