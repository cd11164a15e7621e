"""Operators and torch: storage on a torch device, and products that autograd can differentiate."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from .base import LinearOperator
from .props import Props


class Tensor(LinearOperator):
    """A matrix held in a torch tensor, dense or sparse, on any torch device.

    Products take and return tensors on that device and are differentiable in the usual way of torch.

    Parameters
    ----------
    A : (m, n) tensor
        Dense, CSR, or COO (converted to CSR).
    props : Props
        Claims.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators import as_operator
    >>> A = as_operator(torch.eye(2, dtype=torch.float64))
    >>> A @ torch.tensor([1.0, 2.0], dtype=torch.float64)
    tensor([1., 2.], dtype=torch.float64)
    """

    def __init__(self, A: torch.Tensor, *, props: Props = Props.NONE, grid: tuple[int, ...] | None = None) -> None:
        if A.ndim != 2:
            raise ValueError(f"a matrix needs two dimensions, got a tensor of shape {tuple(A.shape)}")
        if not (A.is_floating_point() or A.is_complex()):
            raise TypeError(f"a matrix needs a real or complex floating dtype, got {A.dtype}: use A.double()")
        if A.layout not in (torch.strided, torch.sparse_csr):
            A = A.to_sparse_csr()
        shape = (A.shape[0], A.shape[1])
        super().__init__(shape, numpy_dtype(A.dtype), props=props, grid=grid, device=str(A.device))
        self.tensor = A

    @classmethod
    def from_operator(cls, A: LinearOperator, *, device: Any = "cpu", dtype: torch.dtype | None = None) -> Tensor:
        """Copy the entries of an operator to a CSR tensor on `device`."""
        matrix = A.to_sparse()
        tensor = torch.sparse_csr_tensor(
            torch.as_tensor(matrix.indptr, dtype=torch.int64),
            torch.as_tensor(matrix.indices, dtype=torch.int64),
            torch.tensor(matrix.data),  # a copy: as_tensor would share memory with the operator
            size=matrix.shape,
            dtype=dtype,
            device=device,
            check_invariants=False,
        )
        return cls(tensor, props=A.props, grid=A.grid)

    def _holds_torch(self) -> bool:
        return True

    def _matmat(self, X: torch.Tensor) -> torch.Tensor:
        return self.tensor.to(X.dtype) @ X

    def _rmatmat(self, X: torch.Tensor) -> torch.Tensor:
        A = self.tensor.to(X.dtype)
        if Props.SELF_ADJOINT in self.props:
            return A @ X
        if A.layout == torch.strided:
            return A.mH @ X
        # Conjugating two vectors is cheaper than conjugating the entries.
        return (A.transpose(0, 1) @ X.conj().resolve_conj()).conj().resolve_conj()

    def diagonal(self) -> torch.Tensor:
        """Return the main diagonal as a tensor on the same device."""
        if self.tensor.layout == torch.strided:
            return self.tensor.diagonal().clone()
        coo = self.tensor.to_sparse_coo()
        row, column = coo.indices()
        on_diagonal = row == column
        d = torch.zeros(min(self.shape), dtype=self.tensor.dtype, device=self.tensor.device)
        return d.index_put((row[on_diagonal],), coo.values()[on_diagonal])

    def to_dense(self) -> torch.Tensor:
        """Return the entries as a dense tensor on the same device."""
        return self.tensor.to_dense()

    def to_sparse(self) -> sp.csr_array:
        """Copy the entries to the host as CSR."""
        if self.tensor.layout == torch.strided:
            return sp.csr_array(self.tensor.detach().cpu().numpy())
        parts = (self.tensor.values(), self.tensor.col_indices(), self.tensor.crow_indices())
        return sp.csr_array(tuple(part.detach().cpu().numpy() for part in parts), self.shape)

    def update(self, **values: Any) -> None:
        """Replace the tensor: ``update(A=tensor)`` of the same shape, layout and device."""
        A: Any = values.get("A")
        if set(values) != {"A"} or A.shape != self.tensor.shape or A.device != self.tensor.device:
            raise ValueError(f"update takes A=tensor of shape {self.shape} on {self.device}")
        if A.layout != self.tensor.layout:
            A = A.to_sparse_csr() if self.tensor.layout == torch.sparse_csr else A.to_dense()
        self.tensor = A.to(self.tensor.dtype)
        self._changed()

    def _summary(self) -> str:
        return str(self.tensor.layout).removeprefix("torch.")


class Hosted(LinearOperator):
    """A numpy-backed operator that takes and returns tensors on the host, sharing their memory."""

    def __init__(self, A: LinearOperator) -> None:
        super().__init__(A.shape, A.dtype, props=A.props, grid=A.grid)
        self.A = A

    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.A,)

    def _holds_torch(self) -> bool:
        return True

    def _matmat(self, X: torch.Tensor) -> torch.Tensor:
        return _host_product(self.A, X, adjoint=False)

    def _rmatmat(self, X: torch.Tensor) -> torch.Tensor:
        return _host_product(self.A, X, adjoint=True)

    def _summary(self) -> str:
        return repr(self.A)


def numpy_dtype(dtype: torch.dtype) -> np.dtype:
    """Return the numpy dtype with the same name; TypeError for formats that numpy does not have."""
    if dtype == torch.bfloat16:
        raise TypeError("bfloat16 has too few digits to solve with: use float32 or float64")
    return np.dtype(str(dtype).removeprefix("torch."))


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    """Return the torch dtype with the same name."""
    found: torch.dtype = getattr(torch, dtype.name)
    return found


def apply(A: LinearOperator, x: Any, out: Any, *, adjoint: bool, vector: bool) -> torch.Tensor:
    """Return A x or Aᴴ x for a tensor x, whichever storage A has, without copies between devices."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{A!r} is on torch storage and needs a torch tensor on {A.device}, got {type(x).__name__}")
    if str(x.device) != A.device:
        raise ValueError(
            f"the operator is on {A.device} and the vector on {x.device}: move one with A.to_torch({str(x.device)!r}) "
            f"or x.to({A.device!r})"
        )
    rows, columns = A.shape[::-1] if adjoint else A.shape
    field = A._is_field(tuple(x.shape), columns, vector=vector)
    dtype = A.result_dtype(numpy_dtype(x.dtype))
    X = x.reshape(columns, 1) if field or x.ndim == 1 else x
    X = X.to(torch_dtype(dtype)).contiguous()
    if A._holds_torch():
        Y = A._rmatmat(X) if adjoint else A._matmat(X)
    elif X.requires_grad and torch.is_grad_enabled():
        Y = _Product.apply(X, A, adjoint)  # type: ignore[no-untyped-call]
    else:
        Y = _host_product(A, X, adjoint=adjoint)
    if field:
        assert A.grid is not None
        Y = Y.reshape(A.grid)
    else:
        Y = Y.reshape((rows,) if x.ndim == 1 else (rows, Y.shape[1]))
    if out is not None:
        Y = out.copy_(Y)
    result: torch.Tensor = Y
    return result


def _host_product(A: LinearOperator, X: torch.Tensor, *, adjoint: bool) -> torch.Tensor:
    """Apply a numpy-backed operator to a host tensor; both share memory with their numpy views."""
    array = X.detach().resolve_conj().resolve_neg().numpy()
    return torch.from_numpy(A._rmatmat(array) if adjoint else A._matmat(array))


class _Product(torch.autograd.Function):
    """A X as an autograd node: the backward pass is one product with the adjoint."""

    @staticmethod
    def forward(ctx: Any, X: torch.Tensor, A: LinearOperator, adjoint: bool) -> torch.Tensor:
        ctx.A, ctx.adjoint, ctx.dtype = A, adjoint, X.dtype
        return _host_product(A, X, adjoint=adjoint)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        gradient = _Product.apply(gradients[0].contiguous(), ctx.A, not ctx.adjoint)  # type: ignore[no-untyped-call]
        return (gradient if ctx.dtype.is_complex else gradient.real).to(ctx.dtype), None, None


def stacked(parts: list[torch.Tensor], axis: int) -> torch.Tensor:
    """Return tensors side by side along a new axis."""
    return torch.stack(parts, axis)


def along(factor: LinearOperator, X: torch.Tensor, *, adjoint: bool) -> torch.Tensor:
    """Return A X[i], or Aᴴ X[i], for the slices of an (outer, n, inner) tensor: one factor of a Kronecker product."""
    outer, n, inner = X.shape
    tensor = factor.tensor if isinstance(factor, Tensor) else None
    if tensor is not None and tensor.layout == torch.strided:
        A = (tensor.mH if adjoint else tensor).to(X.dtype)
        return (X[:, :, 0] @ A.mT).unsqueeze(2) if inner == 1 else A @ X
    lines = X.movedim(1, 0).reshape(n, -1)
    product = factor._rmatmat(lines) if adjoint else factor._matmat(lines)
    fields: torch.Tensor = product.reshape(-1, outer, inner)
    return fields.movedim(0, 1).contiguous()


def kron(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """Return the Kronecker product of two tensors, of matrices or of vectors."""
    product: torch.Tensor = torch.kron(A.contiguous(), B.contiguous())
    return product


def stored_on(A: LinearOperator, device: Any, dtype: Any, *, dense: bool = False) -> LinearOperator:
    """Return an operator on torch storage: with its structure where its class knows how, else as entries."""
    structured = getattr(A, "_stored_on", None)
    if structured is not None:
        moved: LinearOperator = structured(device, dtype)
        return moved
    if dense and not A._holds_torch():
        return Tensor(to_tensor(A.to_dense(), device, dtype), props=A.props, grid=A.grid)
    return Tensor.from_operator(A, device=device, dtype=dtype)


def to_tensor(values: np.ndarray, device: Any, dtype: Any = None) -> torch.Tensor:
    """Copy an array to a device."""
    return torch.tensor(values, device=device, dtype=dtype)
