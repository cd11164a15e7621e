"""Differential convolutions against derivatives."""

import numpy as np
import pytest
import torch

from resolvent.operators.neural import DifferentialConvolution
from resolvent.operators.neural.grids import coordinates, spacing

CASES = [("vertices", 1, 3), ("vertices", 2, 3), ("centres", 2, 5), ("interior", 1, 3), ("periodic", 2, 3)]


def field_and_gradient(n, positions, dim):
    x = coordinates((n,) * dim, positions, torch.zeros(1, dtype=torch.float64))
    k = 2 * torch.pi * torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)[:dim]
    if positions != "periodic":
        k = k / 3
    phase = 0.4 + torch.einsum("a,a...->...", k, x)
    return torch.sin(phase), torch.cos(phase)[None] * k.reshape(-1, *(1,) * dim)


@pytest.mark.parametrize("positions, dim, side", [*CASES, ("vertices", 3, 3)])
def test_first_order_under_refinement(positions, dim, side):
    torch.manual_seed(0)
    D = DifferentialConvolution(2, 3, side, dim=dim, positions=positions).double()
    sizes = (16, 32, 64) if dim < 3 else (8, 16, 24)
    errors, h = [], []
    for n in sizes:
        u, gradient = field_and_gradient(n, positions, dim)
        limit = torch.einsum("oia,a...->o...", D.directions(), gradient)
        errors.append(float((D(u.expand(1, 2, *u.shape))[0] - limit).detach().abs().max()))
        h.append(spacing(n, positions))
    orders = np.diff(np.log(errors)) / np.diff(np.log(h))
    assert orders[-1] >= 0.95


@pytest.mark.parametrize("positions", ["vertices", "centres", "interior"])
def test_linear_functions_up_to_the_boundary(positions):
    D = DifferentialConvolution(1, 1, 5, dim=2, positions=positions).double()
    x, y = coordinates((9, 9), positions, torch.zeros(1, dtype=torch.float64))
    v = D((1.0 + 2.0 * x - 3.0 * y)[None, None]).detach()
    direction = D.directions().detach()[0, 0]
    assert torch.allclose(v, (2.0 * direction[0] - 3.0 * direction[1]).expand_as(v), atol=1e-12)


def test_constants_are_lost():
    D = DifferentialConvolution(2, 2, positions="periodic").double()
    assert float(D(torch.full((1, 2, 8, 8), 7.0, dtype=torch.float64)).detach().abs().max()) <= 1e-11


def test_bad_options():
    with pytest.raises(ValueError, match="kernel must be a whole number of at least 3, got 1"):
        DifferentialConvolution(1, 1, 1)
    with pytest.raises(ValueError, match="kernel must be odd"):
        DifferentialConvolution(1, 1, 4)
    with pytest.raises(ValueError, match="positions must be one of"):
        DifferentialConvolution(1, 1, positions="nodes")
