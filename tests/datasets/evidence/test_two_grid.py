"""Two-grid error estimates and the manufactured-solution study."""

import dataclasses

import numpy as np
import pytest

from resolvent.datasets.evidence.two_grid import refined, transfer, two_grid_error
from resolvent.datasets.families import Darcy2D, Darcy3D
from resolvent.datasets.schemes.manufactured import accurate_solution, observed_order


def test_refinement_halves_the_spacing():
    for family in (Darcy2D(resolution=12), Darcy2D(resolution=13, grid="vertex"), Darcy3D(resolution=5)):
        assert refined(family).h == pytest.approx(family.h / 2, rel=1e-15)
        assert dataclasses.replace(refined(family), resolution=family.resolution) == family


@pytest.mark.parametrize("family", [Darcy2D(resolution=6), Darcy3D(resolution=5), Darcy2D(resolution=7, grid="vertex")])
def test_transfer_is_exact_for_cubics(family):
    def cubic(axes):
        x = np.meshgrid(*axes.values(), indexing="ij")
        return sum((1 + j) * x[j] ** 3 for j in range(len(x))) + np.prod(x, axis=0) ** 3

    fine, coarse = refined(family).axes(), family.axes()
    np.testing.assert_allclose(transfer(cubic(fine), fine, coarse), cubic(coarse), atol=1e-13)


def test_transfer_between_nested_nodes_only_picks():
    family = Darcy2D(resolution=9, grid="vertex")
    fine = np.random.default_rng(0).standard_normal((17, 17, 2))
    picked = transfer(fine, refined(family).axes(), family.axes())
    np.testing.assert_array_equal(picked, fine[::2, ::2])


def test_transfer_refuses_fields_of_another_grid():
    family = Darcy2D(resolution=9)
    with pytest.raises(ValueError, match="does not lead with the axes"):
        transfer(np.zeros((9, 9)), refined(family).axes(), family.axes())
    with pytest.raises(ValueError, match="at least 4 points"):
        transfer(np.zeros(3), {"x": np.arange(3.0)}, {"x": np.arange(2.0)})


@pytest.mark.parametrize("coefficient,low,high", [("skr", 3.5, 4.5), ("fno_lognormal", 3.5, 4.5)])
@pytest.mark.parametrize("grid", ["cell", "vertex"])
def test_the_estimate_falls_at_second_order_for_smooth_coefficients(coefficient, low, high, grid):
    family = Darcy2D(resolution=17 if grid == "vertex" else 16, grid=grid, coefficient=coefficient)
    errors = [two_grid_error(member, 4) for member in (family, refined(family))]
    assert low < errors[0] / errors[1] < high


def test_the_estimate_is_three_quarters_of_the_error():
    family = Darcy2D(resolution=24, source="grf")
    finest = refined(refined(refined(family)))
    u, u_finest = (
        f.expand(accurate_solution(f.assemble(inputs)), inputs)["u"]
        for f in (family, finest)
        for inputs in [f.draw(np.random.default_rng(9))]
    )
    reference = transfer(u_finest, finest.axes(), family.axes())
    error = np.linalg.norm(u - reference) / np.linalg.norm(reference)
    assert two_grid_error(family, 9) == pytest.approx(0.75 * error, rel=0.1)


def test_the_stream_is_copied():
    rng = np.random.default_rng(2)
    first = two_grid_error(Darcy2D(resolution=8), rng)
    assert two_grid_error(Darcy2D(resolution=8), rng) == first
    assert rng.bit_generator.state == np.random.default_rng(2).bit_generator.state


def test_a_given_solver_is_used_on_both_grids():
    sizes = []

    def solve(system):
        sizes.append(system.b.size)
        return accurate_solution(system)

    two_grid_error(Darcy3D(resolution=6), 0, solve=solve)
    assert sizes == [6**3, 12**3]


def test_observed_order_reports_every_grid():
    study = observed_order(Darcy2D(), (8, 16))
    assert study.resolutions == (8, 16)
    assert study.spacings == (1 / 8, 1 / 16)
    assert study.max_order == pytest.approx(np.log2(study.max_errors[0] / study.max_errors[1]))
    assert len(study.table().splitlines()) == 3


def test_a_method_without_errors_has_no_order():
    exact = observed_order(Darcy2D(), (8, 16), solve=lambda system: np.full(system.b.size, np.nan))
    assert np.isnan(exact.max_order)
    assert not exact.within(2.0)


def test_observed_order_checks_its_arguments():
    with pytest.raises(ValueError, match="two growing resolutions"):
        observed_order(Darcy2D(), (16,))
    with pytest.raises(ValueError, match="two growing resolutions"):
        observed_order(Darcy2D(), (16, 16))


def test_three_dimensional_systems_are_solved_to_rounding():
    family = Darcy3D(resolution=10, coefficient="lognormal_unit")
    A, b = system = family.assemble(family.draw(np.random.default_rng(0)))
    assert np.linalg.norm(b - A.matvec(accurate_solution(system))) <= 1e-10 * np.linalg.norm(b)
