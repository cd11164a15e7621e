"""The command line: `resolvent solve`, `calibrate`, `generate`, `verify`, `plot` and the others, one command a file.

What a command needs is imported when it runs, so that ``resolvent --help`` answers at once.
"""

from __future__ import annotations

import io
import sys

from .app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and exit with its status: 0 success, 1 a result that is not good, 2 bad input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ‖ and ∇ shows question marks instead of failing
    app()
