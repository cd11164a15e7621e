"""Variable-coefficient stencils on structured grids, applied without assembling a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import Array, LinearOperator
from .props import Props
from .stencil_diffusion import diffusion_coefficients
from .stencil_layout import check_boundary, checked_offsets, cut, flat_terms, inside, with_opposites

if TYPE_CHECKING:
    import scipy.sparse as sp


class Stencil(LinearOperator):
    """A variable-coefficient stencil on a structured grid in one, two or three dimensions.

    Row (i, j) of A x is the sum over the offsets (di, dj) of ``coefficients[s, i, j] * x[i + di, j + dj]``. Beside the
    5-, 9- and 7-point stencils any set of offsets is possible.

    Parameters
    ----------
    coefficients : (s, *grid) array
        One coefficient array an offset, real or complex. Where the neighbour is outside of the grid the coefficient
        must be zero: boundary conditions are part of the other coefficients and of the right-hand side. The array is
        kept, not copied, when it is C-contiguous; change values through `update`.
    offsets : sequence of int tuples, optional
        Defaults to the centre, then minus and plus one along each axis, then (nine points) the corners
        (-1, -1), (-1, 1), (1, -1), (1, 1); with `mirrored` to the centre and plus one along each axis.
    props : Props
        Mathematical claims.
    mirrored : bool
        Store a symmetric stencil with one coefficient array for each pair of opposite offsets: `offsets` lists one of
        the two, and the row at its other end uses the same coefficient. Claims SYMMETRIC (complex: A = Aᵀ).

    Attributes
    ----------
    offsets : tuple of int tuples
        One for each coefficient array.
    mirrored : bool

    Raises
    ------
    ValueError
        For shapes and offsets that do not fit, and for a non-zero coefficient that points outside of the grid.

    See Also
    --------
    Stencil.from_transmissibilities : the finite-volume diffusion operator.
    Sparse : assembled matrices, for grids with holes, periodic boundaries and everything unstructured.

    Notes
    -----
    Storage is s numbers a point, without indices: 5 for the 5-point stencil and 3 when mirrored, where compressed
    sparse rows hold 7.5 (five entries and their 32-bit indices). A product needs 2 s n k flops and allocates nothing
    but its result, also that of the adjoint; complex coefficients cost the adjoint a conjugated copy of its argument.
    A NaN or infinity at a boundary point can also appear at the point next to it in the flattened field, which is
    across the grid.

    Examples
    --------
    >>> import numpy as np
    >>> c = np.zeros((5, 3, 3))
    >>> c[0] = 4.0
    >>> c[1, 1:], c[2, :-1], c[3, :, 1:], c[4, :, :-1] = -1.0, -1.0, -1.0, -1.0
    >>> A = Stencil(c, props=Props.POSITIVE_DEFINITE)
    >>> A
    Stencil(9 x 9, float64, 5-point on 3 x 3, positive definite)
    >>> A @ np.ones((3, 3))
    array([[2., 1., 2.],
           [1., 0., 1.],
           [2., 1., 2.]])
    """

    def __init__(
        self,
        coefficients: Array,
        offsets: Sequence[Sequence[int]] | None = None,
        *,
        props: Props = Props.NONE,
        mirrored: bool = False,
    ) -> None:
        coefficients = np.ascontiguousarray(coefficients)
        if not 2 <= coefficients.ndim <= 4:
            raise ValueError(
                f"coefficients need the shape (s, *grid) with a grid of one to three dimensions, got "
                f"{coefficients.shape}"
            )
        grid = coefficients.shape[1:]
        n = int(np.prod(grid))
        if mirrored:
            props |= Props.SYMMETRIC
        super().__init__((n, n), coefficients.dtype, props=props, grid=grid)
        self.mirrored = mirrored
        self.offsets = checked_offsets(offsets, len(coefficients), len(grid), mirrored=mirrored)
        check_boundary(coefficients, self.offsets)
        self._coefficients = coefficients
        starts, shifts = self._terms = flat_terms(self.offsets, grid, mirrored=mirrored)
        # Aᵀ couples row i with the coefficient stored at its neighbour on the opposite side.
        self._transposed_terms = (starts - shifts, -shifts)

    @property
    def coefficients(self) -> Array:
        """The (s, *grid) array as stored, not a copy: treat it as read-only and change values through `update`."""
        return self._coefficients

    @classmethod
    def from_faces(cls, diagonal: Array, faces: Sequence[Array], *, props: Props = Props.NONE) -> Stencil:
        """Return the symmetric stencil with given diagonal and couplings between neighbours, stored mirrored.

        Parameters
        ----------
        diagonal : array of shape grid
        faces : sequence of arrays, one an axis
            ``faces[1][i, j]`` is the entry that couples (i, j) and (i, j + 1): one fewer than the grid along its axis.
        props : Props
            Claims beyond SYMMETRIC.

        Examples
        --------
        >>> import numpy as np
        >>> Stencil.from_faces(np.full((2, 2), 4.0), (np.full((1, 2), -1.0), np.full((2, 1), -1.0))).to_dense()
        array([[ 4., -1., -1.,  0.],
               [-1.,  4.,  0., -1.],
               [-1.,  0.,  4., -1.],
               [ 0., -1., -1.,  4.]])
        """
        diagonal, faces = np.asarray(diagonal), tuple(np.asarray(face) for face in faces)
        grid = diagonal.shape
        wanted = tuple(tuple(extent - (a == axis) for a, extent in enumerate(grid)) for axis in range(len(grid)))
        if tuple(face.shape for face in faces) != wanted:
            raise ValueError(
                f"a diagonal of shape {grid} needs faces of shapes {wanted}, got {tuple(face.shape for face in faces)}"
            )
        coefficients = np.zeros((1 + len(grid), *grid), dtype=np.result_type(diagonal, *faces))
        coefficients[0] = diagonal
        for axis, face in enumerate(faces):
            coefficients[1 + axis][cut(len(grid), axis, slice(0, -1))] = face
        return cls(coefficients, props=props, mirrored=True)

    @classmethod
    def from_transmissibilities(
        cls, transmissibilities: Sequence[Array], *, shift: Array | float | None = None
    ) -> Stencil:
        """Return the cell-centred finite-volume operator of −∇·(k ∇u) + shift · u, stored mirrored.

        Row p is ``Σ_f t_f (u_p − u_q) + shift_p u_p`` over the faces f of cell p, where q is the cell behind the face;
        a boundary face has no such cell and enters the diagonal only, which is a homogeneous Dirichlet condition (its
        inhomogeneous part belongs to the right-hand side), or nothing where t_f is zero (Neumann).

        Parameters
        ----------
        transmissibilities : sequence of real arrays, one an axis
            Face values t ≥ 0, already divided by h²: ``(t_x, t_y)`` of shapes (nx + 1, ny) and (nx, ny + 1) for a grid
            of nx by ny cells, likewise in one and three dimensions. The first and last along its axis are boundary
            faces.
        shift : array of shape grid, or scalar, optional
            Added to the diagonal.

        Returns
        -------
        A : Stencil
            With the claims that follow: SPD and M_MATRIX when every set of connected cells has a boundary face or a
            shift above zero; semi-definite and SINGULAR when not; only SYMMETRIC when a shift is negative or complex.

        Raises
        ------
        ValueError
            For shapes that do not fit together, and for transmissibilities that are negative or not finite.

        Examples
        --------
        The Laplacian on three cells of width one, Dirichlet on the left (half a cell away), Neumann on the right:

        >>> A = Stencil.from_transmissibilities([np.array([2.0, 1.0, 1.0, 0.0])])
        >>> A
        Stencil(3 x 3, float64, 3-point on 3, positive definite, m matrix)
        >>> A.to_dense()
        array([[ 3., -1.,  0.],
               [-1.,  2., -1.],
               [ 0., -1.,  1.]])
        """
        coefficients, claims = diffusion_coefficients(tuple(np.asarray(t) for t in transmissibilities), shift)
        return cls(coefficients, props=claims, mirrored=True)

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        from .stencil_kernels import stencil_matmat

        stencil_matmat(*self._terms, self._coefficients.reshape(-1), X, out)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        if Props.SELF_ADJOINT in self.props:
            self._matmat_into(X, out)
            return
        from .stencil_kernels import stencil_matmat

        terms = self._terms if Props.SYMMETRIC in self.props else self._transposed_terms
        if self.dtype.kind == "c":
            # Aᴴ X = conj(Aᵀ conj(X))
            X = np.conj(X)
        stencil_matmat(*terms, self._coefficients.reshape(-1), X, out)
        if self.dtype.kind == "c":
            np.conj(out, out=out)

    def diagonal(self) -> Array:
        """Return the coefficient of the centre, an (n,) array."""
        centre = (0,) * (self.coefficients.ndim - 1)
        if centre not in self.offsets:
            return np.zeros(self.shape[0], dtype=self.dtype)
        return self.coefficients[self.offsets.index(centre)].reshape(-1).copy()

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as a `scipy.sparse.csr_array` with sorted indices.

        The pattern depends on the grid and the offsets alone: zero coefficients inside of the grid are stored.
        """
        import scipy.sparse as sp

        from .stencil_kernels import csr_from_stencil

        grid = self.coefficients.shape[1:]
        starts, shifts = self._terms
        offsets = with_opposites(self.offsets) if self.mirrored else self.offsets
        order = np.argsort(shifts, kind="stable")
        pad = 3 - len(grid)
        padded = np.array([(0,) * pad + o for o in offsets], dtype=np.int64).reshape(-1, 3)[order]
        entries = sum(int(np.prod([max(0, g - abs(d)) for g, d in zip(grid, o, strict=True)])) for o in offsets)
        index = np.int32 if max(entries, self.shape[0]) < np.iinfo(np.int32).max else np.int64
        indptr, indices = np.empty(self.shape[0] + 1, dtype=index), np.empty(entries, dtype=index)
        data = np.empty(entries, dtype=self.dtype)
        extents = (1,) * pad + grid
        csr_from_stencil(
            starts[order], shifts[order], padded, extents, self.coefficients.reshape(-1), indptr, indices, data
        )
        A = sp.csr_array((data, indices, indptr), shape=self.shape)
        A.has_sorted_indices = A.has_canonical_format = True
        return A

    def expand(self) -> Stencil:
        """Return the operator with one coefficient array for every offset; itself unless mirrored.

        Examples
        --------
        >>> A = Stencil.from_transmissibilities([np.array([2.0, 1.0, 1.0, 2.0])]).expand()
        >>> A.offsets
        ((0,), (1,), (-1,))
        >>> A.coefficients[2]
        array([ 0., -1., -1.])
        """
        if not self.mirrored:
            return self
        offsets = with_opposites(self.offsets)
        grid = self.coefficients.shape[1:]
        coefficients = np.zeros((len(offsets), *grid), dtype=self.dtype)
        for offset, c in zip(self.offsets, self.coefficients, strict=True):
            coefficients[offsets.index(offset)] = c
            opposite = tuple(-d for d in offset)
            here, there = inside(grid, opposite), inside(grid, offset)
            coefficients[offsets.index(opposite)][here] = c[there]
        return Stencil(coefficients, offsets, props=self.props)

    def update(self, **values: Any) -> None:
        """Take new ``coefficients`` of the same shape and increase `version`; the claims stay.

        Raises
        ------
        ValueError
            If the shape differs, the dtype cannot be converted without loss, or a coefficient points outside.

        Examples
        --------
        >>> A = Stencil.from_transmissibilities([np.ones(4)])
        >>> A.update(coefficients=2.0 * A.coefficients)
        >>> A.version, A.diagonal()
        (1, array([4., 4., 4.]))
        """
        if set(values) != {"coefficients"}:
            raise TypeError(f"Stencil.update takes coefficients=…, got {', '.join(values) or 'nothing'}")
        coefficients = np.asarray(values["coefficients"])
        if coefficients.shape != self.coefficients.shape or not np.can_cast(coefficients.dtype, self.dtype):
            raise ValueError(
                f"{self!r} needs coefficients of shape {self.coefficients.shape} and dtype {self.dtype}, got "
                f"{coefficients.shape} and {coefficients.dtype}: a stencil of another kind is a new Stencil"
            )
        coefficients = np.ascontiguousarray(coefficients, dtype=self.dtype)
        check_boundary(coefficients, self.offsets)
        self._coefficients = coefficients
        self._changed()

    def _summary(self) -> str:
        return f"{self._terms[0].size}-point on {' x '.join(str(extent) for extent in self.coefficients.shape[1:])}"
