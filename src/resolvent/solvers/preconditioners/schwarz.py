"""Additive Schwarz preconditioning with overlapping subdomains."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import numpy as np
import scipy.sparse as sp

from ...operators import Array, LinearOperator, Props
from ...operators.sparse import same_pattern
from ...operators.workspace import Workspace
from .coarse_inverse import pseudo_inverse
from .entries import host_entries
from .local_factors import Local, LocalFactors, factorise
from .recipe import Recipe, is_whole, options_equal, options_text
from .subdomains import check_parts, grown, owners


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AdditiveSchwarz(Recipe):
    """Solutions on overlapping subdomains, added up: with R_i the restriction to subdomain i and A_i = R_i A R_iᵀ,

        M = Σ R_iᵀ A_i⁻¹ R_i  (+ U (UᵀAU)⁻¹ Uᵀ with a coarse space).

    The subdomains are boxes of the grid of A, or ranges of its numbering if there is none, each with `overlap` layers
    of neighbours in the graph of A. Each column of U is one inside of one subdomain, and falls off in its overlap so
    that the columns add up to one. M is self-adjoint and definite where A is. For diffusion on a
    domain of size one the condition number is at most of the order 1/(H δ) without and 1 + H/δ with the coarse space, H
    the diameter of a subdomain and δ its overlap: with it, iterations do not grow with the number of subdomains. The
    multiplicative combination of both levels takes still fewer: ``Deflation(basis, AdditiveSchwarz(…), "balancing")``.

    ``restricted=True`` takes each unknown from the solution on its own subdomain only (RAS): fewer iterations and less
    to add, but M is not self-adjoint, and is for GMRES or BiCGStab.

    Storage: the factors, which hold about n log of the size of a subdomain entries in 2-D, or as many as A when
    ``local="incomplete"`` (IC(0) for a definite A, else ILU(0)); and one vector with overlaps. An application costs
    two operations an entry. A dense inverse of UᵀAU stores the square of the number of subdomains: at most a few
    thousand of them with a coarse space. `update` keeps subdomains, ordering and positions while the pattern stays.

    All work is on one core. Do not use it on one process where AMG applies; it is the building block for matrices
    without a hierarchy (Helmholtz, systems, convection) and for distributed memory.

    Parameters
    ----------
    subdomains : int, tuple of int, or (n,) array of int
        How many, how many along each axis of the grid, or the number of the subdomain of each unknown.
    overlap : int
        Layers of neighbours, ≥ 0; 0 is block Jacobi.
    restricted : bool
    local : {"exact", "incomplete"}
        Factors of the A_i.
    coarse : bool
        Whether to add the coarse space.

    Raises
    ------
    ValueError
        When built for a matrix with NaN or infinity, if the matrix of a subdomain is singular, or if there are more
        subdomains than unknowns along an axis.

    References
    ----------
    Toselli & Widlund 2005, doi:10.1007/b137868; Cai & Sarkis 1999, doi:10.1137/S106482759732678X, for the restricted
    form; Nicolaides 1987, doi:10.1137/0724027, for the coarse space.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers import CG, AdditiveSchwarz
    >>> A = Stencil.from_transmissibilities((np.ones((129, 128)), np.ones((128, 129))))
    >>> recipes = (AdditiveSchwarz(256), AdditiveSchwarz(256, coarse=True))
    >>> [CG().solve(A, np.ones(128 * 128), M=M).iterations for M in recipes]
    [58, 42]
    """

    subdomains: Any = 8
    overlap: int = 1
    restricted: bool = False
    local: Local = "exact"
    coarse: bool = False

    def __post_init__(self) -> None:
        check_parts(self.subdomains, "subdomains")
        if not is_whole(self.overlap, 0):
            raise ValueError(f"overlap must be a whole number ≥ 0, got {self.overlap!r}")
        if self.local not in get_args(Local):
            raise ValueError(f"local must be 'exact' or 'incomplete', got {self.local!r}")
        for name in ("restricted", "coarse"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")

    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.overlap, self.restricted, self.local, self.coarse))

    def __repr__(self) -> str:
        return options_text(self)

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Subdomains(A, self)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Build M for a changed A, with the subdomains and the ordering of the old one if the pattern is the same."""
        return Subdomains(A, self, previous=M if isinstance(M, Subdomains) else None)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims, nothing for the restricted form."""
        if self.restricted:
            return Props.NONE
        kept = Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE
        return A.props & kept


class Subdomains(LinearOperator):
    """The additive Schwarz preconditioner of one matrix.

    Attributes
    ----------
    owner : (n,) array
        The subdomain of each unknown.
    starts, index : arrays
        The unknowns of subdomain i, in the order of its factors, are ``index[starts[i] : starts[i + 1]]``.
    """

    def __init__(self, A: LinearOperator, recipe: AdditiveSchwarz, previous: Subdomains | None = None) -> None:
        n = A.shape[0]
        if A.shape[1] != n:
            raise ValueError(f"AdditiveSchwarz needs a square matrix, got {n} x {A.shape[1]}")
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self.recipe = recipe
        self.not_self_adjoint = recipe.restricted
        matrix = host_entries(A, "AdditiveSchwarz")
        self._pattern: sp.csr_array = matrix
        self._rows: np.ndarray
        self._columns: np.ndarray
        self._source: np.ndarray
        if previous is not None and previous.grid == A.grid and same_pattern(matrix, previous._pattern):
            self._keep_analysis(previous)
        else:
            self.owner = owners(n, A.grid, recipe.subdomains)
            self.starts, self.index = grown(matrix, self.owner, int(recipe.overlap))
            self._ordered = recipe.local == "incomplete"
            self._stack()
        stacked = sp.csr_array((matrix.data[self._source], self._columns, self._rows), shape=(len(self.index),) * 2)
        definite = Props.POSITIVE_DEFINITE in A.props
        self._factors: LocalFactors = factorise(stacked, recipe.local, definite=definite, ordered=self._ordered)
        rows, columns = self._factors.rows, self._factors.columns
        self._from = self.index if rows is None else self.index[rows]
        self._into = self.index if columns is None else self.index[columns]
        # What each unknown of a subdomain counts: one, or zero where the restricted form leaves it out.
        self._all = self._own = np.ones(len(self.index), dtype=self._factors.arrays[-1].real.dtype)
        if recipe.restricted:
            subdomain = self._subdomain() if columns is None else self._subdomain()[columns]
            self._own = (self.owner[self._into] == subdomain).astype(self._all.dtype)
        self._coarse: np.ndarray | None = None
        if recipe.coarse:
            self._coarse = self._coarse_matrix(matrix, hermitian=Props.SELF_ADJOINT in A.props)
        self._work = Workspace()

    def _keep_analysis(self, previous: Subdomains) -> None:
        """Take over the subdomains, with their unknowns in the order that the old factors had."""
        self.owner, self.starts, self._ordered = previous.owner, previous.starts, True
        order = previous._factors.columns
        if previous._ordered or order is None:
            self.index = previous.index
            self._rows, self._columns, self._source = previous._rows, previous._columns, previous._source
            return
        # Minimum degree may mix subdomains: keep each together.
        self.index = previous.index[order[np.argsort(previous._subdomain()[order], kind="stable")]]
        self._stack()

    def _stack(self) -> None:
        """Find where the entries of A stand in the block-diagonal matrix of all subdomains."""
        from .schwarz_kernels import stacked_pattern

        matrix = self._pattern
        stacked = _sorted(*stacked_pattern(self.starts, self.index, matrix.indptr, matrix.indices, matrix.shape[0]))
        self._rows, self._columns, self._source = stacked.indptr, stacked.indices, stacked.data

    def _subdomain(self) -> np.ndarray:
        """Return the subdomain of each entry of `index`."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def _coarse_matrix(self, matrix: sp.csr_array, *, hermitian: bool) -> np.ndarray:
        """Set the values of the coarse functions, and return the inverse of UᵀAU."""
        n, count = matrix.shape[0], len(self.starts) - 1
        self._share = (1.0 / np.bincount(self.index, minlength=n)[self.index]).astype(matrix.data.real.dtype)
        U = sp.csr_array((self._share, (self.index, self._subdomain())), shape=(n, count))
        E = sp.csr_array(U.T @ (matrix @ U)).toarray().astype(np.result_type(matrix.dtype, np.float64))
        inverse, _ = pseudo_inverse(E, float(np.finfo(matrix.dtype).eps), hermitian=hermitian)
        return inverse.astype(matrix.dtype)

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._add_up(X, out, adjoint=False)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        self._add_up(X, out, adjoint=Props.SELF_ADJOINT not in self.props)

    def _add_up(self, X: Array, out: Array, *, adjoint: bool) -> None:
        from .schwarz_kernels import gather, prolong_add, restrict, scatter_add

        out[...] = 0
        if self._coarse is not None:
            C = np.empty((self._coarse.shape[0], X.shape[1]), dtype=X.dtype)
            restrict(self.starts, self.index, self._share, X, C)
            C = np.ascontiguousarray((self._coarse.conj().T if adjoint else self._coarse) @ C)
            prolong_add(self.starts, self.index, self._share, C, out)
        Y = self._work.array("Y", (len(self.index), X.shape[1]), X.dtype)
        if adjoint:
            gather(self._into, self._own, X, Y)
            self._factors.solve(Y, adjoint=True)
            scatter_add(self._from, self._all, Y, out)
        else:
            gather(self._from, self._all, X, Y)
            self._factors.solve(Y, adjoint=False)
            scatter_add(self._into, self._own, Y, out)

    def _summary(self) -> str:
        kind = "restricted" if self.recipe.restricted else "additive"
        coarse = ", coarse space" if self._coarse is not None else ""
        shift = f", shift {self._factors.shift:g}" if self._factors.shift else ""
        return (
            f"{kind} Schwarz, {len(self.starts) - 1} subdomains, overlap {self.recipe.overlap}, "
            f"{self._factors.nnz} entries{shift}{coarse}"
        )


def _sorted(rows: np.ndarray, columns: np.ndarray, source: np.ndarray) -> sp.csr_array:
    """Return a matrix with these positions, of which the entries say where their values are in A."""
    n = len(rows) - 1
    if max(len(source), n) < np.iinfo(np.int32).max:  # what SuperLU takes
        rows, columns = rows.astype(np.int32), columns.astype(np.int32)
    matrix = sp.csr_array((source, columns, rows), shape=(n, n))
    matrix.sort_indices()
    return matrix
