"""Which constant-coefficient operator on a box an operator is, or is near to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from ...operators import StructureError
from .axis import Axis, Closure
from .couplings import Couplings, along
from .inverse import SeparableInverse

Boundary = Literal["dirichlet", "neumann", "periodic"]

_EXACT: Final = 1e-10
"""Relative deviation of entries that still counts as constant: assembly rounds, and a solve is refined anyway."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """Σ_a scales[a] T_a + shift on a box."""

    axes: tuple[Axis, ...]
    scales: tuple[Any, ...]
    shift: Any = 0.0

    def diagonal(self) -> Any:
        """Return the diagonal, a field."""
        total: Any = np.asarray(self.shift)
        for c, axis in zip(self.scales, self.axes, strict=True):
            total = np.add.outer(total, c * axis.diagonal())
        return total

    def inverse(self, **options: Any) -> SeparableInverse:
        """Return the inverse by fast transforms."""
        return SeparableInverse(self.axes, self.scales, self.shift, **options)


def constant_operator(couplings: Couplings) -> Reference:
    """Return the constant-coefficient operator that the entries are.

    Raises
    ------
    StructureError
        If they vary, naming the axis.
    """
    axes, scales = [], []
    size = float(np.abs(couplings.diagonal).max(initial=0.0))
    for a in range(len(couplings.grid)):
        c, closure = _constant_axis(couplings, a, _EXACT * size)
        axes.append(Axis(couplings.grid[a], closure=closure))
        scales.append(c)
    rest = np.array(couplings.diagonal)
    for a, c in enumerate(scales):
        rest -= 2.0 * c
        if axes[a].closure == "walls":
            axes[a] = dataclasses.replace(axes[a], left=0.0, right=0.0)
    # What is left of the diagonal is shift + Σ_a (end of axis a); an axis of two points has ends only.
    middle = tuple(min(1, n - 1) if n > 2 else 0 for n in couplings.grid)
    shift = rest[middle]
    model = np.full(couplings.grid, shift)
    for a, (c, axis) in enumerate(zip(scales, axes, strict=True)):
        ends = []
        for end in (0, axis.n - 1):
            place = (*middle[:a], end, *middle[a + 1 :])
            ends.append(rest[place] - shift if axis.n > 1 else 0.0)
            model[along(a, slice(end, end + 1))] += ends[-1]
        if axis.closure == "walls":
            axes[a], scales[a] = _with_ends(axis.n, c, ends, size)
        elif max(map(abs, ends)) > _EXACT * size:
            raise StructureError(f"the ends of the {axis.closure} axis {a} differ from its middle")
    deviation = float(np.abs(rest - model).max(initial=0.0))
    if deviation > _EXACT * size:
        raise StructureError(f"the diagonal varies by {deviation:.1e} beyond what walls and a constant shift explain")
    real = not np.iscomplexobj(couplings.diagonal)
    return Reference(tuple(axes), tuple(scales), float(shift) if real else _simplest(complex(shift), size))


def _constant_axis(couplings: Couplings, a: int, allowed: float) -> tuple[Any, Closure]:
    up, down, wrap = couplings.upper[a], couplings.lower[a], couplings.wrap[a]
    n = couplings.grid[a]
    if n == 1:
        return 0.0, "walls"
    inner = along(a, slice(1, None)), along(a, slice(None, -1))
    c = -up[along(a, slice(-1, None))].flat[0]
    reflecting = n > 2 and abs(c) > allowed and bool(np.allclose(up[along(a, slice(0, 1))], -2.0 * c, rtol=_EXACT))
    pieces = (up[inner[0]], down[inner[1]]) if reflecting else (up, down)
    ends = (up[along(a, slice(0, 1))] - -2.0 * c, down[along(a, slice(-1, None))] - -2.0 * c) if reflecting else ()
    deviation = max(float(np.abs(values).max(initial=0.0)) for values in (*(p + c for p in pieces), *ends))
    if wrap is not None:
        deviation = max(deviation, *(float(np.abs(values + c).max()) for values in wrap))
    if deviation > allowed:
        raise StructureError(f"the couplings along axis {a} vary by {deviation:.1e} around {-c:.6g}")
    c = _simplest(complex(c), abs(c)) if np.iscomplexobj(c) else float(c)
    return c, "periodic" if wrap is not None else "reflecting" if reflecting else "walls"


def _with_ends(n: int, c: Any, ends: Sequence[Any], size: float) -> tuple[Axis, Any]:
    """Return the axis whose ends add the given numbers to the diagonal 2c."""
    if abs(c) <= _EXACT * size:
        if max(map(abs, ends)) > _EXACT * size:
            raise StructureError("an axis without couplings has other diagonal entries at its ends than inside")
        return Axis(n), 0.0
    walls = [1.0 + end / c for end in ends]
    if any(abs(np.imag(wall)) > _EXACT for wall in walls):
        raise StructureError("the walls are absorbing (complex beside real couplings)")
    near = [_snapped(float(np.real(wall)), (0.0, 1.0, 2.0), _EXACT * size / abs(c)) for wall in walls]
    return Axis(n, near[0], near[1]), c


def _simplest(z: complex, size: float) -> complex | float:
    return z.real if abs(z.imag) <= 1e-15 * size else z


def _snapped(value: float, marks: Sequence[float], within: float) -> float:
    nearest = min(marks, key=lambda mark: abs(mark - value))
    return nearest if abs(nearest - value) <= within else value


def mean_operator(couplings: Couplings, axes: tuple[Axis, ...] | None = None) -> Reference:
    """Return a real constant-coefficient operator near to one with varying entries.

    Couplings become their mean along each axis, boundaries the nearest of Neumann, Dirichlet on a vertex grid and
    Dirichlet on a cell grid, and the reaction its mean where that is positive. Of a definite operator the result is
    definite or, with Neumann or periodic boundaries throughout, semi-definite.

    Parameters
    ----------
    axes : tuple of Axis, optional
        Known boundaries.
    """
    scales = []
    for up, down in zip(couplings.upper, couplings.lower, strict=True):
        mean = 0.5 * (np.mean(up) + np.mean(down)) if up.size else 0.0
        # The couplings of a Hermitian operator may turn in the complex plane; their size is what matters.
        scales.append(float(np.mean(np.abs(up))) if np.iscomplexobj(up) and up.size else max(-float(mean), 0.0))
    excess = np.real(couplings.excess())
    interior = excess[tuple(slice(1, -1) if n > 2 else slice(None) for n in couplings.grid)]
    reaction = float(np.mean(interior)) if min(couplings.grid) > 2 else 0.0
    if axes is None:
        axes = tuple(_likely_axis(couplings, a, excess, reaction) for a in range(len(couplings.grid)))
    return Reference(axes, tuple(scales), max(reaction, 0.0))


def _likely_axis(couplings: Couplings, a: int, excess: Any, reaction: float) -> Axis:
    n = couplings.grid[a]
    if couplings.wrap[a] is not None:
        return Axis(n, closure="periodic")
    if n < 2:
        return Axis(n, 0.0, 0.0)
    # Edges and corners belong to several walls, so they are left out where that leaves something.
    inner = tuple(slice(1, -1) if m > 2 else slice(None) for m in couplings.grid)
    walls = []
    for end in (slice(0, 1), slice(-1, None)):
        here = (*inner[:a], end, *inner[a + 1 :])
        beside = np.abs(couplings.upper[a][here])
        ratios = (excess[here] - reaction)[beside > 0.0] / beside[beside > 0.0]
        ratio = float(np.median(ratios)) if ratios.size else 1.0
        walls.append(0.0 if ratio < 0.3 else 1.0 if ratio < 1.45 else 2.0)
    if (walls[0], walls[1]) in ((0.0, 1.0), (1.0, 0.0), (1.0, 2.0), (2.0, 1.0)):
        # No fast transform has these ends. Half a spacing at one wall matters less than the wall itself.
        walls = [2.0 if wall else 0.0 for wall in walls]
    return Axis(n, walls[0], walls[1])
