"""What a preconditioner argument may be, and how it becomes an operator."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

from ...operators import LinearOperator, as_operator


@dataclasses.dataclass(frozen=True)
class Recipe(abc.ABC):
    """How to build a preconditioner M ≈ A⁻¹ for any A: options only, immutable and printable."""

    @abc.abstractmethod
    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return a preconditioner for a changed A, reusing of M what the recipe can; by default nothing."""
        return self(A)


def build(M: Any, A: LinearOperator) -> LinearOperator | None:
    """Return the preconditioner argument `M` as an operator for A.

    Raises
    ------
    ValueError
        If its shape is not that of A, or it lives on another device.
    """
    if M is None:
        return None
    built = M(A) if isinstance(M, Recipe) else as_operator(M)
    if built.shape != A.shape:
        raise ValueError(f"the preconditioner must have the shape of A, {A.shape}, got {built.shape}")
    if built.device != A.device:
        raise ValueError(f"the preconditioner is on {built.device} and A on {A.device}: move one of them")
    if A._holds_torch() and not built._holds_torch():
        from ...operators._torch import Hosted

        return Hosted(built)
    return built
