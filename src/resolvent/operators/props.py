"""Mathematical claims about operators, and how they travel through the algebra.

A flag is a claim by whoever builds the operator. Nothing checks it in production; `resolvent.check_operator` does.
The functions of this module are the one propagation table: they keep a claim only where it is a theorem.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .base import LinearOperator


class Props(enum.Flag):
    """Claims that solvers may rely on.

    Attributes
    ----------
    SYMMETRIC
        A = Aᵀ. For a real dtype the same as SELF_ADJOINT, for complex Helmholtz not.
    SELF_ADJOINT
        A = Aᴴ.
    POSITIVE_DEFINITE
        A = Aᴴ and xᴴAx > 0 for x ≠ 0. Together with SINGULAR: xᴴAx ≥ 0, that is semi-definite.
    M_MATRIX
        Off-diagonal entries ≤ 0 and an inverse with entries ≥ 0.
    SINGULAR
        A has a null space.
    VARIABLE
        The operator may differ between applications (learned, randomised, inner iteration): only flexible methods
        may use it as a preconditioner.
    """

    NONE = 0
    SYMMETRIC = enum.auto()
    SELF_ADJOINT = enum.auto()
    POSITIVE_DEFINITE = enum.auto()
    M_MATRIX = enum.auto()
    SINGULAR = enum.auto()
    VARIABLE = enum.auto()

    def names(self) -> tuple[str, ...]:
        """Names of the flags that are set, in lower-case words, for printing."""
        return tuple(str(flag.name).lower().replace("_", " ") for flag in self)


SPD = Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE
"""The usual claim for a discretised elliptic operator; `complete` adds SYMMETRIC for a real dtype."""


def complete(props: Props, dtype: np.dtype, shape: tuple[int, int]) -> Props:
    """Return `props` with all that follows from them for this dtype and shape.

    Raises
    ------
    ValueError
        If a square-only claim is made for a rectangular operator.
    """
    props = _with_consequences(props, dtype.kind != "c")
    if shape[0] != shape[1] and props & ~Props.VARIABLE:
        raise ValueError(
            f"{' and '.join((props & ~Props.VARIABLE).names())} can only be claimed for a square operator, "
            f"but the shape is {shape[0]} x {shape[1]}: drop the claim"
        )
    return props


@functools.cache  # operations on flags take a microsecond each, and every operator comes through here
def _with_consequences(props: Props, real: bool) -> Props:
    if props & Props.POSITIVE_DEFINITE:
        props |= Props.SELF_ADJOINT
    if real and props & (Props.SYMMETRIC | Props.SELF_ADJOINT):
        props |= Props.SYMMETRIC | Props.SELF_ADJOINT
    return props


def implied(props: Props) -> Props:
    """Return the flags that need not be printed because another one says as much."""
    if Props.POSITIVE_DEFINITE in props:
        return Props.SELF_ADJOINT | Props.SYMMETRIC
    return Props.SELF_ADJOINT if Props.SYMMETRIC in props else Props.NONE


def of_sum(terms: Iterable[Props]) -> Props:
    """Flags of A₁ + A₂ + …

    A sum of positive semi-definite operators is definite as soon as one of them is; M-matrices are closed under
    addition only when they are self-adjoint and definite (Stieltjes matrices).
    """
    terms = tuple(terms)
    kept = Props.NONE
    for flag in (Props.SYMMETRIC, Props.SELF_ADJOINT):
        if all(flag in term for term in terms):
            kept |= flag
    definite = all(Props.POSITIVE_DEFINITE in term for term in terms)
    if definite and any(Props.SINGULAR not in term for term in terms):
        kept |= Props.POSITIVE_DEFINITE
        if all(Props.M_MATRIX in term for term in terms):
            kept |= Props.M_MATRIX
    return kept | _variable(terms)


def of_product(factors: Sequence[LinearOperator]) -> Props:
    """Flags of A₁ A₂ … A_k.

    A product keeps almost nothing. SINGULAR survives between square factors, and a palindrome (A₁ = A_kᴴ, …, with a
    self-adjoint operator or nothing in the middle) is self-adjoint; it is definite when its middle is and the outer
    factors are square and not singular, which is not claimed here because no flag says "non-singular".
    """
    kept = Props.NONE
    if all(f.shape[0] == f.shape[1] for f in factors) and any(Props.SINGULAR in f.props for f in factors):
        kept |= Props.SINGULAR
    half = len(factors) // 2
    pairs = [(factors[i], factors[-1 - i]) for i in range(half)]
    mirrored = all(left.is_adjoint_of(right) or right.is_adjoint_of(left) for left, right in pairs)
    middle = factors[half] if len(factors) % 2 else None
    constant = not any(Props.VARIABLE in f.props for f in factors)
    if mirrored and constant and (middle is None or Props.SELF_ADJOINT in middle.props):
        kept |= Props.SELF_ADJOINT
    return kept | _variable(f.props for f in factors)


def of_scaled(A: LinearOperator, scalar: complex) -> Props:
    """Flags of scalar · A."""
    props = A.props
    kept = props & (Props.SYMMETRIC | Props.SINGULAR | Props.VARIABLE)
    if scalar.imag == 0.0:
        kept |= props & Props.SELF_ADJOINT
        if scalar.real > 0.0:
            kept |= props & (Props.POSITIVE_DEFINITE | Props.M_MATRIX)
    if scalar == 0.0 and A.shape[0] == A.shape[1]:
        kept |= Props.SINGULAR
    return kept


def of_adjoint(props: Props) -> Props:
    """Flags of Aᴴ and of Aᵀ: every claim is invariant under transposition and conjugation."""
    return props


def _variable(terms: Iterable[Props]) -> Props:
    return Props.VARIABLE if any(Props.VARIABLE in term for term in terms) else Props.NONE
