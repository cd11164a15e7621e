"""Deflated CG: equal to CG on the deflated operator, a space for the next system, honest ends."""

import numpy as np
import pytest

from resolvent.datasets.families.coefficients import coefficient_law
from resolvent.datasets.families.darcy import Darcy2D
from resolvent.operators import SPD, Dense, Diagonal, Function, Props, Sparse, StructureError
from resolvent.solvers import CG, SSOR, DeflatedCG, Jacobi, RecycleSpace, Status

from ..conformance import diffusion, poisson, relative_residual


def spectrum(d, seed=0):
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(d), len(d))))[0]
    return (Q * d) @ Q.T, Q


def test_without_a_space_it_is_cg():
    A, b = Sparse(diffusion(20), props=SPD), np.ones(400)
    plain, deflated = CG().solve(A, b, M=Jacobi()), DeflatedCG().solve(A, b, M=Jacobi())
    assert abs(plain.iterations - deflated.iterations) <= 1
    m = min(plain.iterations, 30)
    assert np.allclose(plain.history[:m], deflated.history[:m], rtol=1e-6)


def test_iterates_equal_the_dense_reference():
    """Saad et al.: x₀ + U E⁻¹Uᴴr₀, then CG with directions made A-orthogonal to U."""
    A, _ = spectrum(np.geomspace(1e-2, 1.0, 40))
    rng = np.random.default_rng(1)
    U, b = rng.standard_normal((40, 4)), rng.standard_normal(40)
    E = U.T @ A @ U
    x = U @ np.linalg.solve(E, U.T @ b)
    r = b - A @ x
    project = np.eye(40) - U @ np.linalg.solve(E, (A @ U).T)
    p, steps = project @ r, 8
    for _ in range(steps):
        alpha = (r @ r) / (p @ A @ p)
        x, new = x + alpha * p, r - alpha * (A @ p)
        p, r = project @ (new + (new @ new) / (r @ r) * p), new
    result = DeflatedCG(k=4, maxiter=steps, rtol=1e-14).solve(Dense(A, props=SPD), b, space=RecycleSpace(U))
    assert np.linalg.norm(result.x - x) <= 1e-10 * np.linalg.norm(x)
    assert result.counts.setup == 4


def test_an_exact_eigenspace_is_taken_out():
    A, Q = spectrum(np.r_[np.geomspace(1e-6, 1e-4, 8), np.linspace(1.0, 2.0, 92)])
    A = Dense(A, props=SPD)
    result = DeflatedCG(k=8).solve(A, np.ones(100), space=RecycleSpace(Q[:, :8])).check()
    assert result.iterations <= 20
    assert CG().solve(A, np.ones(100)).iterations >= 28


@pytest.mark.parametrize("angle", [0.1, 0.02])
def test_the_specified_gain_on_a_path(angle):
    """exp(g) with g of unit variance on an autoregressive path, 64² here: at most 0.7 of the products of CG."""
    n, rng = 64, np.random.default_rng(0)
    family, field = Darcy2D(resolution=n), coefficient_law("fno_lognormal", 2).field
    draws = [field.sample(rng, n, "cell") for _ in range(5)]
    size = np.std(np.stack(draws))
    g, space, deflated, plain = draws[0] / size, None, 0, 0
    for t, draw in enumerate(draws):
        g = g if t == 0 else np.cos(angle) * g + np.sin(angle) * draw / size
        A, b = family.assemble({"a": np.exp(g)})
        result = DeflatedCG(k=16).solve(A, b, M=Jacobi(), space=space).check()
        space = result.space
        if t:
            deflated += result.counts.products
            plain += CG().solve(A, b, M=Jacobi()).check().counts.products
    assert deflated <= 0.7 * plain


def test_staleness_is_noticed_and_the_same_matrix_costs_nothing():
    A, b = Sparse(diffusion(20), props=SPD), np.ones(400)
    space = DeflatedCG(k=8).solve(A, b).check().space
    again = DeflatedCG(k=8).solve(A, np.arange(400.0), space=space).check()
    assert again.counts.setup == 0
    A.update(data=1.5 * A.matrix.data)
    result = DeflatedCG(k=8).solve(A, b, space=space).check()
    assert result.counts.setup == space.k
    assert relative_residual(A, result.x, b) <= 1e-8


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR()], ids=["none", "Jacobi", "SSOR"])
def test_any_space_gives_the_right_answer(recipe, rng):
    A, b = Sparse(poisson(16), props=SPD), rng.standard_normal(256)
    U = rng.standard_normal((256, 9))
    U[:, 5], U[:, 7] = U[:, 0], 0.0
    result = DeflatedCG(k=6).solve(A, b, M=recipe, space=RecycleSpace(U)).check()
    assert result.extra["recycled"] == 7
    assert relative_residual(A, result.x, b) <= 1e-8


@pytest.mark.parametrize("dtype", [np.complex128, np.float32])
def test_other_dtypes(dtype, rng):
    A, _ = spectrum(np.geomspace(1e-2, 1.0, 60))
    if np.dtype(dtype).kind == "c":
        phase = np.exp(1j * rng.uniform(0.0, 6.0, 60))
        A = phase[:, None] * A * phase.conj()[None, :]
        A = 0.5 * (A + A.conj().T)
    solver = DeflatedCG(k=5, rtol=1e-4 if dtype == np.float32 else 1e-8)
    A, b = Dense(A.astype(dtype), props=SPD), rng.standard_normal(60).astype(dtype)
    first = solver.solve(A, b).check()
    second = solver.solve(A, b[::-1].copy(), space=first.space).check()
    assert second.iterations <= first.iterations


def test_hard_cases():
    neumann = Diagonal(np.r_[0.0, np.linspace(1.0, 3.0, 49)])
    consistent = np.r_[0.0, np.ones(49)]
    assert DeflatedCG(k=3).solve(neumann, consistent).converged
    assert not DeflatedCG(k=3).solve(neumann, np.ones(50)).converged
    # A null vector of A in the space is left out.
    space = RecycleSpace(np.eye(50)[:, :3])
    assert DeflatedCG(k=3).solve(neumann, consistent, space=space).converged
    indefinite = np.diag(np.r_[-1.0, np.linspace(1.0, 3.0, 49)])
    assert DeflatedCG(k=3).solve(indefinite, np.ones(50)).status is Status.INDEFINITE
    assert not DeflatedCG(k=3).solve(indefinite, np.ones(50), space=space).converged
    M = Function((50, 50), lambda r: r, props=Props.VARIABLE)
    with pytest.raises(StructureError, match="VARIABLE"):
        DeflatedCG().solve(neumann, consistent, M=M)


@pytest.mark.parametrize("options", [{"k": 0}, {"k": 1.5}, {"ell": 0}])
def test_bad_options(options):
    with pytest.raises(ValueError, match="must"):
        DeflatedCG(**options)
