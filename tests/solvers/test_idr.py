"""IDR(s): dense reference, the dimension theorem, equivalence with BiCGStab, safeguards, breakdown, columns."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Dense, Function, Props, StructureError
from resolvent.solvers import GMRES, IDR, ILU, SSOR, BiCGStab, Jacobi, Status

from .conformance import convection, poisson, relative_residual

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")


def shadows(s, n):
    """The rows that IDR(s, rng=0) draws for a real system, orthonormalised in the order they are drawn."""
    rng = np.random.default_rng([0, 0])
    return np.linalg.qr(np.stack([rng.standard_normal(n) for _ in range(s)], axis=1))[0].T


def textbook(A, M, b, P, steps):
    """The bi-orthogonal algorithm, one vector after the other; the sign of a row of P does not matter."""
    s, n = P.shape
    x, r, omega = np.zeros(n), b.copy(), 1.0
    G, U, pivots = np.zeros((s, n)), np.zeros((s, n)), np.eye(s)
    iterates = []
    while len(iterates) < steps:
        f = P @ r
        for k in range(s):
            c = np.linalg.solve(pivots[k:, k:], f[k:])
            U[k] = omega * (M @ (r - c @ G[k:])) + c @ U[k:]
            G[k] = A @ U[k]
            for i in range(k):
                a = P[i] @ G[k] / pivots[i, i]
                G[k], U[k] = G[k] - a * G[i], U[k] - a * U[i]
            pivots[k:, k] = P[k:] @ G[k]
            beta = f[k] / pivots[k, k]
            x, r = x + beta * U[k], r - beta * G[k]
            f[k + 1 :] -= beta * pivots[k + 1 :, k]
            iterates.append(x)
        t = A @ (M @ r)
        cosine = abs(t @ r) / np.linalg.norm(t) / np.linalg.norm(r)
        omega = (t @ r) / (t @ t) * max(1.0, 0.7 / cosine)
        x, r = x + omega * (M @ r), r - omega * t
        iterates.append(x)
    return iterates[:steps]


@pytest.mark.parametrize("s", [1, 2, 4])
def test_textbook_recurrence(s, rng):
    n = 20
    A, M = rng.standard_normal((n, n)) + 8 * np.eye(n), np.diag(rng.uniform(0.5, 2.0, n))
    b, iterates = rng.standard_normal(n), []
    IDR(s=s, maxiter=13).solve(A, b, M=Dense(M), callback=lambda p: iterates.append(p.x[:, 0].copy()))
    for mine, x in zip(iterates, textbook(A, M, b, shadows(s, n), 13), strict=True):
        assert np.allclose(mine, x, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("s", [1, 2, 4, 8])
@pytest.mark.parametrize("dtype", [float, complex])
def test_ends_after_n_plus_n_over_s_products(s, dtype, rng):
    """Generically; full GMRES needs n."""
    n = 24
    A = np.diag(np.linspace(1.0, 3.0, n)) + 0.3 * rng.standard_normal((n, n))
    if dtype is complex:
        A = A + 0.3j * rng.standard_normal((n, n))
    b = rng.standard_normal(n).astype(dtype)
    result = IDR(s=s, rtol=1e-7).solve(A, b)
    full = GMRES(rtol=1e-7, restart=n).solve(A, b)
    assert result.converged and full.iterations <= result.iterations <= n + -(-n // s)


def test_more_shadow_vectors_come_closer_to_gmres(rng):
    A, b = convection(32, 0.9), rng.standard_normal(1024)
    full = GMRES(restart=1024).solve(A, b).iterations
    counts = [IDR(s=s).solve(A, b).iterations for s in (1, 4, 8)]
    assert full <= min(counts) and counts[2] < counts[0] and counts[1] < 1.5 * full


def test_one_shadow_vector_takes_about_the_products_of_bicgstab(rng):
    for A in (convection(20), convection(32, 0.9)):
        b = rng.standard_normal(A.shape[0])
        idr, stab = IDR(s=1).solve(A, b).counts.matvec, BiCGStab().solve(A, b).counts.matvec
        assert 0.75 < idr / stab < 1.3


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR(1.2), ILU()])
@pytest.mark.parametrize("dtype", [float, complex])
def test_nonsymmetric_systems(recipe, dtype, rng):
    A = convection(20) + (0.3j * sp.eye_array(400) if dtype is complex else 0.0 * sp.eye_array(400))
    b = rng.standard_normal(400)
    result = IDR().solve(sp.csr_array(A), b, M=recipe)
    assert result.converged and relative_residual(A, result.x, b) <= 1e-8


def test_strong_convection_does_not_make_omega_vanish(rng):
    """A nearly skew matrix: without the safeguard the local minimiser ω is nearly zero and the spaces collapse."""
    n = 60
    A = sp.diags_array([-np.ones(n - 1), 0.05 * np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1], format="csr")
    b = rng.standard_normal(n)
    assert IDR(maxiter=400).solve(A, b).converged
    assert not BiCGStab(maxiter=200).solve(A, b).converged


def test_one_product_an_iteration(rng):
    A, b = convection(16), rng.standard_normal(256)
    result = IDR().solve(A, b, M=Jacobi())
    assert result.counts.matvec == result.iterations + 2
    assert result.counts.preconditioner == result.iterations


def test_the_seed_decides(rng):
    A, b = convection(16), rng.standard_normal(256)
    first, same, other = IDR().solve(A, b), IDR().solve(A, b), IDR(rng=1).solve(A, b)
    assert np.array_equal(first.x, same.x) and not np.array_equal(first.x, other.x)
    assert other.converged


def test_columns_that_begin_again_leave_the_others_alone(rng):
    """A nilpotent block loses its pivots; the other column goes on as alone."""
    A = sp.block_diag([convection(8), np.diag(np.ones(5), 1)], format="csr")
    B = np.zeros((70, 2))
    B[:64, 0] = rng.standard_normal(64)
    B[65:, 1] = 1.0
    result = IDR().solve(A, B)
    assert result.columns[0].status is Status.CONVERGED
    alone = IDR().solve(A, B[:, 0].copy())
    assert abs(result.columns[0].iterations - alone.iterations) <= 6
    assert np.isfinite(result.x).all()


def test_a_vanishing_pivot_breaks_down_or_finds_a_new_shadow_space():
    A = np.diag(np.ones(3), 1)  # nilpotent, b outside of the range
    result = IDR().solve(A, np.array([0.0, 0.0, 0.0, 1.0]))
    assert result.status in (Status.BREAKDOWN, Status.STAGNATED)
    assert np.isfinite(result.x).all() and result.residual_norm <= 1.0


def test_fewer_unknowns_than_shadow_vectors():
    result = IDR(s=4).solve(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([1.0, 1.0]))
    assert result.converged and result.iterations <= 3


def test_torch_storage_and_columns(rng):
    torch = pytest.importorskip("torch")
    from resolvent.operators import Sparse

    A, B = convection(12), rng.standard_normal((144, 2))
    on_torch = IDR().solve(Sparse(A).to_torch(), torch.as_tensor(B))
    plain = IDR().solve(A, B)
    assert on_torch.converged and abs(on_torch.iterations - plain.iterations) <= 2
    assert np.allclose(on_torch.x.numpy(), plain.x, atol=1e-6)


def test_refusals():
    A = poisson(4)
    with pytest.raises(StructureError, match="use FGMRES"):
        IDR().prepare(A, Function(A.shape, lambda r: r, props=Props.VARIABLE))
    for wrong in ({"s": 0}, {"s": 2.5}, {"s": True}, {"rng": -1}):
        with pytest.raises(ValueError, match="must be a whole number"):
            IDR(**wrong)
