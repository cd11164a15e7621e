"""Convolutions that continue their argument over the boundary."""

import pytest
import torch

from resolvent.operators.neural.stencil_convolution import StencilConvolution, convolve, extend

MODES = {"dirichlet": "zeros", "periodic": "circular", "neumann": "reflect"}


@pytest.mark.parametrize("boundary", MODES)
@pytest.mark.parametrize("dim, stride, side", [(1, 2, 5), (2, 1, 3), (2, 2, 3), (3, 2, 3)])
def test_equals_the_convolution_of_torch(boundary, dim, stride, side):
    ours = StencilConvolution(2, 3, side, dim=dim, boundary=boundary, stride=stride, bias=True).double()
    kind = (None, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[dim]
    theirs = kind(2, 3, side, stride=stride, padding=side // 2, padding_mode=MODES[boundary]).double()
    theirs.load_state_dict({"weight": ours.kernel, "bias": ours.bias})
    x = torch.randn(2, 2, *(7, 6, 5)[:dim], dtype=torch.float64)
    assert torch.allclose(ours(x), theirs(x), atol=1e-13)


def test_points_inside_alone():
    x = torch.randn(1, 1, 6, 7)
    kernel = torch.randn(1, 1, 3, 5)
    assert torch.allclose(convolve(x, kernel, boundary=None), convolve(x, kernel)[..., 1:-1, 2:-2], atol=1e-6)


def test_one_end_alone():
    x = torch.arange(4.0)[None, None]
    assert extend(x, [2], "periodic", beginning=False).tolist() == [[[0.0, 1.0, 2.0, 3.0, 0.0, 1.0]]]
    assert extend(x, [2], "neumann", end=False).tolist() == [[[2.0, 1.0, 0.0, 1.0, 2.0, 3.0]]]
    assert extend(x, [1], "dirichlet", beginning=False).tolist() == [[[0.0, 1.0, 2.0, 3.0, 0.0]]]


def test_too_few_points_to_continue():
    with pytest.raises(
        ValueError, match="neumann field by 3 points needs at least 4 points a side, got a grid of 3 × 9"
    ):
        extend(torch.zeros(1, 1, 3, 9), [3, 3], "neumann")
    assert extend(torch.zeros(1, 1, 3), [3], "periodic").shape == (1, 1, 9)
