"""Convection with upwinded coarse operators, and complex shifts: M for GMRES."""

import numpy as np
import pytest

from resolvent.datasets.families import ConvectionDiffusion2D, Helmholtz2D
from resolvent.operators import Props, Sparse, Stencil, StructureError, check_operator
from resolvent.solvers import GMRES, GeometricMultigrid, ShiftedLaplacian
from resolvent.solvers.multigrid.extraction import network_of
from resolvent.solvers.multigrid.levels import Levels
from resolvent.solvers.multigrid.smoothers import SMOOTHERS

from .boxes import NUMPY, dense


def wind(n, peclet, scheme="upwind", seed=1):
    family = ConvectionDiffusion2D(resolution=n, peclet=(peclet, peclet * 1.001), scheme=scheme)
    return family.assemble(family.draw(np.random.default_rng(seed)))


def test_coarse_operators_are_m_matrices_with_the_row_sums_of_the_fine_one():
    A, _ = wind(19, 1e3)
    network, d = network_of(A)
    np.testing.assert_allclose(dense(network), A.to_dense(), atol=1e-9)
    np.testing.assert_allclose(network.diagonal(), d, rtol=1e-12)
    levels = Levels.of(network, NUMPY)
    for level in levels.levels[1:]:
        matrix = dense(level.network)
        off = matrix - np.diag(np.diag(matrix))
        assert off.max() <= 0.0 and (matrix.sum(axis=1) >= -1e-10 * np.diag(matrix)).all()
        assert np.linalg.inv(matrix).min() >= -1e-12


def test_fluxes_are_added_over_coarse_faces():
    A, _ = wind(18, 100.0, "exponential")
    network, _ = network_of(A)
    coarse = Levels.of(network, NUMPY, semi=False).levels[1].network
    w = network.flux[0][..., 0]
    np.testing.assert_allclose(coarse.flux[0][..., 0], w[::2, ::2] + w[::2, 1::2], atol=1e-12)


@pytest.mark.parametrize("smoother", SMOOTHERS)
def test_adjoint(smoother):
    A, _ = wind(9, 50.0)
    for cycle in ("V", "F"):
        M = GeometricMultigrid(smoother, cycle=cycle)(A)
        assert M.props == Props.NONE
        check_operator(M).check()


@pytest.mark.parametrize("peclet", [10.0, 1e3, 1e4])
@pytest.mark.parametrize(("smoother", "limit"), [("alternating_lines", 20), ("gauss_seidel", 24)])
def test_iterations_for_upwinded_convection(smoother, limit, peclet):
    for n in (34, 66):
        A, b = wind(n, peclet)
        result = GMRES(restart=60).solve(A, b, M=GeometricMultigrid(smoother))
        assert result.converged and result.iterations <= limit


def test_convection_around_a_ring_is_singular_to_rounding():
    n, w = 12, 0.7
    ring = 2.0 * np.eye(n) - np.roll(np.eye(n), 1, axis=1) - np.roll(np.eye(n), -1, axis=1)
    drift = w * (np.eye(n) - np.roll(np.eye(n), -1, axis=1))
    identity = np.eye(n)
    A = Sparse(np.kron(ring + drift, identity) + np.kron(identity, (ring + 0.3 * drift) / 3.0), grid=(n, n))
    M = GeometricMultigrid("alternating_lines")(A)
    assert M.singular and abs(M.to_dense()).max() < 10.0
    b = A @ np.random.default_rng(0).standard_normal(n * n)
    assert GMRES().solve(A, b, M=M).converged


def test_oscillating_differences_are_refused():
    A, _ = wind(18, 1e4, "centred")
    with pytest.raises(StructureError, match="of diffusion and upwinded convection"):
        GeometricMultigrid()(A)


def absorbing(n, k, beta=0.5, dtype=complex):
    """−Δ − (1 − iβ)k² on the unit square with Dirichlet walls half a cell away, times h²."""
    d = np.full((n, n), 4.0 - (1.0 - 1j * beta) * (k / n) ** 2, dtype=dtype)
    for end in (0, -1):
        d[end] += 1.0
        d[:, end] += 1.0
    return Stencil.from_faces(d, (-np.ones((n - 1, n)), -np.ones((n, n - 1))))


@pytest.mark.parametrize("cycle", ["V", "W", "F"])
def test_complex_symmetric_systems(cycle, rng):
    A = absorbing(12, 6.0)
    M = GeometricMultigrid("jacobi", cycle=cycle)(A)
    assert M.props == (Props.NONE if cycle == "F" else Props.SYMMETRIC)
    check_operator(M).check()
    check_operator(GeometricMultigrid("jacobi", precision="single", cycle=cycle)(A), rtol=1e-4).check()


def test_complex_numbers_give_the_real_hierarchy_where_they_are_real(rng):
    A = Stencil.from_transmissibilities((np.ones((8, 9)), np.ones((7, 10))), shift=0.1)
    twin = Stencil(A.coefficients.astype(complex), A.offsets, mirrored=True)
    x = rng.standard_normal(63)
    for smoother in ("red_black", "lines", "chebyshev"):
        recipe = GeometricMultigrid(smoother)
        np.testing.assert_allclose(recipe(twin) @ x, recipe(A) @ x, atol=1e-9)


def test_shifted_laplacian_takes_the_recipe():
    """Jacobi with complex damping amplifies nothing; more iterations than with exact inverses, which cost more."""
    for k, n in ((10.0, 32), (20.0, 64)):
        A = absorbing(n, k)
        rate = GeometricMultigrid("jacobi", cycle="W")(A).measured_rate(0, 20)
        assert rate < 0.9
    family = Helmholtz2D(resolution=48, wavenumber=20.0)
    A, b = family.assemble(family.draw(np.random.default_rng(0)))
    inner = GeometricMultigrid("jacobi", cycle="F", sweeps=2)
    result = GMRES(restart=150, maxiter=150).solve(A, b, M=ShiftedLaplacian(inner=inner))
    assert result.converged and result.iterations < GMRES(restart=300, maxiter=300).solve(A, b).iterations


def test_a_complex_diagonal_that_vanishes_is_refused():
    with pytest.raises(ValueError, match="does not vanish, but 1 of the entries"):
        GeometricMultigrid()(Sparse(np.array([[0.0, -1.0], [-1.0, 2.0 + 1j]]), grid=(2,)))
