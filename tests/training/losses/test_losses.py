import json
import math

import numpy as np
import pytest
import torch

from resolvent.training.data.geometry import Geometry
from resolvent.training.losses import (
    H1,
    LOSSES,
    VRMSE,
    AbsoluteL2,
    HelmholtzEnergy,
    RelativeDerivative,
    RelativeL2,
    SpectralH1,
    WeightedSum,
    build_loss,
    difference,
)

RELATIVE = ("relative_l2", "h1", "h1_spectral", "relative_derivative")

OF_LABELS = [name for name in LOSSES if name != "residual"]
"""That of the equations has tests of its own."""


def sampled(geometry, *functions):
    """Fields (1, channels, *grid) in double precision."""
    points = [torch.tensor(p) for p in np.meshgrid(*geometry.axes, indexing="ij")]
    return torch.stack([f(*points) for f in functions])[None]


def geometry_of(dim):
    return Geometry.unit([12, 9, 10][:dim], "periodic")


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", OF_LABELS)
def test_every_loss_is_one_number_a_sample(name, dim):
    torch.manual_seed(0)
    geometry = geometry_of(dim)
    prediction, target = torch.randn(2, 4, 2, *geometry.grid, dtype=torch.float64)
    prediction.requires_grad_()
    loss = build_loss(name)
    values = loss(prediction, target, geometry)
    assert values.shape == (4,) and (values > 0.0).all()
    alone = torch.cat([loss(p[None], t[None], geometry) for p, t in zip(prediction, target, strict=True)])
    torch.testing.assert_close(values, alone, rtol=1e-12, atol=0.0)
    values.sum().backward()
    assert prediction.grad.isfinite().all() and prediction.grad.abs().sum() > 0.0
    half = loss(prediction.detach().bfloat16(), target, geometry)
    assert half.dtype == torch.float64 and half.isfinite().all()


@pytest.mark.parametrize("name", OF_LABELS)
def test_a_perfect_prediction_has_loss_and_gradient_zero(name):
    geometry = geometry_of(2)
    target = torch.randn(2, 1, *geometry.grid, dtype=torch.float64)
    prediction = target.clone().requires_grad_()
    value = build_loss(name)(prediction, target, geometry)
    value.sum().backward()
    assert (value == 0.0).all() and (prediction.grad == 0.0).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", OF_LABELS)
def test_what_is_not_finite_is_not_hidden(name, value):
    geometry = geometry_of(2)
    target = torch.randn(2, 1, *geometry.grid, dtype=torch.float64)
    prediction = 2.0 * target
    prediction[1, 0, 3, 3] = value
    assert build_loss(name)(prediction, target, geometry).isfinite().tolist() == [True, False]


@pytest.mark.parametrize("name", RELATIVE)
def test_a_factor_of_the_target_is_the_error(name):
    geometry = geometry_of(2)
    target = torch.randn(3, 2, *geometry.grid, dtype=torch.float64)
    loss = build_loss(name)
    torch.testing.assert_close(loss(1.25 * target, target, geometry), torch.full((3,), 0.25).double())
    torch.testing.assert_close(
        loss(1e6 * target + 1e3, 1e6 * target, geometry), loss(target + 1e-3, target, geometry), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("name", RELATIVE)
def test_a_target_of_norm_zero_gives_the_absolute_norm(name):
    geometry = geometry_of(2)
    target = torch.zeros(1, 1, *geometry.grid, dtype=torch.float64)
    prediction = torch.randn_like(target).requires_grad_()
    value = build_loss(name)(prediction, target, geometry)
    value.sum().backward()
    assert value.isfinite().all() and prediction.grad.isfinite().all()
    if name == "relative_l2":
        torch.testing.assert_close(value, AbsoluteL2()(prediction, target, geometry))


def test_channels_of_other_sizes_count_alike_if_asked():
    geometry = Geometry.unit([16], "centres")
    y = torch.stack([torch.full((16,), 1000.0), torch.ones(16)])[None]
    e = torch.stack([torch.zeros(16), torch.ones(16)])[None]
    assert RelativeL2()(y + e, y, geometry).item() == pytest.approx(1e-3, rel=1e-3)
    assert RelativeL2("each")(y + e, y, geometry).item() == pytest.approx(0.5)


def test_norms_are_those_of_the_functions_on_any_grid():
    """‖x‖ = 1/√3 on [0, 1]; with plain sums, uneven points would change it by half."""
    for axis in (np.linspace(0.0, 1.0, 400), np.linspace(0.0, 1.0, 400) ** 3):
        geometry = Geometry([axis])
        x = torch.tensor(axis)[None, None]
        assert AbsoluteL2()(x, 0 * x, geometry).item() == pytest.approx(1.0 / math.sqrt(3.0), rel=1e-4)
        assert HelmholtzEnergy()(x, 0 * x, geometry).item() == pytest.approx(math.sqrt(10.0 / 3.0 + 1.0), rel=1e-4)
        assert H1(a=2.0)(x, 0 * x, geometry).item() == pytest.approx(math.sqrt(1.0 / 3.0 + 4.0), rel=1e-4)
        assert RelativeDerivative()(x, 0 * x, geometry).item() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("n", [31, 32])
def test_spectral_norm_of_sines_is_exact(n):
    # On [0, 2] × [0, 1]: ‖sin(π p x) sin(2π q y)‖²_H1 = (1 + (π p)² + (2π q)²) / 2.
    geometry = Geometry([2.0 * np.arange(n) / n, np.arange(n) / n], [True, True])

    def norm(p, q):
        return (1.0 + (math.pi * p) ** 2 + (2.0 * math.pi * q) ** 2) / 2.0

    y = sampled(geometry, lambda x, y: (math.pi * 3 * x).sin() * (2 * math.pi * 2 * y).sin())
    e = sampled(geometry, lambda x, y: (math.pi * 8 * x).sin() * (2 * math.pi * 5 * y).sin())
    expected = math.sqrt(norm(8, 5) / norm(3, 2))
    assert SpectralH1()(y + e, y, geometry).item() == pytest.approx(expected, rel=1e-10)


def test_spectral_norm_agrees_with_differences_to_second_order():
    gaps = []
    for n in (16, 32, 64):
        geometry = Geometry.unit([n, n], "periodic")
        y = sampled(geometry, lambda x, y: (2 * math.pi * (x + y)).sin())
        e = sampled(geometry, lambda x, y: (2 * math.pi * (2 * x - y)).cos())
        gaps.append(abs(H1()(y + e, y, geometry) - SpectralH1()(y + e, y, geometry)).item())
    orders = np.log2(np.divide(gaps[:-1], gaps[1:]))
    assert np.allclose(orders, 2.0, atol=0.15)


def errors_of_difference(n, i, dim, positions):
    """The largest error of the difference of a sine away from walls, and that of its norm."""
    grid = [6] * dim
    grid[i] = n
    geometry = Geometry.unit(grid, "vertices" if positions == "uneven" else positions)
    if positions == "uneven":
        axes = list(geometry.axes)
        axes[i] = axes[i] + 0.1 * np.sin(2 * np.pi * axes[i])
        geometry = Geometry(axes)
    u = sampled(geometry, lambda *x: (2 * math.pi * x[i] + 0.7).sin())
    exact = sampled(geometry, lambda *x: 2 * math.pi * (2 * math.pi * x[i] + 0.7).cos())
    found = difference(u, i, geometry)
    away = slice(None) if positions == "periodic" else slice(1, -1)
    norm = ((found.square() - exact.square()) * geometry.quadrature(u)).sum().abs().item()
    return (found - exact).movedim(i + 2, -1)[..., away].abs().max().item(), norm


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("positions", ["periodic", "vertices", "centres", "uneven"])
def test_differences_are_of_second_order_inside_and_in_the_norm(dim, positions):
    for i in range(dim):
        coarse, fine = errors_of_difference(20, i, dim, positions), errors_of_difference(40, i, dim, positions)
        orders = np.log2(np.divide(coarse, fine))
        assert (orders > 1.8).all()


def test_uneven_periodic_differences_wrap():
    x = np.array([0.0, 0.15, 0.25, 0.5, 0.6, 0.8])
    geometry = Geometry([x], [True], [(0.0, 1.0)])
    u = torch.tensor(x)[None, None]
    inside = difference(u, 0, geometry)[0, 0, 1:-1]
    torch.testing.assert_close(inside, torch.ones(4).double())
    # At the joint the function falls back by one within 0.2: slopes −4 and 1, each weighted by the other gap.
    assert difference(u, 0, geometry)[0, 0, 0].item() == pytest.approx((0.15 * -4.0 + 0.2 * 1.0) / 0.35)


def test_published_spectral_form():
    n = 64
    geometry = Geometry.unit([n, n])  # not periodic: published runs do not ask
    y = sampled(geometry, lambda x, y: x * (1 - x) * y)
    e = 0.1 * torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    k = np.abs(np.fft.fftfreq(n, 1.0 / n))
    k[k >= 20] = 0
    w = np.sqrt(1.0 + k[:, None] ** 2 + k[None, :] ** 2)
    expected = np.linalg.norm(w * np.fft.fft2(e[0, 0])) / np.linalg.norm(w * np.fft.fft2(y[0, 0]))
    assert SpectralH1(published=True)(y + e, y, geometry).item() == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="take the loss 'h1'"):
        SpectralH1()(y + e, y, geometry)


def test_vrmse_of_the_mean_is_one():
    geometry = Geometry([np.linspace(0.0, 1.0, 300) ** 2])
    y = torch.tensor(geometry.axes[0])[None, None]
    assert VRMSE(eps=1e-12)(torch.full_like(y, 0.5), y, geometry).item() == pytest.approx(1.0, rel=1e-4)
    constant = torch.ones_like(y)
    assert VRMSE()(constant + 1.0, constant, geometry).isfinite().all()


def test_weighted_sums_and_their_specification():
    geometry = geometry_of(2)
    prediction, target = torch.randn(2, 3, 1, *geometry.grid, dtype=torch.float64)
    loss = build_loss(["relative_l2", {"loss": "relative_derivative", "weight": 0.1}])
    expected = RelativeL2()(prediction, target, geometry) + 0.1 * RelativeDerivative()(prediction, target, geometry)
    torch.testing.assert_close(loss(prediction, target, geometry), expected)
    assert build_loss(json.loads(json.dumps(loss.spec()))) == loss
    nested = build_loss([{"loss": "weighted_sum", "terms": ["h1"], "weight": 2.0}, loss])
    torch.testing.assert_close(
        nested(prediction, target, geometry), 2.0 * H1()(prediction, target, geometry) + expected
    )
    assert build_loss({"loss": "h1", "weight": 2.0}) == WeightedSum(((2.0, H1()),))


@pytest.mark.parametrize("loss", [LOSSES[name]() for name in OF_LABELS] + [SpectralH1(a=1.0), H1(0.1, "each")])
def test_every_loss_is_built_again_from_its_specification(loss):
    assert build_loss(json.loads(json.dumps(loss.spec()))) == loss


@pytest.mark.parametrize(
    "spec, message",
    [
        ("relative_l3", "did you mean 'relative_l2'"),
        ({"loss": "h1", "b": 1.0}, "has no option b: expected some of a, channels"),
        ({"name": "h1"}, "a loss is given as"),
        ({"loss": "h1", "a": -1.0}, "must not be negative"),
        ({"loss": "vrmse", "eps": 0.0}, "must be positive"),
        ({"loss": "relative_l2", "channels": "all"}, "one of 'together', 'each'"),
        ({"loss": "h1_spectral", "published": True, "a": 2.0}, "leave them out"),
        ({"loss": "h1_spectral", "truncation": 0}, "at least 1"),
        ([], "at least one term"),
        ([{"loss": "h1", "weight": -1.0}], "not negative"),
    ],
)
def test_bad_specifications_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        build_loss(spec)


def test_shapes_that_do_not_fit_are_refused():
    geometry = Geometry.unit([8, 8])
    with pytest.raises(ValueError, match="compares equal shapes"):
        RelativeL2()(torch.zeros(1, 1, 8, 8), torch.zeros(1, 2, 8, 8), geometry)
    with pytest.raises(ValueError, match="of its geometry"):
        RelativeL2()(torch.zeros(1, 1, 8, 9), torch.zeros(1, 1, 8, 9), geometry)
