"""The two ways to Fourier coefficients, what is kept of them, and precision."""

import pytest
import torch

from resolvent.operators.neural.spectral import transforms
from resolvent.operators.neural.spectral.convolution import SpectralConvolution
from resolvent.operators.neural.spectral.fast_transforms import MANY, fast_coefficients, fast_field
from resolvent.operators.neural.spectral.modes import stored_modes
from resolvent.operators.neural.spectral.transforms import coefficients, field
from resolvent.operators.neural.spectral.weights import DenseWeights


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(
    ("grid", "n_modes"),
    [
        ((16,), [6]),
        ((15,), [6]),
        ((7,), [9]),
        ((33, 20), [8, 5]),
        ((8, 6), [8, 6]),
        ((5, 9), [8, 8]),
        ((6, 7, 8), [4, 3, 4]),
    ],
)
def test_fast_transforms_equal_the_matrices(grid, n_modes):
    x = torch.randn(2, *grid, 3, dtype=torch.float64)
    z = coefficients(x, n_modes)
    assert float((fast_coefficients(x, n_modes) - z).abs().max()) <= 1e-14
    y = torch.randn(z.shape, dtype=torch.float64)
    # The imaginary parts of modes that have none on this grid enter neither.
    assert float((fast_field(y, n_modes, grid) - field(y, n_modes, grid)).abs().max()) <= 1e-12


def test_many_modes_take_the_fast_transforms(monkeypatch):
    from resolvent.operators.neural.spectral import convolution

    taken = []
    for name in ("coefficients", "fast_coefficients"):
        original = getattr(convolution, name)
        monkeypatch.setattr(
            convolution, name, lambda x, M, name=name, original=original: (taken.append(name), original(x, M))[1]
        )
    M = MANY + 8
    many = SpectralConvolution(DenseWeights(1, 1, stored_modes([M])), [M])
    x = torch.randn(1, 2 * M, 1)
    by_rule = many(x)
    many(x[:, : MANY - 10])  # too coarse for as many
    many.transform = "matrices"
    assert float((many(x) - by_rule).detach().abs().max()) <= 1e-5
    few = SpectralConvolution(DenseWeights(1, 1, stored_modes([4])), [4], transform="fast")
    few(x)
    assert taken == ["fast_coefficients", "coefficients", "coefficients", "fast_coefficients"]
    with pytest.raises(ValueError, match="transform must be one of 'auto', 'matrices', 'fast'"):
        SpectralConvolution(DenseWeights(1, 1, (3,)), [4], transform="fft")


def test_matrices_made_without_gradients_serve_training():
    convolution = SpectralConvolution(DenseWeights(2, 2, stored_modes([4, 4])), [4, 4])
    x = torch.randn(1, 13, 11, 2)
    transforms._MATRICES.clear()
    with torch.inference_mode():
        convolution(x)
    convolution(x.requires_grad_()).square().sum().backward()
    assert x.grad is not None and bool(x.grad.any())


def test_matrices_made_in_a_trace_are_not_kept():
    convolution = SpectralConvolution(DenseWeights(2, 2, stored_modes([4, 4])), [4, 4])
    x = torch.randn(2, 13, 12, 2)
    transforms._MATRICES.clear()
    program = torch.export.export(convolution, (x,))
    assert all(type(matrix) is torch.Tensor for matrix in transforms._MATRICES.values())
    assert float((program.module()(x) - convolution(x)).detach().abs().max()) <= 1e-6


def test_old_matrices_make_room(monkeypatch):
    monkeypatch.setattr(transforms, "_MOST", 3)
    transforms._MATRICES.clear()
    for n in range(4, 12):
        coefficients(torch.randn(1, n, 1), [2])
    assert len(transforms._MATRICES) == 3


def test_half_precision_is_left_for_single():
    convolution = SpectralConvolution(DenseWeights(4, 4, stored_modes([6, 6])), [6, 6])
    x = torch.randn(2, 16, 16, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, from_half = convolution(x), convolution(x.bfloat16())
    assert y.dtype == from_half.dtype == torch.float32
    assert float((y - convolution(x)).detach().abs().max()) <= 1e-6
    assert float((from_half - y).detach().abs().max()) <= 2e-2


def test_compiles_without_breaks_for_several_grids():
    convolution = SpectralConvolution(DenseWeights(2, 2, stored_modes([4, 4])), [4, 4])
    compiled = torch.compile(convolution, backend="eager", fullgraph=True)
    for grid in ((12, 9), (9, 12), (17, 17)):
        x = torch.randn(2, *grid, 2)
        assert float((compiled(x) - convolution(x)).detach().abs().max()) <= 1e-6
    torch._dynamo.reset()
