"""The bases in which the matrices of one axis are diagonal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg

from ...operators import Array, LinearOperator, Props, StructureError
from ..factorisations import SingularError

LONGEST = 8192
"""Longest axis that is diagonalised: eigenvectors of that length take 0.5 GB and some minutes."""


@dataclasses.dataclass(frozen=True)
class AxisBasis:
    """L and V with L A_t V diagonal for every matrix A_t of an axis.

    Attributes
    ----------
    left, right : (n, n) arrays or tensors
    values : tuple of (n,) arrays
        The diagonal of L A_t V for each matrix.
    condition : float
        Bound of the condition number of V that rounding errors grow with; 1 for unitary V.
    logdet : (scalar, float)
        Sign and logarithm of 1 / (det L det V).
    """

    left: Any
    right: Any
    values: tuple[Any, ...]
    condition: float
    logdet: tuple[Any, float]


def dense(factor: LinearOperator) -> Array:
    """Return the entries of a factor as a dense array or tensor; StructureError where the axis is too long."""
    if max(factor.shape) > LONGEST:
        raise StructureError(
            f"an axis of {max(factor.shape)} points is too long for dense factors (limit {LONGEST}): use an iterative "
            "method, or FastPoisson for constant coefficients"
        )
    return factor.to_dense()


def hermitian(factor: LinearOperator, matrix: Array) -> bool:
    """Whether a factor equals its adjoint, by claim or, up to the rounding of a product such as Q Λ Qᵀ, by its entries.

    Eigenvectors of a matrix that misses symmetry by rounding are badly conditioned where eigenvalues cluster, as those
    of covariances do; to take it as self-adjoint changes it by no more than that rounding.
    """
    if Props.SELF_ADJOINT in factor.props:
        return True
    adjoint = matrix.mH if factor._holds_torch() else matrix.conj().T
    return bool(abs(matrix - adjoint).max() <= 4.0 * np.finfo(factor.dtype).eps * abs(matrix).max())


def diagonalise(A: LinearOperator) -> AxisBasis:
    """Return the basis of eigenvectors of one factor, with values of A and of the identity.

    Raises
    ------
    SingularError
        If A has no basis of eigenvectors in this precision.
    StructureError
        If the axis is too long.
    """
    matrix = dense(A)
    if A._holds_torch():
        from ._torch import diagonalise as diagonalise_tensor

        return diagonalise_tensor(matrix, hermitian=hermitian(A, matrix))
    _require_finite(matrix)
    if hermitian(A, matrix):
        values, V = scipy.linalg.eigh(matrix, check_finite=False)
        return AxisBasis(V.conj().T, V, (values, np.ones_like(values)), 1.0, (1.0, 0.0))
    values, V = scipy.linalg.eig(matrix, check_finite=False)
    if matrix.dtype.kind != "c" and not values.imag.any():
        values, V = values.real, V.real
    left, condition = _inverse(V)
    return AxisBasis(left, V, (values, np.ones_like(values)), condition, (1.0, 0.0))


def diagonalise_pencil(A: LinearOperator, B: LinearOperator) -> AxisBasis:
    """Return the basis in which two factors of an axis are both diagonal.

    With A and B self-adjoint and one of them definite: V with Vᴴ B V = I. Otherwise the eigenvectors of the pencil, and
    L = (C V)⁻¹ for that of A and B which is better conditioned.
    """
    if A._holds_torch():
        raise StructureError("pencils of two matrices are diagonalised on the host: use an iterative method")
    one, two = dense(A), dense(B)
    dtype = np.result_type(one, two)
    one, two = one.astype(dtype, copy=False), two.astype(dtype, copy=False)
    _require_finite(one)
    _require_finite(two)
    if hermitian(A, one) and hermitian(B, two):
        for first, second in ((one, two), (two, one)):
            try:
                values, V = scipy.linalg.eigh(first, second, check_finite=False)
            except np.linalg.LinAlgError:  # the second one is not definite
                continue
            pair = (values, np.ones_like(values))
            size = np.linalg.cond(V)
            sign, log = np.linalg.slogdet(second)
            return AxisBasis(V.conj().T, V, pair if first is one else pair[::-1], float(size), (sign, float(log)))
    (alpha, beta), V = scipy.linalg.eig(one, two, homogeneous_eigvals=True, check_finite=False)
    if dtype.kind != "c" and not alpha.imag.any() and not V.imag.any():
        alpha, beta, V = alpha.real, beta.real, V.real
    conditions = [np.linalg.cond(one), np.linalg.cond(two)]
    C, divisor = (one, alpha) if conditions[0] < conditions[1] else (two, beta)
    left, condition = _inverse(C @ V)
    if not (np.abs(divisor) > 0.0).all():
        raise SingularError("both matrices of an axis are singular")
    sign, log = np.linalg.slogdet(C)
    return AxisBasis(left, V, (alpha / divisor, beta / divisor), condition, (sign, float(log)))


def _inverse(V: np.ndarray) -> tuple[np.ndarray, float]:
    """Return V⁻¹ and the condition number of V."""
    try:
        inverse = np.linalg.inv(V)
    except np.linalg.LinAlgError as error:
        raise SingularError("a factor has no basis of eigenvectors in this precision") from error
    return inverse, float(np.linalg.cond(V))


def _require_finite(matrix: np.ndarray) -> None:
    if not np.isfinite(matrix).all():
        raise SingularError("a factor holds NaN or infinity")


def combined_condition(bases: Sequence[AxisBasis]) -> float:
    """Return the product of the condition numbers of all axes."""
    return float(np.prod([basis.condition for basis in bases]))
