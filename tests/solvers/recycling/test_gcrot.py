"""GCROT(m, k): scipy's iteration, pairs from one system to the next, staleness, any space."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla

from resolvent.operators import Diagonal, Function, Props, Sparse
from resolvent.solvers import GCROT, GMRES, RecycleSpace, Status

from ..conformance import convection, diffusion, poisson, relative_residual


@pytest.mark.parametrize("truncate", ["oldest", "smallest"])
@pytest.mark.parametrize("make", [convection, diffusion])
def test_products_and_outer_residuals_are_scipys(make, truncate):
    A, b = make(16), np.linspace(1.0, 2.0, 256)
    outer = []
    x, info = spla.gcrotmk(A, b, rtol=1e-8, m=10, k=5, truncate=truncate, callback=lambda x: outer.append(x.copy()))
    assert info == 0
    result = GCROT(m=10, k=5, truncate=truncate).solve(A, b).check()
    assert np.linalg.norm(result.x - x) <= 1e-6 * np.linalg.norm(x)
    products = []

    def counted(v):
        products.append(1)
        return A @ v

    spla.gcrotmk(spla.LinearOperator(A.shape, counted, dtype=float), b, rtol=1e-8, m=10, k=5, truncate=truncate)
    # Ours recomputes the residual at each restart, and so does scipy's.
    assert abs(result.counts.matvec - len(products)) <= 2 + len(products) // 10


def test_the_same_system_again_takes_a_handful_of_products():
    A, b = Sparse(convection(20)), np.ones(400)
    solver = GCROT(m=20, k=10)
    first = solver.solve(A, b).check()
    again = solver.solve(A, b, space=first.space).check()
    assert again.counts.setup == 0
    assert again.counts.products <= 10 + 2
    assert solver.solve(A, b, first.x, space=first.space).counts.products <= 2


def test_a_stale_space_is_noticed():
    A, b = Sparse(convection(20)), np.ones(400)
    solver = GCROT(m=20, k=10)
    space = solver.solve(A, b).space
    A.update(data=1.3 * A.matrix.data)
    result = solver.solve(A, b, space=space).check()
    assert result.counts.setup == space.k
    assert relative_residual(A, result.x, b) <= 1e-8
    matrix = convection(20)
    prepared = solver.prepare(matrix)
    space = prepared.solve(b).space
    matrix.data[:] *= 0.7
    assert relative_residual(matrix, prepared.solve(b, space=space).check().x, b) <= 1e-8


def test_pairs_hold_after_twenty_systems(rng):
    A, space = Sparse(convection(16, 0.3)), None
    for _ in range(20):
        A.update(data=A.matrix.data * (1.0 + 1e-3 * rng.standard_normal(A.nnz)))
        space = GCROT(m=15, k=6).solve(A, rng.standard_normal(256), space=space).check().space
        assert np.linalg.norm(A @ space.U - space.C) <= 1e-10 * np.linalg.norm(space.C)
        assert np.linalg.norm(space.C.T @ space.C - np.eye(space.k)) <= 1e-10


def test_recycling_saves_products_on_a_path():
    solver, space, recycled, cold = GCROT(m=15, k=8), None, 0, 0
    for t in range(5):
        A, b = diffusion(20, 100.0 + t), np.ones(400)
        result = solver.solve(A, b, space=space).check()
        space = result.space
        if t:
            recycled += result.counts.products
            cold += solver.solve(A, b).check().counts.products
    assert recycled <= 0.8 * cold


def test_any_space_and_a_varying_preconditioner(rng):
    A, b = convection(16), rng.standard_normal(256)
    U = rng.standard_normal((256, 6))
    U[:, 4] = U[:, 2]
    assert GCROT(m=10, k=5).solve(A, b, space=RecycleSpace(U)).converged
    inner = GMRES(rtol=0.1).prepare(A)
    M = Function(A.shape, lambda r: inner.solve(r).x, props=Props.VARIABLE)
    first = GCROT(m=8, k=4).solve(A, b, M=M).check()
    second = GCROT(m=8, k=4).solve(A, b[::-1].copy(), M=M, space=first.space).check()
    assert second.counts.setup == 0


@pytest.mark.parametrize("dtype", [np.complex128, np.float32, np.complex64])
def test_other_dtypes(dtype):
    A = Sparse(convection(16).astype(dtype))
    b = np.linspace(1.0, 2.0, 256).astype(dtype)
    rtol = 1e-4 if np.dtype(dtype).char in "fF" else 1e-8
    result = GCROT(m=12, k=4, rtol=rtol).solve(A, b).check()
    assert result.space.U.dtype == dtype


def test_singular_systems():
    A = Diagonal(np.r_[np.zeros(2), np.linspace(1.0, 3.0, 48)])
    assert GCROT(m=10, k=4).solve(A, np.r_[np.zeros(2), np.ones(48)]).converged
    assert GCROT(m=10, k=4).solve(A, np.ones(50)).status in (Status.STAGNATED, Status.BREAKDOWN)


def test_discarded_images_are_formed_anew():
    A, b = Sparse(poisson(16)), np.ones(256)
    solver = GCROT(m=12, k=5, discard_C=True)
    space = solver.solve(A, b).check().space
    assert solver.solve(A, np.arange(256.0), space=space).check().counts.setup == space.k


@pytest.mark.parametrize("options", [{"m": 0}, {"k": 0}, {"truncate": "newest"}, {"m": 2.5}])
def test_bad_options(options):
    with pytest.raises(ValueError, match="must"):
        GCROT(**options)
