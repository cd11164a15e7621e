"""The linear-operator interface that every part of the package shares.

Storage and structure are classes, mathematical claims are flags (`Props`). A subclass writes `_matmat`, and
`_rmatmat` where the adjoint does not follow from a claim; everything a user calls is final and checked here.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np

from .arrays import is_torch
from .errors import StructureError
from .props import Props, complete, implied

if TYPE_CHECKING:
    import scipy.sparse as sp
    import scipy.sparse.linalg as spla

Array: TypeAlias = Any
"""A numpy array, or a torch tensor where an operator lives on torch storage."""


class LinearOperator(abc.ABC):
    """A linear map from vectors of length n to vectors of length m.

    Parameters
    ----------
    shape : (int, int)
        (m, n).
    dtype : dtype
        Of the entries. Products have dtype ``np.result_type(A, x)``.
    props : Props
        Mathematical claims; those that follow from them are added.
    grid : tuple of int, optional
        Shape of x as a field (C order), when it has one: fields are then accepted and returned unflattened.
    device : str
        ``"cpu"`` or a torch device. There are no implicit copies between devices.

    Notes
    -----
    A subclass writes ``_matmat(X)`` for a C-contiguous ``(n, k)`` array X of dtype ``result_type(A, X)`` on the
    operator's device. It may add ``_matmat_into(X, out)``, which writes the same into a given array and lets
    solvers iterate without allocating, and ``_rmatmat`` / ``_rmatmat_into`` for the adjoint.
    """

    __array_ufunc__ = None  # keeps numpy from broadcasting over us in ``array @ A``: Python calls our reflected method

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: Any,
        *,
        props: Props = Props.NONE,
        grid: tuple[int, ...] | None = None,
        device: str = "cpu",
    ) -> None:
        self.shape: tuple[int, int] = (int(shape[0]), int(shape[1]))
        if len(shape) != 2 or min(self.shape) < 0:
            raise ValueError(f"an operator needs a shape (m, n) of two non-negative integers, got {shape!r}")
        self.dtype: np.dtype = np.dtype(dtype)
        if self.dtype.char not in "fdFD":
            raise TypeError(f"an operator needs single or double precision, got {self.dtype}: use astype(float)")
        self.props: Props = complete(props, self.dtype, self.shape)
        self.grid: tuple[int, ...] | None = None if grid is None else tuple(int(s) for s in grid)
        if self.grid is not None and int(np.prod(self.grid)) != self.shape[1]:
            raise ValueError(f"grid {self.grid} has {int(np.prod(self.grid))} points, but the operator has {shape[1]}")
        self.device: str = device
        self._revision = 0
        self._values = object()

    @property
    @final
    def version(self) -> int:
        """Number that grows whenever `update` changes values, of this operator or of one it is made of."""
        return self._revision + self._foreign_state() + sum(part.version for part in self._parts())

    @final
    def stamp(self) -> Any:
        """Return what equals the stamp of another operator only while both are sure to hold the same values.

        Versions tell whether one operator changed; stamps compare operators, and survive copying but not the process.
        """
        return (self._values, self._foreign_state(), *(part.stamp() for part in self._parts()))

    @final
    def _changed(self) -> None:
        """Record that the values are new: every `update` ends with this."""
        self._revision += 1
        self._values = object()

    # What a subclass writes ------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _matmat(self, X: Array) -> Array:
        """Return A X for an (n, k) array X: a new array, never X itself."""

    def _parts(self) -> tuple[LinearOperator, ...]:
        """Return the operators this one is made of, whose values it shares."""
        return ()

    def _foreign_state(self) -> int:
        """Return a number that grows when another library changes values it shares with this operator."""
        return 0

    def _communicator(self) -> Any:
        """Return the MPI communicator over whose ranks the vectors are spread; None where they are all here."""
        return next((found for part in self._parts() if (found := part._communicator()) is not None), None)

    def _matmat_into(self, X: Array, out: Array) -> None:
        """Write A X into `out`; override where that saves an allocation."""
        out[...] = self._matmat(X)

    def _rmatmat(self, X: Array) -> Array:
        """Return Aᴴ X for an (m, k) array X; follows from SELF_ADJOINT or SYMMETRIC, else a subclass writes it."""
        if Props.SELF_ADJOINT in self.props:
            return self._matmat(X)
        if Props.SYMMETRIC in self.props:
            return self._matmat(X.conj()).conj()
        raise StructureError(
            f"{self!r} has no adjoint: give it one (rmatvec=…), claim SELF_ADJOINT or SYMMETRIC if that is true, "
            "or use a method that needs no adjoint"
        )

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        """Write Aᴴ X into `out`."""
        if Props.SELF_ADJOINT in self.props:
            self._matmat_into(X, out)
        else:
            out[...] = self._rmatmat(X)

    def diagonal(self) -> Array:
        """Return the main diagonal, an array of length min(m, n)."""
        raise StructureError(f"{self!r} does not know its diagonal: use an assembled operator such as Sparse")

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as a `scipy.sparse.csr_array`."""
        raise StructureError(
            f"{self!r} has no stored entries: assemble the matrix and use Sparse, or to_dense() for a small operator"
        )

    def update(self, **values: Any) -> None:
        """Give the operator new values of the same pattern and increase `version`; its claims must stay true."""
        raise StructureError(f"{self!r} has no values to update ({', '.join(values) or 'none given'}): build a new one")

    def _summary(self) -> str:
        """One phrase about storage for `repr`, such as ``5-point``."""
        return ""

    # What users call -------------------------------------------------------------------------------------------------

    @final
    def matvec(self, x: Array, out: Array | None = None) -> Array:
        """Return A x.

        Parameters
        ----------
        x : (n,), (n, 1) or grid-shaped array
        out : array, optional
            Where to write the result; its shape and dtype must be those of the result.

        Returns
        -------
        y : (m,), (m, 1) or grid-shaped array of dtype ``result_type(A, x)``
        """
        return self._apply(x, out, adjoint=False, vector=True)

    @final
    def matmat(self, X: Array, out: Array | None = None) -> Array:
        """Return A X for the columns of an (n, k) array: an (m, k) array."""
        return self._apply(X, out, adjoint=False, vector=False)

    @final
    def rmatvec(self, x: Array, out: Array | None = None) -> Array:
        """Return Aᴴ x for an (m,), (m, 1) or grid-shaped array."""
        return self._apply(x, out, adjoint=True, vector=True)

    @final
    def rmatmat(self, X: Array, out: Array | None = None) -> Array:
        """Return Aᴴ X for the columns of an (m, k) array: an (n, k) array."""
        return self._apply(X, out, adjoint=True, vector=False)

    @final
    def _apply(self, x: Array, out: Array | None, *, adjoint: bool, vector: bool) -> Array:
        if is_torch(x) or self._holds_torch():
            from ._torch import apply

            return apply(self, x, out, adjoint=adjoint, vector=vector)
        x = np.asarray(x)
        rows, columns = self.shape[::-1] if adjoint else self.shape
        X, field = self._columns_of(x, columns, vector=vector)
        if out is None:
            Y = self._rmatmat(X) if adjoint else self._matmat(X)
        else:
            Y = self._check_out(out, X, rows)
            (self._rmatmat_into if adjoint else self._matmat_into)(X, Y)
            return out
        if field:
            return Y.reshape(self.grid)
        return Y.reshape((rows,) if x.ndim == 1 else (rows, Y.shape[1]))

    def _holds_torch(self) -> bool:
        """Whether `_matmat` takes torch tensors; operators on torch storage say so."""
        return False

    def _columns_of(self, x: Array, columns: int, *, vector: bool) -> tuple[Array, bool]:
        """Return x as a C-contiguous (columns, k) array of the result dtype, and whether it was a field."""
        if x.dtype.kind not in "fciub" or self.result_dtype(x.dtype).char not in "fdFD":
            raise TypeError(f"{self!r} needs a numeric array of at most double precision, got dtype {x.dtype}")
        field = self._is_field(tuple(x.shape), columns, vector=vector)
        if field or x.ndim == 1:
            x = x.reshape(columns, 1)
        return np.ascontiguousarray(x, dtype=self.result_dtype(x.dtype)), field

    @final
    def _is_field(self, shape: tuple[int, ...], columns: int, *, vector: bool) -> bool:
        """Check the shape of an argument, and say whether it is a field rather than a vector or columns."""
        if len(shape) == 2 and shape[0] == columns and (not vector or shape[1] == 1):
            return False
        if vector and shape == (columns,):
            return False
        if vector and self.grid is not None and shape == self.grid and self.shape[0] == self.shape[1]:
            return True
        wanted = f"({columns},) or ({columns}, 1)" if vector else f"({columns}, k)"
        if vector and self.grid is not None:
            wanted += f" or the field shape {self.grid}"
        raise ValueError(f"{self!r} needs an array of shape {wanted}, got {shape}")

    @final
    def result_dtype(self, dtype: Any) -> np.dtype:
        """Dtype of A x for x of the given dtype: integers follow the operator, else ``np.result_type``."""
        given = np.dtype(dtype)
        return self.dtype if given == self.dtype or given.kind in "iub" else np.result_type(self.dtype, given)

    def _check_out(self, out: Array, X: Array, rows: int) -> Array:
        if out.dtype != X.dtype or out.size != rows * X.shape[1] or not out.flags.c_contiguous:
            raise ValueError(
                f"out must be a C-contiguous array of {rows * X.shape[1]} entries of dtype {X.dtype}, "
                f"got shape {out.shape} and dtype {out.dtype}"
            )
        if np.shares_memory(out, X):
            raise ValueError("out must not overlap with x: an operator cannot be applied in place")
        return out.reshape(rows, X.shape[1])

    @final
    def dot(self, x: Any) -> Any:
        """Apply to an array, multiply with a scalar or compose with an operator, as scipy's operators do."""
        return self * x if np.isscalar(x) else self @ x

    @final
    def __call__(self, x: Any) -> Any:
        """Return ``A @ x``."""
        return self @ x

    @final
    def __matmul__(self, x: Any) -> Any:
        if isinstance(x, LinearOperator) or _is_foreign_operator(x):
            from .algebra import compose

            return compose(self, x)
        x = x if hasattr(x, "ndim") else np.asarray(x)
        many = x.ndim == 2 and x.shape != self.grid
        return self.matmat(x) if many else self.matvec(x)

    @final
    def __rmatmul__(self, x: Any) -> Any:
        if _is_foreign_operator(x):
            from .algebra import compose

            return compose(x, self)
        x = x if hasattr(x, "ndim") else np.asarray(x)
        # x A = (Aᴴ xᴴ)ᴴ
        return self.rmatvec(x.conj()).conj() if x.ndim == 1 else self.rmatmat(x.conj().T).conj().T

    @final
    def __add__(self, other: Any) -> LinearOperator:
        from .algebra import add

        return NotImplemented if np.isscalar(other) else add(self, other)

    __radd__ = __add__

    @final
    def __sub__(self, other: Any) -> LinearOperator:
        from .algebra import add, scale

        return NotImplemented if np.isscalar(other) else add(self, scale(other, -1.0))

    @final
    def __rsub__(self, other: Any) -> LinearOperator:
        from .algebra import add, scale

        return NotImplemented if np.isscalar(other) else add(other, scale(self, -1.0))

    @final
    def __mul__(self, other: Any) -> Any:
        from .algebra import scale

        return scale(self, other) if np.isscalar(other) else self @ other

    @final
    def __rmul__(self, other: Any) -> LinearOperator:
        from .algebra import scale

        return scale(self, other) if np.isscalar(other) else NotImplemented

    @final
    def __truediv__(self, other: Any) -> LinearOperator:
        from .algebra import scale

        if not np.isscalar(other):
            return NotImplemented
        divisor: Any = other
        return scale(self, 1.0 / divisor)

    @final
    def __neg__(self) -> LinearOperator:
        from .algebra import scale

        return scale(self, -1.0)

    @property
    @final
    def H(self) -> LinearOperator:
        """The adjoint Aᴴ."""
        from .algebra import adjoint

        return adjoint(self)

    @property
    @final
    def T(self) -> LinearOperator:
        """The transpose Aᵀ, equal to the adjoint for a real dtype."""
        from .algebra import transpose

        return transpose(self)

    @final
    def adjoint(self) -> LinearOperator:
        """Return Aᴴ (scipy's spelling)."""
        return self.H

    @final
    def transpose(self) -> LinearOperator:
        """Return Aᵀ (scipy's spelling)."""
        return self.T

    def is_adjoint_of(self, other: LinearOperator) -> bool:
        """Whether this operator is, by construction, the adjoint of `other`; False means unknown."""
        return self is other and Props.SELF_ADJOINT in self.props

    @property
    @final
    def ndim(self) -> int:
        """Always 2, as for a matrix."""
        return 2

    def to_dense(self) -> Array:
        """Return the entries as a dense (m, n) array: n products and m·n numbers, for small operators."""
        return self.matmat(np.eye(self.shape[1], dtype=self.dtype))

    @final
    def to_scipy(self) -> spla.LinearOperator:
        """Return a `scipy.sparse.linalg.LinearOperator` that calls this one."""
        import scipy.sparse.linalg as spla

        return spla.LinearOperator(
            self.shape, self.matvec, rmatvec=self.rmatvec, matmat=self.matmat, rmatmat=self.rmatmat, dtype=self.dtype
        )

    @final
    def to_torch(self, device: Any = "cpu", dtype: Any = None) -> LinearOperator:
        """Return the same operator on torch storage on `device`: a sparse CSR `Tensor`; Kronecker structure is kept.

        The entries are copied once; products of the result take and return torch tensors on that device.
        """
        from ._torch import stored_on

        return stored_on(self, device, dtype)

    @final
    def to_petsc(self, comm: Any = None, form: str = "aij") -> Any:
        """Return a PETSc matrix, assembled or a shell around this operator; the caller destroys it. Needs petsc4py."""
        from .petsc import to_petsc

        return to_petsc(self, comm=comm, form=form)

    def __repr__(self) -> str:
        parts = [f"{self.shape[0]} x {self.shape[1]}", str(self.dtype), self._summary()]
        parts += (self.props & ~implied(self.props)).names()
        if self.device != "cpu":
            parts.append(self.device)
        return f"{type(self).__name__}({', '.join(p for p in parts if p)})"


def _is_foreign_operator(x: Any) -> bool:
    """Whether x is a sparse matrix or an operator of another library rather than an array."""
    return not isinstance(x, np.ndarray) and not is_torch(x) and hasattr(x, "shape") and hasattr(x, "dot")
