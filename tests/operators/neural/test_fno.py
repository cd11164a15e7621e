"""The Fourier neural operator and its transforms."""

import numpy as np
import pytest
import torch

from resolvent.operators.neural import FNO, count_params
from resolvent.operators.neural.spectral.convolution import SpectralConvolution
from resolvent.operators.neural.spectral.modes import kept_modes, stored_modes
from resolvent.operators.neural.spectral.transforms import coefficients, field
from resolvent.operators.neural.spectral.weights import DenseWeights


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def wave(grid, kmax, seed=0):
    """A band-limited periodic function on [0, 1)^d, (1, *grid, 1)."""
    rng = np.random.default_rng(seed)
    points = np.meshgrid(*[np.arange(n) / n for n in grid], indexing="ij")
    u = np.zeros(grid)
    for _ in range(6):
        k = rng.integers(-kmax, kmax + 1, len(grid))
        u += rng.standard_normal() * np.cos(
            2 * np.pi * (sum(a * x for a, x in zip(k, points, strict=True)) + rng.random())
        )
    return torch.from_numpy(u)[None, ..., None]


@pytest.mark.parametrize("grid", [(15,), (16,), (33, 32), (20, 17), (9, 12, 10)])
def test_transforms_equal_the_fast_ones(grid):
    x = torch.randn(2, *grid, 3, dtype=torch.float64)
    axes = tuple(range(1, len(grid) + 1))
    n_modes = [6] * len(grid)
    full = axes[:-1] or (0,)  # shifting and shifting back the samples changes nothing
    every = torch.fft.fftshift(torch.fft.rfftn(x, dim=axes, norm="forward"), dim=full)
    kept = (*(slice(n // 2 - 3, n // 2 + 3) for n in grid[:-1]), slice(0, 4))
    expected = every[(slice(None), *kept)]
    z = torch.view_as_complex(coefficients(x, n_modes).contiguous())
    expected_samples = torch.fft.ifftshift(expected, dim=0) if full == (0,) else expected
    assert float((z.movedim(len(grid), 0) - expected_samples).abs().max()) <= 1e-14
    low = torch.zeros_like(every)
    low[(slice(None), *kept)] = expected
    back = torch.fft.irfftn(torch.fft.ifftshift(low, dim=full), s=grid, dim=axes, norm="forward")
    assert float((field(coefficients(x, n_modes), n_modes, grid) - back).abs().max()) <= 1e-12


def test_transforms_invert_where_all_modes_are_kept():
    for grid in ((8, 6), (7, 9)):
        x = torch.randn(2, *grid, 3, dtype=torch.float64)
        n_modes = [n + 2 for n in grid]  # more than the grid has: clipped
        assert float((field(coefficients(x, n_modes), n_modes, grid) - x).abs().max()) <= 1e-13


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_spectral_convolution_is_the_same_operator_on_every_grid(dim):
    n_modes = [10] * dim
    layer = SpectralConvolution(DenseWeights(1, 2, stored_modes(n_modes)), n_modes).double()
    sizes = (32, 64, 128) if dim < 3 else (12, 24, 48)
    outputs = []
    for n in sizes:
        y = layer(wave((n,) * dim, 4))[0].detach()
        outputs.append(y[(slice(None, None, n // sizes[0]),) * dim])
    for finer in outputs[1:]:
        assert float((finer - outputs[0]).abs().max()) <= 1e-12


def test_a_grid_too_coarse_for_some_modes_leaves_them_out():
    assert kept_modes([16, 16], [9, 10]) == (slice(4, 13), slice(0, 6))
    layer = SpectralConvolution(DenseWeights(1, 1, stored_modes([16, 16])), [16, 16]).double()
    coarse, fine = (layer(wave((n, n), 3))[0].detach() for n in (10, 20))
    assert float((fine[::2, ::2] - coarse).abs().max()) <= 1e-12


def test_operator_across_grids():
    model = FNO(c_in=1, c_out=1, n_modes=[12, 12], width=8, positions=None).double()
    outputs = [
        model(0.05 * wave((n, n), 3).movedim(-1, 1)).detach()[0, 0, :: n // 32, :: n // 32] for n in (32, 64, 128)
    ]
    scale = float(outputs[-1].abs().max())
    assert all(float((y - outputs[-1]).abs().max()) <= 1e-6 * scale for y in outputs[:-1])


@pytest.mark.parametrize(
    "options, count, complex_as_one",
    [
        ({"n_modes": [16, 16], "width": 32, "layers": 4}, 1_192_801, 602_977),
        ({"n_modes": [12], "width": 16, "layers": 3}, None, None),
        ({"n_modes": [6, 8, 4], "width": 10, "layers": 2, "c_in": 3, "c_out": 2}, None, None),
    ],
)
def test_parameter_count(options, count, complex_as_one):
    options = {"c_in": 1, "c_out": 1, **options}
    model = FNO(**options)
    h, L, d = options["width"], options["layers"], len(options["n_modes"])
    m = int(np.prod(stored_modes(options["n_modes"])))
    for kappa, found in ((2, count_params(model)), (1, count_params(model, complex_as_one=True))):
        c_in, c_out = options["c_in"], options["c_out"]
        ends = 2 * h * (c_in + d) + 3 * h + 2 * h**2 + 2 * h**2 + 2 * h + 2 * h * c_out + c_out
        assert found == ends + L * (kappa * h**2 * m + 2 * h**2 + h + h // 2 + h + h)
    if count:
        assert (count_params(model), count_params(model, complex_as_one=True)) == (count, complex_as_one)


def test_initial_scale():
    entries = DenseWeights(24, 40, (10, 6)).dense().detach()
    sigma = (2.0 / 64) ** 0.5
    assert 0.9 <= float(entries.abs().square().mean().sqrt()) / sigma <= 1.1


@pytest.mark.parametrize(
    "options", [{"norm": "instance"}, {"norm": "group"}, {"preactivation": True}, {"padding": 0.078}]
)
def test_options_change_the_operator_and_train(options):
    x = torch.randn(2, 1, 16, 16)
    torch.manual_seed(1)
    plain = FNO(c_in=1, c_out=1, n_modes=[8, 8], width=6, layers=2)
    torch.manual_seed(1)
    model = FNO(c_in=1, c_out=1, n_modes=[8, 8], width=6, layers=2, **options)
    y = model(x)
    assert y.shape == x.shape
    assert float((y - plain(x)).detach().abs().max()) > 1e-4
    y.square().mean().backward()
    assert all(float(p.grad.abs().max()) > 0 for p in model.parameters())


def test_normalisation_has_mean_zero_and_deviation_one():
    from resolvent.operators.neural.fno import PointStatistics

    y = PointStatistics(4, groups=4, eps=0.0).double()(3.0 + torch.randn(2, 9, 7, 4, dtype=torch.float64)).detach()
    assert float(y.mean(dim=(1, 2)).abs().max()) <= 1e-12
    assert float((y.std(dim=(1, 2), correction=0) - 1).abs().max()) <= 1e-12


def test_bad_options():
    for options, message in (
        ({"n_modes": [1, 8]}, "each of n_modes must be a whole number of at least 2, got 1"),
        ({"n_modes": [4] * 4}, "1, 2 or 3 dimensions, got 4"),
        ({"norm": "batch"}, "norm must be one of None, 'instance', 'group'"),
        ({"padding": 2.0}, "padding must be between 0 and 1"),
        ({"positions": "nodes"}, "positions must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            FNO(c_in=1, c_out=1, **options)(torch.zeros(1, 1, 8, 8))
