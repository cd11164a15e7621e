"""Which method to use for a system, by structure, and why."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..operators import LinearOperator, Props, StructureError, as_operator, detect_props
from .direct import Direct
from .krylov.cg import CG
from .krylov.gmres import GMRES
from .krylov.minres import MINRES
from .preconditioners.amg import AMG
from .preconditioners.ilu import ILU
from .preconditioners.recipe import Recipe
from .solver import Solver

DIRECT_UNKNOWNS = 150_000
"""Largest sparse system given to the direct solver without looking further. SuperLU needs about 1.2 s and 0.5 GB for
512² = 262 144 unknowns in two dimensions, but 2.5 s for 32³ = 32 768 in three, hence the entries limit below."""

DIRECT_ROW_ENTRIES = 6.0
"""Mean number of entries a row above which a matrix is taken for three-dimensional (7-point) or denser."""

DIRECT_UNKNOWNS_DENSER = 15_000
"""Limit for those matrices."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """A method with its preconditioner recipe, and the reasons in the order they were weighed.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from resolvent import choose
    >>> print(choose(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(9, 9))))
    Direct(rtol=1e-08)
      9 unknowns, 25 entries
      symmetric, self adjoint, positive definite, m matrix (proved by the entries)
      few enough unknowns for a sparse direct solver (limit 150000)
    """

    solver: Solver
    M: Recipe | None
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.solver}" + ("" if self.M is None else f" with {self.M}")
        return "\n  ".join((head, *self.reasons))


def choose(A: Any, M: Any = None, *, rtol: float = 1e-8, atol: float = 0.0, maxiter: int | None = None) -> Choice:
    """Choose a method and a preconditioner for A x = b by structure, size and claims.

    Parameters
    ----------
    A : (n, n) operator or matrix
        System. Claims of an operator are believed; an assembled matrix without claims is examined in O(nnz).
    M : preconditioner, optional
        If the caller has one, only the method is chosen, among those that can use it.
    rtol, atol, maxiter
        Passed on to the method.

    Returns
    -------
    choice : Choice
        Print it to read the reasons.
    """
    A = as_operator(A)
    reasons = []
    entries = _entries(A)
    size = f"{A.shape[0]} unknowns"
    reasons.append(f"{size}, {entries} entries" if entries is not None else f"{size}, entries not stored")
    props = A.props
    if entries is not None and not props & (Props.SYMMETRIC | Props.SELF_ADJOINT) and A.device == "cpu":
        props |= detect_props(A)
        source = "proved by the entries"
    else:
        source = "claimed by the operator"
    described = ", ".join((props & ~Props.VARIABLE).names())
    reasons.append(f"{described} ({source})" if described else "neither symmetric nor self-adjoint as far as is known")
    options: dict[str, Any] = {"rtol": rtol, "atol": atol, "maxiter": maxiter}
    if M is None and entries is not None and A.device == "cpu" and Props.SINGULAR not in props:
        per_row = entries / max(A.shape[0], 1)
        limit = DIRECT_UNKNOWNS if per_row <= DIRECT_ROW_ENTRIES else DIRECT_UNKNOWNS_DENSER
        if A.shape[0] <= limit:
            reasons.append(f"few enough unknowns for a sparse direct solver (limit {limit})")
            return Choice(Direct(**options), None, tuple(reasons))
        reasons.append(f"too many unknowns for a sparse direct solver (limit {limit} at {per_row:.1f} entries a row)")
    return _iterative(A, M, props, entries, options, reasons)


def _iterative(
    A: LinearOperator, M: Any, props: Props, entries: int | None, options: dict[str, Any], reasons: list[str]
) -> Choice:
    assembled = M is None and entries is not None and A.device == "cpu"
    if Props.POSITIVE_DEFINITE in props:
        recipe = AMG() if assembled and A.dtype.kind != "c" else None
        reasons.append("positive definite: conjugate gradients" + (", algebraic multigrid" if recipe else ""))
        return Choice(CG(**options), recipe, tuple(reasons))
    if Props.SELF_ADJOINT in props:
        reasons.append("self-adjoint, perhaps indefinite: MINRES")
        return Choice(MINRES(**options), None, tuple(reasons))
    if assembled:
        reasons.append("nonsymmetric: GMRES with an incomplete factorisation")
        return Choice(GMRES(**options), ILU(), tuple(reasons))
    reasons.append("nonsymmetric, entries not stored: GMRES, 50 vectors")
    return Choice(GMRES(restart=50, **options), None, tuple(reasons))


def _entries(A: LinearOperator) -> int | None:
    """Number of entries if they can be had, else None."""
    known = getattr(A, "nnz", None)
    if known is not None:
        return int(known)
    try:
        return int(A.to_sparse().nnz)
    except StructureError:
        return None
