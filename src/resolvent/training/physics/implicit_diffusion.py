"""The solution of a diffusion problem as a function of its coefficient, differentiated by the adjoint problem."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from ...operators import Stencil
from ...operators.neural.model import check_among
from ...solvers import Direct, Solver


def solve_diffusion(
    a: torch.Tensor,
    f: torch.Tensor | float = 1.0,
    *,
    grid: Literal["cell", "vertex"] = "vertex",
    solver: Solver | None = None,
    M: Any = None,
) -> torch.Tensor:
    """Solve −∇·(a∇u) = f with u = 0 on the boundary of the unit box, differentiable in a and f.

    The discrete problem is that of `Darcy2D` and `Darcy3D`, solved on the host in double precision. The gradient takes
    one more solve with the same operator and factors, whatever the number of iterations: −∂_j λ ∂_j u on each face,
    with A λ = ∂u. So a network that predicts a coefficient can be trained, or fine-tuned on observations of u alone,
    through the full solve.

    Parameters
    ----------
    a : (B, 1, *grid) tensor
        Positive, on one to three axes of n points each.
    f : tensor like a, or number
        Source.
    grid : {"cell", "vertex"}
        Values at the centres of n cells, or at n nodes of which the first and last lie on the boundary.
    solver : Solver, optional
        `Direct` by default; on fine grids `MultigridCG` with a small rtol.
    M : recipe, optional
        Its preconditioner.

    Returns
    -------
    u : tensor like a
        In the precision and on the device of a.

    Raises
    ------
    ValueError
        For shapes that do not fit, and coefficients that are not positive and finite.
    ConvergenceError
        If a solve fails, of the adjoint problem too: a wrong gradient would go unnoticed.

    Examples
    --------
    >>> import torch
    >>> from resolvent.training import solve_diffusion
    >>> a = torch.full((1, 1, 9, 9), 2.0, dtype=torch.float64, requires_grad=True)
    >>> energy = solve_diffusion(a).sum() / 64
    >>> energy.backward()
    >>> (a.grad * a).sum() / energy  # u is proportional to 1/a
    tensor(-1.0000, dtype=torch.float64, grad_fn=<DivBackward0>)
    """
    check_among("grid", grid, ("cell", "vertex"))
    if not 3 <= a.ndim <= 5 or a.shape[1] != 1 or not a.is_floating_point():
        raise ValueError(f"a must be real, of shape (samples, 1, *grid) with one to three axes, got {tuple(a.shape)}")
    if len(set(a.shape[2:])) != 1 or a.shape[2] < 4:
        raise ValueError(f"the unit box needs equally many points on each axis, at least 4, got {tuple(a.shape[2:])}")
    if isinstance(f, torch.Tensor) and f.shape != a.shape:
        raise ValueError(f"f must have the shape {tuple(a.shape)} of a, got {tuple(f.shape)}")
    if not bool(((a > 0.0) & torch.isfinite(a)).all()):
        raise ValueError("the coefficient a must be positive and finite: let the network predict its logarithm")
    n, border = a.shape[2], int(grid == "vertex")
    h = 1.0 / (n - border)
    coefficient = a[:, 0].to("cpu", torch.float64)
    source = (torch.ones_like(a) * f)[:, 0].to("cpu", torch.float64)
    inner = (slice(None), *[slice(border, n - border)] * (a.ndim - 2))
    faces = _faces(coefficient, h, vertex=grid == "vertex")
    u = _Solve.apply(source[inner], Direct() if solver is None else solver, M, *faces)  # type: ignore[no-untyped-call]
    u = torch.nn.functional.pad(u, [border] * (2 * (a.ndim - 2)))
    return u[:, None].to(a.device, a.dtype)


def _faces(a: torch.Tensor, h: float, *, vertex: bool) -> list[torch.Tensor]:
    """Return transmissibilities over h² as `cell_transmissibilities` and `vertex_transmissibilities` have them."""
    faces = []
    for axis in range(1, a.ndim):
        n = a.shape[axis]
        inner = a
        if vertex:
            for other in range(1, a.ndim):
                inner = inner if other == axis else inner.narrow(other, 1, n - 2)
        low, high = inner.narrow(axis, 0, n - 1), inner.narrow(axis, 1, n - 1)
        t = 2.0 * low * (high / (low + high))
        if not vertex:
            t = torch.cat([2.0 * a.narrow(axis, 0, 1), t, 2.0 * a.narrow(axis, n - 1, 1)], axis)
        faces.append(t / h**2)
    return faces


class _Solve(torch.autograd.Function):
    """A(t) u = b for each sample of a batch, with t the transmissibilities of the faces."""

    @staticmethod
    def forward(ctx: Any, b: torch.Tensor, solver: Solver, M: Any, *faces: torch.Tensor) -> torch.Tensor:
        ctx.prepared = [
            solver.prepare(Stencil.from_transmissibilities([t[i].numpy() for t in faces]), M) for i in range(len(b))
        ]
        u = _solved(ctx.prepared, b)
        ctx.save_for_backward(u)
        return u

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        # torch.autograd.function.once_differentiable lets constant gradients pass, and the faces would be
        # differentiated a second time without the solution: wrong in silence.
        if torch.is_grad_enabled():
            raise RuntimeError("solve_diffusion is once differentiable: leave out create_graph=True")
        (u,) = ctx.saved_tensors
        adjoint = _solved(ctx.prepared, gradients[0])
        by_faces = []
        for axis in range(1, u.ndim):
            # Beyond the walls both are zero.
            beyond = [0] * (2 * (u.ndim - 1 - axis)) + [1, 1]
            jumps = [torch.nn.functional.pad(v, beyond).diff(dim=axis) for v in (u, adjoint)]
            by_faces.append(-jumps[0] * jumps[1])
        return (adjoint, None, None, *by_faces)


def _solved(prepared: list[Any], b: torch.Tensor) -> torch.Tensor:
    parts = [one.solve(field.reshape(-1)).check().x for one, field in zip(prepared, b.numpy(), strict=True)]
    return torch.from_numpy(np.stack(parts)).reshape(b.shape)
