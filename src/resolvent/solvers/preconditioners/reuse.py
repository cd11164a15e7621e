"""What an algebraic multigrid keeps when the values of A change: one vocabulary for all recipes."""

from __future__ import annotations

from typing import Any, Literal

from ...operators import LinearOperator

Reuse = Literal["nothing", "interpolation", "hierarchy"]

REUSE = ("nothing", "interpolation", "hierarchy")
"""Build anew; keep interpolation and restriction, and form the coarse matrices of the new values; keep all."""


def check_reuse(reuse: Any) -> None:
    """Raise ValueError for what is none of the words."""
    if reuse not in REUSE:
        raise ValueError(f"reuse must be one of {', '.join(map(repr, REUSE))}, got {reuse!r}")


def require_same_size(recipe: Any, M: LinearOperator, A: LinearOperator) -> None:
    """Raise ValueError where nothing of M can be kept for A, because it is of another size."""
    if M.shape != A.shape:
        raise ValueError(
            f"{recipe} keeps the hierarchy of a matrix of shape {M.shape}, but was given one of shape {A.shape}: "
            "build a preconditioner of its own for it"
        )
