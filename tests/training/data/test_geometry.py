import copy
import json

import numpy as np
import pytest
import torch

from resolvent.operators.neural.grids import weights
from resolvent.training.data.geometry import Geometry


@pytest.mark.parametrize("n", [2, 5, 8, 1000])
@pytest.mark.parametrize("positions", ["vertices", "centres", "interior", "periodic"])
def test_where_points_lie_is_found_from_their_coordinates(n, positions):
    known = Geometry.unit([n], positions)
    as_stored = known.axes[0].astype(np.float32)  # what files hold
    found = Geometry([as_stored], [positions == "periodic"])
    assert found.positions == known.positions == (positions,)
    assert found.lengths == pytest.approx((1.0,), abs=1e-5)
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("positions", ["vertices", "centres", "interior", "periodic"])
def test_quadrature_is_of_second_order(positions):
    errors = []
    for n in (16, 32, 64):
        geometry = Geometry.unit([n, n], ["vertices" if positions == "periodic" else positions, positions])
        x, y = np.meshgrid(*geometry.axes, indexing="ij")
        f = np.exp(x) * (1.0 + np.cos(2 * np.pi * y))
        errors.append(abs(float((geometry.weights * f).sum()) - (np.e - 1.0)))
    assert errors[2] < 3e-3
    assert np.log2(errors[1] / errors[2]) > 1.85


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("positions", ["vertices", "centres", "interior", "periodic"])
def test_quadrature_is_that_of_the_models(n, positions):
    np.testing.assert_allclose(
        Geometry.unit([n], positions).axis_weights[0], weights(n, positions, torch.zeros(()).double()), rtol=1e-12
    )


def test_uneven_points_have_trapezoidal_weights_up_to_the_ends():
    x = np.linspace(0.0, 1.0, 200) ** 3
    geometry = Geometry([x])
    assert geometry.positions == (None,) and geometry.uniform == (False,)
    assert np.dot(geometry.axis_weights[0], np.exp(x)) == pytest.approx(np.trapezoid(np.exp(x), x), rel=1e-14)
    inside = Geometry([x[1:-1]], ends=[(0.0, 1.0)])
    assert inside.axis_weights[0].sum() == pytest.approx(1.0, rel=1e-14)


def test_uneven_periodic_points_need_ends():
    x = np.array([0.0, 0.1, 0.4, 0.9])
    with pytest.raises(ValueError, match="give its ends"):
        Geometry([x], [True])
    geometry = Geometry([x], [True], [(0.0, 1.0)])
    assert geometry.axis_weights[0] == pytest.approx([0.1, 0.2, 0.4, 0.3])


def test_ends_say_what_coordinates_cannot():
    centres = np.linspace(-1.0, 1.0, 11)[:-1] + 0.1
    assert Geometry([centres]).positions == ("vertices",)
    assert Geometry([centres], ends=[(-1.0, 1.0)]).positions == ("centres",)
    assert Geometry([np.arange(8) / 8], ends=[(0.0, 1.0)]).positions == (None,)  # one end only


@pytest.mark.parametrize("positions, n, coarse", [("vertices", 65, 33), ("periodic", 64, 32), ("interior", 63, 31)])
def test_a_subsampled_grid_is_the_coarse_grid(positions, n, coarse):
    fine = Geometry.unit([n, n], positions)
    assert fine.subsampled(2) == Geometry.unit([coarse, coarse], positions)
    field = np.arange(n * n).reshape(n, n)
    assert field[fine.subsampling(2)].shape == fine.subsampled(2).grid


def test_cells_are_subsampled_around_the_middle():
    fine = Geometry.unit([9], "centres")
    assert fine.subsampled(3) == Geometry.unit([3], "centres")
    even = Geometry.unit([8], "centres").subsampled(2)
    assert even.positions == ("centres",) and even.spacing == (0.25,)


def test_a_stride_that_drops_an_end_is_refused():
    with pytest.raises(ValueError, match="divisor of 63"):
        Geometry.unit([64]).subsampled(2)
    with pytest.raises(ValueError, match="divisor of 33"):
        Geometry.unit([33], "periodic").subsampled(2)
    with pytest.raises(ValueError, match="at least 1"):
        Geometry.unit([65]).subsampled(0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"axes": []}, "1, 2 or 3 axes"),
        ({"axes": [[0.0]]}, "at least two"),
        ({"axes": [[1.0, 0.0]]}, "ascending"),
        ({"axes": [[0.0, np.nan]]}, "finite"),
        ({"axes": [[0.0, 1.0]], "periodic": [True, False]}, "one entry for each"),
        ({"axes": [[0.0, 1.0]], "ends": [(0.2, 1.0)]}, "outside its ends"),
        ({"axes": [[0.0, 0.5, 1.0]], "periodic": [True], "ends": [(0.0, 1.0)]}, "first one again"),
    ],
)
def test_bad_geometries_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Geometry(**options)


def test_a_geometry_is_a_value():
    geometry = Geometry([np.linspace(0.0, 2.0, 5), np.arange(4) / 4], [False, True])
    rebuilt = Geometry.from_description(json.loads(json.dumps(geometry.description())))
    assert rebuilt == geometry and hash(rebuilt) == hash(geometry) and copy.deepcopy(geometry) == geometry
    assert geometry != Geometry([np.linspace(0.0, 2.0, 5), np.arange(4) / 4])
    with pytest.raises(ValueError, match="read-only"):
        geometry.axes[0][0] = 1.0
    assert "5 × 4" in repr(geometry)


def test_weights_made_without_gradients_serve_in_training():
    geometry = Geometry.unit([4])
    with torch.inference_mode():
        geometry.quadrature(torch.zeros(1))
    u = torch.ones(4, requires_grad=True)
    (u.square() * geometry.quadrature(u)).sum().backward()
    assert u.grad is not None and u.grad.sum() == pytest.approx(2.0)


def test_the_same_box_with_other_numbers_of_points():
    geometry = Geometry([2.0 + 4.0 * np.linspace(0.0, 1.0, 9), np.arange(8) / 8], periodic=[False, True])
    finer = geometry.regridded([17, 16])
    assert finer.grid == (17, 16) and finer.ends == geometry.ends and finer.positions == geometry.positions
    assert finer.subsampled(2) == geometry and geometry.regridded((9, 8)) is geometry
    uneven = Geometry([np.linspace(0.0, 1.0, 9) ** 2])
    assert uneven.regridded([9]) is uneven
    for other, grid in ((uneven, [17]), (geometry, [17])):
        with pytest.raises(ValueError, match="there is no rule for them"):
            other.regridded(grid)
