"""Poisson's equation around obstacles: −Δu = f on a square or cube from which voxels are removed."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, final

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from ...operators import SPD, Props, Stencil
from ..evidence.structural_checks import Check, masked_checks
from ..family import FieldSpec, Inputs, LinearFamily, System
from ..random_fields import FloatArray, GaussianRandomField, grid_points
from ..schemes.diffusion import check_field
from .coefficients import coefficient_law

Mask = npt.NDArray[np.bool_]

_SIZES: Final = (0.03, 0.12)
"""Range of radii and half widths."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PoissonObstacles(LinearFamily):
    """Poisson's equation between random spheres and boxes: −Δu = f, u = 0 on the boundary of the square or cube.

    On the obstacles u = 0 or ∂u/∂n = 0. They are placed one after the other, a sphere or a box with equal probability,
    centres uniform, radii and half widths uniform in (0.03, 0.12), as long as their volumes together stay below a
    number that is uniform in the range `fraction`; they may overlap and stick out. f is a Gaussian field.

    Parameters
    ----------
    resolution : int
        Cells n per side, at least 4; fields are stored at their centres. A cell is solid where its centre is.
    dim : {2, 3}
        Square or cube.
    walls : {"dirichlet", "neumann"}
        u = 0 or ∂u/∂n = 0 on the obstacles.
    fraction : (float, float)
        Range of the largest solid fraction, within 0 and 0.5.

    Notes
    -----
    Finite volumes on the cells that are not solid: 5 or 7 points, walls half a cell from the outermost centres. Solid
    cells stay among the unknowns, with a multiple of the identity, no coupling and no source, so that u = 0 there and
    all samples have one structure, a symmetric positive definite M-matrix. Second order where obstacles are boxes of
    whole cells and u is smooth; their corners lower the order, and the voxels of a sphere are off by part of a cell: of
    first order in u for Dirichlet walls, while fluxes along Neumann walls do not converge.

    Obstacles may cut the domain into parts. With Dirichlet walls every part has a solution of its own. With Neumann
    walls a part that does not reach the boundary has none: `draw` fills it, `assemble` refuses it.

    References
    ----------
    Eymard, R., Gallouët, T. and Herbin, R., "Finite volume methods", Handbook of Numerical Analysis 7 (2000),
    doi:10.1016/S1570-8659(00)07005-8.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families.poisson_obstacles import PoissonObstacles
    >>> family = PoissonObstacles(resolution=16)
    >>> inputs = family.draw(np.random.default_rng(0))
    >>> A, b = family.assemble(inputs)
    >>> A.shape, inputs["mask"].dtype
    ((256, 256), dtype('bool'))
    """

    name: ClassVar[str] = "poisson_obstacles"
    family_id: ClassVar[int] = 14
    title: ClassVar[str] = "Poisson's equation between random obstacles"
    equation: ClassVar[str] = "−Δu = f"
    domain: ClassVar[str] = "(0, 1)² or (0, 1)³ without spheres and boxes"
    boundary: ClassVar[str] = "u = 0 on the outer boundary, u = 0 or ∂u/∂n = 0 on the obstacles"
    grid: ClassVar[str] = "cell"
    # Obstacles that a coarse grid does not see cost iterations, 40 on 256², 70 on 512². Algebraic multigrid needs
    # eight, and takes as long as two hundred of these.
    multigrid_iterations: ClassVar[int] = 150

    dim: int = 2
    walls: Literal["dirichlet", "neumann"] = "dirichlet"
    fraction: tuple[float, float] = (0.0, 0.3)

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 4:
            raise ValueError(f"{self.name} needs a resolution of at least 4 cells per side, got {n!r}")
        if isinstance(self.dim, bool) or self.dim not in (2, 3):
            raise ValueError(f"{self.name} needs dim=2 (square) or dim=3 (cube), got {self.dim!r}")
        if self.walls not in ("dirichlet", "neumann"):
            raise ValueError(f"{self.name} needs walls='dirichlet' or walls='neumann', got {self.walls!r}")
        object.__setattr__(self, "fraction", tuple(float(share) for share in self.fraction))
        if len(self.fraction) != 2 or not 0.0 <= self.fraction[0] <= self.fraction[1] <= 0.5:
            raise ValueError(f"{self.name} needs fraction=(least, largest) within 0 and 0.5, got {self.fraction!r}")

    @property
    def h(self) -> float:
        """Cell size."""
        return 1.0 / self.resolution

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stored fields."""
        return (self.resolution,) * self.dim

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: ``fraction``, ``mask``, ``f`` and the solution ``u``."""
        return {
            "fraction": FieldSpec((), "parameter", "volume of the obstacles that was aimed at"),
            "mask": FieldSpec(self.shape, "input", "which cells are not solid", kind="boolean"),
            "f": FieldSpec(self.shape, "input", "source at the cell centres"),
            "u": FieldSpec(self.shape, "solution", "solution at the cell centres, 0 in solid cells"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return the coordinates of the cell centres."""
        return {name: grid_points(self.resolution, "cell") for name in ("x", "y", "z")[: self.dim]}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        g, (least, largest) = self._source(), self.fraction
        return (
            f"Spheres and boxes of radii and half widths uniform in {_SIZES}, centres uniform, of a total volume below "
            f"a number uniform in ({least:g}, {largest:g}); f Gaussian: covariance proportional to "
            f"(−Δ + {g.tau:g}²)^(−{g.alpha:g}), Neumann cosine modes, unit mean variance."
        )

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw the ``fraction``, ``f``, and the obstacles: one stream is one problem on every grid."""
        fraction = rng.uniform(*self.fraction)
        f = self._source().sample(rng, self.resolution, "cell")
        mask = ~self._obstacles(rng, fraction)
        if self.walls == "neumann":
            parts, enclosed = _enclosed(mask)
            mask &= ~enclosed[parts]
        return {"fraction": np.asarray(fraction), "mask": mask, "f": f}

    def assemble(self, inputs: Inputs) -> System:
        """Build the 5- or 7-point operator, scaled by 1/h², and the right-hand side.

        Parameters
        ----------
        inputs : mapping
            ``mask``, True in the cells of the domain, and ``f``, of the stored shape. Values of f in solid cells are
            not used.

        Raises
        ------
        ValueError
            If an input is missing, of another shape, or not finite; if no cell is left, or with Neumann walls some
            are cut off from the boundary.
        """
        missing = [name for name in ("mask", "f") if name not in inputs]
        if missing:
            raise ValueError(f"{self.name} needs {missing[0]!r} among its inputs, got {sorted(inputs)}")
        mask = np.asarray(inputs["mask"])
        if mask.shape != self.shape or mask.dtype.kind != "b":
            raise ValueError(f"mask must be of bool and shape {self.shape}, got {mask.dtype} of shape {mask.shape}")
        f = check_field(inputs["f"], self.shape, "f")
        if not mask.any():
            raise ValueError("mask has no cell outside of the obstacles: nothing is left to solve")
        if self.walls == "neumann":
            parts, enclosed = _enclosed(mask)
            if enclosed.any():
                raise ValueError(
                    f"{np.count_nonzero(enclosed[parts])} cells in {np.count_nonzero(enclosed)} parts are cut off from "
                    "the boundary, and without a given value u is not determined there: make them solid, or take "
                    "walls='dirichlet'"
                )
        weight = 1.0 / self.h**2
        diagonal = np.where(mask, 0.0, 2.0 * self.dim * weight)
        faces = []
        for axis in range(self.dim):
            inner, total = np.moveaxis(mask, axis, 0), np.moveaxis(diagonal, axis, 0)
            behind, ahead = inner[:-1], inner[1:]
            both = behind & ahead
            faces.append(np.moveaxis(np.where(both, -weight, 0.0), 0, axis))
            total[:-1] += np.where(both, weight, 0.0)
            total[1:] += np.where(both, weight, 0.0)
            if self.walls == "dirichlet":
                total[:-1] += np.where(behind & ~ahead, 2.0 * weight, 0.0)
                total[1:] += np.where(ahead & ~behind, 2.0 * weight, 0.0)
            for end in (0, -1):
                total[end] += np.where(inner[end], 2.0 * weight, 0.0)
        return System(Stencil.from_faces(diagonal, faces, props=SPD | Props.M_MATRIX), np.where(mask, f, 0.0).ravel())

    def expand(self, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
        """Return ``{"u": field}``."""
        return {"u": np.asarray(x).reshape(self.shape)}

    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vector of unknowns of a stored field ``u``."""
        u = np.asarray(solution["u"])
        if u.shape != self.shape:
            raise ValueError(f"u must have the shape {self.shape} of the stored grid, got {u.shape}")
        return u.ravel()

    def checks(self, inputs: Inputs, system: System) -> list[Check]:
        """Return structural checks of the entries.

        Those of `masked_checks` for the cells of the domain; ``couplings`` (all −1/h²) and ``walls`` (row sums are 2/h²
        for each wall of the cell) of these; ``solid cells`` (not coupled).
        """
        mask = np.asarray(inputs["mask"], dtype=bool)
        walls = np.zeros(self.shape, dtype=np.int64)
        around = np.pad(~mask & (self.walls == "dirichlet"), 1, constant_values=True)
        for axis, step in itertools.product(range(self.dim), (1, -1)):
            walls += np.roll(around, step, axis)[(slice(1, -1),) * self.dim]
        matrix, place, solid = system.A.to_sparse(), np.flatnonzero(mask), np.flatnonzero(~mask)
        domain = matrix[place][:, place]
        sums = (domain @ np.ones(place.size)) * (0.5 * self.h**2) - walls.ravel()[place]
        scaled = domain.data * self.h**2
        couplings = scaled[scaled < 0.0] + 1.0
        alone = abs(matrix[solid]).sum() == abs(matrix[:, solid]).sum() == np.abs(matrix.diagonal()[solid]).sum()
        return [
            *masked_checks(domain, mask, mask & (walls > 0)),
            Check("couplings", bool(np.abs(couplings).max(initial=0.0) < 1e-13), "all −1/h²"),
            Check("walls", bool(np.abs(sums).max() < 1e-12), f"2/h² each, up to {np.abs(sums).max():.1e}"),
            Check("solid cells", bool(alone), f"{solid.size} without couplings"),
        ]

    def manufactured(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return a box of whole cells as the only obstacle, a source, and the exact solution they belong to.

        The solution is a product of functions of one coordinate that vanish at the outer boundary, and at the sides of
        the obstacle, 1/4 and 1/2, vanish or have no slope.
        """
        if self.resolution % 4:
            raise ValueError(f"the manufactured obstacle needs a resolution that 4 divides, got {self.resolution}")
        mask = np.ones(self.shape, dtype=bool)
        mask[(slice(self.resolution // 4, self.resolution // 2),) * self.dim] = False
        values, curvatures = [], []
        for axis, points in enumerate(np.meshgrid(*self.axes().values(), indexing="ij", sparse=True)):
            values.append(_profile(points, axis, self.walls))
            curvatures.append(_profile(points, axis, self.walls, second=True))
        f = np.zeros(self.shape)
        for axis, curvature in enumerate(curvatures):
            f = f - math.prod([curvature, *values[:axis], *values[axis + 1 :]])
        return {"mask": mask, "f": f}, {"u": np.where(mask, math.prod(values), 0.0)}

    def _source(self) -> GaussianRandomField:
        return coefficient_law("lognormal_unit", self.dim).field

    def _obstacles(self, rng: np.random.Generator, fraction: float) -> Mask:
        """Place shapes until the next one would exceed the fraction."""
        solid = np.zeros(self.shape, dtype=bool)
        x, total = grid_points(self.resolution, "cell"), 0.0
        ball = {2: math.pi, 3: 4.0 / 3.0 * math.pi}[self.dim]
        while True:
            kind, *numbers = rng.uniform(size=1 + 2 * self.dim)
            centre, widths = numbers[: self.dim], _SIZES[0] + (_SIZES[1] - _SIZES[0]) * np.array(numbers[self.dim :])
            if kind < 0.5:
                widths[:] = widths[0]
            total += ball * widths[0] ** self.dim if kind < 0.5 else float(np.prod(2.0 * widths))
            if total > fraction:
                return solid
            spans = [slice(*np.searchsorted(x, (c - w, c + w))) for c, w in zip(centre, widths, strict=True)]
            if kind < 0.5:
                squares = np.meshgrid(
                    *[(x[s] - c) ** 2 for s, c in zip(spans, centre, strict=True)], sparse=True, indexing="ij"
                )
                solid[tuple(spans)] |= sum(squares) < widths[0] ** 2
            else:
                solid[tuple(spans)] = True


def _enclosed(mask: Mask) -> tuple[npt.NDArray[np.int32], Mask]:
    """Number the connected parts of a mask from 1, and say of each number whether its part is off the boundary."""
    parts, count = scipy.ndimage.label(mask)
    enclosed = np.ones(count + 1, dtype=bool)
    enclosed[0] = False
    for axis in range(mask.ndim):
        for end in (0, -1):
            enclosed[np.take(parts, end, axis=axis)] = False
    return parts, enclosed


def _profile(x: Any, axis: int, walls: str, *, second: bool = False) -> Any:
    """Return one factor of the manufactured solution, or its second derivative."""
    if walls == "dirichlet":
        beta, omega = (0.7, -0.4, 0.3)[axis], 4.0 * math.pi
        sine, growth = np.sin(omega * x), np.exp(beta * x)
        if second:
            return growth * ((beta**2 - omega**2) * sine + 2.0 * beta * omega * np.cos(omega * x))
        return growth * sine
    # Slopes (x − 1/4)(x − 1/2) times a factor that makes their integral over (0, 1) vanish.
    power = np.polynomial.Polynomial
    last = (power([-0.75, 1.0]), power([-0.65, 0.0, 1.0]))[axis % 2]
    slope = 50.0 * power([-0.25, 1.0]) * power([-0.5, 1.0]) * last
    return slope.deriv()(x) if second else slope.integ()(x)
