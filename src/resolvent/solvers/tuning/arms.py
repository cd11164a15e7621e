"""Arms that suit a system: what is worth trying on a stream of systems like it."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Iterator
from typing import Any

from ...operators import LinearOperator, Props, StructureError, as_operator, detect_props
from ..candidates import DIRECT_UNKNOWNS
from ..direct import Direct
from ..fast_poisson import FastPoisson
from ..krylov.bicgstab import BiCGStab
from ..krylov.cg import CG
from ..krylov.cocg import COCG
from ..krylov.cocr import COCR
from ..krylov.gmres import GMRES
from ..krylov.idr import IDR
from ..krylov.minres import MINRES
from ..krylov.qmr import QMR
from ..multigrid import BootstrapAMG, GeometricMultigrid, MultigridCG
from ..multigrid.multigrid_cg import fits
from ..preconditioners import AMG, IC, ILU, ILU0, SSOR, Chebyshev, Jacobi
from ..recycling.deflated_cg import DeflatedCG
from ..recycling.gcrodr import GCRODR
from ..recycling.rminres import RMINRES
from ..relaxation import SOR
from ..sequences import Bootstrapped, Refresh
from ..structure import Structure, structure_of
from .arm import Arm
from .work import stored_entries

BYTES = 12
"""Of a stored entry: a double and an index of 32 bits."""

FILL = 25
"""Entries that factors of an `ILU` with its default fill may have, and then some, for each entry of A."""

COARSENED = 4_000
"""Unknowns from which algebraic multigrid is tried: its set-up takes hundreds of products with a small matrix."""

DIRECT_FILL = {1: 3, 2: 15, 3: 120}
"""The same for a factorisation at the largest size that is tried, by dimension."""


@dataclasses.dataclass(frozen=True)
class _Known:
    """What decides about arms."""

    A: LinearOperator
    structure: Structure | None
    assembled: bool
    box: bool
    real: bool
    symmetric: bool
    bytes: float


def standard_arms(
    A: Any,
    *,
    rtol: float = 1e-8,
    atol: float = 0.0,
    maxiter: int | None = None,
    memory: float | None = None,
) -> tuple[Arm, ...]:
    """Return arms for a stream of systems like A, the safe one first and the others by what is usually cheap.

    Only what is valid: methods for symmetric or definite systems where A claims as much or its entries prove it,
    incomplete factorisations where there are entries, multigrid and transforms on boxes, factorisations up to the sizes
    of `choose`, hypre where petsc4py is installed. Some twenty to forty; the last ones are seldom good.

    Parameters
    ----------
    A : operator or anything `as_operator` takes
        One of the systems.
    rtol, atol, maxiter
        Of all arms. The safe arm may take 10 n iterations whatever `maxiter`.
    memory : float, optional
        Bytes that one arm may take for factors; a quarter of the machine's by default.

    Returns
    -------
    arms : tuple of Arm

    Raises
    ------
    ValueError
        If A is not square.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from resolvent.solvers.tuning import standard_arms
    >>> A = sp.diags_array([-1.0, -1.0, 4.0, -1.0, -1.0], offsets=[-30, -1, 0, 1, 30], shape=(900, 900))
    >>> arms = standard_arms(A)
    >>> 16 <= len(arms) <= 40, arms[0].name
    (True, 'CG + SSOR(omega=1.5)')
    """
    operator = as_operator(A)
    if operator.shape[0] != operator.shape[1]:
        raise ValueError(f"arms solve square systems, got {operator.shape[0]} x {operator.shape[1]}")
    known = _look(operator, memory)
    options: dict[str, Any] = {"rtol": rtol, "atol": atol}
    arms = list(_arms(known, options, options | {"maxiter": maxiter}))
    return tuple(arm for arm in arms if _possible(arm, known))


def _look(A: LinearOperator, memory: float | None) -> _Known:
    try:
        matrix = None if A._holds_torch() else A.to_sparse()
    except StructureError:
        matrix = None
    props = A.props
    if matrix is not None and not props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.VARIABLE):
        props |= detect_props(matrix)
    structure = structure_of(A, props, matrix)
    if memory is None:
        memory = 0.25 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 4e9
    symmetric = bool(props & (Props.SYMMETRIC | Props.SELF_ADJOINT))
    box = fits(A) or (structure is not None and structure.box)
    return _Known(A, structure, matrix is not None, box, A.dtype.kind != "c", symmetric, float(memory))


def _possible(arm: Arm, known: _Known) -> bool:
    """Whether factors fit into memory, and entries are there for what needs them."""
    entries = stored_entries(known.A) * BYTES
    if isinstance(arm.spaces, Bootstrapped) and not (known.assembled and known.A.shape[0] >= COARSENED):
        return False
    match arm.solver, arm.M:
        case Direct(), _:
            if not known.assembled or known.structure is None:
                return False
            dimension = known.structure.dimension
            small = known.structure.unknowns <= DIRECT_UNKNOWNS[dimension]
            return small and DIRECT_FILL[dimension] * entries <= known.bytes
        case _, ILU():
            return known.assembled and FILL * entries <= known.bytes
        case SOR(), _:
            return known.assembled
        case _, AMG() | BootstrapAMG():
            return known.assembled and known.A.shape[0] >= COARSENED
        case _, None | Jacobi() | Chebyshev():
            return True
    return known.assembled or known.box


def _arms(known: _Known, safe: dict[str, Any], options: dict[str, Any]) -> Iterator[Arm]:
    character = known.structure.character if known.structure is not None else _claimed(known)
    if not known.assembled and not known.box:
        yield from _without_entries(character, safe, options)
    elif character == "definite":
        yield from _definite(known, safe, options)
    elif character == "complex":
        yield from _complex(known, safe, options)
    elif character == "indefinite":
        yield from _indefinite(safe, options)
    else:
        yield from _nonsymmetric(safe, options)


def _claimed(known: _Known) -> str:
    if not known.real:
        return "complex"
    if known.symmetric:
        return "definite" if Props.POSITIVE_DEFINITE in known.A.props else "indefinite"
    return "nonsymmetric"


def _definite(known: _Known, safe: dict[str, Any], options: dict[str, Any]) -> Iterator[Arm]:
    slow, tenth = Refresh.WHEN_SLOW(1.5), Refresh.EVERY(10)
    cg = CG(**options)
    deflated = [DeflatedCG(k=k, **options) for k in (8, 16)]
    yield Arm(CG(**safe), SSOR(1.5))
    if known.box:
        if known.structure is not None and known.structure.constant:
            yield Arm(FastPoisson(**options))
        yield Arm(MultigridCG(**options))
    # Cheap to set up first: what better ones save pays for the dearer trials.
    yield Arm(cg, IC())
    yield Arm(cg, SSOR(1.7))
    yield Arm(cg, SSOR(1.9))
    yield Arm(cg, IC(), warm_start="scaled")
    yield Arm(Direct(**options))
    yield Arm(cg, IC(drop_tol=1e-3), refresh=Refresh.RESCALED)
    if known.box:
        yield Arm(cg, GeometricMultigrid())
        yield Arm(cg, FastPoisson(**options))
    yield Arm(cg, IC(drop_tol=1e-2), refresh=tenth)
    yield Arm(cg, IC(drop_tol=1e-3), refresh=slow)
    yield Arm(cg, IC(), warm_start="projected")
    yield Arm(deflated[0], IC())
    yield Arm(cg, AMG("smoothed_aggregation"), refresh=slow)
    yield Arm(cg, AMG(), refresh=slow)
    yield Arm(cg, AMG(reuse="interpolation"))
    if known.real:
        yield Arm(cg, BootstrapAMG(smooth=True))
    if _has_hypre() and known.A.shape[0] >= COARSENED:
        from ..petsc.amg import PETScAMG

        yield Arm(cg, PETScAMG("boomeramg"), refresh=slow)
        yield Arm(cg, PETScAMG("gamg"), refresh=slow)
    yield Arm(cg, IC(drop_tol=1e-2))
    yield Arm(cg, SSOR(1.0))
    yield Arm(cg, Chebyshev())
    yield Arm(cg, Jacobi())
    yield Arm(MINRES(**options), IC())
    yield Arm(deflated[1], Jacobi())
    if known.real:
        # Beside SSOR(1.0) with nothing deflated: what smooth vectors of the first matrix are worth is not known before.
        for k in (4, 8):
            yield Arm(DeflatedCG(k=k, **options), SSOR(1.0), spaces=Bootstrapped(k))
    yield Arm(BiCGStab(**options), ILU0())
    yield Arm(SOR(1.9, **options))
    yield Arm(cg)


def _nonsymmetric(safe: dict[str, Any], options: dict[str, Any]) -> Iterator[Arm]:
    slow = Refresh.WHEN_SLOW(1.5)
    gmres, wide = GMRES(**options), GMRES(restart=60, **options)
    bicgstab, idr = BiCGStab(**options), IDR(**options)
    yield Arm(GMRES(**safe), ILU())
    yield Arm(bicgstab, ILU0())
    yield Arm(bicgstab, SSOR(1.0))
    yield Arm(SOR(1.0, **options))
    yield Arm(idr, ILU0())
    yield Arm(Direct(**options))
    yield Arm(bicgstab, ILU0(), refresh=slow)
    yield Arm(gmres, ILU0())
    yield Arm(bicgstab, ILU(drop_tol=1e-2), refresh=slow)
    yield Arm(gmres, ILU(drop_tol=1e-3), refresh=Refresh.EVERY(10))
    yield Arm(GCRODR(restart=30, k=10, **options), ILU0())
    yield Arm(bicgstab, ILU0(), warm_start="scaled")
    yield Arm(gmres, SSOR(1.0))
    yield Arm(QMR(**options), ILU0())
    yield Arm(wide, ILU0())
    yield Arm(gmres, AMG("smoothed_aggregation"), refresh=slow)
    yield Arm(gmres, AMG("air"), refresh=slow)
    yield Arm(bicgstab, Jacobi())
    yield Arm(idr, Jacobi())
    yield Arm(GCRODR(restart=40, k=20, **options), Jacobi())
    yield Arm(gmres, Jacobi())
    yield Arm(gmres)


def _indefinite(safe: dict[str, Any], options: dict[str, Any]) -> Iterator[Arm]:
    slow, tenth = Refresh.WHEN_SLOW(1.5), Refresh.EVERY(10)
    gmres, minres = GMRES(**options), MINRES(**options)
    yield Arm(GMRES(**safe), ILU())
    yield Arm(Direct(**options))
    for solver in (gmres, BiCGStab(**options), IDR(**options)):
        yield Arm(solver, ILU(), refresh=slow)
        yield Arm(solver, ILU(drop_tol=1e-3), refresh=slow)
        yield Arm(solver, ILU(), refresh=tenth)
    yield Arm(minres)
    yield Arm(minres, IC())
    yield Arm(minres, IC(drop_tol=1e-3), refresh=slow)
    yield Arm(RMINRES(k=8, **options))
    yield Arm(RMINRES(k=16, **options))
    yield Arm(RMINRES(k=8, **options), IC())
    yield Arm(GCRODR(restart=40, k=20, **options), ILU(), refresh=slow)
    yield Arm(GCRODR(restart=40, k=20, **options))
    yield Arm(gmres)


def _complex(known: _Known, safe: dict[str, Any], options: dict[str, Any]) -> Iterator[Arm]:
    slow, tenth = Refresh.WHEN_SLOW(1.5), Refresh.EVERY(10)
    gmres = GMRES(**options)
    yield Arm(GMRES(**safe), ILU())
    yield Arm(Direct(**options))
    for solver in (gmres, BiCGStab(**options), IDR(**options)):
        yield Arm(solver, ILU(), refresh=slow)
        yield Arm(solver, ILU(drop_tol=1e-3), refresh=slow)
        yield Arm(solver, ILU(), refresh=tenth)
    yield Arm(GCRODR(restart=40, k=20, **options), ILU(), refresh=slow)
    if known.symmetric:
        yield Arm(COCG(**options))
        yield Arm(COCR(**options))
        yield Arm(COCG(**options), Jacobi())
    yield Arm(QMR(**options))
    yield Arm(BiCGStab(**options), ILU0())
    yield Arm(GCRODR(restart=40, k=20, **options))
    yield Arm(gmres, Jacobi())
    yield Arm(gmres)


def _without_entries(character: str, safe: dict[str, Any], options: dict[str, Any]) -> Iterator[Arm]:
    """Yield arms that need products alone."""
    if character == "definite":
        yield Arm(CG(**safe))
        yield Arm(CG(**options), warm_start="scaled")
        yield Arm(CG(**options), warm_start="projected")
        for k in (4, 8, 16, 32):
            yield Arm(DeflatedCG(k=k, **options))
        yield Arm(MINRES(**options))
    elif character == "indefinite":
        yield Arm(MINRES(**safe))
        for k in (4, 8, 16, 32):
            yield Arm(RMINRES(k=k, **options))
    else:
        yield Arm(GMRES(restart=50, **safe))
    yield Arm(IDR(**options))
    yield Arm(BiCGStab(**options))
    for m, k in ((20, 5), (30, 10), (40, 20)):
        yield Arm(GCRODR(restart=m, k=k, **options))
    yield Arm(GMRES(**options))
    yield Arm(GMRES(restart=100, **options))


def _has_hypre() -> bool:
    return importlib.util.find_spec("petsc4py") is not None
