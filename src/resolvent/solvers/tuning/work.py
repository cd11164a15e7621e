"""Work units: what a solve costs, counted instead of timed, so that it is the same on every machine and in every run.

The unit is one product with A: W = numbers touched / stored entries of A. A solve with M costs

    W = products with A + applications of M · apply(M) + iterations · vectors(method) + set-ups · setup(M)

with products, applications and iterations as counted, those of failed attempts included. The rest is a model:

- apply(M): the stored numbers of M, each as often as an application reads it, over the entries of A;
- vectors(method): how many numbers of vectors an iteration reads, for methods that keep a basis about a number for each
  of its vectors and unknowns;
- setup(M): factorisations and coarsening do not stream through memory, so that counting their numbers would make them
  far too cheap. They are charged what they were measured to take on 5-point matrices of 64² to 128² unknowns, in
  products with the CSR matrix on one thread, per entry they store: 100 for incomplete factorisations with fill, 10
  without, some 200 for the levels of AMG, 50 in all for the other multigrid and for transforms.

So work units compare arms on one problem to within a factor of two or so of seconds, less well across families: a
triangular solve takes twice the time of a product that reads as much, small problems are ruled by overheads that are
not counted, and a set-up in three dimensions costs other factors. They are for tests, for reproducible runs and for
simulations; between families on a machine, let seconds decide.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from ...operators import LinearOperator, Sparse, Stencil, StructureError
from ..direct import Direct
from ..fast_poisson import FastPoisson
from ..multigrid import GeometricMultigrid, Multigrid, MultigridCG
from ..preconditioners import AMG, IC, ILU, ILU0, SSOR, BlockJacobi, Chebyshev, Jacobi, LineJacobi
from ..prepared import Prepared
from ..relaxation import SOR, GaussSouthwell
from ..result import Counts

UNKNOWN_SETUP = 50.0
"""Charged for the set-up of a preconditioner that is not in the table."""

FAILED_SETUP = 50.0
"""Charged for a set-up that raised: it left nothing to count."""


@dataclasses.dataclass(frozen=True, slots=True)
class Price:
    """What the parts of a solve cost, in work units.

    Attributes
    ----------
    application : float
        Of M.
    iteration : float
        Besides products and applications.
    setup : float
        Of M or of the factors of the method, each time they are made.
    """

    application: float
    iteration: float
    setup: float

    def running(self, counts: Counts, iterations: int) -> float:
        """Return the work of what was counted, without set-up."""
        return counts.products + counts.preconditioner * self.application + iterations * self.iteration


def price(prepared: Prepared) -> Price:
    """Return what solves with a prepared method cost."""
    A, solver = prepared.A, prepared.solver
    n, entries = A.shape[0], stored_entries(A)
    vectors = _VECTORS.get(type(solver).__name__, lambda s: 10.0)(solver) * n / entries
    own = _OWN.get(type(solver))
    if own is not None:
        iteration, setup = own(A, solver)
        return Price(1.0, vectors + iteration, setup)
    if prepared.M is None:
        return Price(0.0, vectors, 0.0)
    application, setup = _preconditioner(prepared.recipe, prepared.M, n, entries)
    return Price(application, vectors, setup)


def stored_entries(A: LinearOperator) -> int:
    """Return how many numbers a product with A reads: its stored entries, or one an unknown where none are stored."""
    if isinstance(A, Sparse):
        return max(int(A.matrix.nnz), 1)
    if isinstance(A, Stencil):  # one that is mirrored stores half of them, and reads each twice
        return max(A.shape[0] * len(A.offsets), 1)
    try:
        return max(int(A.to_sparse().nnz), 1)
    except StructureError:
        return max(A.shape[0], 1)


def _preconditioner(recipe: Any, M: Any, n: int, entries: int) -> tuple[float, float]:
    """Return the work of an application, and of building M."""
    point = n / entries
    fill = int(getattr(M, "nnz", 0) or 0) / entries
    match recipe:
        case Jacobi():
            return point, 1.0
        case SSOR() | SOR():
            return (1.0 if recipe.sweep == "symmetric" else 0.5) + point if isinstance(
                recipe, SOR
            ) else 1.0 + point, 3.0
        case IC():
            return 2.0 * fill + point, 10.0 if recipe.drop_tol is None else 100.0 * fill
        case ILU0():
            return 1.0, 10.0
        case ILU():
            return fill, 100.0 * fill
        case AMG():
            levels = float(M.operator_complexity)
            kept = {"nothing": 200.0, "interpolation": 60.0, "hierarchy": 0.0}[recipe.reuse]
            return (4.0 * recipe.sweeps + 2.0) * levels * (2.0 if recipe.cycle == "W" else 1.0), kept * levels
        case GeometricMultigrid():
            return (2.0 * recipe.sweeps + 2.0) * 4.0 / 3.0 * (2.0 if recipe.cycle != "V" else 1.0), 50.0
        case Chebyshev():
            return float(recipe.degree), 30.0
        case BlockJacobi():
            return 1.0, 20.0
        case LineJacobi():
            return 3.0 * point, 10.0
    if type(M).__name__ == "ScaledInverse":
        return 2.0 * math.log2(max(n, 2)) * point, 50.0
    return fill or 1.0, 0.0 if recipe is None else UNKNOWN_SETUP


def _factors(A: LinearOperator, solver: Direct) -> tuple[float, float]:
    n = A.shape[0]
    # Nested dissection in the plane: n log₂ n entries times some 3, O(n^1.5) operations, and √n of them a product.
    return 6.0 * math.log2(max(n, 2)) * n / stored_entries(A), 3.0 * math.sqrt(n)


_OWN: dict[type, Callable[[LinearOperator, Any], tuple[float, float]]] = {
    Direct: _factors,
    MultigridCG: lambda A, solver: (4.0, 50.0),
    Multigrid: lambda A, solver: ((2.0 * solver.sweeps + 2.0) * 4.0 / 3.0, 50.0),
    FastPoisson: lambda A, solver: (2.0 * math.log2(max(A.shape[0], 2)) * A.shape[0] / stored_entries(A), 50.0),
    SOR: lambda A, solver: (2.0 if solver.sweep == "symmetric" else 1.0, 3.0),
    GaussSouthwell: lambda A, solver: (1.0, 3.0),
}
"""Methods that bring their own M: work of an iteration, and of the set-up."""

_VECTORS: dict[str, Callable[[Any], float]] = {
    "CG": lambda s: 5.0,
    "MINRES": lambda s: 8.0,
    "BiCGStab": lambda s: 8.0,
    "IDR": lambda s: 3.0 * s.s + 3.0,
    "GMRES": lambda s: float(s.restart),
    "FGMRES": lambda s: float(s.restart),
    "LGMRES": lambda s: float(s.inner_m + s.outer_k),
    "GCRODR": lambda s: float(s.restart + s.k),
    "GCROT": lambda s: float(s.m + (s.m if s.k is None else s.k)),
    "DeflatedCG": lambda s: 5.0 + 2.0 * s.k,
    "RMINRES": lambda s: 8.0 + 2.0 * s.k,
    "Direct": lambda s: 2.0,
    "FastPoisson": lambda s: 2.0,
    "MultigridCG": lambda s: 2.0,
    "Multigrid": lambda s: 2.0,
    "SOR": lambda s: 0.0,
    "GaussSouthwell": lambda s: 0.0,
}
"""Numbers of vectors that an iteration reads, for each unknown."""
