"""What a preconditioner argument may be, and how it becomes an operator."""

from __future__ import annotations

import abc
import dataclasses
import math
import numbers
from typing import Any, ClassVar

import numpy as np

from ...operators import LinearOperator, Props, as_operator


@dataclasses.dataclass(frozen=True)
class Recipe(abc.ABC):
    """How to build a preconditioner M ≈ A⁻¹ for any A: options only, immutable and printable."""

    distributed: ClassVar[bool] = False
    """Whether it can be built for an operator spread over MPI ranks; `LocalBlocks` makes that of any other."""

    @abc.abstractmethod
    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return a preconditioner for a changed A, reusing of M what the recipe can; by default nothing.

        M itself must stay as it is: the adjoint of an earlier solve may still use it.
        """
        return self(A)

    @property
    def renews(self) -> bool:
        """Whether `update` gives what building for A would: not, where it keeps parts of an older M on purpose."""
        return True

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim, without building it, so that a method can be chosen that can use it.

        By default the least, that M may vary: flexible methods can use any M.
        """
        return Props.VARIABLE


def known_not_self_adjoint(M: LinearOperator) -> bool:
    """Whether M says of itself, by an attribute ``not_self_adjoint``, that CG must not use it, whatever A is.

    Most operators do not know: without a claim of A, SSOR claims nothing either, and is right for CG all the same.
    """
    return bool(getattr(hosted(M), "not_self_adjoint", False))


def is_number(value: Any) -> bool:
    """Whether an option is a real number, finite and no truth value."""
    real: Any = value if isinstance(value, numbers.Real) else math.nan
    return not isinstance(value, bool) and bool(abs(real) < math.inf)


def is_whole(value: Any, least: int) -> bool:
    """Whether an option is a whole number ≥ `least`."""
    return not isinstance(value, bool) and isinstance(value, numbers.Integral) and int(value) >= least


def options_equal(recipe: Any, other: Any) -> bool:
    """Whether two recipes, or solvers, are of one class with equal options, arrays compared entry by entry.

    For recipes with arrays among their options, whose ``==`` by `dataclasses` would fail.
    """
    if type(recipe) is not type(other):
        return False
    names = [field.name for field in dataclasses.fields(recipe)]
    return all(_equal(getattr(recipe, name), getattr(other, name)) for name in names)


def options_text(recipe: Any) -> str:
    """Return the recipe as it would be written, arrays by their shapes."""
    shown = [
        f"{field.name}={_text(getattr(recipe, field.name))}"
        for field in dataclasses.fields(recipe)
        if field.default is dataclasses.MISSING or not _equal(getattr(recipe, field.name), field.default)
    ]
    return f"{type(recipe).__name__}({', '.join(shown)})"


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{' x '.join(map(str, value.shape))} array>"
    if isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value):
        return f"<{len(value)} arrays>"
    return repr(value)


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
    """Return a preconditioner in the storage of A; it acts on x, so that for (m, n) it is (n, n).

    Raises
    ------
    ValueError
        If it has another shape, or lives on another device or on torch storage while A does not.
    """
    m, n = A.shape
    if built.shape != (n, n):
        wanted = f"the shape of A, {A.shape}" if m == n else f"shape {(n, n)}, to act on x for A of shape {A.shape}"
        raise ValueError(f"the preconditioner must have {wanted}, got {built.shape}")
    if built.device != A.device:
        raise ValueError(f"the preconditioner is on {built.device} and A on {A.device}: move one of them")
    if built._holds_torch() and not A._holds_torch():
        raise ValueError(f"the preconditioner {built!r} is on torch storage and A is not: convert one of them")
    if A._holds_torch() and not built._holds_torch():
        from ...operators._torch import Hosted

        return Hosted(built)
    return built
