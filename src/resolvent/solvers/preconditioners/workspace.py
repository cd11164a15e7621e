"""Arrays that a preconditioner needs while it is applied: those of the operators."""

from __future__ import annotations

from ...operators.workspace import Workspace

__all__ = ["Workspace"]
