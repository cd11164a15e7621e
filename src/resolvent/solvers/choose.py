"""Which method to use for a system, by structure, and why."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..operators import SPD, Dense, LinearOperator, Props, Sparse, StructureError, as_operator, detect_props
from .direct import Direct
from .krylov.cg import CG
from .krylov.fgmres import FGMRES
from .krylov.flexible_cg import FlexibleCG
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

DIRECT_UNKNOWNS_DENSE = 10_000
"""Limit for dense arrays: LU takes 2/3 n³ = 7e11 flops there, and a second array of 0.8 GB."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """A method with its preconditioner, and the reasons in the order they were weighed.

    Attributes
    ----------
    solver : Solver
        The method.
    M : preconditioner, recipe or None
        What to use with it: the caller's own if there was one.
    reasons : tuple of str
        Why.
    props : Props
        What A claims together with what its entries prove.

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
    M: Any
    reasons: tuple[str, ...]
    props: Props = Props.NONE

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
    options: dict[str, Any] = {"rtol": rtol, "atol": atol, "maxiter": maxiter}
    n, matrix = A.shape[0], _stored(A)
    direct = M is None and Props.SINGULAR not in A.props
    if isinstance(A, Dense):
        reasons = [f"{n} unknowns, dense"]
        if direct and n <= DIRECT_UNKNOWNS_DENSE:  # needs no claims, and to examine them would cost a copy
            reasons.append(f"few enough unknowns for a dense direct solver (limit {DIRECT_UNKNOWNS_DENSE})")
            return Choice(Direct(**options), None, tuple(reasons), A.props)
    else:
        entries = getattr(A, "nnz", None) if matrix is None else matrix.nnz
        reasons = [f"{n} unknowns, " + ("entries not stored" if entries is None else f"{entries} entries")]
    props, source = _known(A, matrix)
    described = ", ".join((props & ~Props.VARIABLE).names())
    reasons.append(f"{described} ({source})" if described else "neither symmetric nor self-adjoint as far as is known")
    if matrix is not None and direct:
        per_row = matrix.nnz / max(n, 1)
        limit = DIRECT_UNKNOWNS if per_row <= DIRECT_ROW_ENTRIES else DIRECT_UNKNOWNS_DENSER
        if n <= limit:
            reasons.append(f"few enough unknowns for a sparse direct solver (limit {limit})")
            return Choice(Direct(**options), None, tuple(reasons), props)
        reasons.append(f"too many unknowns for a sparse direct solver (limit {limit} at {per_row:.1f} entries a row)")
    return _iterative(A, M, props, matrix, options, reasons)


def choose_for_singular(A: LinearOperator, choice: Choice) -> Choice:
    """Return the iterative method to go on with where the direct one that was chosen found A singular."""
    options = {name: getattr(choice.solver, name) for name in ("rtol", "atol", "maxiter")}
    matrix = _stored(A)
    props = choice.props | _known(A, matrix)[0] | Props.SINGULAR
    return _iterative(A, None, props, matrix, options, [*choice.reasons, "singular: no direct solver"])


def with_claims(A: LinearOperator, props: Props) -> LinearOperator:
    """Return a sparse matrix with the claims that were found, sharing its entries; any other operator as it is."""
    if type(A) is Sparse and props & ~A.props:
        return Sparse(A.matrix, props=A.props | props, grid=A.grid)
    return A


def _iterative(
    A: LinearOperator,
    M: Any,
    props: Props,
    matrix: sp.csr_array | None,
    options: dict[str, Any],
    reasons: list[str],
) -> Choice:
    finite = _finite(A, matrix)
    if not finite:
        reasons.append("NaN or infinity among the entries: no preconditioner can be built")
        M = M if not isinstance(M, Recipe) else None
    definite = Props.POSITIVE_DEFINITE in props
    recipe: Recipe | None = None
    if M is None and matrix is not None and finite:
        if definite:
            recipe = AMG() if A.dtype.kind != "c" else None
        elif Props.SELF_ADJOINT not in props and Props.SINGULAR not in props:
            recipe = ILU()  # of a singular matrix it would meet a zero pivot
    given = SPD if M is None else _claims(M, A, props, matrix)
    solver: Solver
    if definite and Props.VARIABLE in given:
        solver, reason = FlexibleCG(**options), "positive definite, with a variable preconditioner: flexible CG"
    elif Props.VARIABLE in given:
        solver, reason = FGMRES(**options), "variable preconditioner: flexible GMRES"
    elif definite and Props.SELF_ADJOINT in given:
        reason = "positive definite: conjugate gradients" + (", algebraic multigrid" if recipe else "")
        solver = CG(**options)
    elif Props.SELF_ADJOINT in props and SPD in given:
        solver, reason = MINRES(**options), "self-adjoint, perhaps indefinite: MINRES"
    elif recipe is not None:
        solver, reason = GMRES(**options), "nonsymmetric: GMRES with an incomplete factorisation"
    else:
        about = "nonsymmetric"
        if Props.SELF_ADJOINT in props:
            about = "self-adjoint, but the preconditioner is not known to be" + ("" if definite else " definite")
        solver, reason = GMRES(restart=50, **options), f"{about}: GMRES, 50 vectors"
    return Choice(solver, recipe if M is None else M, (*reasons, reason), props)


def _claims(M: Any, A: LinearOperator, props: Props, matrix: sp.csr_array | None) -> Props:
    """What the preconditioner of the caller is known to be."""
    if isinstance(M, Recipe):
        known = A if not props & ~A.props or matrix is None else Sparse(matrix, props=props, grid=A.grid)
        return M.claims(known)
    M = as_operator(M)
    return _known(M, _stored(M))[0]


def _known(A: LinearOperator, matrix: sp.csr_array | None) -> tuple[Props, str]:
    """Return what A claims, or else what its entries prove, and where it is from."""
    examined: Any = A if isinstance(A, Dense) and A.shape[0] <= DIRECT_UNKNOWNS_DENSE else matrix
    if examined is None or A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.VARIABLE):
        return A.props, "claimed by the operator"
    return A.props | detect_props(examined), "proved by the entries"


def _stored(A: LinearOperator) -> sp.csr_array | None:
    """Return the entries of a sparse operator on the host if they can be had, else None."""
    if A.device != "cpu" or isinstance(A, Dense):
        return None
    try:
        return A.to_sparse()
    except StructureError:
        return None


def _finite(A: LinearOperator, matrix: sp.csr_array | None) -> bool:
    entries = A.to_dense() if isinstance(A, Dense) else None if matrix is None else matrix.data
    return entries is None or bool(np.isfinite(entries).all())
