"""Darcy flow in a random porous medium: −∇·(a∇u) = f on the unit square or cube, u = 0 on the boundary."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Final, Literal, final

import numpy as np

from ..evidence.structural_checks import Check, structural_checks
from ..family import FieldSpec, Inputs, LinearFamily, System
from ..random_fields import FloatArray, GaussianRandomField, grid_points
from ..schemes.diffusion import check_coefficient, check_field, dirichlet_diffusion, manufactured_diffusion
from .coefficients import CoefficientLaw, coefficient_law

_MINIMUM: Final = 4
_AXES: Final = ("x", "y", "z")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Darcy(LinearFamily, abc.ABC):
    """All of the equation but its dimension; see `Darcy2D`."""

    licence: ClassVar[str] = "CC-BY-4.0"
    boundary: ClassVar[str] = "u = 0"
    dim: ClassVar[int]

    grid: Literal["cell", "vertex"] = "cell"
    coefficient: str = "fno_lognormal"
    source: Literal["one", "grf"] = "one"

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < _MINIMUM:
            raise ValueError(f"{self.name} needs a resolution of at least {_MINIMUM} points per side, got {n!r}")
        if self.grid not in ("cell", "vertex"):
            raise ValueError(f"{self.name} needs grid='cell' or grid='vertex', got {self.grid!r}")
        if self.source not in ("one", "grf"):
            raise ValueError(f"{self.name} needs source='one' (f = 1) or source='grf', got {self.source!r}")
        coefficient_law(self.coefficient, self.dim)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stored fields."""
        return (self.resolution,) * self.dim

    @property
    def unknowns(self) -> tuple[int, ...]:
        """Shape of the field of unknowns: without the boundary nodes of a vertex grid."""
        return (self.resolution if self.grid == "cell" else self.resolution - 2,) * self.dim

    @property
    def h(self) -> float:
        """Grid spacing."""
        return 1.0 / (self.resolution if self.grid == "cell" else self.resolution - 1)

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: ``a``, with ``source='grf'`` also ``f``, and the solution ``u``."""
        where = "at the cell centres" if self.grid == "cell" else "at the nodes, boundary included"
        fields = {"a": FieldSpec(self.shape, "input", f"permeability {where}")}
        if self.source == "grf":
            fields["f"] = FieldSpec(self.shape, "input", f"source {where}")
        fields["u"] = FieldSpec(self.shape, "solution", f"pressure {where}")
        return fields

    def axes(self) -> dict[str, FloatArray]:
        """Return the coordinates of the stored grid by axis name, in the order of the axes of a field."""
        return {name: grid_points(self.resolution, self.grid) for name in _AXES[: self.dim]}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        source = "f = 1" if self.source == "one" else f"f Gaussian: {_source_text(self._source_field())}"
        return f"{self._coefficient().text()}; {source}."

    def draw(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw ``a``, then with ``source='grf'`` ``f``; one stream is one pair of functions on every grid."""
        inputs = {"a": self._coefficient().draw(rng, self.resolution, self.grid)}
        if self.source == "grf":
            inputs["f"] = self._source_field().sample(rng, self.resolution, self.grid)
        return inputs

    def assemble(self, inputs: Inputs) -> System:
        """Build the 5- or 7-point operator, scaled by 1/h², and the right-hand side.

        Parameters
        ----------
        inputs : mapping
            ``a``, positive, and the source ``f``, which may be left out with ``source='one'``: arrays of the stored
            shape.

        Raises
        ------
        ValueError
            If a field is missing, of another shape, not finite, or `a` is not positive (first bad index named).
        """
        if "a" not in inputs:
            raise ValueError(f"{self.name} needs the coefficient 'a' among its inputs, got {sorted(inputs)}")
        a = check_coefficient(inputs["a"], self.shape)
        if "f" in inputs:
            f = check_field(inputs["f"], self.shape, "f")
            b = f[self._inside()].ravel()
        elif self.source == "one":
            b = np.ones(int(np.prod(self.unknowns)))
        else:
            raise ValueError(f"{self.name} with source='grf' needs the source 'f' among its inputs")
        return System(dirichlet_diffusion(a, self.h, self.grid), b)

    def expand(self, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
        """Return ``{"u": field}``, the zero boundary nodes of a vertex grid put around the unknowns."""
        u = np.asarray(x).reshape(self.unknowns)
        return {"u": u if self.grid == "cell" else np.pad(u, 1)}

    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vector of unknowns of a stored field ``u``."""
        u = np.asarray(solution["u"])
        if u.shape != self.shape:
            raise ValueError(f"u must have the shape {self.shape} of the stored grid, got {u.shape}")
        return u[self._inside()].ravel()

    def checks(self, inputs: Inputs, system: System) -> list[Check]:
        """Return the structural checks of the assembled operator; see `structural_checks`."""
        a = np.asarray(inputs["a"], dtype=np.float64)[self._inside()]
        return structural_checks(system.A, self.unknowns, coefficient=a, h=self.h)

    def manufactured(self) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return inputs with a smooth varying coefficient and the exact solution they belong to, on this grid."""
        a, f, u = manufactured_diffusion(list(self.axes().values()))
        return {"a": a, "f": f}, {"u": u}

    def _coefficient(self) -> CoefficientLaw:
        return coefficient_law(self.coefficient, self.dim)

    def _source_field(self) -> GaussianRandomField:
        return coefficient_law("lognormal_unit", self.dim).field

    def _inside(self) -> tuple[slice, ...]:
        """Where the unknowns lie in a stored field."""
        return (slice(None) if self.grid == "cell" else slice(1, -1),) * self.dim


def _source_text(g: GaussianRandomField) -> str:
    return f"covariance proportional to (−Δ + {g.tau:g}²)^(−{g.alpha:g}), Neumann cosine modes, unit mean variance"


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Darcy2D(_Darcy):
    """Darcy flow on the unit square: −∇·(a∇u) = f, u = 0 on the boundary.

    Parameters
    ----------
    resolution : int
        Points n per side, at least 4, stored as (n, n) fields with axes x, y. For the vertex grid this counts the
        boundary nodes: n − 2 unknowns per side, spacing 1/(n − 1).
    grid : {"cell", "vertex"}
        Unknowns at the centres of n × n cells, or at the nodes of a grid that includes the boundary.
    coefficient : str
        Law of a; the presets of `coefficients.coefficient_law`.
    source : {"one", "grf"}
        f = 1, or a Gaussian field with the spectrum of ``fno_lognormal`` and unit mean variance.

    Notes
    -----
    Finite volumes with harmonic means of the two adjacent coefficients on the faces; on the cell grid the boundary is
    half a cell away from the outermost centres. Second order in the maximum and the L² norm for smooth a; for
    ``fno_twophase`` interfaces cross cells and the order drops to about one. The operator is a symmetric positive
    definite M-matrix of 5 entries a row. Assembly costs a few passes over the grid.

    References
    ----------
    Eymard, R., Gallouët, T. and Herbin, R., "Finite volume methods", Handbook of Numerical Analysis 7 (2000),
    doi:10.1016/S1570-8659(00)07005-8.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families.darcy import Darcy2D
    >>> family = Darcy2D(resolution=16)
    >>> inputs = family.draw(np.random.default_rng(0))
    >>> A, b = family.assemble(inputs)
    >>> A.shape, b.shape
    ((256, 256), (256,))
    """

    name: ClassVar[str] = "darcy2d"
    aliases: ClassVar[tuple[str, ...]] = ("darcy",)
    family_id: ClassVar[int] = 1
    title: ClassVar[str] = "Darcy flow in a random porous medium, 2-D"
    equation: ClassVar[str] = "−∇·(a∇u) = f"
    domain: ClassVar[str] = "(0, 1)²"
    dim: ClassVar[int] = 2


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Darcy3D(_Darcy):
    """Darcy flow in the unit cube: `Darcy2D` with a third axis z, a 7-point operator and a default of 32³ points.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families.darcy import Darcy3D
    >>> family = Darcy3D(resolution=10, grid="vertex")
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> A.shape
    (512, 512)
    """

    name: ClassVar[str] = "darcy3d"
    family_id: ClassVar[int] = 2
    title: ClassVar[str] = "Darcy flow in a random porous medium, 3-D"
    equation: ClassVar[str] = "−∇·(a∇u) = f"
    domain: ClassVar[str] = "(0, 1)³"
    dim: ClassVar[int] = 3

    resolution: int = 32
