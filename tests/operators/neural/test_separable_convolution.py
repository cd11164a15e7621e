"""Convolutions with kernels that are sums of products."""

import pytest
import torch

from resolvent.operators.neural import SeparableConv, count_params
from resolvent.operators.neural.stencil_convolution import convolve


@pytest.mark.parametrize("boundary", ["dirichlet", "periodic", "neumann"])
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("c_in, c_out", [(2, 3), (3, 2)])
def test_equals_the_dense_convolution(boundary, dim, c_in, c_out):
    options = {"rank": 3, "dim": dim, "boundary": boundary, "implementation": "factorized"}
    S = SeparableConv(c_in, c_out, 5, **options).double()
    x = torch.randn(2, c_in, *(8, 7, 6)[:dim], dtype=torch.float64)
    expected = convolve(x, S.dense_kernel(), S.bias, boundary)
    assert S(x).shape == (2, c_out, *x.shape[2:])
    assert float((S(x) - expected).detach().abs().max()) <= 1e-12
    S.implementation = "reconstructed"
    assert torch.equal(S(x), expected)


@pytest.mark.parametrize("dim", [2, 3])
def test_parameters(dim):
    R, k, c_in, c_out = 4, 7, 5, 3
    assert count_params(SeparableConv(c_in, c_out, k, rank=R, dim=dim, bias=False)) == R * (dim * k + c_in * c_out)


def test_dense_kernel_is_the_sum_of_products():
    S = SeparableConv(2, 1, 3, rank=2).double()
    K = S.dense_kernel()
    alpha, beta = S.factors
    expected = sum(S.mixing[r, 0, 1] * torch.outer(alpha[r], beta[r]) for r in range(2))
    assert torch.allclose(K[0, 1], expected, rtol=1e-14)


@pytest.mark.parametrize("dim, rank", [(2, 1), (2, 9), (3, 5)])
def test_initial_scale_is_that_of_a_dense_kernel(dim, rank):
    torch.manual_seed(0)
    K = SeparableConv(24, 24, 7, rank=rank, dim=dim).dense_kernel().detach()
    assert 0.9 <= float(K.std()) * (3 * 24 * 7**dim) ** 0.5 <= 1.1


def test_interpolated_kernel_is_separable_too():
    """Linear interpolation of the factors is bilinear interpolation of the kernel."""
    S = SeparableConv(2, 2, 5, rank=2).double()
    dense = torch.nn.functional.interpolate(S.dense_kernel(), size=(9, 13), mode="bilinear", align_corners=True)
    assert torch.allclose(S.dense_kernel([2.0, 3.0]), dense * (5 * 5) / (9 * 13), rtol=1e-12)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rank": 0}, "rank must be a whole number"),
        ({"kernel": 4}, "kernel must be odd"),
        ({"dim": 1}, "dim must be one of 2, 3"),
        ({"implementation": "dense"}, "implementation must be one of 'factorized', 'reconstructed'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        SeparableConv(1, 1, **{"kernel": 3, "rank": 1, **options})
