"""Young's formulas against dense eigenvalues, and bounds against counts."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize_scalar

from resolvent.operators import SPD, Dense, Function, Props, Sparse, Stencil, StructureError
from resolvent.solvers import CG, SOR, SSOR
from resolvent.solvers.preconditioners.spectral_bounds import extreme_eigenvalues
from resolvent.solvers.relaxation import sweep_counts
from resolvent.solvers.tuning import (
    is_consistently_ordered,
    jacobi_radius,
    optimal_omega,
    shifted_radius,
    sor_radius,
    sor_surrogate,
    ssor_cg_constants,
    ssor_cg_surrogate,
    young_omega,
)

from ..conformance import diffusion, poisson, second_difference, spd

SHIFTS = (-0.15, -0.1, 0.0, 0.1, 0.45)
OMEGAS = 1.0 + 0.05 * np.arange(20)
BETA = float(np.cos(np.pi / 11))  # of the 5-point Laplacian on 10 × 10 points


def dense_radius(A, omega):
    """ρ(I − A M⁻¹) with M = D/ω + L."""
    M = np.diag(np.diag(A)) / omega + np.tril(A, -1)
    return float(np.abs(np.linalg.eigvals(np.eye(len(A)) - np.linalg.solve(M.T, A.T).T)).max())


@pytest.mark.parametrize("c", SHIFTS)
def test_the_optimal_factor_minimises_the_dense_radius(c):
    A = poisson(10).toarray() + c * np.eye(100)
    found = optimal_omega(poisson(10), c, rng=0)
    grid = np.linspace(1.0, 1.99, 34)
    best = grid[np.argmin([dense_radius(A, omega) for omega in grid])]
    lowest = minimize_scalar(
        lambda omega: dense_radius(A, omega),
        bounds=(best - 0.03, best + 0.03),
        options={"xatol": 1e-5},
        method="bounded",
    )
    assert abs(found - lowest.x) < 1e-3
    assert abs(found - young_omega(shifted_radius(BETA, 4.0, c))) < 1e-5


@pytest.mark.parametrize("c", SHIFTS)
def test_the_radius_is_that_of_the_dense_matrix(c):
    A = poisson(10).toarray() + c * np.eye(100)
    beta = shifted_radius(BETA, 4.0, c)
    for omega in OMEGAS:
        assert abs(sor_radius(omega, beta) - dense_radius(A, omega)) < 1e-6
    optimum = young_omega(beta)
    assert abs(sor_radius(optimum, beta) - dense_radius(A, optimum)) < 1e-4  # a defective eigenvalue
    assert np.array_equal(sor_radius(OMEGAS, beta), [sor_radius(omega, beta) for omega in OMEGAS])


@pytest.mark.parametrize("m", [1, 2, 3, 30, 120])
def test_one_estimate_gives_the_radius_of_grids(m):
    beta, exact = jacobi_radius(spd(poisson(m)), rng=1), np.cos(np.pi / (m + 1))
    assert 0.0 <= exact - beta + 1e-14 <= 2e-4 * (1.0 - exact) + 2e-14


def test_an_estimate_takes_no_more_products_than_a_solution():
    A = spd(poisson(60))
    _, _, products = extreme_eigenvalues(A, np.random.default_rng(0), rtol=1e-4)
    assert products < 1.5 * CG().solve(A, np.random.default_rng(0).standard_normal(3600)).iterations


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_other_precisions_and_scalings(dtype):
    """D^(−1/2) A D^(−1/2) does not mind how rows are scaled, nor phases."""
    n = 100
    d = np.geomspace(1.0, 1e3, n).astype(dtype)
    if np.dtype(dtype).kind == "c":
        d = d * np.exp(1j * np.arange(n))
    A = Sparse(sp.csr_array(sp.diags_array(d) @ poisson(10) @ sp.diags_array(d.conj()), dtype=dtype), props=SPD)
    assert abs(jacobi_radius(A, rng=0) - BETA) < 1e-5
    assert abs(optimal_omega(A, rng=0) - young_omega(BETA)) < 1e-4


def test_matrices_that_do_not_dominate_have_their_radius_on_the_other_side(rng):
    """β is the larger of 1 − λmin and λmax − 1."""
    X = rng.standard_normal((30, 60))
    A = X @ X.T
    d = 1.0 / np.sqrt(np.diag(A))
    values = np.linalg.eigvalsh(d[:, None] * A * d)
    assert values[-1] - 1.0 > 1.0 - values[0]
    assert abs(jacobi_radius(Dense(A, props=SPD), rng=0, rtol=1e-8) - (values[-1] - 1.0)) < 1e-7


def test_seeds_decide_alone():
    A = spd(diffusion(12))
    assert jacobi_radius(A, rng=3) == jacobi_radius(A, rng=np.random.default_rng(3))
    assert abs(jacobi_radius(A, rng=3) - jacobi_radius(A, rng=4)) < 1e-4


def test_which_matrices_are_consistently_ordered():
    ring = np.eye(6) * 3.0 - np.roll(np.eye(6), 1, axis=0) - np.roll(np.eye(6), 1, axis=1)
    red_black = np.argsort(np.indices((5, 5)).sum(axis=0).ravel() % 2, kind="stable")
    shuffled = np.random.default_rng(0).permutation(25)
    P = poisson(5).toarray()
    assert is_consistently_ordered(second_difference(7)) and is_consistently_ordered(P)
    assert is_consistently_ordered(P[np.ix_(red_black, red_black)])
    assert not is_consistently_ordered(P[np.ix_(shuffled, shuffled)])
    assert not is_consistently_ordered(ring)  # two colours would do, but not in this order
    assert is_consistently_ordered(ring[np.ix_([0, 2, 4, 1, 3, 5], [0, 2, 4, 1, 3, 5])])
    assert not is_consistently_ordered(np.ones((3, 3)))
    assert is_consistently_ordered(np.diag([1.0, 2.0])) and is_consistently_ordered(sp.csr_array((0, 0)))
    faces = [np.ones([4 + (a == axis) for a in range(3)]) for axis in range(3)]
    assert is_consistently_ordered(Stencil.from_transmissibilities(faces))


def test_a_consistent_order_is_what_makes_the_formula_true():
    """The shuffled Laplacian has another radius, which the check sees and the formula does not."""
    shuffled = np.random.default_rng(0).permutation(100)
    A = poisson(10).toarray()[np.ix_(shuffled, shuffled)]
    with pytest.raises(StructureError, match="not consistently ordered"):
        optimal_omega(A, rng=0)
    omega = optimal_omega(A, rng=0, check=False)
    assert abs(omega - young_omega(BETA)) < 1e-5
    assert abs(dense_radius(A, omega) - sor_radius(omega, BETA)) > 1e-3


def test_many_shifts_come_from_one_estimate():
    many = optimal_omega(poisson(10), np.array(SHIFTS), rng=0)
    assert many.shape == (5,) and np.allclose(many, [optimal_omega(poisson(10), c, rng=0) for c in SHIFTS])
    assert isinstance(optimal_omega(poisson(10), rng=0), float)


def test_what_the_formulas_refuse():
    with pytest.raises(ValueError, match=r"beta = .* must lie in \[0, 1\), got 1\.0"):
        young_omega(1.0)
    with pytest.raises(ValueError, match="omega must lie between 0 and 2"):
        sor_radius([1.0, 2.0], 0.5)
    with pytest.raises(StructureError, match="shifts need a constant diagonal"):
        optimal_omega(diffusion(5), 0.1, rng=0)
    with pytest.raises(ValueError, match="not positive definite for all shifts"):
        optimal_omega(poisson(10), [0.0, -0.2], rng=0)
    with pytest.raises(StructureError, match="positive diagonal"):
        jacobi_radius(-poisson(3), rng=0)
    with pytest.raises(StructureError, match="complex symmetric"):
        jacobi_radius(Sparse(poisson(3) * (1 + 1j), props=Props.SYMMETRIC), rng=0)
    with pytest.raises(ValueError, match="square"):
        jacobi_radius(np.ones((2, 3)), rng=0)
    with pytest.raises(StructureError):
        is_consistently_ordered(Function((3, 3), matvec=lambda x: x))
    with pytest.raises(ValueError, match=r"tau must lie"):
        sor_surrogate(1.5, 0.9, tau=0.0, tolerance=1e-8)
    with pytest.raises(ValueError, match=r"tolerance must lie"):
        sor_surrogate(1.5, 0.9, tau=0.1, tolerance=1.0)
    with pytest.raises(ValueError, match=r"omega must lie in \[0\.8284, 2\)"):
        ssor_cg_surrogate(0.5, 10.0, 0.0, 100.0, tolerance=1e-8)


def test_the_surrogate_exceeds_the_counts_where_its_condition_holds(rng):
    """With τ measured from the norms of powers of the defect matrix, as the bound asks for."""
    A = poisson(10).toarray()
    b = rng.standard_normal(100)
    omegas = np.array([1.0, 1.3, 1.5, 1.56, 1.7, 1.9])
    counts = sweep_counts(A, b, omegas)[:, 0]
    slack = []
    for omega, k in zip(omegas, counts, strict=True):
        C = np.eye(100) - A @ np.linalg.inv(np.diag(np.diag(A)) / omega + np.tril(A, -1))
        radius = sor_radius(omega, BETA)
        norm = np.linalg.norm(np.linalg.matrix_power(C, k - 1), 2)
        slack.append((norm ** (1.0 / (k - 1)) - radius) / (1.0 - radius))
    tau = max(slack)
    assert 0.0 < tau < 0.5
    assert (sor_surrogate(omegas, BETA, tau=tau, tolerance=1e-8) >= counts).all()


def test_the_surrogate_falls_to_the_optimum_and_rises_beyond():
    omegas = np.linspace(1.0, 1.95, 96)
    values = sor_surrogate(omegas, BETA, tau=0.1, tolerance=1e-8)
    optimum = np.searchsorted(omegas, young_omega(BETA))
    assert (np.diff(values[:optimum]) < 0).all() and (np.diff(values[optimum:]) > 0).all()


@pytest.mark.parametrize("m", [1, 8])
def test_constants_of_the_cg_surrogate_against_dense_ones(m):
    A = (poisson(m) + 0.1 * sp.diags_array(np.arange(float(m * m)))).toarray()
    D, L, inverse = np.diag(np.diag(A)), np.tril(A, -1), np.linalg.inv(A)
    dense = (
        np.linalg.eigvals(D @ inverse).real.max(),
        np.linalg.eigvals((L @ np.linalg.inv(D) @ L.T - D / 4) @ inverse).real.max(),
        np.linalg.cond(A),
    )
    assert np.allclose(ssor_cg_constants(A, rng=0), dense, rtol=1e-8, atol=1e-10)


def test_the_cg_surrogate_bounds_the_counts_of_cg(rng):
    A, b = spd(poisson(12)), rng.standard_normal(144)
    mu, nu, condition = ssor_cg_constants(A, rng=0)
    omegas = np.linspace(0.9, 1.9, 11)
    bounds = ssor_cg_surrogate(omegas, mu, nu, condition, tolerance=1e-8)
    counts = [CG().solve(A, b, M=SSOR(omega)).iterations for omega in omegas]
    assert (bounds >= counts).all()
    # Its minimum is no bad choice.
    assert counts[int(np.argmin(bounds))] <= 1.25 * min(counts)


def test_the_optimal_factor_pays(rng):
    A, b = spd(poisson(24)), rng.standard_normal(576)
    plain, tuned = (SOR(w, maxiter=10_000).solve(A, b).iterations for w in (1.0, optimal_omega(A, rng=0)))
    assert tuned < plain / 10
