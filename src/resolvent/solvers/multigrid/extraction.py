"""The network behind the entries of an operator: conductances, walls and the shift, read off its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ..separable.couplings import Couplings, along
from .backend import Backend, backend_for
from .network import Network

if TYPE_CHECKING:
    from ...operators._torch import Tensor

NEGLIGIBLE = 1e-12
"""Row sums below this multiple of the diagonal are rounding (that of single precision, if larger)."""

LOOSE = 1e-3
"""Rows may fall short of diagonal dominance by this fraction of the diagonal where A claims to be definite."""


def couplings_on_grid(A: LinearOperator) -> Couplings:
    """Return the entries of A as fields on its grid, on the storage of A.

    Raises
    ------
    StructureError
        If A has no entries, no grid that its pattern shows either, or entries that do not link neighbours.
    ValueError
        If an entry is not finite, or the grid does not fit.
    """
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"geometric multigrid needs a square operator, got {A.shape[0]} x {A.shape[1]}")
    if A.shape[0] and A._holds_torch() and hasattr(A, "tensor"):
        from ._torch import couplings_of_tensor

        if A.grid is None:
            raise StructureError(f"geometric multigrid needs the grid of {A!r}: give it one (grid=…), or use AMG")
        return couplings_of_tensor(cast("Tensor", A), A.grid)
    try:
        return Couplings.of(A)
    except StructureError as error:
        raise StructureError(f"geometric multigrid needs a 3-, 5- or 7-point stencil on a box: {error}") from error


def network_of(A: LinearOperator) -> tuple[Network, Array]:
    """Return the network of an operator, of one member, and its diagonal as a (*grid, 1) array.

    What a row sum leaves is conductance to the ground where a cell touches no wall; at a wall as much as in the next
    cell that touches none, and the rest is conductance of the walls, shared in proportion to the opposite faces.

    Raises
    ------
    StructureError
        For entries that do not link neighbours, couplings of the wrong sign, rows that are not diagonally dominant, or
        complex couplings that differ in the two directions.
    ValueError
        For entries that are not finite, and a diagonal that is not positive.
    """
    couplings = couplings_on_grid(A)
    d = couplings.diagonal
    backend = backend_for(d)
    symmetric = _check_couplings(A, couplings, backend)
    periodic = tuple(wrap is not None for wrap in couplings.wrap)
    t, flux = [], []
    for a in range(len(periodic)):
        across = couplings.wrap[a] or (None, None)
        ahead = _faces(couplings.upper[a], across[1], d, a, backend)
        if not symmetric:
            # The row of the cell behind a face holds what flows to it from the one before.
            back = _faces(couplings.lower[a], across[0], d, a, backend)
            flux.append(back - ahead)
            ahead = backend.where(back < ahead, back, ahead)
        t.append(ahead)
    bare = Network(tuple(t), d * 0.0, periodic, None if symmetric else tuple(flux))
    e = _checked_excess(A, d - bare.diagonal(), d - bare.transposed().diagonal(), d, backend)
    shift = _split(e, t, periodic, backend)
    faces = tuple(face[..., None] for face in t)
    return Network(faces, shift[..., None], periodic, None if symmetric else tuple(w[..., None] for w in flux)), d[
        ..., None
    ]


def _faces(values: Any, wrap: Any, d: Any, a: int, backend: Backend) -> Any:
    """Return entries between neighbours with the opposite sign on faces, zeros at walls."""
    shape = list(d.shape)
    shape[a] += 1
    t = backend.zeros(shape, backend.dtype(d))
    t[along(a, slice(1, -1))] = 0.0 - values  # never −0, whose reciprocal is −∞
    if wrap is not None:
        t[along(a, slice(None, 1))] = 0.0 - wrap
        t[along(a, slice(-1, None))] = 0.0 - wrap
    return t


def _check_couplings(A: LinearOperator, couplings: Couplings, backend: Backend) -> bool:
    """Return whether the couplings are symmetric; raise where they are not those of a network."""
    d = couplings.diagonal
    complex_entries = backend.dtype(d).kind == "c"
    bad = d == 0 if complex_entries else ~(d > 0.0)
    if bool(bad.any()):
        raise ValueError(
            f"geometric multigrid needs a diagonal that {'does not vanish' if complex_entries else 'is positive'}, but "
            f"{int(bad.sum())} of the entries of that of {A!r} are not, such as {complex(d[bad][0]).real:g}"
        )
    symmetric = True
    for up, down in [
        *zip(couplings.upper, couplings.lower, strict=True),
        *(w for w in couplings.wrap if w is not None),
    ]:
        wrong = (up.real > 0.0) | (down.real > 0.0)
        if bool(wrong.any()):
            raise StructureError(
                f"geometric multigrid needs couplings ≤ 0 between neighbours, as those of diffusion and upwinded "
                f"convection are, but {int(wrong.sum())} of {A!r} are positive: use AMG, ILU or a direct solver"
            )
        symmetric &= up is down or not bool((abs(up - down) > 1e-6 * (abs(up) + abs(down))).any())
    if complex_entries and not symmetric:
        raise StructureError(f"of complex operators geometric multigrid takes symmetric ones (A = Aᵀ), but not {A!r}")
    return symmetric


def _checked_excess(A: LinearOperator, e: Any, of_columns: Any, d: Any, backend: Backend) -> Any:
    """Return the row sums e with zeros for rounding.

    Negative ones are allowed where A claims to be definite, and where the column sums are not negative: the column of a
    cell holds what leaves it, its row what arrives.
    """
    negligible = max(NEGLIGIBLE, 16.0 * float(np.finfo(backend.dtype(d)).eps))
    if backend.dtype(d).kind == "c":  # a shift of any sign
        return e
    best = backend.where(of_columns > e, of_columns, e)
    limit = -max(LOOSE, negligible) if Props.POSITIVE_DEFINITE in A.props else -1e4 * negligible
    short = best < limit * d
    if bool(short.any()):
        raise StructureError(
            f"geometric multigrid needs a diagonal that outweighs the couplings in its row, but in {int(short.sum())} "
            f"rows of {A!r} it falls short, by up to {-backend.number((best / d).min()):.2g} of the diagonal: use "
            "ShiftedLaplacian for Helmholtz equations, AMG or a direct solver otherwise"
        )
    kept = (abs(e) > negligible * d) & ((e > 0.0) | (of_columns > e))
    return backend.where(kept, e, backend.zeros((1,), backend.dtype(d)))


def _split(e: Any, t: list[Any], periodic: tuple[bool, ...], backend: Backend) -> Any:
    """Write wall conductances into the faces t; return what is left of the row sums e for the shift."""
    grid = tuple(e.shape)
    reference = e
    walls = [a for a, n in enumerate(grid) if not periodic[a]]
    for a in walls:  # values of the next cell inwards; along short axes there is none
        if grid[a] > 2:
            reference = reference * 1
            reference[along(a, slice(None, 1))] = reference[along(a, slice(1, 2))]
            reference[along(a, slice(-1, None))] = reference[along(a, slice(-2, -1))]
    shift = reference if backend.dtype(e).kind == "c" else backend.where(reference < e, reference, e)
    rest = e - shift
    total, count = rest * 0.0, rest * 0.0
    ends = [(a, low) for a in walls for low in (True, False)]
    for a, low in ends:
        cell = along(a, slice(None, 1) if low else slice(-1, None))
        total[cell] += t[a][along(a, slice(1, 2) if low else slice(-2, -1))]
        count[cell] += 1.0
    for a, low in ends:
        cell = along(a, slice(None, 1) if low else slice(-1, None))
        opposite = t[a][along(a, slice(1, 2) if low else slice(-2, -1))]
        touching, sum_of_faces = count[cell], total[cell]
        # The opposite face of a single cell is the other wall, which is filled later in this loop.
        opposite = opposite * 0.0 if grid[a] == 1 else opposite
        some = sum_of_faces != 0
        share = backend.where(some, opposite / backend.where(some, sum_of_faces, 1.0), 1.0 / touching)
        t[a][along(a, slice(None, 1) if low else slice(-1, None))] = rest[cell] * share
    return shift
