"""Learned Monarch transforms in a spectral convolution."""

import pytest
import torch

from resolvent.operators import Monarch
from resolvent.operators.neural import FNO, MonarchOperator
from resolvent.operators.neural.spectral.convolution import SpectralConvolution
from resolvent.operators.neural.spectral.modes import stored_modes
from resolvent.operators.neural.spectral.monarch import MonarchConvolution, MonarchRows, resampling
from resolvent.operators.neural.spectral.transforms import waves
from resolvent.operators.neural.spectral.weights import DenseWeights


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def convolutions(n_modes, m):
    weights = DenseWeights(3, 2, stored_modes(n_modes))
    return SpectralConvolution(weights, n_modes), MonarchConvolution(weights, n_modes, m)


@pytest.mark.usefixtures("double")
def test_rows_start_as_those_of_the_fourier_transform_and_stay_monarch():
    m = 4
    rows = MonarchRows(m, -5, 7)
    assert float((rows() - waves(m * m, -5, 7)).detach().abs().max()) <= 1e-14
    # Any values of the parameters are rows of a Monarch operator with its points in transposed order.
    every = MonarchRows(m, 0, m * m)
    with torch.no_grad():
        for p in every.parameters():
            p.copy_(torch.randn_like(p))
    B1 = torch.view_as_complex(every.B1).detach().reshape(m, m, m).transpose(0, 1)  # [j, i, k] of f = i m + j
    M = Monarch(B1.numpy(), torch.view_as_complex(every.B2).detach().numpy())
    made = torch.view_as_complex(every()).detach().numpy().reshape(m * m, m, m).transpose(0, 2, 1)
    assert abs(M.to_dense() - made.reshape(m * m, m * m)).max() <= 1e-12


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("n_modes", "m"), [([6], 3), ([6, 7], 3), ([5, 8], 4), ([3, 3, 2], 2)])
@pytest.mark.parametrize("excess", [0, 1, 4])
def test_starts_as_the_spectral_convolution_on_every_grid(n_modes, m, excess):
    spectral, learned = convolutions(n_modes, m)
    grid = [m * m + excess + axis * (excess > 0) for axis in range(len(n_modes))]
    x = torch.randn(2, *grid, 3)
    assert float((learned(x) - spectral(x)).detach().abs().max()) <= 1e-12


@pytest.mark.usefixtures("double")
def test_coarse_grids_leave_modes_out():
    spectral, learned = convolutions([8, 8], 4)
    x = torch.randn(2, 5, 7, 3)  # odd sizes: no frequency is a Nyquist frequency
    assert float((learned(x) - spectral(x)).detach().abs().max()) <= 1e-12


@pytest.mark.usefixtures("double")
def test_trained_transforms_are_the_same_operator_on_every_grid_for_smooth_inputs():
    _, learned = convolutions([6, 6], 4)
    with torch.no_grad():
        for p in learned.parameters():
            p.add_(0.3 * torch.randn_like(p))

    def field(n):
        t = torch.arange(n) / n
        wave = torch.cos(2 * torch.pi * (2 * t[:, None] - t + 0.1))
        return torch.stack([wave, torch.sin(2 * torch.pi * t).expand(n, n), wave**2], -1)[None]

    a, b, c = learned(field(16)), learned(field(32)), learned(field(48))
    # The output has the frequencies of the m² points below their Nyquist frequency.
    assert float((b[:, ::2, ::2] - c[:, ::3, ::3]).detach().abs().max()) <= 1e-12
    assert float((a - b[:, ::2, ::2]).detach().abs().max()) <= 0.3 * float(a.detach().abs().max())


def test_resampling_is_exact_below_the_nyquist_frequency():
    for N, n in ((9, 16), (16, 9), (8, 5), (7, 7)):
        t, s = (torch.arange(size, dtype=torch.float64) / size for size in (N, n))
        for k in range((min(N, n) + 1) // 2):
            u, v = torch.cos(2 * torch.pi * k * t + 0.3), torch.cos(2 * torch.pi * k * s + 0.3)
            assert float((resampling(N, n, u) @ u - v).abs().max()) <= 1e-12


def test_model_starts_as_an_fno_and_learns_its_transforms():
    options = {"c_in": 1, "c_out": 1, "n_modes": [6, 6], "width": 6, "layers": 2}
    model, fno = MonarchOperator(root=4, **options), FNO(**options)
    fno.load_state_dict({k: v for k, v in model.state_dict().items() if "rows" not in k})
    x = torch.randn(2, 1, 19, 17)
    assert float((model(x) - fno(x)).detach().abs().max()) <= 1e-5
    model(x).square().mean().backward()
    for name, p in model.named_parameters():
        if "rows" in name:
            assert bool(p.grad.flatten(-3 if "B2" in name else -2, -2).abs().sum(-2).all()), name


def test_options_for_a_grid():
    assert MonarchOperator.suited_options([64, 64], ["vertices"] * 2)["root"] == 8
    assert MonarchOperator.suited_options([65, 20], ["vertices"] * 2)["root"] == 9
    assert MonarchOperator.suited_options([2], ["vertices"])["root"] == 2


def test_more_modes_than_points_are_refused():
    with pytest.raises(ValueError, match="a transform of 3² points has 9 modes"):
        MonarchOperator(c_in=1, c_out=1, root=3, n_modes=[10, 4])
    with pytest.raises(ValueError, match="root must be a whole number of at least 2"):
        MonarchOperator(c_in=1, c_out=1, root=1)
