"""Solvers on torch storage, and the gradient of a solve."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from ..operators import LinearOperator, as_operator
from ..operators._torch import numpy_dtype, torch_dtype
from .prepared import Prepared
from .progress import Callback
from .result import Result
from .solver import Solver
from .vectors import Vectors


class TorchVectors(Vectors):
    """The operations on torch tensors of any device; inner products are brought to the host."""

    def empty_like(self, x: Any) -> Any:
        """Return an uninitialised tensor like x."""
        return torch.empty_like(x)

    def protected(self, x: Any) -> Any:
        """Return a copy of x: tensors have no read-only views."""
        return x.clone()

    def basis(self, x: Any, rows: int) -> Any:
        """Return a zero (rows, n) tensor for the vectors of a Krylov basis."""
        return x.new_zeros((rows, x.shape[0]))

    def stack(self, x: Any, rows: int) -> Any:
        """Return zero tensors like x, one above the other."""
        return x.new_zeros((rows, *x.shape))

    def from_host(self, values: np.ndarray, x: Any) -> Any:
        """Return numbers of the host on the device and in the dtype of x."""
        return _like(values, x)

    def assign(self, alpha: np.ndarray, x: Any, out: Any) -> None:
        """Set out to alpha x."""
        torch.mul(x, _like(alpha, x), out=out)

    def widen(self, x: Any) -> Any:
        """Return x in double precision."""
        return x.to(torch.complex128 if x.is_complex() else torch.float64)

    def largest(self, x: Any) -> np.ndarray:
        """Return max |x| by column."""
        return _host(x.abs().amax(dim=0))

    def dot(self, x: Any, y: Any) -> np.ndarray:
        """Return xᴴ y by column."""
        return _host((x.conj() * y).sum(dim=0))

    def dot_norms(self, x: Any, y: Any, *, conjugate: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return xᴴ y, or xᵀ y, with ‖x‖₂ and ‖y‖₂ by column."""
        return self.dot(x if conjugate else x.conj(), y), self.norm(x), self.norm(y)

    def norm(self, x: Any) -> np.ndarray:
        """Return ‖x‖₂ by column, real."""
        return _host(torch.linalg.vector_norm(x, dim=0))

    def axpy(self, alpha: np.ndarray, x: Any, y: Any) -> None:
        """Set y to y + alpha x."""
        y.addcmul_(_like(alpha, x), x)

    def aypx(self, beta: np.ndarray, x: Any, y: Any) -> None:
        """Set y to x + beta y."""
        y.mul_(_like(beta, x)).add_(x)

    def step(self, alpha: np.ndarray, p: Any, q: Any, x: Any, r: Any) -> np.ndarray:
        """Set x to x + alpha p and r to r − alpha q; return ‖r‖₂ by column."""
        factor = _like(alpha, x)
        x.addcmul_(factor, p)
        r.addcmul_(-factor, q)
        return self.norm(r)

    def project(self, V: Any, w: Any) -> np.ndarray:
        """Return Vᴴ w for the rows of V."""
        return _host((V.conj() @ w).reshape(-1))

    def combine(self, coefficients: np.ndarray, V: Any, y: Any) -> None:
        """Add Σ coefficients[i] V[i] to y."""
        y.add_((_like(coefficients, V) @ V).reshape(y.shape))

    def gram(self, V: Any, W: Any) -> np.ndarray:
        """Return the inner products of two bases."""
        return _host(V.conj() @ W.T)

    def mix(self, coefficients: np.ndarray, V: Any, out: Any = None, *, add: bool = False) -> Any:
        """Return the basis of rows Σ coefficients[i, l] V[i]."""
        if add:
            return out.addmm_(_like(coefficients, V).T, V)
        return torch.matmul(_like(coefficients, V).T, V, out=out)

    def inner(self, X: Any, Y: Any) -> np.ndarray:
        """Return XᴴY."""
        return _host(X.mH @ Y)

    def blend(self, X: Any, C: np.ndarray, out: Any, *, add: bool = False) -> None:
        """Set `out` to X C, or add that to it."""
        if add:
            out.addmm_(X, _like(C, X))
        else:
            torch.matmul(X, _like(C, X), out=out)

    def rows(self, V: Any, positions: np.ndarray) -> Any:
        """Return a copy of the given rows of a basis."""
        return V[torch.as_tensor(positions, device=V.device)]

    def take(self, x: Any, columns: np.ndarray) -> Any:
        """Return a contiguous copy of the given columns."""
        return x[..., torch.as_tensor(columns, device=x.device)].contiguous()

    def put(self, x: Any, columns: np.ndarray, values: Any) -> None:
        """Write values into the given columns of x."""
        x[..., torch.as_tensor(columns, device=x.device)] = values


def columns_of(A: LinearOperator, M: LinearOperator | None, b: Any, x0: Any) -> tuple[Any, Any]:
    """Return b and a fresh copy of x0 as (n, k) tensors of the working dtype, on the device of A."""
    if not isinstance(b, torch.Tensor):
        raise TypeError(f"{A!r} is on torch storage and needs b as a tensor on {A.device}, got {type(b).__name__}")
    for name, tensor in (("b", b), ("x0", x0)):
        if isinstance(tensor, torch.Tensor) and str(tensor.device) != A.device:
            raise ValueError(f"{name} is on {tensor.device} and A on {A.device}: move one of them")
    m, n = A.shape
    shape, grid = tuple(b.shape), A.grid if m == n else None
    if not (shape == (m,) or (len(shape) == 2 and shape[0] == m and shape[1] > 0) or shape == grid):
        raise ValueError(f"b must have shape ({m},) or ({m}, k) to fit A, got {shape}")
    dtype = A.result_dtype(numpy_dtype(b.dtype))
    if M is not None:
        dtype = np.result_type(dtype, M.dtype)
    width = 1 if shape == grid or len(shape) == 1 else shape[1]
    B = b.detach().reshape(m, width).to(torch_dtype(dtype)).contiguous()
    if x0 is None:
        return B, B.new_zeros((n, width))
    x0 = torch.as_tensor(x0)
    expected = shape if m == n else (n, *shape[1:])
    if tuple(x0.shape) != expected:
        raise ValueError(f"x0 must have the shape of {'b' if m == n else 'x'}, {expected}, got {tuple(x0.shape)}")
    return B, x0.detach().reshape(n, width).to(B.dtype).clone().contiguous()


def on_host(function: Callable[[np.ndarray], np.ndarray], x: Any) -> Any:
    """Apply a numpy function to a tensor on the host; both share memory with their numpy views."""
    return torch.from_numpy(function(x.resolve_conj().resolve_neg().numpy()))


def solve_on_host(solve: Callable[[Any, Any], Result], A: LinearOperator, b: Any, x0: Any = None) -> Result:
    """Solve with a numpy-backed operator for tensors on the host; x comes back as a tensor."""
    if str(b.device) != A.device:
        raise ValueError(
            f"b is on {b.device} and the operator on {A.device}: move one with A.to_torch({str(b.device)!r}) "
            f"or b.to({A.device!r})"
        )
    guess = None if x0 is None else torch.as_tensor(x0).detach().numpy()
    result = solve(b.detach().resolve_conj().resolve_neg().numpy(), guess)
    return dataclasses.replace(result, x=torch.from_numpy(result.x))


def solve(
    A: Any, b: Any, x0: Any, M: Any, choose: Callable[[LinearOperator], tuple[Solver, Any]], callback: Callback | None
) -> Result:
    """Solve A x = b for tensors, so that x can be differentiated with respect to b and the entries of A.

    The backward pass solves Aᴴ λ = ∂x with the same method, preconditioner and factors: ∂b = λ and ∂A = −λ xᴴ on
    the stored pattern. It raises ConvergenceError if that solve fails, since a wrong gradient would go unnoticed.
    """
    if not isinstance(b, torch.Tensor):
        raise TypeError(f"A is a torch tensor, so b must be one too, got {type(b).__name__}: torch.as_tensor(b)")
    entries = A if isinstance(A, torch.Tensor) and A.requires_grad else getattr(A, "tensor", None)
    operator = as_operator(A.detach() if isinstance(A, torch.Tensor) else A)
    solver, chosen = choose(operator)
    prepared = solver.prepare(operator, chosen if M is None else M)
    if entries is None or not entries.requires_grad:
        entries = None
    results: list[Result] = []
    x = _Solve.apply(b, entries, prepared, x0, callback, results)  # type: ignore[no-untyped-call]
    return dataclasses.replace(results[0], x=x)


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, b: Any, entries: Any, prepared: Prepared, x0: Any, callback: Callback | None, results: list[Result]
    ) -> Any:
        result = prepared.solve(b.detach(), x0, callback=callback)
        results.append(result)
        ctx.prepared, ctx.b_dtype, ctx.saves_entries = prepared, b.dtype, entries is not None
        # Saved through torch, which notices entries that were changed in place before the backward pass.
        ctx.save_for_backward(result.x, *(() if entries is None else (entries,)))
        return result.x

    # Without this, a second derivative would take the solution inside this pass for a constant and be wrong in silence.
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        x, entries = ctx.saved_tensors if ctx.saves_entries else (*ctx.saved_tensors, None)
        adjoint = ctx.prepared.adjoint().solve(gradients[0].contiguous()).check().x
        grad_b = adjoint if ctx.b_dtype.is_complex or not adjoint.is_complex() else adjoint.real
        grad_A = _entry_gradient(entries, adjoint, x) if ctx.needs_input_grad[1] else None
        return grad_b.to(ctx.b_dtype), grad_A, None, None, None, None


def _entry_gradient(entries: Any, adjoint: Any, x: Any) -> Any:
    """Return −λ xᴴ at the stored positions, in the layout of the matrix."""
    n = entries.shape[0]
    adjoint, x = adjoint.reshape(n, -1), x.reshape(n, -1)
    if entries.layout == torch.strided:
        full = -(adjoint @ x.mH)
        return full if entries.is_complex() or not full.is_complex() else full.real
    csr = entries.layout == torch.sparse_csr
    if csr:
        crow, column = entries.crow_indices(), entries.col_indices()
        row = torch.repeat_interleave(torch.arange(n, device=crow.device), crow.diff())
    else:
        row, column = entries.detach().coalesce().indices()
    values = -(adjoint[row] * x[column].conj()).sum(dim=1)
    if values.is_complex() and not entries.is_complex():
        values = values.real
    values = values.to(entries.dtype)
    if csr:
        return torch.sparse_csr_tensor(crow, column, values, size=entries.shape, check_invariants=False)
    place = torch.stack((row, column))
    return torch.sparse_coo_tensor(place, values, size=entries.shape, is_coalesced=True, check_invariants=False)


def _host(x: Any) -> np.ndarray:
    array: np.ndarray = x.detach().resolve_conj().cpu().numpy()
    return array


def _like(values: np.ndarray, x: Any) -> Any:
    """Return host coefficients as a tensor of the dtype and on the device of x."""
    return torch.as_tensor(np.asarray(values), device=x.device).to(x.dtype)
