"""The command line: `resolvent solve`, `generate`, `verify`, `plot` and the others, one command a file.

What a command needs is imported when it runs, so that ``resolvent --help`` answers at once.
"""

from __future__ import annotations

from .app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and exit with its status: 0 success, 1 a result that is not good, 2 bad input."""
    app()
