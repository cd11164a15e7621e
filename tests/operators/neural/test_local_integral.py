"""Integrals over neighbourhoods, and the Fourier neural operator with local branches."""

import itertools
import math

import pytest
import torch

from resolvent.operators.neural import LocalFNO, LocalIntegral
from resolvent.operators.neural.grids import coordinates
from resolvent.operators.neural.local_integral import hats

STEPS = {"vertices": (17, 33, 65, 129), "centres": (9, 27, 81), "interior": (15, 31, 63), "periodic": (16, 32, 64)}


def smooth(n, positions):
    x, y = coordinates((n, n), positions, torch.zeros(1, dtype=torch.float64))
    return (torch.sin(2 * math.pi * x) * torch.cos(2 * math.pi * y + 0.3) + 0.5)[None, None]


def at_common_points(v, n, positions):
    """Points of all the grids of a list in `STEPS`."""
    first, ratio = STEPS[positions][0], {"vertices": n - 1, "centres": n, "interior": n + 1, "periodic": n}[positions]
    ratio //= {"vertices": first - 1, "centres": first, "interior": first + 1, "periodic": first}[positions]
    start = {"vertices": 0, "centres": ratio // 2, "interior": ratio - 1, "periodic": 0}[positions]
    return v[..., start::ratio, start::ratio]


@pytest.mark.parametrize("positions", STEPS)
def test_error_falls_under_refinement(positions):
    torch.manual_seed(0)
    integral = LocalIntegral(1, 2, radius=0.15, shape=(2, 4), positions=positions).double()
    with torch.no_grad():
        images = [at_common_points(integral(smooth(n, positions)), n, positions) for n in STEPS[positions]]
    errors = [float((v - images[-1]).norm() / images[-1].norm()) for v in images[:-1]]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.35 * errors[0] or len(errors) == 1
    assert errors[-1] < 0.05


def test_basis_functions_have_integral_one_and_stay_within_the_radius():
    r, n = 0.3, 301
    t = torch.linspace(-0.5, 0.5, n, dtype=torch.float64)
    x, y = torch.meshgrid(t, t, indexing="ij")
    values = hats(torch.hypot(x, y), torch.atan2(y, x), r, 3, 5)
    assert values.shape[0] == 1 + 2 * 5
    assert torch.allclose(values.sum(dim=(1, 2)) / (n - 1) ** 2, torch.ones(11, dtype=torch.float64), rtol=2e-3)
    assert not values[:, torch.hypot(x, y) > r].any()
    for b in range(11):  # no function is in the span of the others
        others = values[[a for a in range(11) if a != b]].flatten(1).T
        rest = values[b].flatten() - others @ torch.linalg.lstsq(others, values[b].flatten()).solution
        assert rest.norm() > 0.3 * values[b].norm()


def test_sum_is_the_one_written_down():
    """Against a double loop over points, with half weights at the boundary and different spacings."""
    integral = LocalIntegral(1, 1, radius=0.3, shape=(2, 4)).double()
    grid = (7, 9)
    u = torch.randn(1, 1, *grid, dtype=torch.float64)
    x, y = coordinates(grid, "vertices", u)
    weights = torch.ones(grid, dtype=torch.float64) / (6 * 8)
    weights[[0, -1]] /= 2
    weights[:, [0, -1]] /= 2
    expected = torch.empty(grid, dtype=torch.float64)
    for i in range(grid[0]):
        for j in range(grid[1]):
            dx, dy = x - x[i, j], y - y[i, j]
            kappa = torch.einsum(
                "b,bxy->xy", integral.theta[0, 0].detach(), hats(dx.hypot(dy), dy.atan2(dx), 0.3, 2, 4)
            )
            expected[i, j] = (kappa * u[0, 0] * weights).sum()
    assert torch.allclose(integral(u)[0, 0], expected, atol=1e-13)


def test_periodic_fields_may_be_shifted():
    integral = LocalIntegral(1, 1, radius=0.2, positions="periodic").double()
    x = torch.randn(1, 1, 12, 15, dtype=torch.float64)
    assert torch.allclose(integral(x.roll((5, 4), (2, 3))), integral(x).roll((5, 4), (2, 3)), atol=1e-13)


def test_radius_below_the_spacing():
    integral = LocalIntegral(1, 1, radius=0.1)
    with pytest.raises(
        ValueError, match=r"radius 0.1 is not larger than the spacing 0.1 of a grid of 11 × 20.*12 points"
    ):
        integral(torch.zeros(1, 1, 11, 20))
    assert integral(torch.zeros(1, 1, 12, 12)).shape == (1, 1, 12, 12)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"radius": 0.0}, "radius must be above 0"),
        ({"radius": 0.7}, "at most 1/2"),
        ({"shape": (2,)}, "two numbers"),
        ({"shape": (2, 2)}, "angles of shape"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        LocalIntegral(1, 1, **options)


@pytest.mark.parametrize("positions", ["periodic", "vertices"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"differential": [], "integral": [0, 1], "radius": 0.2},
        {"differential": [0], "integral": [-2], "radius": 0.2},
    ],
)
def test_local_operator_across_grids(options, positions):
    """What `function_space` says: differences between grids fall with the spacing."""
    torch.manual_seed(0)
    model = LocalFNO(c_in=1, c_out=1, n_modes=[4, 4], width=4, layers=2, positions=positions, **options).double()
    ends = int(positions == "vertices")
    with torch.no_grad():
        images = [model(smooth(n + ends, positions))[..., :: n // 8, :: n // 8] for n in (8, 16, 32, 64)]
    changes = [float((b - a).norm() / images[-1].norm()) for a, b in itertools.pairwise(images)]
    assert changes[2] < 0.65 * changes[1] and changes[2] < 0.5 * changes[0]


def test_branches_are_where_they_are_asked_for():
    model = LocalFNO(c_in=1, c_out=1, n_modes=[4, 4], width=4, layers=3, differential=[0, -1], integral=[1, 2])
    kinds = [[type(branch).__name__ for branch in block.spectral.local] for block in model.blocks]
    D, L = "DifferentialConvolution", "LocalIntegral"
    assert kinds == [[D], [L], [D, L]]
    assert LocalFNO(c_in=1, c_out=1, n_modes=[4], width=4, layers=2).minimum_grid == 2


@pytest.mark.parametrize("dim", [1, 3])
def test_differential_branch_in_other_dimensions(dim):
    model = LocalFNO(c_in=2, c_out=1, n_modes=[4] * dim, width=4, layers=2)
    assert model(torch.zeros(1, 2, *(7, 6, 5)[:dim])).shape == (1, 1, *(7, 6, 5)[:dim])
    with pytest.raises(ValueError, match="integral branches need two dimensions"):
        LocalFNO(c_in=2, c_out=1, n_modes=[4] * dim, width=4, layers=2, integral=[0])


def test_layers_that_do_not_exist():
    with pytest.raises(ValueError, match="differential must list layers from -4 to 3, got 4"):
        LocalFNO(c_in=1, c_out=1, differential=[4])


@pytest.mark.parametrize("positions", ["vertices", "centres", "interior", "periodic"])
def test_a_constant_far_from_the_boundary_has_the_same_integral_on_every_grid(positions):
    layer = LocalIntegral(1, 1, radius=0.15, positions=positions).double()
    with torch.no_grad():
        layer.theta.fill_(1.0)
        v = layer(torch.ones(1, 1, 64, 64, dtype=torch.float64))
    # Every basis function has integral one.
    assert float(v[0, 0, 32, 32]) == pytest.approx(layer.theta.shape[-1], rel=0.05)
