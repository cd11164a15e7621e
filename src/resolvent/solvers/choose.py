"""Which method to use for a system, by structure and estimated cost, and why."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeGuard

import numpy as np
import scipy.sparse as sp

from ..operators import (
    SPD,
    Array,
    Dense,
    Ensemble,
    LinearOperator,
    Props,
    Sparse,
    Stencil,
    StructureError,
    as_operator,
    detect_props,
)
from .candidates import DIRECT_UNKNOWNS, Estimate, candidates, ranked, rescue, told
from .costs import WAYS, CostModel, calibrated_model
from .direct import Direct
from .kronecker.choosing import assembled_is_large, structured_choice
from .krylov.cg import CG
from .krylov.cocg import COCG
from .krylov.fgmres import FGMRES
from .krylov.flexible_cg import FlexibleCG
from .krylov.gmres import GMRES
from .krylov.minres import MINRES
from .multigrid.multigrid_cg import fits
from .preconditioners.amg import AMG
from .preconditioners.ilu import ILU
from .preconditioners.jacobi import Jacobi
from .preconditioners.recipe import Recipe
from .recycling.gcrodr import GCRODR
from .solver import Solver
from .structure import Structure, nonsymmetric_stencil, structure_of

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
    estimates : tuple of Estimate
        What the methods that came into question are estimated to take, the chosen one first; empty where a rule
        decided.
    structure : Structure or None
        The kind of problem that the estimates are for.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from resolvent import choose
    >>> print(choose(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(9, 9))))
    Direct(rtol=1e-08)
      9 unknowns, 25 entries
      symmetric, self adjoint, positive definite, m matrix (proved by the entries)
      a narrow band, positive definite
      estimated direct ... ms a system; measured on ...
    """

    solver: Solver
    M: Any
    reasons: tuple[str, ...]
    props: Props = Props.NONE
    estimates: tuple[Estimate, ...] = ()
    structure: Structure | None = None

    def __str__(self) -> str:
        head = f"{self.solver}" + ("" if self.M is None else f" with {self.M}")
        return "\n  ".join((head, *self.reasons))


@dataclasses.dataclass(frozen=True)
class _Task:
    """What is asked for besides A and M."""

    options: dict[str, Any]
    n_systems: float = 1
    rhs: float = 1
    model: CostModel | None = None
    complex: bool = False


def choose(
    A: Any,
    M: Any = None,
    *,
    rtol: float = 1e-8,
    atol: float = 0.0,
    maxiter: int | None = None,
    n_systems: float = 1,
    rhs: float = 1,
    dtype: Any = None,
    model: CostModel | None = None,
) -> Choice:
    """Choose a method and a preconditioner for A x = b by structure, claims and estimated cost.

    Structure and claims say which methods can be used; which of them is fastest is estimated from measured seconds by
    kind of problem and size: those stored with the package, adjusted to this machine where ``resolvent calibrate`` was
    run on it. Nothing is timed.

    Parameters
    ----------
    A : (n, n) operator or matrix, or an `Ensemble`
        System. Claims of an operator are believed; an assembled matrix without claims is examined in O(nnz).
    M : preconditioner, optional
        If the caller has one, only the method is chosen, among those that can use it.
    rtol, atol, maxiter
        Passed on to the method.
    n_systems : int or inf
        How many systems of this structure are to be solved one after the other, with other entries: what is reused
        from system to system is then counted at its share.
    rhs : int or inf
        How many right-hand sides each of them has.
    dtype : dtype, optional
        Of the right-hand sides, by default that of A: some methods are for real numbers only.
    model : CostModel, optional
        Instead of the one of this machine: ``costs.packaged_model()`` decides alike on all machines.

    Returns
    -------
    choice : Choice
        Print it to read the reasons.

    Examples
    --------
    >>> from resolvent import choose
    >>> from resolvent.datasets.families import Darcy2D
    >>> import numpy as np
    >>> family = Darcy2D(resolution=256)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> str(choose(A).solver), str(choose(A.to_sparse()).solver)
    ('MultigridCG(rtol=1e-08)', 'MultigridCG(rtol=1e-08)')
    """
    for name, value in (("n_systems", n_systems), ("rhs", rhs)):
        whole = not isinstance(value, bool) and isinstance(value, int | float | np.integer | np.floating)
        if not whole or not value >= 1 or (not math.isinf(value) and int(value) != value):
            raise ValueError(f"{name} must be a whole number ≥ 1 or infinity, got {value!r}")
    A = as_operator(A)
    turned = dtype is not None and np.dtype(dtype).kind == "c"
    task = _Task({"rtol": rtol, "atol": atol, "maxiter": maxiter}, n_systems, rhs, model, turned)
    n = A.shape[0]
    by_structure = structured_choice(A, task.options) if M is None else None
    if by_structure is not None:
        solver, recipe, reason = by_structure
        return Choice(solver, recipe, (f"{n} unknowns", _said(A.props, "claimed by the operator"), reason), A.props)
    direct = M is None and Props.SINGULAR not in A.props
    if direct and not A._holds_torch() and _read_off(A):
        about = f"{len(A.members)} members" if isinstance(A, Ensemble) else f"{len(A.offsets)}-point stencil"
        reasons = [f"{n} unknowns, {about}", _said(A.props, "claimed by the operator")]
        entries = None if isinstance(A, Ensemble) else A.coefficients
        choice = _by_cost(structure_of(A, A.props), A.props, entries, task, reasons)
        if choice is not None:
            return choice
    matrix = _stored(A)
    if isinstance(A, Dense):
        reasons = [f"{n} unknowns, dense"]
        if direct and n <= DIRECT_UNKNOWNS_DENSE:  # needs no claims, and to examine them would cost a copy
            reasons.append(f"few enough unknowns for a dense direct solver (limit {DIRECT_UNKNOWNS_DENSE})")
            return Choice(Direct(**task.options), None, tuple(reasons), A.props)
    else:
        stored = getattr(A, "nnz", None) if matrix is None else matrix.nnz
        reasons = [f"{n} unknowns, " + ("entries not stored" if stored is None else f"{stored} entries")]
    props, source = _known(A, matrix)
    reasons.append(_said(props, source))
    if matrix is not None and direct and n:
        choice = _by_cost(structure_of(A, props, matrix), props, matrix.data, task, reasons)
        if choice is not None:
            return choice
    return _iterative(A, M, props, matrix, task, reasons)


def choose_for_singular(A: LinearOperator, choice: Choice) -> Choice:
    """Return the iterative method to go on with where the direct one that was chosen found A singular."""
    options = {name: getattr(choice.solver, name) for name in ("rtol", "atol", "maxiter")}
    matrix = _stored(A)
    props = choice.props | _known(A, matrix)[0] | Props.SINGULAR
    return _iterative(A, None, props, matrix, _Task(options), [*choice.reasons, "singular: no direct solver"])


def choose_after(choice: Choice) -> Choice | None:
    """Return what to go on with where the method that was chosen by its estimate fails, None where nothing is surer."""
    name = rescue([estimate.way for estimate in choice.estimates])
    if name is None:
        return None
    options = {key: getattr(choice.solver, key) for key in ("rtol", "atol", "maxiter")}
    way = WAYS[name]
    reasons = (*choice.reasons, f"{choice.estimates[0].way} failed: {name}")
    return Choice(way.solver(**options), way.M, reasons, choice.props)


def with_claims(A: LinearOperator, props: Props) -> LinearOperator:
    """Return a sparse matrix with the claims that were found, sharing its entries; any other operator as it is."""
    if type(A) is Sparse and props & ~A.props:
        return Sparse(A.matrix, props=A.props | props, grid=A.grid)
    return A


def _by_cost(
    structure: Structure | None, props: Props, entries: Array | None, task: _Task, reasons: list[str]
) -> Choice | None:
    """Return the cheapest of the methods that the cost model knows for a structure, None where there is none."""
    if structure is None:
        return None
    model = calibrated_model() if task.model is None else task.model
    rtol = float(task.options["rtol"])
    names = [name for name in candidates(structure) if not (task.complex and name == "multigrid")]
    estimates = ranked(structure, model, names, n_systems=task.n_systems, rhs=task.rhs, rtol=rtol)
    if not estimates:
        if structure.unknowns > DIRECT_UNKNOWNS[structure.dimension]:
            limit = f"{DIRECT_UNKNOWNS[structure.dimension]:.0f} in {structure.dimension}-D"
            reasons.append(f"too many unknowns for a sparse direct solver (limit {limit})")
        return None
    best = estimates[0]
    way = WAYS[best.way]
    if way.M is not None and entries is not None and not np.isfinite(entries).all():
        return None
    solver = way.solver(**task.options)
    reasons = [*reasons, str(structure)]
    if task.n_systems > 1 or task.rhs > 1:
        many = ("very many" if math.isinf(count) else str(int(count)) for count in (task.n_systems, task.rhs))
        reasons.append("systems: {}, right-hand sides of each: {}".format(*many))
    reasons.append(told(estimates, model, "a right-hand side" if math.isinf(task.rhs) else "a system"))
    if best.way == "multigrid" and task.n_systems > 1 and structure.members == 1:
        reasons.append("solve several together, as an Ensemble: the estimate is for that")
    if isinstance(solver, GMRES) and task.n_systems > 1:
        solver = GCRODR(**task.options)
        reasons.append("a sequence: GMRES that recycles, for a Sequence")
    return Choice(solver, way.M, tuple(reasons), props, estimates, structure)


def _iterative(
    A: LinearOperator,
    M: Any,
    props: Props,
    matrix: sp.csr_array | None,
    task: _Task,
    reasons: list[str],
) -> Choice:
    options = task.options
    finite = _finite(A, matrix)
    if not finite:
        reasons.append("NaN or infinity among the entries: no preconditioner can be built")
        M = M if not isinstance(M, Recipe) else None
    definite = Props.POSITIVE_DEFINITE in props
    singular = Props.SINGULAR in props
    complex_symmetric = A.dtype.kind == "c" and Props.SYMMETRIC in props and Props.SELF_ADJOINT not in props
    recipe: Recipe | None = None
    if M is None and matrix is not None and finite:
        if definite:
            recipe = AMG() if A.dtype.kind != "c" else None
        elif complex_symmetric:
            recipe = Jacobi() if not singular else None  # an incomplete LU of waves meets zero pivots
        elif Props.SELF_ADJOINT not in props and not singular:
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
    elif complex_symmetric and M is None and not singular:
        solver, reason = COCG(**options), "complex symmetric: COCG"
    elif recipe is not None and task.n_systems > 1:
        solver, reason = GCRODR(**options), "nonsymmetric, a sequence: GMRES that recycles (use it in a Sequence)"
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


def _said(props: Props, source: str) -> str:
    described = ", ".join((props & ~Props.VARIABLE).names())
    return f"{described} ({source})" if described else "neither symmetric nor self-adjoint as far as is known"


def _read_off(A: LinearOperator) -> TypeGuard[Stencil | Ensemble]:
    """Whether all that matters is known without assembling A."""
    if isinstance(A, Ensemble):
        return all(fits(member) for member in A.members)
    symmetric = bool(A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT))
    return isinstance(A, Stencil) and Props.VARIABLE not in A.props and (symmetric or nonsymmetric_stencil(A))


def _known(A: LinearOperator, matrix: sp.csr_array | None) -> tuple[Props, str]:
    """Return what A claims, or else what its entries prove, and where it is from."""
    examined: Any = A if isinstance(A, Dense) and A.shape[0] <= DIRECT_UNKNOWNS_DENSE else matrix
    if examined is None or A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.VARIABLE):
        return A.props, "claimed by the operator"
    return A.props | detect_props(examined), "proved by the entries"


def _stored(A: LinearOperator) -> sp.csr_array | None:
    """Return the entries of a sparse operator on the host if they can be had, else None."""
    if A.device != "cpu" or isinstance(A, Dense) or assembled_is_large(A):
        return None
    try:
        return A.to_sparse()
    except StructureError:
        return None


def _finite(A: LinearOperator, matrix: sp.csr_array | None) -> bool:
    entries = A.to_dense() if isinstance(A, Dense) else None if matrix is None else matrix.data
    return entries is None or bool(np.isfinite(entries).all())
