import math

import pytest
import torch

from resolvent.operators.neural import DeepONet, PODDeepONet
from resolvent.operators.neural.grids import coordinates, quadrature
from resolvent.operators.neural.linear_interpolation import interpolate

POSITIONS = ("vertices", "centres", "interior", "periodic")
DOUBLE = torch.zeros((), dtype=torch.float64)


def smooth(grid, positions):
    x = coordinates(grid, positions, DOUBLE)
    if positions == "interior":
        return sum((math.pi * part).sin().square() for part in x)[None, None]
    return sum((2 * math.pi * part).cos() for part in x)[None, None]


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("sensing", ["sensors", "integral"])
def test_another_grid_gives_the_same_function(sensing, positions):
    torch.manual_seed(0)
    model = DeepONet(
        c_in=1, c_out=2, dim=1, modes=4, width=8, layers=2, sensing=sensing, sensors=7, positions=positions
    ).double()
    extra = {"vertices": 1, "interior": -1}.get(positions, 0)

    def at_common_points(n):
        y = model(smooth([n + extra], positions))[0]
        start = {"centres": (n // 9 - 1) // 2, "interior": n // 9 - 1}.get(positions, 0)
        return y[:, start :: n // 9]

    fine = at_common_points(9 * 15)
    errors = [(at_common_points(n) - fine).abs().max().item() for n in (9, 27)]
    assert errors[1] < errors[0] / 5 + 1e-13


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_interpolation_keeps_linear_functions_and_common_points(dim, positions):
    grid, other = [7, 5, 6][:dim], [9, 13, 4][:dim]
    u = coordinates(grid, positions, DOUBLE)[None]
    found = interpolate(u, other, positions)
    expected = coordinates(other, positions, DOUBLE)[None]
    assert found.shape == expected.shape
    if positions == "vertices":
        torch.testing.assert_close(found, expected)
    inside = torch.ones(other, dtype=torch.bool)
    for i in range(dim):  # beyond the outermost points the last value is kept; over a joint the coordinate jumps
        low, high = u[0, i].min(), u[0, i].max()
        inside &= (expected[0, i] >= low) & (expected[0, i] <= high)
    torch.testing.assert_close(found[..., inside], expected[..., inside])
    assert interpolate(torch.ones_like(u), other, positions).allclose(torch.ones(()).double())
    assert interpolate(u, grid, positions) is u


def test_periodic_interpolation_wraps():
    u = torch.tensor([[[0.0, 1.0, 2.0, 3.0]]])
    torch.testing.assert_close(interpolate(u, [8], "periodic")[0, 0, -1], torch.tensor(1.5))


@pytest.mark.parametrize("positions", POSITIONS)
def test_modes_are_orthogonal_and_as_good_as_any(positions):
    torch.manual_seed(0)
    grid = (9, 7)
    model = PODDeepONet(c_in=1, c_out=2, grid=grid, modes=3, width=8, sensors=3, positions=positions).double()
    basis = torch.randn(3, 2, *grid).double()
    targets = 5.0 + torch.einsum("nj,jcxy->ncxy", torch.randn(20, 3).double(), basis)
    assert model.pod_error(targets).max() > 0.1
    model.fit_pod(targets)
    assert model.pod_error(targets).max() < 1e-12
    delta = quadrature(grid, positions, DOUBLE)
    gram = torch.einsum("icxy,jcxy,xy->ij", model.pod_modes, model.pod_modes, delta)
    torch.testing.assert_close(gram, torch.diag(gram.diag()))
    # Mode j has the size of its coefficient in the data: their squares add up to the variance.
    variance = ((targets - targets.mean(0)).square() * delta).sum((1, 2, 3)).mean()
    torch.testing.assert_close(gram.trace(), variance)


def test_outputs_lie_in_the_space_of_the_modes():
    torch.manual_seed(0)
    model = PODDeepONet(c_in=2, c_out=1, grid=[9, 9], modes=4, width=8, sensors=3).double()
    model.fit_pod(torch.randn(10, 1, 9, 9).double())
    y = model(torch.randn(5, 2, 9, 9).double()).detach()
    assert model.pod_error(y).max() < 1e-12
    fine = model(torch.randn(5, 2, 17, 17).double()).detach()
    assert model.pod_error(fine[..., ::2, ::2]).max() < 1e-12


def test_fitted_modes_are_state():
    model = PODDeepONet(c_in=1, c_out=1, grid=[8], modes=6, width=4, sensors=2)
    model.fit_pod(torch.randn(4, 1, 8))  # fewer samples than modes
    again = PODDeepONet(**model.options)
    again.load_state_dict(model.state_dict())
    x = torch.randn(2, 1, 8)
    assert torch.equal(again(x), model(x)) and model(x).isfinite().all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="'sensors', 'integral'"):
        DeepONet(c_in=1, c_out=1, sensing="cnn")
    with pytest.raises(ValueError, match="have no 20 modes"):
        PODDeepONet(c_in=1, c_out=2, grid=[9], modes=20)
    with pytest.raises(ValueError, match="positions must be"):
        DeepONet(c_in=1, c_out=1, positions="corners")
    model = PODDeepONet(c_in=1, c_out=1, grid=[8], modes=2, width=4, sensors=2)
    with pytest.raises(ValueError, match="grid of the training outputs"):
        model.fit_pod(torch.randn(4, 1, 9))
    with pytest.raises(ValueError, match="at least two outputs"):
        model.fit_pod(torch.randn(1, 1, 8))
    with pytest.raises(ValueError, match="not finite"):
        model.fit_pod(torch.full((2, 1, 8), torch.nan))
