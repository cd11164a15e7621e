"""Symmetric successive over-relaxation."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Literal, get_args

import numpy as np

from ...operators import Array, LinearOperator, Props
from ...operators.workspace import Workspace
from .ordering import Ordering, check_ordering, checked_blocks
from .recipe import Recipe, is_number, options_equal, options_text
from .splitting import Splitting, split

Sweep = Literal["forward", "backward", "symmetric"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SSOR(Recipe):
    """One forward and one backward relaxation sweep, with A = L + D + U:

        M = ω (2 − ω) (D + ωU)⁻¹ D (D + ωL)⁻¹

    Costs about one product with A and stores nothing but the diagonal. For a self-adjoint A with positive diagonal it
    is self-adjoint and positive definite. On the 5-point Laplacian the condition number falls from O(h⁻²) to O(h⁻¹)
    for the best ω, which is near 2/(1 + sin πh); ω = 1 (symmetric Gauss–Seidel) gains a constant factor.

    The sweeps run from the first unknown to the last and back, so they use one core. Do not use it where AMG applies
    and the problem is large. With another ordering or with blocks, A is stored once more, renumbered, and the sweeps
    no longer have to wait for the unknown before; but colours cost iterations: with red and black, ω > 1 gains nothing.
    The adjoint, unless A is self-adjoint, stores Aᴴ when it is first asked for.

    As an iteration of its own it is ``SOR(omega, sweep="symmetric")``.

    Parameters
    ----------
    omega : float
        Relaxation factor, 0 < ω < 2.
    ordering : {"natural", "red_black", "multicolour"}
        The order of the unknowns, or of the blocks. Red-black for matrices whose graph has two colours, as that of 5-
        and 7-point stencils; multicolour for any, by greedy colouring.
    blocks : int or sequence of (m,) arrays of int, optional
        Relax blocks of unknowns together, by dense inverses of the diagonal blocks: consecutive unknowns, so many at a
        time, or the given sets, each unknown in exactly one, in the given order.

    Raises
    ------
    ValueError
        When built for a matrix with a zero or not-a-number on the diagonal, or a singular block, or for blocks or
        colours that do not fit.

    References
    ----------
    Axelsson 1972, doi:10.1007/BF01932955; with colours Saad 2003, doi:10.1137/1.9780898718003, section 12.4.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG, SSOR
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(200, 200))
    >>> [CG().solve(A, np.ones(200), M=M).iterations for M in (None, SSOR(omega=1.9))]
    [100, 13]
    """

    omega: float = 1.0
    ordering: Ordering = "natural"
    blocks: Any = None

    def __post_init__(self) -> None:
        check_omega(self.omega)
        check_ordering(self.ordering)
        object.__setattr__(self, "blocks", checked_blocks(self.blocks))

    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.omega, self.ordering))

    def __repr__(self) -> str:
        return options_text(self)

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Sweeps(A, self.omega, "symmetric", self.ordering, self.blocks, "SSOR")

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims."""
        return claims_of_sweep("symmetric", A)


def check_omega(omega: Any) -> None:
    """Raise ValueError unless 0 < ω < 2."""
    if not (is_number(omega) and 0.0 < omega < 2.0):
        raise ValueError(f"omega must lie between 0 and 2, both excluded, got {omega!r}")


def sweep_code(sweep: Any) -> int:
    """Return the number by which kernels know a sweep; ValueError for what is none."""
    names = get_args(Sweep)
    if sweep not in names:
        raise ValueError(f"sweep must be one of {', '.join(map(repr, names))}, got {sweep!r}")
    return names.index(sweep)


def claims_of_sweep(sweep: Sweep, A: LinearOperator) -> Props:
    """Return what holds of M if it does of A."""
    if sweep != "symmetric":
        return Props.NONE
    # M is congruent to D, so that even a semi-definite A with positive diagonal gives a definite M.
    return A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)


class Sweeps(LinearOperator):
    """Relaxation sweeps from zero as a preconditioner, compiled, without any allocation.

    Parameters
    ----------
    A : LinearOperator
        With entries.
    omega : float
    sweep : {"forward", "backward", "symmetric"}
    ordering, blocks
        See `SSOR`.
    method : str
        For messages.

    Attributes
    ----------
    splitting : Splitting
    """

    def __init__(
        self, A: LinearOperator, omega: float, sweep: Sweep, ordering: Ordering, blocks: Any, method: str
    ) -> None:
        self.splitting: Splitting = split(A, ordering, blocks, method)
        super().__init__(A.shape, A.dtype, props=claims_of_sweep(sweep, A), grid=A.grid)
        self.omega, self.method = float(omega), method
        self.not_self_adjoint = sweep != "symmetric"
        self._code = sweep_code(sweep)
        self._work = Workspace()
        self._symmetric_matrix = Props.SELF_ADJOINT in A.props
        self._adjoint: Sweeps | None = None

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        permutation = self.splitting.permutation
        if permutation is None:
            self._sweep(X, out)
            return
        given, found = (self._work.array(name, X.shape, X.dtype) for name in ("given", "found"))
        np.take(X, permutation, axis=0, out=given, mode="clip")
        self._sweep(given, found)
        out[permutation] = found

    def _sweep(self, X: Array, out: Array) -> None:
        from .ssor_kernels import block_sweeps, sweeps

        s = self.splitting
        A = (s.matrix.indptr, s.matrix.indices, s.matrix.data)
        if s.inverse is not None:
            sweeps(*A, s.inverse, self.omega, self._code, X, out)
            return
        kernel: Any = block_sweeps
        work = self._work.array("block", (s.widest,), X.dtype)
        kernel(*A, s.starts, s.offsets, s.entries, self.omega, self._code, work, X, out)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        if Props.SELF_ADJOINT in self.props:
            self._matmat_into(X, out)
            return
        if self._adjoint is None:
            # The adjoint of sweeps over A are the sweeps over Aᴴ the other way round.
            other = copy.copy(self)
            other._work = Workspace()
            other._code = (1, 0, 2)[self._code]
            other.splitting = self.splitting if self._symmetric_matrix else self.splitting.adjoint()
            self._adjoint = other
        self._adjoint._matmat_into(X, out)

    def _summary(self) -> str:
        s = self.splitting
        colours = f", {s.colours} colours" if s.colours else ""
        blocks = "" if s.starts is None else f", {len(s.starts) - 1} blocks"
        return f"{self.method}, omega {self.omega:g}{colours}{blocks}"
