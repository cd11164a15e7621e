"""The assembly of diffusion in one pass against the sum of its faces."""

import numpy as np
import pytest

from resolvent.datasets.schemes.diffusion import cell_transmissibilities, dirichlet_diffusion, vertex_transmissibilities
from resolvent.operators import SPD, Props, Stencil, check_operator


def by_faces(a, h, grid):
    make = cell_transmissibilities if grid == "cell" else vertex_transmissibilities
    return Stencil.from_transmissibilities(make(a, h, a.ndim))


@pytest.mark.parametrize("grid", ["cell", "vertex"])
@pytest.mark.parametrize(
    "unknowns",
    [(1,), (2,), (7,), (1, 1), (1, 5), (5, 1), (2, 3), (6, 7), (1, 1, 1), (1, 1, 4), (4, 1, 1), (2, 3, 4), (5, 4, 3)],
)
def test_the_same_as_by_faces(unknowns, grid, rng):
    shape = tuple(n + 2 * (grid == "vertex") for n in unknowns)
    for spread in (0.0, 1.0, 10.0):
        a = np.exp(spread * rng.standard_normal(shape))
        A, B = dirichlet_diffusion(a, 0.1, grid), by_faces(a, 0.1, grid)
        assert A.offsets == B.offsets and A.grid == B.grid == unknowns and A.mirrored and B.mirrored
        np.testing.assert_allclose(A.coefficients, B.coefficients, rtol=1e-13, atol=0.0)
        assert A.props == B.props and SPD | Props.M_MATRIX in A.props


def test_a_view_in_any_order(rng):
    a = np.exp(rng.standard_normal((14, 6)))[::2].T
    for grid in ("cell", "vertex"):
        expected = by_faces(np.ascontiguousarray(a), 0.5, grid).coefficients
        np.testing.assert_allclose(dirichlet_diffusion(a, 0.5, grid).coefficients, expected, rtol=1e-13)
    before = a.copy()
    dirichlet_diffusion(a, 0.5, "cell")
    np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_extreme_coefficients(scale, rng):
    """The product of two neighbours may leave the range of numbers; their harmonic mean does not."""
    a = rng.uniform(0.5, 2.0, (5, 6))
    for grid in ("cell", "vertex"):
        A, B = dirichlet_diffusion(scale * a, 1.0, grid), dirichlet_diffusion(a, 1.0, grid)
        np.testing.assert_allclose(A.coefficients / scale, B.coefficients, rtol=1e-12)


def test_its_claims_hold(rng):
    for grid in ("cell", "vertex"):
        check_operator(dirichlet_diffusion(np.exp(rng.standard_normal((6, 5))), 0.2, grid)).check()


def test_numbers_that_are_not_finite_reach_the_entries():
    a = np.ones((5, 5))
    a[2, 2] = np.nan
    assert np.isnan(dirichlet_diffusion(a, 1.0, "cell").coefficients).any()
