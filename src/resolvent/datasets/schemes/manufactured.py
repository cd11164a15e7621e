"""Observed order of convergence of a family's discretisation, measured against a manufactured solution.

The residual certificate of a sample says that the discrete system was solved; this one says that the discrete system
is the equation. It runs through the family's own `assemble` and `expand`, the code that generates data.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ...operators import Props
from ..family import LinearFamily, System

Solve = Callable[[System], np.ndarray]


class Manufactured(Protocol):
    """A family that knows an exact solution of its equation on its own grid."""

    def manufactured(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return inputs for `assemble` and the exact solution fields they belong to, at the stored points."""


@dataclasses.dataclass(frozen=True)
class ObservedOrder:
    """Errors of a discretisation on a sequence of grids, and the orders they show.

    Attributes
    ----------
    resolutions : tuple of int
    spacings : tuple of float
        Grid spacing h along the first axis.
    max_errors, l2_errors : tuple of float
        max |u_h − u|, and (h^dim Σ (u_h − u)²)^(1/2), over the stored points of all solution fields.
    """

    resolutions: tuple[int, ...]
    spacings: tuple[float, ...]
    max_errors: tuple[float, ...]
    l2_errors: tuple[float, ...]

    @property
    def max_order(self) -> float:
        """Order in the maximum norm between the two finest grids: log(e₁/e₂)/log(h₁/h₂)."""
        return self._orders(self.max_errors)[-1]

    @property
    def l2_order(self) -> float:
        """Order in the L² norm between the two finest grids."""
        return self._orders(self.l2_errors)[-1]

    def within(self, nominal: float, tolerance: float = 0.1) -> bool:
        """Whether both orders differ from the nominal one by at most `tolerance`."""
        return all(abs(order - nominal) <= tolerance for order in (self.max_order, self.l2_order))

    def table(self) -> str:
        """Return one line a grid: resolution, both errors, both orders against the previous grid."""
        lines = [f"{'n':>6} {'max error':>11} {'order':>6} {'L2 error':>11} {'order':>6}"]
        max_orders, l2_orders = ((math.nan, *self._orders(e)) for e in (self.max_errors, self.l2_errors))
        rows = zip(self.resolutions, self.max_errors, max_orders, self.l2_errors, l2_orders, strict=True)
        lines += [f"{n:6d} {e:11.3e} {p:6.2f} {e2:11.3e} {p2:6.2f}" for n, e, p, e2, p2 in rows]
        return "\n".join(lines)

    def _orders(self, errors: Sequence[float]) -> list[float]:
        h = self.spacings
        return [
            math.log(errors[i] / errors[i + 1]) / math.log(h[i] / h[i + 1])
            if min(errors[i], errors[i + 1]) > 0 and math.isfinite(errors[i] + errors[i + 1])
            else math.nan
            for i in range(len(h) - 1)
        ]


def observed_order(family: LinearFamily, resolutions: Sequence[int], *, solve: Solve | None = None) -> ObservedOrder:
    """Measure the order of convergence of a family on growing grids.

    Parameters
    ----------
    family : LinearFamily with a method ``manufactured``
        Its options are kept but for the resolution.
    resolutions : sequence of int
        At least two, growing. The order is read off the last two.
    solve : callable, optional
        System -> vector of unknowns; by default `accurate_solution`.

    Returns
    -------
    study : ObservedOrder

    Raises
    ------
    ValueError
        If there are fewer than two resolutions or they do not grow.
    TypeError
        If the family has no manufactured solution.

    Examples
    --------
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.datasets.schemes.manufactured import observed_order
    >>> study = observed_order(Darcy2D(grid="vertex"), (17, 33, 65))
    >>> round(study.max_order, 1), round(study.l2_order, 1)
    (2.0, 2.0)
    """
    if len(resolutions) < 2 or any(n >= m for n, m in itertools.pairwise(resolutions)):
        raise ValueError(f"an observed order needs at least two growing resolutions, got {tuple(resolutions)}")
    if not hasattr(family, "manufactured"):
        raise TypeError(f"{family.name} has no manufactured solution: give the family a method `manufactured`")
    solve = solve or accurate_solution
    spacings, max_errors, l2_errors = [], [], []
    for n in resolutions:
        member = dataclasses.replace(family, resolution=n)
        inputs, exact = cast(Manufactured, member).manufactured()
        found = member.expand(solve(member.assemble(inputs)), inputs)
        differences = np.concatenate([np.abs(found[name] - exact[name]).ravel() for name in exact])
        h = [float(x[1] - x[0]) for x in member.axes().values()]
        spacings.append(h[0])
        max_errors.append(float(differences.max()))
        l2_errors.append(math.sqrt(math.prod(h) * float(np.sum(differences**2))))
    return ObservedOrder(tuple(resolutions), tuple(spacings), tuple(max_errors), tuple(l2_errors))


def accurate_solution(system: System) -> np.ndarray:
    """Solve one system to rounding error by a method that shares nothing with the solvers under test.

    Sparse LU, except for definite operators on three-dimensional grids, where its fill is prohibitive: there
    conjugate gradients to a relative residual of 1e-12, checked.
    """
    matrix = sp.csc_array(system.A.to_sparse())
    if Props.POSITIVE_DEFINITE in system.A.props and system.A.grid is not None and len(system.A.grid) == 3:
        jacobi = sp.diags_array(1.0 / matrix.diagonal())
        x, _ = spla.cg(matrix, system.b, rtol=1e-12, atol=0.0, maxiter=20 * max(system.A.grid), M=jacobi)
        if np.linalg.norm(system.b - matrix @ x) <= 1e-10 * np.linalg.norm(system.b):
            return np.asarray(x)
    return np.asarray(spla.spsolve(matrix, system.b))
