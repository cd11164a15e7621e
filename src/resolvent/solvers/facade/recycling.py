"""scipy's `gcrotmk` and `lgmres`, with their lists of vectors that serve later systems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...operators import Array
from ...operators.arrays import is_torch
from ..krylov.fgmres import FGMRES
from ..krylov.lgmres import LGMRES
from ..prepared import Prepared
from ..recycling.gcrot import GCROT
from ..recycling.orthonormal import orthonormalise
from ..recycling.space import RecycleSpace
from ..result import Result
from ..solver import Solver
from ..vectors import vectors_for
from .cycles import Cycles
from .system import System, tolerances

Pairs = list[tuple[Any, Any]]
"""Vectors with their images under A, or None for an image that is not known: (c, u) or (v, Av)."""

STALE = 1e-6
"""Relative error of the image of a random combination of u above which the images are taken for those of another A."""


def gcrotmk(
    A: Any,
    b: Array,
    x0: Array | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int = 1000,
    M: Any = None,
    callback: Callable[[Array], Any] | None = None,
    m: int = 20,
    k: int | None = None,
    CU: Pairs | None = None,
    discard_C: bool = False,
    truncate: str = "oldest",
) -> Result:
    """Solve with flexible GCROT(m, k). See `resolvent.solvers.GCROT`.

    `maxiter` counts cycles, and `callback` receives the iterate at the beginning of each.

    Parameters
    ----------
    CU : list of (c, u), optional
        Pairs with A u = c from an earlier call, used and replaced by those of this one. Images that are None are
        computed. Those given are verified with one product, so that pairs left by another matrix cost products and
        nothing else; scipy relies on the caller to have discarded them.
    discard_C : bool
        Leave None in the place of the images, as suits a sequence of different matrices.
    """
    _refuse_nonfinite(b)
    system = System.of(A, b, x0, M)
    options = {**tolerances(rtol, atol), "maxiter": _iterations(maxiter, m + (m if k is None else k))}
    method: Solver
    if k == 0:  # no pairs are kept
        method = FGMRES(**options, restart=m)
    else:
        method = GCROT(**options, m=m, k=k, truncate=truncate, discard_C=discard_C)  # type: ignore[arg-type]
    cycles = Cycles(int(maxiter), at_start=callback, by_iterates=k != 0)
    prepared = method.prepare(system.A, system.M)
    space, verified = None, 0
    if CU and k != 0:
        # The newest come first in a space.
        space, verified = _space_of([(u, None if discard_C else c) for c, u in reversed(CU)], prepared, system.b)
    result = system.solve(prepared, cycles.callback(), space)
    result.counts.setup += verified
    if CU is not None and result.space is not None:
        U, C = result.space.U, result.space.C
        CU[:] = [(None if C is None or discard_C else C[:, i], U[:, i]) for i in reversed(range(U.shape[1]))]
    return cycles.counted(result)


def lgmres(
    A: Any,
    b: Array,
    x0: Array | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int = 1000,
    M: Any = None,
    callback: Callable[[Array], Any] | None = None,
    inner_m: int = 30,
    outer_k: int = 3,
    outer_v: Pairs | None = None,
    store_outer_Av: bool = True,  # noqa: N803 - the name in scipy
    prepend_outer_v: bool = False,
) -> Result:
    """Solve with LGMRES, preconditioned on the left as in scipy. See `resolvent.solvers.LGMRES`.

    `maxiter` counts cycles, and `callback` receives the iterate at the beginning of each.

    Parameters
    ----------
    outer_v : list of (v, Av), optional
        Vectors near solutions with their images, M A v with a preconditioner, from an earlier call; used and replaced
        by the corrections of this one, the newest last. Images that are None are computed; those given are believed.
    store_outer_Av : bool
        Whether images are left in the list.
    """
    _refuse_nonfinite(b)
    system = System.of(A, b, x0, M)
    method = LGMRES(
        **tolerances(rtol, atol),
        maxiter=_iterations(maxiter, inner_m + max(outer_k, len(outer_v or ()))),
        inner_m=inner_m,
        outer_k=outer_k,
        prepend_outer_v=prepend_outer_v,
        side="left",
    )
    cycles = Cycles(int(maxiter), at_start=callback)
    prepared = method.prepare(system.A, system.M)
    space = None
    if outer_v:
        space, _ = _space_of(outer_v[::-1], prepared, system.b, left=system.M is not None, verify=False)
    result = system.solve(prepared, cycles.callback(), space)
    if outer_v is not None and "outer_v" in result.extra:
        outer_v[:] = [(v, Av if store_outer_Av else None) for v, Av in result.extra["outer_v"]]
    return cycles.counted(result)


def _iterations(maxiter: Any, longest: int) -> int:
    """Return a limit of iterations that so many cycles of at most `longest` do not reach."""
    if int(maxiter) != maxiter or maxiter < 0:
        raise ValueError(f"maxiter must be a whole number ≥ 0, got {maxiter!r}")
    return int(maxiter) * longest + 1


def _refuse_nonfinite(b: Any) -> None:
    if not is_torch(b) and not np.isfinite(np.asarray(b)).all():
        raise ValueError("b must contain only finite numbers")


def _space_of(
    pairs: Pairs, prepared: Prepared, b: Array, *, left: bool = False, verify: bool = True
) -> tuple[RecycleSpace, int]:
    """Return vectors, and their images if all are known and true, as a recycle space, and the products that took."""
    A = prepared.A
    dtype = np.result_type(A.result_dtype(b.dtype), *(u.dtype for u, _ in pairs))
    U = np.array([np.asarray(u, dtype=dtype).reshape(-1) for u, _ in pairs])
    if U.shape[1] != A.shape[1]:
        raise ValueError(f"the vectors given must have the length of x, {A.shape[1]}, got {U.shape[1]}")
    products = 0
    if any(image is None for _, image in pairs):
        return RecycleSpace(U.T), products
    v = vectors_for(b)
    Q, W = orthonormalise(np.array([np.asarray(image, dtype=dtype).reshape(-1) for _, image in pairs]), v)
    if not len(Q):
        return RecycleSpace(U.T), products
    U = v.mix(W, U)
    if verify:
        weights = np.random.default_rng(0).standard_normal(len(Q)).astype(U.real.dtype)
        expected, products = weights @ Q, 1
        error = float(np.linalg.norm(A @ (weights @ U) - expected))
        if not error <= STALE * float(np.linalg.norm(expected)):
            return RecycleSpace(U.T), products
    stamp_A, stamp_M = prepared.stamps()
    return RecycleSpace(U.T, Q.T, None, stamp_A, stamp_M, left=left), products
