"""What a preconditioner argument may be, and how it becomes an operator."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

from ...operators import LinearOperator, Props, as_operator


@dataclasses.dataclass(frozen=True)
class Recipe(abc.ABC):
    """How to build a preconditioner M ≈ A⁻¹ for any A: options only, immutable and printable."""

    @abc.abstractmethod
    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return a preconditioner for a changed A, reusing of M what the recipe can; by default nothing.

        M itself must stay as it is: the adjoint of an earlier solve may still use it.
        """
        return self(A)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim, without building it, so that a method can be chosen that can use it.

        By default the least, that M may vary: flexible methods can use any M.
        """
        return Props.VARIABLE


def build(M: Any, A: LinearOperator) -> LinearOperator | None:
    """Return the preconditioner argument `M` (None, a recipe, or anything `as_operator` takes) as an operator for A."""
    if M is None:
        return None
    if isinstance(M, type) and issubclass(M, Recipe):
        raise TypeError(f"M is the recipe class {M.__name__}: write {M.__name__}()")
    return fitted(M(A) if isinstance(M, Recipe) else as_operator(M), A)


def rebuild(recipe: Recipe, M: LinearOperator, A: LinearOperator) -> LinearOperator:
    """Return the preconditioner that `recipe` once built, brought up to date for a changed A."""
    return fitted(recipe.update(hosted(M), A), A)


def hosted(M: LinearOperator) -> LinearOperator:
    """Return the operator inside the wrapper that `fitted` puts around it for torch storage."""
    if not M._holds_torch():
        return M
    from ...operators._torch import Hosted

    return M.A if isinstance(M, Hosted) else M


def fitted(built: LinearOperator, A: LinearOperator) -> LinearOperator:
    """Return a preconditioner in the storage of A.

    Raises
    ------
    ValueError
        If its shape is not that of A, or it lives on another device.
    """
    if built.shape != A.shape:
        raise ValueError(f"the preconditioner must have the shape of A, {A.shape}, got {built.shape}")
    if built.device != A.device:
        raise ValueError(f"the preconditioner is on {built.device} and A on {A.device}: move one of them")
    if A._holds_torch() and not built._holds_torch():
        from ...operators._torch import Hosted

        return Hosted(built)
    return built
