"""GCRO-DR: equal to a plain dense reference, invariants, both sides, pairs, ranks, staleness."""

import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sp

from resolvent.operators import Dense, Diagonal, Function, Props, Sparse, StructureError
from resolvent.solvers import AMG, GCRODR, GMRES, ILU, Jacobi, RecycleSpace, Status
from resolvent.solvers.recycling.harmonic import select

from ..conformance import convection, diffusion, poisson, relative_residual


def reference_cycles(A, M, b, m, k, cycles, U=None, T=None):
    """GCRO-DR with right preconditioning as published, in dense arithmetic; return x, U, C after each cycle."""
    n = len(b)
    x, found = np.zeros(n, dtype=A.dtype), []
    C = None
    if U is not None:
        C, R = np.linalg.qr(A @ U)
        U, T = U @ np.linalg.inv(R), T @ np.linalg.inv(R)
        r = b - A @ x
        x = x + U @ (C.conj().T @ r)
    for _ in range(cycles):
        r = b - A @ x
        if C is not None:
            r = r - C @ (C.conj().T @ r)
        p = m - (0 if C is None else C.shape[1])
        norm = np.linalg.norm(r)
        V, H = np.zeros((n, p + 1), dtype=A.dtype), np.zeros((p + 1, p), dtype=A.dtype)
        B = np.zeros((0 if C is None else C.shape[1], p), dtype=A.dtype)
        V[:, 0] = r / norm
        for j in range(p):
            w = A @ (M @ V[:, j])
            if C is not None:
                B[:, j] = C.conj().T @ w
                w = w - C @ B[:, j]
            for _ in range(2):
                h = V[:, : j + 1].conj().T @ w
                H[: j + 1, j] += h
                w = w - V[:, : j + 1] @ h
            H[j + 1, j] = np.linalg.norm(w)
            V[:, j + 1] = w / H[j + 1, j]
        y = np.linalg.lstsq(H, norm * np.eye(p + 1)[:, 0], rcond=None)[0]
        Z = M @ V[:, :p]
        x = x + Z @ y - (0 if C is None else U @ (B @ y))
        if C is None:
            G, W, Y, S = H, V, V[:, :p], Z
        else:
            scale = 1.0 / np.linalg.norm(U, axis=0)
            G = np.block([[np.diag(scale), B], [np.zeros((p + 1, len(scale))), H]])
            W, Y, S = np.hstack([C, V]), np.hstack([T * scale, V[:, :p]]), np.hstack([U * scale, Z])
        theta, vectors = la.eig(G.conj().T @ G, G.conj().T @ W.conj().T @ Y)
        order = np.argsort(abs(theta), kind="stable")
        if np.isrealobj(A):
            chosen, i = [], 0
            while len(chosen) < k:
                g = vectors[:, order[i]]
                if abs(theta[order[i]].imag) > 1e-12 * abs(theta[order[i]]):
                    chosen += [g.real, g.imag]
                    i += 1
                else:
                    chosen.append(g.real)
                i += 1
            P = np.stack(chosen, axis=1)
        else:
            P = vectors[:, order[:k]]
        Q, R = np.linalg.qr(G @ P)
        C, U, T = W @ Q, S @ P @ np.linalg.inv(R), Y @ P @ np.linalg.inv(R)
        found.append((x.copy(), U, C, T))
    return found


def systems(dtype=float):
    rng = np.random.default_rng(4)
    n = 60
    A = np.diag(np.geomspace(1e-3, 1.0, n)) + 0.02 * rng.standard_normal((n, n)) / np.sqrt(n)
    if np.dtype(dtype).kind == "c":
        A = A * np.exp(0.2j * rng.standard_normal((n, 1)))
    change = 1e-3 * rng.standard_normal((n, n)) / np.sqrt(n)
    M = np.diag(1.0 / (0.5 + rng.random(n)))
    return A.astype(dtype), (A + change).astype(dtype), M.astype(dtype), rng.standard_normal(n).astype(dtype)


def span_difference(X, Y):
    """Sine of the largest angle between two spaces of the same dimension."""
    X, Y = np.linalg.qr(X)[0], np.linalg.qr(Y)[0]
    return np.linalg.norm(X - Y @ (Y.conj().T @ X), 2)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_cycles_equal_the_dense_reference(dtype, preconditioned):
    A, changed, M, b = systems(dtype)
    m, k, cycles = 12, 4, 3
    matrix = M if preconditioned else np.eye(len(b))
    expected = reference_cycles(A, matrix, b, m, k, cycles)
    dimension = [u.shape[1] for _, u, _, _ in expected]
    iterations = m + sum(m - d for d in dimension[: cycles - 1])
    solver = GCRODR(restart=m, k=k, maxiter=iterations, rtol=1e-14)
    M_given = Dense(M) if preconditioned else None
    first = solver.solve(A, b, M=M_given)
    x, U, C, T = expected[-1]
    assert first.iterations == iterations
    assert np.linalg.norm(first.x - x) <= 1e-10 * np.linalg.norm(x)
    assert first.space.k == U.shape[1]
    assert span_difference(first.space.C, C) <= 1e-9
    # And the next system, which starts from that space.
    expected = reference_cycles(changed, matrix, b, m, k, 1, U, T)
    second = GCRODR(restart=m, k=k, maxiter=m - U.shape[1], rtol=1e-14).solve(changed, b, M=M_given, space=first.space)
    x = expected[-1][0]
    assert np.linalg.norm(second.x - x) <= 1e-10 * np.linalg.norm(x)
    assert second.counts.setup == U.shape[1]


@pytest.mark.parametrize("side", ["right", "flexible", "left"])
@pytest.mark.parametrize("recipe", [None, Jacobi(), ILU(drop_tol=0.1)], ids=["none", "Jacobi", "ILU"])
def test_invariants_hold_after_twenty_systems(side, recipe):
    rng = np.random.default_rng(0)
    n, space = 16, None
    A = Sparse(convection(n, 0.3))
    solver = GCRODR(restart=20, k=6, side=side)
    for _ in range(20):
        A.update(data=A.matrix.data * (1.0 + 1e-3 * rng.standard_normal(A.nnz)))
        b = rng.standard_normal(n * n)
        prepared = solver.prepare(A, recipe)
        result = prepared.solve(b, space=space).check()
        space = result.space
        assert relative_residual(A, result.x, b) <= 1e-8
        images = A @ space.U if side != "left" or recipe is None else prepared.M @ (A @ space.U)
        assert np.linalg.norm(images - space.C) <= 1e-10 * np.linalg.norm(space.C)
        assert np.linalg.norm(space.C.T @ space.C - np.eye(space.k)) <= 1e-10
        if side == "right" and recipe is not None:
            assert np.linalg.norm(prepared.M @ space.T - space.U) <= 1e-10 * np.linalg.norm(space.U)


@pytest.mark.parametrize("side", ["right", "flexible", "left"])
def test_recycling_saves_products_on_a_smooth_path(side):
    b = np.ones(24 * 24)
    solver, recipe = GCRODR(restart=24, k=8, side=side), Jacobi()
    space, recycled, cold = None, 0, 0
    for t in range(6):
        A = diffusion(24, 100.0 + t)
        result = solver.solve(A, b, M=recipe, space=space).check()
        space = result.space
        if t:
            recycled += result.counts.products
            cold += solver.solve(A, b, M=recipe).check().counts.products
    assert recycled <= 0.8 * cold


def test_cold_it_deflates_where_restarted_gmres_stagnates():
    A, b = poisson(40), np.ones(1600)
    cold = GCRODR(restart=20, k=10).solve(A, b).check()
    restarted = GMRES(restart=20, maxiter=4 * cold.iterations).solve(A, b)
    assert restarted.iterations >= 2.5 * cold.iterations


def test_same_matrix_again_costs_no_set_up():
    A, b = Sparse(convection(20)), np.ones(400)
    solver = GCRODR(restart=20, k=8)
    first = solver.solve(A, b).check()
    again = solver.solve(A, b[::-1].copy(), space=first.space).check()
    assert again.counts.setup == 0
    assert "drift" not in again.extra
    warm = solver.solve(A, b, first.x, space=first.space)
    assert warm.counts.products <= 2
    # A matrix of another library is compared by its entries.
    matrix = convection(20)
    first = solver.solve(matrix, b)
    assert solver.solve(matrix.copy(), b, space=first.space).counts.setup == 0


def stale_by_update(A, M):
    A.update(data=1.5 * A.matrix.data)
    return A, M


def stale_by_new_operator(A, M):
    return Sparse(1.5 * A.matrix), M


def stale_by_new_M(A, M):
    return A, Diagonal(M.diagonal() ** 2)


@pytest.mark.parametrize("change", [stale_by_update, stale_by_new_operator, stale_by_new_M])
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_stale_space_is_noticed(change, side):
    b = np.linspace(0.0, 1.0, 400)
    A, M = Sparse(convection(20)), Diagonal(np.linspace(0.2, 0.3, 400))
    solver = GCRODR(restart=20, k=8, side=side)
    space = solver.solve(A, b, M=M).check().space
    A, M = change(A, M)
    result = solver.solve(A, b, M=M, space=space).check()
    assert relative_residual(A, result.x, b) <= 1e-8
    assert result.counts.setup == space.k


def test_an_edit_of_a_scipy_matrix_in_place_is_noticed():
    matrix, b = convection(20), np.ones(400)
    solver = GCRODR(restart=20, k=8)
    prepared = solver.prepare(matrix)
    space = prepared.solve(b).space
    matrix.data[:] *= 1.25
    for result in (prepared.solve(b, space=space), solver.solve(matrix, b, space=space)):
        assert result.converged
        assert result.counts.setup == space.k
        assert relative_residual(matrix, result.x, b) <= 1e-8


@pytest.mark.parametrize("seed", range(3))
def test_any_space_gives_the_right_answer(seed):
    rng = np.random.default_rng(seed)
    A, b = convection(20), rng.standard_normal(400)
    U = rng.standard_normal((400, 7))
    U[:, 3] = U[:, 1]  # dependent
    U[:, 5] = 0.0
    result = GCRODR(restart=15, k=5).solve(A, b, space=RecycleSpace(U)).check()
    assert result.extra["recycled"] == 5
    assert relative_residual(A, result.x, b) <= 1e-8
    U[7, 2] = np.nan
    result = GCRODR(restart=15, k=5).solve(A, b, space=RecycleSpace(U)).check()
    assert result.extra["recycled"] == 4


def test_an_exact_eigenspace_is_deflated():
    d = np.concatenate([np.geomspace(1e-6, 1e-4, 6), np.linspace(1.0, 2.0, 194)])
    b = np.ones(200)
    space = RecycleSpace(np.eye(200)[:, :6])
    result = GCRODR(restart=30, k=6).solve(Diagonal(d), b, space=space).check()
    assert result.iterations <= 20
    assert GCRODR(restart=30, k=6).solve(Diagonal(d), b).iterations > 26


def rotations(sizes):
    """Blocks whose eigenvalues are conjugate pairs of the given moduli."""
    c, s = np.cos(1.0), np.sin(1.0)
    return sp.block_diag([size * np.array([[c, -s], [s, c]]) for size in sizes], format="csr")


@pytest.mark.parametrize(("room", "kept"), [(6, 6), (5, 4)])
def test_a_pair_is_kept_whole_or_not_at_all(room, kept):
    A = rotations(np.arange(1.0, 9.0)).toarray()
    G, S = np.vstack([A, np.zeros(16)]), np.vstack([np.eye(16), np.zeros(16)])
    P, Q = select(G, S, 5, room)
    assert P.shape == (16, kept)
    assert np.linalg.norm(P[kept:]) <= 1e-12  # the smallest ones
    assert np.linalg.norm(G @ P - Q) <= 1e-12


def test_an_odd_space_has_room_for_one_more_of_a_pair():
    A = rotations(np.r_[1e-3, 2e-3, 3e-3, np.linspace(1.0, 1.2, 40)])
    rng = np.random.default_rng(1)
    result = GCRODR(restart=20, k=5).solve(A, rng.standard_normal(86)).check()
    assert result.space.k == 6
    U = np.linalg.qr(result.space.U)[0]
    slow = np.eye(86)[:, :6]
    assert np.linalg.norm(slow - U @ (U.T @ slow)) <= 1e-3


def test_convergence_inside_the_first_cycle_leaves_what_there_is():
    A = Diagonal(np.repeat([1.0, 2.0, 3.0], 10))
    result = GCRODR(restart=20, k=8).solve(A, np.ones(30)).check()
    assert result.iterations == 3
    assert 1 <= result.space.k <= 3
    assert GCRODR(restart=20, k=8).solve(A, np.arange(30.0), space=result.space).converged


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_tiny_systems(n):
    A = np.diag(np.arange(1.0, n + 1)) + np.diag(np.ones(n - 1), 1)
    first = GCRODR(restart=4, k=3).solve(A, np.ones(n)).check()
    assert GCRODR(restart=4, k=3).solve(A, np.arange(1.0, n + 1), space=first.space).converged


def test_a_varying_preconditioner_needs_the_flexible_side():
    A, b = convection(16), np.ones(256)
    inner = GMRES(rtol=0.1).prepare(A)
    M = Function(A.shape, lambda r: inner.solve(r).x, props=Props.VARIABLE)
    with pytest.raises(StructureError, match="flexible"):
        GCRODR().solve(A, b, M=M)
    solver = GCRODR(restart=10, k=3, side="flexible")
    first = solver.solve(A, b, M=M).check()
    second = solver.solve(A, b[::-1].copy(), M=M, space=first.space).check()
    assert second.counts.setup == 0
    assert np.linalg.norm(A @ second.space.U - second.space.C) <= 1e-10


def test_columns_share_one_space():
    A = Sparse(poisson(24))
    B = np.random.default_rng(0).standard_normal((576, 4))
    solver = GCRODR(restart=24, k=8)
    result = solver.solve(A, B).check()
    iterations = [column.iterations for column in result.columns]
    assert max(iterations[1:]) < 0.85 * iterations[0]
    assert result.space.k == 8


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
def test_precisions(dtype):
    A = Sparse(convection(16).astype(dtype))
    b = np.linspace(1.0, 2.0, 256).astype(dtype)
    rtol = 1e-4 if np.dtype(dtype).char in "fF" else 1e-8
    solver = GCRODR(restart=16, k=5, rtol=rtol)
    first = solver.solve(A, b).check()
    assert first.space.U.dtype == dtype
    assert solver.solve(A, b[::-1].copy(), space=first.space).converged


def test_over_multigrid_there_is_nothing_to_keep_but_no_harm():
    A, b = Sparse(diffusion(32), props=Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE), np.ones(1024)
    first = GCRODR().solve(A, b, M=AMG()).check()
    assert first.iterations < 15
    assert GCRODR().solve(A, b, M=AMG(), space=first.space).converged


def test_frozen_space_is_handed_on_as_it_came():
    A, b = Sparse(poisson(24)), np.ones(576)
    space = GCRODR(restart=24, k=8).solve(A, b).space
    result = GCRODR(restart=24, k=8, update=False).solve(A, np.arange(576.0), space=space).check()
    assert np.array_equal(result.space.U, space.U)


def test_a_given_space_is_not_altered():
    A, b = Sparse(poisson(24)), np.ones(576)
    space = GCRODR(restart=24, k=8).solve(A, b).space
    U, C = space.U.copy(), space.C.copy()
    A.update(data=2.0 * A.matrix.data)
    GCRODR(restart=24, k=8).solve(A, np.arange(576.0), space=space)
    assert np.array_equal(space.U, U)
    assert np.array_equal(space.C, C)


@pytest.mark.parametrize("side", ["right", "left"])
def test_singular_systems_are_judged_truthfully(side):
    A = np.diag(np.r_[np.zeros(2), np.linspace(1.0, 3.0, 48)])
    consistent = np.r_[np.zeros(2), np.ones(48)]
    M = Diagonal(np.linspace(0.5, 1.0, 50))
    solver = GCRODR(restart=12, k=4, side=side)
    assert solver.solve(A, consistent, M=M).converged
    result = solver.solve(A, np.ones(50), M=M)
    assert result.status in (Status.STAGNATED, Status.BREAKDOWN)
    assert np.isfinite(result.x).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restart": 0}, "restart"),
        ({"restart": 10, "k": 10}, "k must be"),
        ({"k": 0}, "k must be"),
        ({"k": 2.5}, "k must be"),
        ({"side": "both"}, "side must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        GCRODR(**options)
