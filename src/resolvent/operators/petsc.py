"""Operators as PETSc matrices, and PETSc matrices as operators, on one rank or spread over many.

PETSc's ``multTranspose`` is the transpose, our ``rmatvec`` the adjoint: they agree where PETSc is built real, and are
conjugated here where it is not.

A matrix spread over ranks is one operator on every rank. Its `shape` is that of this rank's part, (rows held here,
entries of x held here), and its products take and return this rank's part of a vector: all ranks multiply together.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .errors import StructureError
from .petsc_lifetime import destroy, destroyed_at_exit, destroyed_with, load_petsc
from .props import Props


def to_petsc(A: Any, *, comm: Any = None, form: str = "aij") -> Any:
    """Return A as a PETSc matrix; the caller destroys it.

    Parameters
    ----------
    A : LinearOperator, or anything `as_operator` takes
        Real where PETSc is built real.
    comm : MPI communicator, optional
        ``COMM_SELF`` by default: the whole matrix on this rank. With more ranks each is given the same A and keeps
        its own rows.
    form : {"aij", "shell"}
        "aij" copies the entries (`to_sparse`) into an assembled matrix; "shell" calls A for each product and needs no
        entries. A shell is for one rank, or for an operator that is itself spread over the ranks of `comm`.

    Raises
    ------
    ImportError
        Without petsc4py, with the line that installs it.
    TypeError
        For a complex operator and a real PETSc.
    StructureError
        For ``form="aij"`` and an operator without entries.
    """
    if form not in ("aij", "shell"):
        raise ValueError(f"form must be 'aij' or 'shell', got {form!r}")
    from .convert import as_operator

    A, petsc = as_operator(A), load_petsc()
    if A.dtype.kind == "c" and np.dtype(petsc.ScalarType).kind != "c":
        raise TypeError(
            f"this PETSc is built for {petsc.ScalarType.__name__}, but {A!r} is complex: PETScKSP solves it in "
            "real-equivalent form"
        )
    comm = petsc.COMM_SELF if comm is None else comm
    if form == "shell":
        m, n = A.shape
        shell = petsc.Mat().createPython(((m, None), (n, None)), ShellContext(A), comm=comm)
        shell.setUp()
        destroyed_at_exit(shell)
        return shell
    matrix = A.to_sparse()
    shape: Any = matrix.shape
    if _size_of(comm) > 1:
        matrix, shape = _own_rows(petsc, matrix, comm)
    return _assembled(petsc, matrix, shape, comm)


def from_petsc(mat: Any, *, props: Props | None = None, grid: tuple[int, ...] | None = None) -> PETScMatrix:
    """Return a PETSc matrix of any type as an operator; nothing is copied, and later changes are noticed.

    Parameters
    ----------
    mat : petsc4py.PETSc.Mat
        Assembled, or a shell. The operator holds a reference of its own: `mat` may be destroyed afterwards.
    props : Props, optional
        Claims; by default what the matrix is known to be (its symmetry, where that was set).
    grid : tuple of int, optional
        Shape of x as a field.
    """
    if not isinstance(mat, load_petsc().Mat):
        raise TypeError(f"expected a petsc4py.PETSc.Mat, got {type(mat).__module__}.{type(mat).__qualname__}")
    if props is None:
        known, symmetric = mat.isSymmetricKnown()
        props = Props.SYMMETRIC if known and symmetric else Props.NONE
    return PETScMatrix(mat, props=props, grid=grid)


def distribute(rows: Any, *, comm: Any = None, props: Props = Props.NONE) -> PETScMatrix:
    """Return the square operator of which this rank holds `rows`; called by all ranks together.

    Parameters
    ----------
    rows : (m, n) sparse matrix
        The rows of this rank, in the order of the ranks, with all n columns.
    comm : MPI communicator, optional
        ``COMM_WORLD`` by default.
    props : Props
        Claims about the whole matrix.
    """
    petsc = load_petsc()
    comm = petsc.COMM_WORLD if comm is None else comm
    matrix = sp.csr_array(rows)
    m, n = matrix.shape
    mat = _assembled(petsc, matrix, ((m, n), (m, n)), comm)
    operator = PETScMatrix(mat, props=props)
    mat.destroy()
    return operator


class PETScMatrix(LinearOperator):
    """A PETSc matrix, applied by PETSc. Its version follows PETSc's own count of changes.

    On several ranks shape, vectors, diagonal and block are those of this rank. A product copies each column into a
    vector of PETSc and the result out of it, real and imaginary part apart where PETSc is built real.

    Parameters
    ----------
    mat : petsc4py.PETSc.Mat
    props : Props
    grid : tuple of int, optional

    Attributes
    ----------
    mat : petsc4py.PETSc.Mat
        The matrix. On one rank it is destroyed with the operator; over several ranks `close` destroys it, called by all
        of them, or else PETSc's own collection at the end.
    """

    def __init__(self, mat: Any, *, props: Props = Props.NONE, grid: tuple[int, ...] | None = None) -> None:
        petsc = load_petsc()
        super().__init__(mat.getLocalSize(), petsc.ScalarType, props=props, grid=grid)
        self.mat = copy.copy(mat)  # a second reference to the same matrix, not a second matrix
        self._right, self._left = self.mat.createVecs()
        self._error = petsc.Error
        self._ranks = mat.getComm()
        self._mpi = self._ranks.tompi4py() if self._ranks.getSize() > 1 else None
        if self._mpi is None:
            destroyed_with(self, [self._right, self._left, self.mat], at_exit=False)

    def close(self) -> None:
        """Release what PETSc holds for this operator, which cannot be used afterwards; by all ranks together."""
        destroy([self._right, self._left, self.mat])

    def _require_open(self) -> None:
        """Raise ValueError after `close`, where PETSc would crash."""
        if not self.mat:
            raise ValueError("this PETSc matrix was closed: build the operator again")

    @property
    def global_shape(self) -> tuple[int, int]:
        """Shape of the whole matrix over all ranks."""
        self._require_open()
        m, n = self.mat.getSize()
        return int(m), int(n)

    def _communicator(self) -> Any:
        return self._mpi

    def _foreign_state(self) -> int:
        return int(self.mat.stateGet()) if self.mat else 0

    def _matmat(self, X: Array) -> Array:
        out = np.empty((self.shape[0], X.shape[1]), dtype=X.dtype)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._columns_through(self.mat.mult, self._right, self._left, X, out)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty((self.shape[1], X.shape[1]), dtype=X.dtype)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        if Props.SELF_ADJOINT in self.props:
            self._matmat_into(X, out)
            return
        multiply = self.mat.multHermitian if self.dtype.kind == "c" else self.mat.multTranspose
        try:
            self._columns_through(multiply, self._left, self._right, X, out)
        except self._error as error:
            if error.ierr not in UNSUPPORTED:
                raise
            raise StructureError(
                f"{self!r} has no adjoint: its PETSc type cannot multiply with the transpose"
            ) from None

    def _columns_through(self, multiply: Any, x: Any, y: Any, X: Array, out: Array) -> None:
        self._require_open()
        apart = X.dtype.kind == "c" and self.dtype.kind != "c"
        for c in range(X.shape[1]):
            for part in ("real", "imag") if apart else ("",):
                given, wanted = (getattr(a[:, c], part) if part else a[:, c] for a in (X, out))
                x.setArray(given)
                multiply(x, y)
                wanted[...] = y.getArray(readonly=True)

    def diagonal(self) -> Array:
        """Return the main diagonal: of this rank's rows."""
        self._require_open()
        try:
            vector = self.mat.getDiagonal()
        except self._error as error:
            raise StructureError(f"{self!r} does not know its diagonal: its PETSc type has none") from error
        entries = vector.getArray(readonly=True).copy()
        vector.destroy()
        return entries

    def block(self) -> LinearOperator:
        """Return the square block that this rank's rows and columns share, as a `Sparse` operator: a copy.

        Symmetry and definiteness of the whole matrix hold for its diagonal blocks.
        """
        from .sparse import Sparse

        self._require_open()
        try:
            inner = self.mat.getDiagonalBlock() if self._mpi is not None else self.mat
        except self._error as error:
            raise StructureError(f"{self!r} has no diagonal block: its PETSc type has none to give") from error
        kept = self.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE | Props.M_MATRIX)
        return Sparse(self._entries_of(inner), props=kept, grid=self.grid)

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR, a copy; on one rank only."""
        if self._mpi is not None:
            raise StructureError(
                f"the entries of {self!r} are spread over {self._ranks.getSize()} ranks: block() has this rank's "
                "diagonal block, and LocalBlocks(recipe) builds a preconditioner from it"
            )
        self._require_open()
        return self._entries_of(self.mat)

    def _entries_of(self, mat: Any) -> sp.csr_array:
        m, n = mat.getSize()
        kind = str(mat.getType())
        if "aij" in kind and "baij" not in kind:  # petsc4py crashes when it asks other types for these
            indptr, indices, data = mat.getValuesCSR()
        else:
            try:
                converted = None if kind in ("python", "shell") else mat.convert("aij", load_petsc().Mat())
            except self._error:
                converted = None
            if converted is None:
                raise StructureError(f"{self!r} has no stored entries: its PETSc type has none to give")
            indptr, indices, data = converted.getValuesCSR()
            converted.destroy()
        matrix = sp.csr_array((data, indices, indptr), shape=(m, n))
        matrix.sort_indices()
        return matrix

    def update(self, **values: Any) -> None:
        """Replace the entries by ``A=matrix`` of the same pattern, on one rank; `mat` may also be changed directly."""
        if set(values) != {"A"}:
            raise TypeError(f"update takes A=matrix, got {', '.join(values) or 'nothing'}")
        new, old = sp.csr_array(values["A"]), self.to_sparse()
        same = new.shape == old.shape and new.nnz == old.nnz and np.array_equal(new.indptr, old.indptr)
        if not (same and np.array_equal(new.indices, old.indices)):
            raise StructureError("update needs the same pattern: build a new matrix")
        set_values(self.mat, new)
        self._changed()

    def __copy__(self) -> PETScMatrix:
        return PETScMatrix(self.mat, props=self.props, grid=self.grid)

    def __reduce__(self) -> Any:
        return _rebuilt, (self.to_sparse(), self.props, self.grid)

    def _summary(self) -> str:
        if not self.mat:
            return "PETSc, closed"
        over = f" over {self._ranks.getSize()} ranks, {self.global_shape[0]} x {self.global_shape[1]}"
        return f"PETSc {self.mat.getType()}" + (over if self._mpi is not None else "")


UNSUPPORTED = (56, 62, 73)
"""PETSc's error codes for an operation that a type does not have: PETSC_ERR_SUP, ARG_WRONG, ARG_WRONGSTATE."""


class ShellContext:
    """What a PETSc shell matrix calls: an operator of ours."""

    def __init__(self, A: LinearOperator) -> None:
        self.A = A

    def mult(self, mat: Any, x: Any, y: Any) -> None:
        """Set y to A x."""
        self.A._matmat_into(entries(x, locked=True), entries(y))

    def multTranspose(self, mat: Any, x: Any, y: Any) -> None:  # noqa: N802 - PETSc's name
        """Set y to Aᵀ x, from our adjoint: Aᵀ x = (Aᴴ x̄)‾."""
        X, out = entries(x, locked=True), entries(y)
        if X.dtype.kind == "c":
            out[...] = self.A._rmatmat(X.conj()).conj()
        else:
            self.A._rmatmat_into(X, out)

    def getDiagonal(self, mat: Any, d: Any) -> None:  # noqa: N802 - PETSc's name
        """Set d to the main diagonal."""
        d.setArray(self.A.diagonal())


def entries(vector: Any, dtype: Any = None, *, locked: bool = False) -> Array:
    """Return this rank's part of a PETSc vector as an (n, 1) array that shares its memory.

    Parameters
    ----------
    vector : petsc4py.PETSc.Vec
    dtype : dtype, optional
        Complex to see pairs of real entries as one complex number each.
    locked : bool
        Whether it is the argument of a product, which PETSc allows only to be read. Compiled kernels would be compiled
        a second time for a read-only array, so the same memory is looked at afresh; nobody writes to an argument.
    """
    array = _writable(vector.getArray(readonly=True)) if locked else vector.getArray()
    if dtype is not None and np.dtype(dtype).kind == "c" and array.dtype.kind != "c":
        array = array.view(np.complex128)
    column: Array = array.reshape(-1, 1)
    return column


def _writable(array: np.ndarray) -> np.ndarray:
    import ctypes

    if not array.size:
        return np.empty(0, dtype=array.dtype)
    memory = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    found: np.ndarray = np.frombuffer(memoryview(memory), dtype=array.dtype)
    return found


def set_values(mat: Any, matrix: sp.csr_array) -> None:
    """Replace the entries of an assembled AIJ matrix in place by those of the same pattern (its own rows)."""
    petsc = load_petsc()
    mat.setValuesCSR(
        matrix.indptr.astype(petsc.IntType), matrix.indices.astype(petsc.IntType), matrix.data.astype(petsc.ScalarType)
    )
    mat.assemble()


def _assembled(petsc: Any, matrix: sp.csr_array, size: Any, comm: Any) -> Any:
    csr = (
        matrix.indptr.astype(petsc.IntType),
        matrix.indices.astype(petsc.IntType),
        matrix.data.astype(petsc.ScalarType),
    )
    mat = petsc.Mat().createAIJ(size=size, csr=csr, comm=comm)
    mat.assemble()
    return mat


def _own_rows(petsc: Any, matrix: sp.csr_array, comm: Any) -> tuple[sp.csr_array, Any]:
    """Return this rank's rows of a matrix that every rank has, and the local and global sizes."""
    ownership = []
    for length in matrix.shape:
        layout = petsc.Vec().createMPI(length, comm=comm)
        ownership.append((layout.getLocalSize(), length))
        begin, end = layout.getOwnershipRange()
        if len(ownership) == 1:
            rows = matrix[begin:end]
        layout.destroy()
    return rows, tuple(ownership)


def _size_of(comm: Any) -> int:
    return int(comm.getSize() if hasattr(comm, "getSize") else comm.Get_size())


def _rebuilt(matrix: sp.csr_array, props: Props, grid: tuple[int, ...] | None) -> PETScMatrix:
    petsc = load_petsc()
    mat = _assembled(petsc, matrix, matrix.shape, petsc.COMM_SELF)
    operator = PETScMatrix(mat, props=props, grid=grid)
    mat.destroy()
    return operator
