"""Poisson's equation with Chebyshev data: Δu = f(x) on the unit square, u on each edge a random polynomial."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Final, final

import numpy as np
from numpy.polynomial import chebyshev

from ..evidence.structural_checks import Check, structural_checks
from ..family import FieldSpec, Inputs, LinearFamily, System
from ..random_fields import FloatArray, grid_points
from ..schemes.diffusion import check_field, dirichlet_diffusion

_ORDERS: Final = 6
"""Chebyshev polynomials T_0, …, T_5 in each function."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PoissonChebyshev(LinearFamily):
    """Poisson's equation on the unit square: Δu = f(x), u = g on the boundary.

    f and the four edge functions are Σ_k c_k T_k(2s − 1), k = 0, …, 5, with s the coordinate along the edge and
    s = x in f; all 30 coefficients are uniform in (−1, 1).

    Parameters
    ----------
    resolution : int
        Nodes n per side, boundary included, at least 5: fields are stored at the nodes, (n − 2)² of them unknown.
    skr_released : bool
        As in the code released with arXiv:2401.09516, s = x on all edges: u is then constant on each of the two
        vertical ones, and the data depend on 20 numbers.

    Notes
    -----
    The 5-point stencil: one symmetric positive definite M-matrix of constant coefficients for all samples, solved
    directly by fast sine transforms, and a right-hand side that is linear in the 30 numbers. Second order for smooth
    solutions. Independent edge functions do not agree at the corners: there u jumps, and so does the discretisation
    error, which is of first order in L² and does not fall in the maximum norm. The corner nodes themselves are in no
    equation; stored there is the mean of both edges.

    References
    ----------
    Wang et al. 2024, https://arxiv.org/abs/2401.09516 (the law); Trefethen, *Approximation Theory and Approximation
    Practice*, 2019, doi:10.1137/1.9781611975949.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families.poisson_chebyshev import PoissonChebyshev
    >>> family = PoissonChebyshev(resolution=18)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> A.shape
    (256, 256)
    """

    name: ClassVar[str] = "poisson_chebyshev"
    family_id: ClassVar[int] = 11
    title: ClassVar[str] = "Poisson's equation with Chebyshev source and boundary values, 2-D"
    equation: ClassVar[str] = "Δu = f(x)"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "u = g"
    grid: ClassVar[str] = "vertex"

    skr_released: bool = False

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 5:
            raise ValueError(f"{self.name} needs a resolution of at least 5 points per side, got {n!r}")
        if not isinstance(self.skr_released, bool):
            raise ValueError(f"{self.name} needs skr_released=True or False, got {self.skr_released!r}")

    @property
    def h(self) -> float:
        """Grid spacing."""
        return 1.0 / (self.resolution - 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the stored fields."""
        return (self.resolution,) * 2

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: the ``coefficients``, ``f`` and ``g`` made of them, and the solution ``u``."""
        functions = "f, left, right, bottom, top"
        return {
            "coefficients": FieldSpec((5, _ORDERS), "parameter", f"Chebyshev coefficients of {functions}"),
            "f": FieldSpec(self.shape, "input", "source at the nodes"),
            "g": FieldSpec(self.shape, "input", "boundary values at the boundary nodes, 0 inside"),
            "u": FieldSpec(self.shape, "solution", "solution at the nodes, boundary included"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return the coordinates of the nodes."""
        return {name: grid_points(self.resolution, "vertex") for name in ("x", "y")}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        where = "x, also on the vertical edges" if self.skr_released else "the coordinate along the edge, x for f"
        return (
            f"f and the boundary values on the left, right, bottom and top edge are Σ_k c_k T_k(2s − 1), k = 0 to "
            f"{_ORDERS - 1}, s {where}; the 30 coefficients are uniform in (−1, 1)."
        )

    def draw(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw the coefficients, and evaluate ``f`` and ``g``: one stream is one problem on every grid."""
        return self.data(rng.uniform(-1.0, 1.0, size=(5, _ORDERS)))

    def data(self, coefficients: FloatArray) -> dict[str, FloatArray]:
        """Return the inputs for given Chebyshev coefficients.

        Parameters
        ----------
        coefficients : (5, k) array
            Of f and the boundary values on the left, right, bottom and top edge.
        """
        coefficients = np.asarray(coefficients, dtype=np.float64)
        if coefficients.ndim != 2 or len(coefficients) != 5:
            raise ValueError(f"coefficients must have 5 rows: f, left, right, bottom, top; got {coefficients.shape}")
        along = 2.0 * grid_points(self.resolution, "vertex") - 1.0
        f, left, right, bottom, top = chebyshev.chebval(along, coefficients.T)
        if self.skr_released:
            left, right = (np.full_like(along, edge[end]) for edge, end in ((left, 0), (right, -1)))
        g = np.zeros(self.shape)
        g[0], g[-1], g[1:-1, 0], g[1:-1, -1] = left, right, bottom[1:-1], top[1:-1]
        for i in (0, -1):
            g[i, 0], g[i, -1] = 0.5 * (g[i, 0] + bottom[i]), 0.5 * (g[i, -1] + top[i])
        return {"coefficients": coefficients, "f": np.repeat(f[:, None], self.resolution, axis=1), "g": g}

    def assemble(self, inputs: Inputs) -> System:
        """Build −Δ and the right-hand side −f with the boundary values of g.

        Parameters
        ----------
        inputs : mapping
            ``f`` and ``g`` of the stored shape. Values of g inside of the square are not looked at.

        Raises
        ------
        ValueError
            If a field is missing, of another shape, or not finite.
        """
        missing = [name for name in ("f", "g") if name not in inputs]
        if missing:
            raise ValueError(f"{self.name} needs {missing[0]!r} among its inputs, got {sorted(inputs)}")
        f, g = (check_field(inputs[name], self.shape, name) for name in ("f", "g"))
        b = -f[1:-1, 1:-1]
        for axis in range(2):
            line, values = np.moveaxis(b, axis, 0), np.moveaxis(g, axis, 0)
            line[0] += values[0, 1:-1] / self.h**2
            line[-1] += values[-1, 1:-1] / self.h**2
        return System(dirichlet_diffusion(np.ones(self.shape), self.h, "vertex"), b.ravel())

    def expand(self, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
        """Return ``{"u": field}``, the boundary values put around the unknowns."""
        x = np.asarray(x)
        u = np.array(inputs["g"], dtype=np.result_type(x, np.float64))
        u[1:-1, 1:-1] = x.reshape((self.resolution - 2,) * 2)
        return {"u": u}

    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vector of unknowns of a stored field ``u``."""
        u = np.asarray(solution["u"])
        if u.shape != self.shape:
            raise ValueError(f"u must have the shape {self.shape} of the stored grid, got {u.shape}")
        return u[1:-1, 1:-1].ravel()

    def checks(self, inputs: Inputs, system: System) -> list[Check]:
        """Return the structural checks of the assembled operator; see `structural_checks`."""
        unknowns = (self.resolution - 2,) * 2
        return structural_checks(system.A, unknowns, coefficient=np.ones(unknowns), h=self.h)

    def manufactured(self) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return a source, boundary values, and the smooth solution they belong to."""
        x, y = np.meshgrid(*self.axes().values(), indexing="ij")
        # Δ exp(ax) sin(by + c) = (a² − b²) times itself; two terms without a common symmetry.
        first, second = np.exp(1.3 * x) * np.sin(2.7 * y + 0.4), np.cos(4.0 * x - 0.2) * np.exp(-0.8 * y)
        u = first + second
        return {"f": (1.3**2 - 2.7**2) * first + (0.8**2 - 4.0**2) * second, "g": u}, {"u": u}
