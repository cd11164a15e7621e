"""Heat conduction in a plate with a slot: Δu = 0, two sides held at random temperatures, all else insulated."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple, final

import numpy as np
import scipy.sparse as sp

from ...operators import SPD, Props, Sparse
from ..evidence.structural_checks import Check, masked_checks
from ..family import FieldSpec, Inputs, LinearFamily, System
from ..random_fields import FloatArray
from ..schemes.diffusion import check_field
from ..schemes.finite_elements import Assembly, Mesh, box_mesh, laplace_element, unit_corners

_COARSEST: Final = 20
"""Cells along x of the coarsest mesh that has the slot's sides on grid lines: h = 0.05."""
_SLOT: Final = (0.05, 0.4)
"""Half width and half height of the slot."""
_CACHED: Final = 4
"""Meshes kept with their matrices: a run uses two, and both their variants at most."""


class _Discretisation(NamedTuple):
    """All that does not depend on the sample."""

    mesh: Mesh
    free: np.ndarray
    matrix: sp.csr_array
    lifts: FloatArray
    """Right-hand sides of the free nodes for a unit of each of the two numbers."""
    areas: FloatArray


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Thermal(LinearFamily):
    """Steady heat conduction in (−½, ½) × (−0.8, 0.8) without the slot [−0.05, 0.05] × [−0.4, 0.4]: −Δu = 0.

    Left side u = `left`, uniform in (−100, 0), right side u = `right`, uniform in (0, 100), all else insulated.

    Parameters
    ----------
    resolution : int
        Nodes along x, 20 m + 1 for spacing h = 0.05/m; 32 m + 1 along y. m = 1, 2, 4, 8, 16 gives meshes of 678, 2572,
        10008, 39472 and 156768 nodes.
    skr_released : bool
        The variant of the code released with arXiv:2401.09516: left u = 100 U(0, 1), and on the right side a flux
        ∂u/∂n = −100 U(0, 1). Which sides those are is not fixed by the paper.

    Notes
    -----
    Linear elements on a structured mesh whose right-angled triangles fit the slot. The nodes are points of a regular
    grid of (20 m + 1, 32 m + 1) points: ``u`` is stored on all of it, zero inside of the slot, which ``mask`` marks, so
    that networks for regular grids can be trained on it. The matrix is one for all samples, a symmetric positive
    definite M-matrix, and the right-hand side is linear in the two numbers. Second order for smooth solutions; at the
    re-entrant corners of the slot u behaves like r^(2/3), which leaves order 4/3 in L² and 2/3 in the maximum
    norm.

    References
    ----------
    Strang & Fix, *An Analysis of the Finite Element Method*, 2008, doi:10.1137/1.9780980232707; Grisvard, *Elliptic
    Problems in Nonsmooth Domains*, 2011, doi:10.1137/1.9781611972030.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families.thermal import Thermal
    >>> family = Thermal(resolution=21)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> family.nodes, A.shape
    (678, (612, 612))
    """

    name: ClassVar[str] = "thermal"
    family_id: ClassVar[int] = 12
    title: ClassVar[str] = "Heat conduction in a plate with a slot"
    equation: ClassVar[str] = "−Δu = 0"
    domain: ClassVar[str] = "(−0.5, 0.5) × (−0.8, 0.8) without [−0.05, 0.05] × [−0.4, 0.4]"
    boundary: ClassVar[str] = "u given at the left and right side (or ∂u/∂n at the right), ∂u/∂n = 0 elsewhere"
    grid: ClassVar[str] = "vertex"

    resolution: int = 4 * _COARSEST + 1
    skr_released: bool = False

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < _COARSEST + 1 or (n - 1) % _COARSEST:
            near = ""
            if isinstance(n, int) and not isinstance(n, bool):
                near = f": the nearest is {_COARSEST * max(1, round((n - 1) / _COARSEST)) + 1}"
            raise ValueError(
                f"{self.name} needs a resolution of 20 m + 1 nodes along x (21, 41, 81, …), so that the slot's sides "
                f"are grid lines, got {n!r}{near}"
            )
        if not isinstance(self.skr_released, bool):
            raise ValueError(f"{self.name} needs skr_released=True or False, got {self.skr_released!r}")

    @property
    def h(self) -> float:
        """Grid spacing."""
        return 1.0 / (self.resolution - 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the stored fields."""
        return self.resolution, 8 * (self.resolution - 1) // 5 + 1

    @property
    def nodes(self) -> int:
        """Number of nodes of the mesh, those with a given temperature included."""
        return len(self._discretisation().mesh.points)

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: the two numbers, ``mask`` and the solution ``u``."""
        right = "∂u/∂n at the right side" if self.skr_released else "temperature of the right side"
        return {
            "left": FieldSpec((), "input", "temperature of the left side"),
            "right": FieldSpec((), "input", right),
            "mask": FieldSpec(self.shape, "input", "which grid points are nodes", kind="boolean"),
            "u": FieldSpec(self.shape, "solution", "temperature at the nodes, 0 inside of the slot"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return the coordinates of the grid whose points the nodes are."""
        # From −½ and −0.8 up in the same steps on every grid, the centre exactly zero.
        return {
            name: np.arange(-(n - 1) // 2, (n - 1) // 2 + 1) / (self.resolution - 1.0)
            for name, n in zip(("x", "y"), self.shape, strict=True)
        }

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        if self.skr_released:
            return "u uniform in (0, 100) on the left side, ∂u/∂n uniform in (−100, 0) on the right side."
        return "Temperatures uniform in (−100, 0) on the left side and in (0, 100) on the right side."

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw ``left`` and ``right``; ``mask`` is the same for all samples."""
        left, right = 100.0 * rng.uniform(size=2)
        signs = (1.0, -1.0) if self.skr_released else (-1.0, 1.0)
        mask = self._discretisation().mesh.inside.copy()
        return {"left": np.asarray(signs[0] * left), "right": np.asarray(signs[1] * right), "mask": mask}

    def assemble(self, inputs: Inputs) -> System:
        """Build the matrix of the free nodes and the right-hand side.

        Parameters
        ----------
        inputs : mapping
            The numbers ``left`` and ``right``, optionally a source ``f`` of the stored shape; a ``mask`` must be that
            of the domain.

        Raises
        ------
        ValueError
            If an input is missing, of another shape, not finite, or the mask is another one.
        """
        numbers = [_number(inputs, name, self.name) for name in ("left", "right")]
        fixed = self._discretisation()
        if "mask" in inputs and not np.array_equal(np.asarray(inputs["mask"], dtype=bool), fixed.mesh.inside):
            raise ValueError(f"the mask of {self.name} is fixed by its domain, got another one: leave it out")
        b = fixed.lifts @ np.array(numbers)
        if "f" in inputs:
            b += (fixed.areas * check_field(inputs["f"], self.shape, "f")[fixed.mesh.inside])[fixed.free]
        return System(Sparse(fixed.matrix, props=SPD | Props.M_MATRIX), b)

    def expand(self, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
        """Return ``{"u": field}`` with the given temperatures, and zero inside of the slot."""
        fixed = self._discretisation()
        x = np.asarray(x)
        nodal = np.zeros(fixed.free.size, dtype=x.dtype)
        nodal[fixed.free] = x
        u = np.zeros(self.shape, dtype=x.dtype)
        u[fixed.mesh.inside] = nodal
        u[0] = inputs["left"]
        if not self.skr_released:
            u[-1] = inputs["right"]
        return {"u": u}

    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vector of unknowns of a stored field ``u``."""
        u = np.asarray(solution["u"])
        if u.shape != self.shape:
            raise ValueError(f"u must have the shape {self.shape} of the stored grid, got {u.shape}")
        fixed = self._discretisation()
        return np.asarray(u[fixed.mesh.inside][fixed.free])

    def checks(self, inputs: Inputs, system: System) -> list[Check]:
        """Return the structural checks of the matrix; see `masked_checks`."""
        unknown = self._discretisation().mesh.inside.copy()
        anchored = np.zeros_like(unknown)
        unknown[0] = False
        anchored[1] = True
        if not self.skr_released:
            unknown[-1] = False
            anchored[-2] = True
        return masked_checks(system.A, unknown, anchored)

    def manufactured(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return inputs with a source, and the smooth solution they belong to, insulated at the slot.

        u = L(x) + P(x) q(y); L' and P' are zero at the slot's long sides, q' at its short ones and at y = ±0.8, and P
        and P' at x = ±½.
        """
        x, y = (np.polynomial.Polynomial([0.0, 1.0]),) * 2
        a, c = _SLOT
        slot, side = x**2 - a**2, x**2 - 0.25
        L = 100.0 * slot.integ() + 1.0
        P = 300.0 * slot**2 * side**2 * (1.0 + x)
        q = (y**2 - c**2) ** 2 * (y**2 - 0.64) ** 2 * (40.0 * y + 20.0)
        points = np.meshgrid(*self.axes().values(), indexing="ij", sparse=True)
        at_x, at_y = points[0], points[1]
        mask = self._discretisation().mesh.inside
        u = np.where(mask, L(at_x) + P(at_x) * q(at_y), 0.0)
        f = -(L.deriv(2)(at_x) + P.deriv(2)(at_x) * q(at_y) + P(at_x) * q.deriv(2)(at_y))
        right = L.deriv()(0.5) if self.skr_released else L(0.5)
        return {"left": np.asarray(L(-0.5)), "right": np.asarray(right), "f": f}, {"u": u}

    def _discretisation(self) -> _Discretisation:
        return _discretisation(self.resolution, self.skr_released)


@functools.lru_cache(maxsize=_CACHED)
def _discretisation(resolution: int, flux: bool) -> _Discretisation:
    family = Thermal(resolution=resolution)
    x, y = family.axes().values()
    centre_x, centre_y = (np.abs(0.5 * (line[1:] + line[:-1])) for line in (x, y))
    mesh = box_mesh(x, y, (centre_x[:, None] > _SLOT[0]) | (centre_y > _SLOT[1]))
    left, right = mesh.points[:, 0] == x[0], mesh.points[:, 0] == x[-1]
    elements = np.stack([laplace_element(corners) for corners in unit_corners(family.h)])
    whole = Assembly(mesh, elements, np.ones(left.size, dtype=bool))(np.ones(len(mesh.triangles)))
    free = ~left if flux else ~(left | right)
    matrix = sp.csr_array(whole[free][:, free])
    matrix.sort_indices()
    from_left = -(whole @ left.astype(float))
    # A unit of flux through the edges of the right side, half of each edge's to either end.
    from_right = np.where(right, family.h, 0.0) * np.where(np.abs(mesh.points[:, 1]) == y[-1], 0.5, 1.0)
    if not flux:
        from_right = -(whole @ right.astype(float))
    lifts = np.stack([from_left, from_right], axis=1)[free]
    for array in (mesh.inside, matrix.data, matrix.indices, matrix.indptr, lifts, free):
        array.flags.writeable = False
    return _Discretisation(mesh, free, matrix, lifts, mesh.node_areas)


def _number(inputs: Inputs, name: str, family: str) -> float:
    if name not in inputs:
        raise ValueError(f"{family} needs the number {name!r} among its inputs, got {sorted(inputs)}")
    value = np.asarray(inputs[name], dtype=np.float64)
    if value.shape != () or not math.isfinite(value):
        raise ValueError(f"{name} must be one finite number, got {value!r}")
    return float(value)
