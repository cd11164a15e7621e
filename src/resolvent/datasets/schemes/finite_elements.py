"""Linear (P1) triangles on rectangles out of which cells may be cut: meshes, element matrices and assembly.

Entries are sums over triangles of a coefficient times an element matrix of which there are only a few, and the pattern
belongs to the mesh. It is found once; a matrix for another coefficient is one compiled pass over the triangles.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ..random_fields import FloatArray

IntArray = npt.NDArray[np.int64]

_DROPPED = 1e-14
"""Part of the largest entry below which another one is rounding: the legs of a right angle do not couple."""


@dataclasses.dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles on a rectangular grid.

    Attributes
    ----------
    inside : (n_x, n_y) array of bool
        Which points of the grid are nodes.
    points : (nodes, 2) array
        Coordinates of the nodes, in C order of the grid.
    triangles : (2 cells, 3) array of int
        Nodes of each triangle, counterclockwise; the two of a cell follow each other.
    """

    inside: npt.NDArray[np.bool_]
    points: FloatArray
    triangles: IntArray

    @property
    def areas(self) -> FloatArray:
        """Area of each triangle."""
        a, b, c = (self.points[self.triangles[:, corner]] for corner in range(3))
        return np.asarray(0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]))

    @property
    def node_areas(self) -> FloatArray:
        """A third of the triangles around each node: integrates linear functions exactly, and smooth loads to O(h²)."""
        return self.to_nodes(self.areas)

    def to_nodes(self, values: FloatArray) -> FloatArray:
        """Return the sum of a third of each triangle's value over the triangles around each node."""
        shares = np.repeat(values / 3.0, 3)
        sums = np.bincount(self.triangles.ravel(), shares, minlength=len(self.points))
        return np.asarray(sums, dtype=np.float64)


def box_mesh(x: FloatArray, y: FloatArray, cells: npt.NDArray[np.bool_] | None = None) -> Mesh:
    """Cut each cell of a rectangular grid into two triangles, by the diagonal from its lower left corner.

    Parameters
    ----------
    x, y : (n_x,), (n_y,) arrays
        Increasing coordinates of the grid lines.
    cells : (n_x − 1, n_y − 1) array of bool, optional
        Which cells belong to the domain; all by default.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.schemes.finite_elements import box_mesh
    >>> mesh = box_mesh(np.linspace(0, 1, 3), np.linspace(0, 2, 3))
    >>> len(mesh.points), len(mesh.triangles), float(mesh.node_areas.sum())
    (9, 8, 2.0)
    """
    shape = (x.size, y.size)
    if cells is None:
        cells = np.ones((x.size - 1, y.size - 1), dtype=bool)
    place = np.arange(x.size * y.size).reshape(shape)
    low_left, right, top, up_right = place[:-1, :-1], place[1:, :-1], place[:-1, 1:], place[1:, 1:]
    corners = np.stack([low_left, right, up_right, low_left, up_right, top], axis=-1)[cells].reshape(-1, 3)
    inside = np.zeros(shape, dtype=bool)
    inside.flat[corners] = True
    number = np.cumsum(inside.ravel()) - 1
    i, j = np.nonzero(inside)
    return Mesh(inside, np.stack([x[i], y[j]], axis=1), number[corners])


def laplace_element(corners: FloatArray) -> FloatArray:
    """Return ∫ ∇φ_i·∇φ_j over one triangle.

    Parameters
    ----------
    corners : (3, 2) array
        Counterclockwise.

    Returns
    -------
    element : (3, 3) array
        Exactly symmetric.
    """
    gradients, area = _gradients(corners)
    return _clean(area * gradients @ gradients.T)


def elastic_element(corners: FloatArray, first: float, shear: float) -> FloatArray:
    """Return ∫ σ(v_i):ε(v_j) over one triangle in plane strain, σ(v) = first·tr ε(v) I + 2 shear ε(v).

    Parameters
    ----------
    corners : (3, 2) array
        Counterclockwise.
    first, shear : float
        Lamé parameters.

    Returns
    -------
    element : (6, 6) array
        Exactly symmetric; unknowns (corner, component) in C order.
    """
    gradients, area = _gradients(corners)
    # Strains ε_xx, ε_yy, 2ε_xy of the six fields of which one component at one corner is 1.
    strains = np.zeros((3, 6))
    strains[0, 0::2] = strains[2, 1::2] = gradients[:, 0]
    strains[1, 1::2] = strains[2, 0::2] = gradients[:, 1]
    stiffness = np.array([[first + 2 * shear, first, 0.0], [first, first + 2 * shear, 0.0], [0.0, 0.0, shear]])
    return _clean(area * strains.T @ stiffness @ strains)


class Assembly:
    """Matrices Σ_T a_T K_T over the triangles of a mesh, for any coefficient a.

    Parameters
    ----------
    mesh : Mesh
    elements : (2, k, k) array
        Element matrix of the first and of the second triangle of every cell: all cells are of one size.
    free : (nodes · k/3,) array of bool
        Which unknowns (node, component) are kept. The others are zero, and have neither rows nor columns.

    Notes
    -----
    Stores one 32-bit place for each nonzero of each element matrix. A matrix costs one pass over those.
    """

    def __init__(self, mesh: Mesh, elements: FloatArray, free: npt.NDArray[np.bool_]) -> None:
        size = elements.shape[1]
        components = size // 3
        unknown = np.where(free, np.cumsum(free) - 1, -1)
        self.size = int(free.sum())
        local = (mesh.triangles[:, :, None] * components + np.arange(components)).reshape(-1, size)
        # The triangles of a kind share the places of their zeros, so that these are not stored.
        kinds = [np.nonzero(element) for element in elements]
        rows, columns = (
            np.concatenate([unknown[local[kind::2][:, corner[side]]].ravel() for kind, corner in enumerate(kinds)])
            for side in range(2)
        )
        kept = (rows >= 0) & (columns >= 0)
        keys, places = np.unique(rows[kept] * self.size + columns[kept], return_inverse=True)
        self.indices = (keys % self.size).astype(np.int32)
        self.indptr = np.searchsorted(keys, np.arange(self.size + 1) * self.size).astype(np.int32)
        slots = np.full(rows.size, -1, dtype=np.int32)
        slots[kept] = places
        split = local[0::2].shape[0] * kinds[0][0].size
        self._slots = slots[:split].reshape(-1, kinds[0][0].size), slots[split:].reshape(-1, kinds[1][0].size)
        self._values = tuple(element[kind] for element, kind in zip(elements, kinds, strict=True))

    def __call__(self, a: FloatArray) -> sp.csr_array:
        """Return the matrix for a coefficient.

        Parameters
        ----------
        a : (triangles,) array

        Returns
        -------
        A : (n, n) sparse array
            In CSR, exactly symmetric: entries (i, j) and (j, i) are the same sums in the same order. Index arrays are
            shared by all matrices of this assembly.
        """
        from .finite_element_kernels import add_elements

        data = np.zeros(self.indices.size)
        for kind, (slots, values) in enumerate(zip(self._slots, self._values, strict=True)):
            add_elements(slots, values, np.ascontiguousarray(a[kind::2]), data)
        A = sp.csr_array((data, self.indices, self.indptr), shape=(self.size, self.size))
        A.has_canonical_format = True
        return A


def _gradients(corners: FloatArray) -> tuple[FloatArray, float]:
    """Return the gradients of the three linear shape functions, and the area."""
    (x1, y1), (x2, y2), (x3, y3) = corners
    twice = (x2 - x1) * (y3 - y1) - (x3 - x1) * (y2 - y1)
    return np.array([[y2 - y3, x3 - x2], [y3 - y1, x1 - x3], [y1 - y2, x2 - x1]]) / twice, 0.5 * twice


def _clean(element: FloatArray) -> FloatArray:
    element = 0.5 * (element + element.T)
    element[np.abs(element) < _DROPPED * np.abs(element).max()] = 0.0
    return element


def unit_corners(h: Any) -> FloatArray:
    """Return the corners of the two triangles of a cell of size h, as `box_mesh` cuts it: a (2, 3, 2) array."""
    return float(h) * np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], dtype=np.float64)
