"""The structured operator near to a given one that can be inverted directly: what a preconditioner is built of."""

from __future__ import annotations

import numpy as np

from ...operators import (
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    LinearOperator,
    Props,
    StructureError,
    SumOfKroneckers,
)

_ROUNDS = 20
"""Rounds of alternating least squares for the nearest Kronecker product on three axes or more; two need one."""


def nearest_structured(A: LinearOperator) -> LinearOperator:
    """Return a Kronecker product or sum, perhaps plus a multiple of the identity, that is near to A, or A itself.

    - K + D: K plus the mean of d.
    - A sum of Kronecker products: the nearest single product in the Frobenius norm; of self-adjoint definite terms it
      is self-adjoint and definite again (Van Loan & Pitsianis 1993).

    Raises
    ------
    StructureError
        For an operator without Kronecker structure.
    """
    if isinstance(A, Kronecker | KroneckerSum):
        return A
    if isinstance(A, KroneckerPlusDiagonal):
        return A if A.constant is not None else KroneckerPlusDiagonal(A.structured, A.mean())
    if isinstance(A, SumOfKroneckers):
        return nearest_product(A)
    raise StructureError(
        f"KroneckerSolver is for Kronecker products and sums, alone, with a diagonal, masked, or several of them, not "
        f"{A!r}: build it of those, or use another preconditioner"
    )


def nearest_product(A: SumOfKroneckers) -> Kronecker:
    """Return the Kronecker product nearest to a sum of them in the Frobenius norm.

    On each axis the nearest factor is a combination of the factors of the terms there, so that all that is computed
    are their inner products and T coefficients an axis, by alternating least squares from equal coefficients.

    References
    ----------
    Van Loan & Pitsianis 1993, doi:10.1007/978-94-015-8196-7_17.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Kronecker, SumOfKroneckers
    >>> A, B = np.diag([1.0, 2.0]), np.diag([3.0, 4.0])
    >>> K = nearest_product(SumOfKroneckers(Kronecker(A, B), Kronecker(2.0 * A, B)))
    >>> np.allclose(K.to_dense(), 3.0 * np.kron(A, B))
    True
    """
    if A._holds_torch():
        raise StructureError("the nearest Kronecker product is computed on the host: use another preconditioner")
    axes = list(zip(*(term.axes for term in A.terms), strict=True))
    entries = [[factor.to_dense() for factor in axis] for axis in axes]
    grams = [np.array([[np.vdot(one, two) for two in axis] for axis_ in (axis,) for one in axis_]) for axis in entries]
    count = len(A.terms)
    coefficients = [np.full(count, 1.0, dtype=A.dtype) for _ in axes]
    for _ in range(_ROUNDS):
        for a in range(len(axes)):
            # ⟨Σ_t ⊗ A_tj, ⊗_j X_j⟩ with all X_j but the one of this axis fixed: each term gets their inner products.
            weight, norm = np.ones(count, dtype=A.dtype), 1.0
            for b in range(len(axes)):
                if b != a:
                    weight = weight * (coefficients[b].conj() @ grams[b])
                    norm *= float(np.real(coefficients[b].conj() @ grams[b] @ coefficients[b]))
            if norm == 0.0:
                raise StructureError(f"{A!r} has no nearest Kronecker product: its terms cancel")
            coefficients[a] = weight / norm
    made = []
    for own, axis, factors in zip(coefficients, entries, axes, strict=True):
        definite = all(Props.POSITIVE_DEFINITE in f.props for f in factors) and bool((np.real(own) >= 0.0).all())
        matrix = sum(c * entry for c, entry in zip(own, axis, strict=True))
        from ...operators import Dense

        made.append(Dense(matrix, props=Props.POSITIVE_DEFINITE if definite else Props.NONE))
    return Kronecker(*made)
