"""Independent systems of one structure as one operator."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .base import Array, LinearOperator
from .props import Props

if TYPE_CHECKING:
    import scipy.sparse as sp


class Ensemble(LinearOperator):
    """B independent operators of one shape, side by side: samples of a family of equations on one grid.

    Member b acts on the numbers b, b + B, b + 2B, … of a vector of length nB: vectors are fields of shape (*grid, B)
    in C order, members innermost, and are accepted as such. Each member is its own system: solvers judge, and report
    in ``result.columns``, every one by its own residual.

    Parameters
    ----------
    members : sequence of LinearOperator
        Square, of one shape, dtype and device. They are kept, not copied: an `update` of one is noticed.

    Attributes
    ----------
    members : tuple of LinearOperator

    Raises
    ------
    ValueError
        For no members, or members that do not fit together.

    See Also
    --------
    resolvent.solvers.MultigridCG : solves all members of an ensemble at once.

    Notes
    -----
    A product costs the products of the members and two copies of the vector. Claims are those that all members make;
    the ensemble is singular where one of them is.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Ensemble, Stencil
    >>> A = Ensemble([Stencil.from_transmissibilities([t * np.ones(4)]) for t in (1.0, 2.0)])
    >>> A
    Ensemble(6 x 6, float64, 2 members, positive definite, m matrix)
    >>> A @ np.ones((3, 2))
    array([[1., 2.],
           [0., 0.],
           [1., 2.]])
    """

    def __init__(self, members: Sequence[LinearOperator]) -> None:
        if isinstance(members, LinearOperator) or not isinstance(members, Iterable):
            raise TypeError(f"members must be a sequence of operators, got {type(members).__name__}")
        members = tuple(members)
        if not members:
            raise ValueError("an ensemble needs at least one member")
        for member in members:
            if not isinstance(member, LinearOperator):
                raise TypeError(f"members must be operators, got {type(member).__name__}: wrap it with as_operator")
        first, kind = members[0], _kind(members[0])
        for number, member in enumerate(members):
            if _kind(member) != kind or member.shape[0] != member.shape[1]:
                raise ValueError(
                    "members must be square and have one shape, dtype, device and grid, and be all on numpy or all on "
                    f"torch: the first is {first!r}, number {number} is {member!r}"
                )
        anywhere = Props.SINGULAR | Props.VARIABLE
        everywhere = functools.reduce(operator.and_, (member.props for member in members))
        found = functools.reduce(operator.or_, (member.props for member in members))
        if found & Props.SINGULAR:
            everywhere &= ~Props.M_MATRIX
        count, n = len(members), first.shape[0]
        super().__init__(
            (n * count, n * count),
            first.dtype,
            props=(everywhere & ~anywhere) | (found & anywhere),
            grid=None if first.grid is None else (*first.grid, count),
            device=first.device,
        )
        self.members = members

    def _parts(self) -> tuple[LinearOperator, ...]:
        return self.members

    def _holds_torch(self) -> bool:
        return self.members[0]._holds_torch()

    def _matmat(self, X: Array) -> Array:
        return self._apply_members(X, adjoint=False)

    def _rmatmat(self, X: Array) -> Array:
        return self._apply_members(X, adjoint=True)

    def _apply_members(self, X: Array, *, adjoint: bool) -> Array:
        count = len(self.members)
        fields = X.reshape(X.shape[0] // count, count, X.shape[1])
        products = []
        for number, member in enumerate(self.members):
            x = fields[:, number]
            x = x.contiguous() if self._holds_torch() else np.ascontiguousarray(x)
            products.append(member._rmatmat(x) if adjoint else member._matmat(x))
        if self._holds_torch():
            from ._torch import stacked

            return stacked(products, 1).reshape(X.shape)
        return np.stack(products, axis=1).reshape(X.shape)

    def diagonal(self) -> Array:
        """Return the main diagonal, members innermost."""
        return np.stack([member.diagonal() for member in self.members], axis=1).reshape(-1)

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as a `scipy.sparse.csr_array`, members innermost."""
        import scipy.sparse as sp

        count, n = len(self.members), self.members[0].shape[0]
        blocks = sp.csr_array(sp.block_diag([member.to_sparse() for member in self.members]))
        order = np.arange(n * count).reshape(count, n).T.reshape(-1)
        interleaved = blocks[order][:, order]
        interleaved.sort_indices()
        return interleaved

    def _summary(self) -> str:
        return f"{len(self.members)} members"


def _kind(member: LinearOperator) -> tuple[object, ...]:
    return member.shape, member.dtype, member.device, member.grid, member._holds_torch()
