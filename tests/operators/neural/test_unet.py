"""The U-Net baseline and its interpolated kernels."""

import pytest
import torch

from resolvent.operators.neural import UNet, count_params
from resolvent.operators.neural.stencil_convolution import StencilConvolution, stretched, stretched_side

TINY = {"c_in": 1, "c_out": 1, "width": 3, "multipliers": [1, 2], "kernel": 5}


def wave(n):
    t = torch.arange(n, dtype=torch.float64) / n
    x, y = torch.meshgrid(t, t, indexing="ij")
    return torch.sin(2 * torch.pi * x + 1)[None, None] * torch.cos(2 * torch.pi * y)[None, None]


def test_published_size():
    """Two convolutions on each of four levels down and three up, kernels 9 × 9, coordinates added."""
    C, k = [19, 38, 38, 57], 9
    pairs = [(3, 19), (19, 38), (38, 38), (38, 57), (57 + 38, 38), (38 + 38, 38), (38 + 19, 19)]
    expected = sum(k * k * (c * D + D * D) + 2 * D for c, D in pairs) + C[0] + 1
    assert count_params(UNet(c_in=1, c_out=1)) == expected


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("boundary", ["dirichlet", "periodic", "neumann"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_smallest_grid(dim, boundary, kernel):
    model = UNet(**{**TINY, "kernel": kernel}, dim=dim, boundary=boundary)
    for n in (model.minimum_grid, model.minimum_grid + 1, 12):
        x = torch.randn(1, 1, *(n, n + 1, n)[:dim])
        assert model(x).shape == x.shape


@pytest.mark.parametrize("convolution", ["dense", "separable"])
def test_periodic_fields_may_be_shifted(convolution):
    model = UNet(**TINY, positions=None, boundary="periodic", convolution=convolution).double()
    x = torch.randn(1, 1, 16, 12, dtype=torch.float64)
    shift = {"shifts": (6, 2), "dims": (2, 3)}
    assert torch.allclose(model(x.roll(**shift)), model(x).roll(**shift), atol=1e-13)


def test_separable_kernels_have_fewer_parameters():
    dense, separable = (UNet(c_in=1, c_out=1, convolution=kind) for kind in ("dense", "separable"))
    assert count_params(separable) < 0.15 * count_params(dense)
    coarser = UNet(c_in=1, c_out=1, convolution="separable", rank=2)
    assert count_params(coarser) < 0.3 * count_params(separable)


def test_stretched_kernels():
    assert [stretched_side(9, s) for s in (0.5, 1.0, 2.0, 4.0)] == [5, 9, 17, 33]
    assert stretched_side(3, 0.1) == 3 and stretched_side(1, 4.0) == 1
    kernel = torch.rand(2, 3, 5, 5, dtype=torch.float64)
    assert torch.equal(stretched(kernel, [1.0, 1.0]), kernel)
    finer = stretched(kernel, [2.0, 1.0])
    assert finer.shape == (2, 3, 9, 5)
    assert torch.allclose(finer[:, :, ::2] * 9 / 5, kernel)
    assert torch.allclose(finer[:, :, 1] * 9 / 5, (kernel[:, :, 0] + kernel[:, :, 1]) / 2)


def test_interpolated_convolutions_are_closer_across_grids():
    """A convolution keeps its extent on a finer grid; on indices it shrinks."""
    torch.manual_seed(0)
    S = StencilConvolution(1, 1, 9, boundary="periodic").double()
    stored, fine = S(wave(32)), wave(128)
    scale = float(stored.detach().norm())
    on_indices = float((S(fine)[..., ::4, ::4] - stored).detach().norm()) / scale
    interpolated = float((S(fine, [4.0, 4.0])[..., ::4, ::4] - stored).detach().norm()) / scale
    assert interpolated < 0.5 * on_indices


def test_what_function_space_says():
    """Finer grids change the output, less so with interpolated kernels."""
    torch.manual_seed(1)
    options = {**TINY, "multipliers": [1], "kernel": 9, "positions": None, "boundary": "periodic"}
    plain = UNet(**options).double()
    interpolated = UNet(**options, interpolate_kernels=[32, 32]).double()
    interpolated.load_state_dict(plain.state_dict())
    assert torch.allclose(plain(wave(32)), interpolated(wave(32)), rtol=1e-12)

    def change(model):
        stored = model(wave(32)).detach()
        stored = stored - stored.mean()
        finer = model(wave(128))[..., ::4, ::4].detach()
        return float((finer - finer.mean() - stored).norm() / stored.norm())

    assert 0.01 < change(interpolated) < 0.9 * change(plain)


def test_grids_for_interpolated_kernels_follow_the_positions():
    model = UNet(**TINY, interpolate_kernels=[33, 33])
    assert model._scale((65, 17)) == [2.0, 0.5]
    assert UNet(**TINY, positions="centres", interpolate_kernels=[32, 32])._scale((64, 32)) == [2.0, 1.0]


@pytest.mark.parametrize("boundary", ["dirichlet", "periodic", "neumann"])
def test_interpolated_kernels_fit_on_every_grid_above_the_minimum(boundary):
    model = UNet(**{**TINY, "multipliers": [1, 1, 1]}, boundary=boundary, interpolate_kernels=[24, 20])
    for n in range(model.minimum_grid, 30):
        assert model(torch.zeros(1, 1, n, n + 3)).shape == (1, 1, n, n + 3)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kernel": 4}, "kernel must be odd"),
        ({"multipliers": []}, "at least one level"),
        ({"multipliers": [1, 0]}, "each of multipliers"),
        ({"convolution": "sparse"}, "convolution must be one of 'dense', 'separable'"),
        ({"convolution": "separable", "dim": 1}, "nothing to separate"),
        ({"rank": 3}, "rank=3 is for convolution='separable'"),
        ({"interpolate_kernels": [32]}, "interpolate_kernels needs 2 numbers"),
        ({"interpolate_kernels": [4, 4], "boundary": "neumann"}, "reach over the coarsest of 2 levels"),
        ({"positions": "nodes"}, "positions must be one of"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        UNet(**{**TINY, **options})
