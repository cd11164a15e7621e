"""What the operators made of Kronecker factors share: checking factors, applying them axis by axis, moving them."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from .base import Array, LinearOperator
from .convert import as_operator
from .props import Props
from .workspace import Workspace

Order = Literal["C", "F"]


def checked_factors(factors: Sequence[Any], order: str, *, square: bool, kind: str) -> tuple[LinearOperator, ...]:
    """Return factors as operators on one storage; ValueError for none, empty or rectangular ones, or mixed devices."""
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' (the last axis varies fastest) or 'F', got {order!r}")
    if not factors:
        raise ValueError(f"a {kind} needs at least one factor")
    made = tuple(as_operator(factor) for factor in factors)
    for number, factor in enumerate(made):
        if min(factor.shape) == 0:
            raise ValueError(f"factors need at least one row and column, but number {number} is {factor.shape}")
        if square and factor.shape[0] != factor.shape[1]:
            raise ValueError(
                f"a {kind} needs square factors, but number {number} is {factor.shape[0]} x {factor.shape[1]}"
            )
        if factor._communicator() is not None:
            raise ValueError(f"factors must be held by one process, but {factor!r} is spread over ranks")
    if len({(factor.device, factor._holds_torch()) for factor in made}) != 1:
        storage = ", ".join(f"{'torch' if f._holds_torch() else 'numpy'} on {f.device}" for f in made)
        raise ValueError(f"factors must be all on numpy or all on torch, and on one device, got {storage}")
    return made


def vector_grid(factors: Sequence[LinearOperator], order: Order) -> tuple[int, ...] | None:
    """Return the shape of x as a field, or None for column-major order, in which fields are not flattened here."""
    return tuple(factor.shape[1] for factor in factors) if order == "C" else None


def result_type(factors: Iterable[LinearOperator]) -> np.dtype:
    """Return the dtype of a product of factors."""
    return np.result_type(*(factor.dtype for factor in factors))


def product_claims(factors: Sequence[LinearOperator]) -> Props:
    """Flags of A_1 ⊗ … ⊗ A_d.

    Eigenvalues of a product are products of eigenvalues: symmetry and definiteness of all factors carry over, and one
    singular factor makes it singular. Off-diagonal entries of M-matrices multiply to positive ones, so that claim is
    lost with a second factor.
    """
    if len(factors) == 1:
        return factors[0].props
    kept = Props.VARIABLE if any(Props.VARIABLE in f.props for f in factors) else Props.NONE
    if any(f.shape[0] != f.shape[1] for f in factors):
        return kept
    for flag in (Props.SYMMETRIC, Props.SELF_ADJOINT, Props.POSITIVE_DEFINITE):
        if all(flag in f.props for f in factors):
            kept |= flag
    return kept | (Props.SINGULAR if any(Props.SINGULAR in f.props for f in factors) else Props.NONE)


def sum_claims(factors: Sequence[LinearOperator]) -> Props:
    """Flags of A_1 ⊕ … ⊕ A_d, whose eigenvalues are the sums λ_1 + … + λ_d of those of the factors.

    A sum of semi-definite factors is definite as soon as one of them is; where all are singular, so is the sum. The
    off-diagonal entries are those of the factors, so that M-matrices give an M-matrix.
    """
    kept = Props.VARIABLE if any(Props.VARIABLE in f.props for f in factors) else Props.NONE
    for flag in (Props.SYMMETRIC, Props.SELF_ADJOINT, Props.POSITIVE_DEFINITE, Props.M_MATRIX, Props.SINGULAR):
        if all(flag in f.props for f in factors):
            kept |= flag
    return kept


def apply_factors(
    factors: Sequence[LinearOperator],
    X: Array,
    out: Array,
    work: Workspace,
    *,
    adjoint: bool = False,
    add: bool = False,
) -> None:
    """Write (A_1 ⊗ … ⊗ A_d) X for an (n, k) array into the (m, k) array `out`, or add it; two scratch vectors at most.

    Factors that shorten their axis most come first: with that order the number of operations is least.
    """
    from .axis_products import multiply_along

    shapes = [f.shape[::-1] if adjoint else f.shape for f in factors]
    k = X.shape[1]
    sizes = [n for _, n in shapes]
    order = sorted(range(len(factors)), key=lambda a: 1.0 / shapes[a][1] - 1.0 / shapes[a][0])
    if not adjoint and all(m == n for m, n in shapes):
        order = list(range(len(factors)))
    largest = size = math.prod(sizes)
    for a in order[:-1]:
        size = size // shapes[a][1] * shapes[a][0]
        largest = max(largest, size)
    current = X
    for step, a in enumerate(order):
        m, n = shapes[a]
        outer, inner = math.prod(sizes[:a]), math.prod(sizes[a + 1 :]) * k
        sizes[a] = m
        last = step == len(order) - 1
        if last:
            target = out
        else:
            scratch = work.array(f"field {step % 2}", (largest * k,), X.dtype)
            target = scratch[: outer * m * inner]
        multiply_along(
            factors[a],
            current.reshape(outer, n, inner),
            target.reshape(outer, m, inner),
            adjoint=adjoint,
            add=add and last,
        )
        current = target


def apply_sum(factors: Sequence[LinearOperator], X: Array, out: Array, *, adjoint: bool = False) -> None:
    """Write (A_1 ⊕ … ⊕ A_d) X for an (n, k) array into `out`, without scratch."""
    from .axis_products import multiply_along

    sizes, k = [f.shape[1] for f in factors], X.shape[1]
    for a, factor in enumerate(factors):
        shape = (math.prod(sizes[:a]), sizes[a], math.prod(sizes[a + 1 :]) * k)
        multiply_along(factor, X.reshape(shape), out.reshape(shape), adjoint=adjoint, add=a > 0)


def torch_factors(factors: Sequence[LinearOperator], X: Array, *, adjoint: bool = False) -> Array:
    """Return (A_1 ⊗ … ⊗ A_d) X for a torch tensor."""
    from ._torch import along

    sizes, k = [f.shape[0] if adjoint else f.shape[1] for f in factors], X.shape[1]
    for a, factor in enumerate(factors):
        outer, inner = math.prod(sizes[:a]), math.prod(sizes[a + 1 :]) * k
        X = along(factor, X.reshape(outer, sizes[a], inner), adjoint=adjoint)
        sizes[a] = X.shape[1]
    return X.reshape(math.prod(sizes), k)


def torch_sum(factors: Sequence[LinearOperator], X: Array, *, adjoint: bool = False) -> Array:
    """Return (A_1 ⊕ … ⊕ A_d) X for a torch tensor."""
    from ._torch import along

    sizes, k = [f.shape[1] for f in factors], X.shape[1]
    terms = []
    for a, factor in enumerate(factors):
        shape = (math.prod(sizes[:a]), sizes[a], math.prod(sizes[a + 1 :]) * k)
        terms.append(along(factor, X.reshape(shape), adjoint=adjoint).reshape(X.shape))
    return functools.reduce(operator.add, terms)


def outer_product(vectors: Sequence[Array], torch: bool) -> Array:
    """Return v_1 ⊗ … ⊗ v_d, of vectors or matrices."""
    if torch:
        from ._torch import kron

        return functools.reduce(kron, vectors)
    return functools.reduce(np.kron, vectors)


def outer_sum(vectors: Sequence[Array]) -> Array:
    """Return v_1[i_1] + … + v_d[i_d], flattened."""
    return functools.reduce(lambda total, v: (total[:, None] + v[None, :]).reshape(-1), vectors)


def update_factors(factors: Sequence[LinearOperator], values: dict[str, Any]) -> None:
    """Carry out ``update(factors=(A_1, None, …))``: each factor that is not None gets new entries."""
    from .diagonal import Diagonal

    given = values.get("factors")
    if set(values) != {"factors"} or given is None or len(given) != len(factors):
        raise ValueError(f"update takes factors=(…), one matrix or None for each of the {len(factors)} factors")
    for factor, entries in zip(factors, given, strict=True):
        if entries is not None:
            factor.update(**{"d" if isinstance(factor, Diagonal) else "A": entries})


def shapes_of(factors: Sequence[LinearOperator]) -> str:
    """Return the shapes of factors as they are shown."""
    return ", ".join(f"{m} x {n}" if m != n else str(n) for m, n in (f.shape for f in factors))
