"""Linear elasticity of a random material in plane strain: one edge clamped, a traction on the opposite one."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple, final

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ...operators import SPD, Sparse
from ..evidence.structural_checks import Check
from ..family import FieldSpec, Inputs, LinearFamily, System
from ..random_fields import FloatArray, grid_points
from ..schemes.diffusion import check_coefficient, check_field
from ..schemes.finite_elements import Assembly, Mesh, box_mesh, elastic_element, unit_corners
from .coefficients import coefficient_law

_POISSON_RATIO: Final = 0.3
_LAME: Final = (
    _POISSON_RATIO / ((1.0 + _POISSON_RATIO) * (1.0 - 2.0 * _POISSON_RATIO)),
    0.5 / (1.0 + _POISSON_RATIO),
)
"""First and shear modulus for Young's modulus 1."""
_FACTORISED: Final = 40_000
"""Unknowns up to which definiteness is proved by a factorisation: about a second."""
_COMPONENTS: Final = ("u_x", "u_y")
_CACHED: Final = 2
"""Meshes kept with their patterns; a run uses two."""


class _Discretisation(NamedTuple):
    """All that does not depend on the sample."""

    mesh: Mesh
    assembly: Assembly
    areas: FloatArray


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Elasticity2D(LinearFamily):
    """Plane strain on the unit square: −∇·σ = 0, u = 0 at x = 0, σn = t at x = 1, σn = 0 at y = 0 and y = 1.

    σ = λ tr ε I + 2μ ε, ε = (∇u + ∇uᵀ)/2, λ = Eν/((1 + ν)(1 − 2ν)), μ = E/(2(1 + ν)), ν = 0.3. E is a random field of
    size one, the traction a vector of length one and uniform direction, the same along the edge.

    Parameters
    ----------
    resolution : int
        Nodes n per side, boundary included, at least 4: fields are stored at the nodes, those with x > 0 are free, two
        unknowns each.
    coefficient : str
        Law of E; the presets of `coefficients.coefficient_law`.

    Notes
    -----
    Linear elements on right-angled triangles, E in each the mean of its corners, loads lumped. Unknowns are numbered
    node by node, x before y. Symmetric positive definite, some 14 entries a row, no M-matrix. Second order in L² for
    smooth solutions; in the maximum norm the error falls like h²|log h|, at the corners between free edges. Where the
    clamped edge meets the free ones u has singularities, which lower the order. Rotations and
    translations are what algebraic multigrid has to be told of: `rigid_body_modes`.

    References
    ----------
    Braess, *Finite Elements*, chapter VI, 2007, doi:10.1017/CBO9780511618635.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families.elasticity import Elasticity2D
    >>> family = Elasticity2D(resolution=16)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> A.shape
    (480, 480)
    >>> from resolvent.solvers import AMG, CG
    >>> M = AMG(method="smoothed_aggregation", near_null_space=family.rigid_body_modes())
    >>> CG().solve(A, b, M=M).iterations < 40
    True
    """

    name: ClassVar[str] = "elasticity2d"
    aliases: ClassVar[tuple[str, ...]] = ("elasticity",)
    family_id: ClassVar[int] = 13
    title: ClassVar[str] = "Linear elasticity of a random material, plane strain"
    equation: ClassVar[str] = "−∇·σ(u) = 0, σ = λ tr ε I + 2μ ε"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "u = 0 at x = 0, σn = t at x = 1, σn = 0 at y = 0 and y = 1"
    grid: ClassVar[str] = "vertex"

    coefficient: str = "fno_lognormal"

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 4:
            raise ValueError(f"{self.name} needs a resolution of at least 4 points per side, got {n!r}")
        coefficient_law(self.coefficient, 2)

    @property
    def h(self) -> float:
        """Grid spacing."""
        return 1.0 / (self.resolution - 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the stored fields."""
        return (self.resolution,) * 2

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: ``E``, the traction, and both components of the displacement."""
        fields = {"E": FieldSpec(self.shape, "input", "Young's modulus at the nodes")}
        for axis in ("x", "y"):
            fields[f"traction_{axis}"] = FieldSpec((), "input", f"traction at the edge x = 1, component along {axis}")
        for axis in ("x", "y"):
            fields[f"u_{axis}"] = FieldSpec(self.shape, "solution", f"displacement along {axis} at the nodes")
        return fields

    def axes(self) -> dict[str, FloatArray]:
        """Return the coordinates of the nodes."""
        return {name: grid_points(self.resolution, "vertex") for name in ("x", "y")}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        text = coefficient_law(self.coefficient, 2).text()
        return f"Young's modulus by the law of a: {text}; traction of length 1, direction uniform; ν = 0.3."

    def draw(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw the direction of the traction, then ``E``: one stream is one problem on every grid."""
        angle = rng.uniform(0.0, 2.0 * math.pi)
        E = coefficient_law(self.coefficient, 2).draw(rng, self.resolution, "vertex")
        return {"E": E, "traction_x": np.asarray(math.cos(angle)), "traction_y": np.asarray(math.sin(angle))}

    def assemble(self, inputs: Inputs) -> System:
        """Build the stiffness matrix of the free nodes and the load vector.

        Parameters
        ----------
        inputs : mapping
            ``E``, positive, of the stored shape; the numbers ``traction_x`` and ``traction_y``; optionally body forces
            ``f_x`` and ``f_y`` of the stored shape, and further tractions ``right``, ``bottom`` and ``top``, arrays of
            shape (n, 2) along these edges.

        Raises
        ------
        ValueError
            If an input is missing, of another shape, not finite, or E is not positive.
        """
        missing = [name for name in ("E", "traction_x", "traction_y") if name not in inputs]
        if missing:
            raise ValueError(f"{self.name} needs {missing[0]!r} among its inputs, got {sorted(inputs)}")
        mesh, assembly, areas = _discretisation(self.resolution)
        E = check_coefficient(inputs["E"], self.shape, "E").ravel()
        traction = [float(check_field(inputs[f"traction_{axis}"], (), f"traction_{axis}")) for axis in ("x", "y")]
        loads = np.zeros((*self.shape, 2))
        for component, name in enumerate(("f_x", "f_y")):
            if name in inputs:
                loads[..., component] = areas.reshape(self.shape) * check_field(inputs[name], self.shape, name)
        along = np.full((self.resolution, 1), self.h)
        along[[0, -1]] *= 0.5
        loads[-1] += along * traction
        for name, edge in (("right", loads[-1]), ("bottom", loads[:, 0]), ("top", loads[:, -1])):
            if name in inputs:
                edge += along * check_field(inputs[name], (self.resolution, 2), name)
        corners = mesh.triangles
        A = assembly((E[corners[:, 0]] + E[corners[:, 1]] + E[corners[:, 2]]) / 3.0)
        return System(Sparse(A, props=SPD), loads[1:].ravel())

    def expand(self, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
        """Return both components, the clamped edge put in front of the unknowns."""
        u = np.asarray(x).reshape(self.resolution - 1, self.resolution, 2)
        return {name: np.pad(u[..., i], ((1, 0), (0, 0))) for i, name in enumerate(_COMPONENTS)}

    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vector of unknowns of stored components."""
        parts = [np.asarray(solution[name]) for name in _COMPONENTS]
        for name, part in zip(_COMPONENTS, parts, strict=True):
            if part.shape != self.shape:
                raise ValueError(f"{name} must have the shape {self.shape} of the stored grid, got {part.shape}")
        return np.stack([part[1:] for part in parts], axis=-1).ravel()

    def near_null_space(self) -> FloatArray:
        """Return the rigid body modes."""
        return self.rigid_body_modes()

    def rigid_body_modes(self) -> FloatArray:
        """Return both translations and the rotation at the free nodes: an (n, 3) array, near null space for AMG."""
        x, y = np.meshgrid(*self.axes().values(), indexing="ij")
        one, zero = np.ones_like(x), np.zeros_like(x)
        modes = [np.stack(mode, axis=-1)[1:].ravel() for mode in ((one, zero), (zero, one), (0.5 - y, x - 0.5))]
        return np.stack(modes, axis=1)

    def checks(self, inputs: Inputs, system: System) -> list[Check]:
        """Return structural checks of the entries.

        ``finite``; ``pattern`` (couplings within a cell); ``symmetry``; ``diagonal`` (positive); ``rigid body modes``
        (in the kernel of all rows that do not touch the clamp); ``strain energy`` (of stretching and shearing along x,
        which needs the integral of E alone); ``positive definite`` (signs of the pivots, for up to 40 000 unknowns).
        """
        matrix, n = system.A.to_sparse(), self.resolution
        if not np.isfinite(matrix.data).all():
            return [Check("finite", False, "an entry is not finite")]
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        along_x, along_y = (
            np.abs(place[rows] - place[matrix.indices]) for place in np.divmod(np.arange(2 * n * n) // 2, n)
        )
        skew, largest = float(abs(matrix - matrix.T).max()), float(abs(matrix).max())
        rigid = (matrix @ self.rigid_body_modes()).reshape(n - 1, n, 2, 3)[1:]
        diagonal = matrix.diagonal()
        checks = [
            Check("finite", True, "all entries are finite"),
            Check("pattern", bool((np.maximum(along_x, along_y) <= 1).all()), f"{matrix.nnz} entries, within a cell"),
            Check("symmetry", skew <= 1e-13 * largest, f"max |A − Aᵀ| = {skew:.2e}"),
            Check("diagonal", bool((diagonal > 0).all()), f"at least {diagonal.min():.3e}"),
            Check("rigid body modes", bool(np.abs(rigid).max() <= 1e-12 * largest), f"{np.abs(rigid).max():.2e}"),
            self._strain_energy(matrix, np.asarray(inputs["E"], dtype=np.float64)),
        ]
        if matrix.shape[0] <= _FACTORISED:
            checks.append(_definite(matrix))
        return checks

    def manufactured(self) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return a smooth material, loads in the body and on all free edges, and the displacement they belong to."""
        x, y = np.meshgrid(*self.axes().values(), indexing="ij")
        first, shear = _LAME
        E = np.exp(0.4 * np.sin(2.0 * x + 1.0) * np.cos(3.0 * y))
        E_x = E * 0.8 * np.cos(2.0 * x + 1.0) * np.cos(3.0 * y)
        E_y = -E * 1.2 * np.sin(2.0 * x + 1.0) * np.sin(3.0 * y)
        a, b, c, d = 2.3, 0.9, 1.7, 3.1
        growth, angle = np.exp(b * y), d * y + 0.3
        u, u_x = np.sin(a * x) * growth, a * np.cos(a * x) * growth
        v, v_x, v_y = (
            np.sin(c * x) * np.cos(angle),
            c * np.cos(c * x) * np.cos(angle),
            -d * np.sin(c * x) * np.sin(angle),
        )
        v_xy = -c * d * np.cos(c * x) * np.sin(angle)
        # Stresses for E = 1, and their divergence.
        xx, yy, xy = (
            (first + 2 * shear) * u_x + first * v_y,
            first * u_x + (first + 2 * shear) * v_y,
            shear * (b * u + v_x),
        )
        along_x = -(first + 2 * shear) * a**2 * u + shear * b**2 * u + (first + shear) * v_xy
        along_y = -(first + 2 * shear) * d**2 * v - shear * c**2 * v + (first + shear) * b * u_x
        zero = np.asarray(0.0)
        inputs = {
            "E": E,
            "traction_x": zero,
            "traction_y": zero,
            "f_x": -(E * along_x + E_x * xx + E_y * xy),
            "f_y": -(E * along_y + E_x * xy + E_y * yy),
            "right": np.stack([E * xx, E * xy], axis=-1)[-1],
            "bottom": -np.stack([E * xy, E * yy], axis=-1)[:, 0],
            "top": np.stack([E * xy, E * yy], axis=-1)[:, -1],
        }
        return inputs, {"u_x": u, "u_y": v}

    def _strain_energy(self, matrix: sp.csr_array, E: FloatArray) -> Check:
        first, shear = _LAME
        integral = float((_discretisation(self.resolution).areas * E.ravel()).sum())
        x = np.repeat(self.axes()["x"][1:], self.resolution)
        worst = 0.0
        for component, density in enumerate((first + 2 * shear, shear)):
            field = np.zeros((x.size, 2))
            field[:, component] = x
            energy = float(field.ravel() @ (matrix @ field.ravel()))
            worst = max(worst, abs(energy / (density * integral) - 1.0))
        return Check("strain energy", worst <= 1e-11, f"of two linear displacements, up to {worst:.2e}")


@functools.lru_cache(maxsize=_CACHED)
def _discretisation(resolution: int) -> _Discretisation:
    x = grid_points(resolution, "vertex")
    mesh = box_mesh(x, x)
    elements = np.stack([elastic_element(corners, *_LAME) for corners in unit_corners(x[1])])
    return _Discretisation(mesh, Assembly(mesh, elements, np.repeat(mesh.points[:, 0] > 0.0, 2)), mesh.node_areas)


def _definite(matrix: sp.csr_array) -> Check:
    """By the law of inertia, A = L D Lᵀ with pivots on the diagonal is definite where all of them are positive."""
    factors = spla.splu(
        sp.csc_array(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    pivots, symmetric = factors.U.diagonal(), bool((factors.perm_r == factors.perm_c).all())
    return Check("positive definite", symmetric and bool(pivots.min() > 0.0), f"pivots from {pivots.min():.3e}")
