"""Poisson with Chebyshev data: observed order, known solutions, rank of the data, sets, bad input."""

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from resolvent.datasets import generate, reproduce, verify
from resolvent.datasets.choosing.decision import decide
from resolvent.datasets.families import PoissonChebyshev
from resolvent.datasets.family import System
from resolvent.datasets.plots import plot_dataset
from resolvent.datasets.schemes.manufactured import accurate_solution, observed_order
from resolvent.operators import Stencil, check_operator


def test_second_order_against_a_smooth_solution():
    study = observed_order(PoissonChebyshev(), (17, 33, 65))
    assert study.within(2.0, 0.1), study.table()


def test_quadratic_solutions_are_exact():
    """u = x² + xy − 2y² + 3: the 5-point stencil is exact, Δu = −2, and the data are Chebyshev sums."""
    family = PoissonChebyshev(resolution=9)
    x, y = np.meshgrid(*family.axes().values(), indexing="ij")
    exact = x**2 + x * y - 2.0 * y**2 + 3.0
    sums = [[-2.0, 0, 0], [3.0, 0, -2.0], [4.0, 1.0, -2.0], [3.0, 0, 1.0], [1.0, 1.0, 1.0]]
    inputs = family.data(
        np.array([chebyshev.chebinterpolate(lambda t, c=c: np.polyval(c[::-1], 0.5 * (t + 1.0)), 2) for c in sums])
    )
    np.testing.assert_allclose(
        family.expand(accurate_solution(family.assemble(inputs)), inputs)["u"], exact, atol=1e-13
    )


def test_structure_and_claims(rng):
    family = PoissonChebyshev(resolution=10)
    inputs = family.draw(rng)
    system = family.assemble(inputs)
    assert all(check.passed for check in family.checks(inputs, system)), family.checks(inputs, system)
    check_operator(system.A).check()
    coefficients = system.A.coefficients.copy()
    coefficients[1, 2, 2] *= 1.01
    faulty = System(Stencil(coefficients, system.A.offsets, mirrored=True), system.b)
    assert not all(check.passed for check in family.checks(inputs, faulty))


@pytest.mark.parametrize(("released", "rank"), [(False, 30), (True, 20)])
def test_as_many_numbers_matter_as_the_data_have(released, rank):
    family = PoissonChebyshev(resolution=24, skr_released=released)
    right_hand_sides = [family.assemble(family.draw(np.random.default_rng(seed))).b for seed in range(40)]
    assert np.linalg.matrix_rank(right_hand_sides) == rank


def test_draws_are_nested():
    coarse, fine = (PoissonChebyshev(resolution=n).draw(np.random.default_rng(3)) for n in (9, 17))
    np.testing.assert_array_equal(coarse["coefficients"], fine["coefficients"])
    for name in ("f", "g"):
        on_coarse = fine[name][::2, ::2]
        np.testing.assert_allclose(on_coarse, coarse[name], atol=1e-15)
    assert not coarse["g"][1:-1, 1:-1].any() and (coarse["f"] == coarse["f"][:, :1]).all()


def test_the_edge_functions_lie_where_they_are_said_to():
    coefficients = np.zeros((5, 6))
    coefficients[1, 1], coefficients[4, 0] = 1.0, 5.0
    g = PoissonChebyshev(resolution=5).data(coefficients)["g"]
    np.testing.assert_allclose(g[0], [-0.5, -0.5, 0.0, 0.5, 3.0])
    np.testing.assert_allclose(g[1:-1, -1], 5.0)
    assert not g[-1, :-1].any() and not g[1:, 0].any() and g[-1, -1] == 2.5
    released = PoissonChebyshev(resolution=5, skr_released=True).data(coefficients)["g"]
    np.testing.assert_allclose(released[0], [-0.5, -1.0, -1.0, -1.0, 2.0])


@pytest.mark.parametrize("released", [False, True])
def test_sets_are_certified_verified_and_reproduced(tmp_path, released):
    family = PoissonChebyshev(resolution=17, skr_released=released)
    ds = generate(family, 5, out=tmp_path / "set.h5", chunk=3)
    assert ds.certificates["certified"].all() and ds.certificates["rho_float64"].max() < 1e-11
    assert verify(ds.path).passed
    assert reproduce(ds.path, 4).identical
    plot_dataset(ds)
    assert 1e-4 < ds.provenance["discretisation"]["two_grid_errors"][0] < 0.2


def test_one_matrix_for_all_samples_is_noticed():
    assert "one matrix for all samples" in decide("auto", 1e-8, PoissonChebyshev(), 0).why


def test_bad_input_is_refused(rng):
    with pytest.raises(ValueError, match="at least 5 points"):
        PoissonChebyshev(resolution=4)
    with pytest.raises(ValueError, match="skr_released=True or False"):
        PoissonChebyshev(skr_released="yes")
    family = PoissonChebyshev(resolution=8)
    inputs = family.draw(rng)
    with pytest.raises(ValueError, match="needs 'g' among its inputs"):
        family.assemble({"f": inputs["f"]})
    with pytest.raises(ValueError, match="g must be finite"):
        family.assemble(inputs | {"g": np.full((8, 8), np.nan)})
    with pytest.raises(ValueError, match="5 rows"):
        family.data(np.zeros((4, 6)))
    with pytest.raises(ValueError, match="u must have the shape"):
        family.restrict({"u": np.zeros(3)})
