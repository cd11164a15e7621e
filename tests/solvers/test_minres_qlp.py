"""MINRES-QLP: the shortest solution of singular systems, consistent or not, and MINRES otherwise."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Dense, Diagonal, Function, Props, Sparse, StructureError
from resolvent.solvers import MINRES, MINRESQLP, SSOR, Status
from resolvent.solvers.check_problems import Counted

from .conformance import diffusion, neumann, poisson, relative_residual, second_difference

TRANSFER = pytest.mark.parametrize("trancond", [1.0, 1e7])
DTYPE = pytest.mark.parametrize("dtype", [float, complex])
SPECTRA = {
    "few": np.r_[np.zeros(10), np.repeat([1.0, 2.0, -3.0, 5.0], 10)],
    "definite": np.r_[np.zeros(5), np.linspace(1.0, 20.0, 40)],
    "graded": np.r_[np.zeros(10), np.geomspace(1.0, 1e3, 40) * np.resize([1, -1, -1], 40)],
    "scaled": 1e-5 * np.r_[np.zeros(3), np.geomspace(1.0, 100.0, 30) * np.resize([1, -1], 30)],
}


def hermitian(eigenvalues, rng, dtype=float):
    n = len(eigenvalues)
    Q = rng.standard_normal((n, n))
    Q = np.linalg.qr(Q + 1j * rng.standard_normal((n, n)) if dtype is complex else Q)[0]
    A = (Q * eigenvalues) @ Q.conj().T
    return (A + A.conj().T) / 2


def vector(n, rng, dtype=float):
    return rng.standard_normal(n) + (1j * rng.standard_normal(n) if dtype is complex else 0.0)


def shortest(A, b):
    return np.linalg.pinv(A, rcond=1e-9, hermitian=True) @ b


@DTYPE
@TRANSFER
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_inconsistent_systems_give_the_pseudoinverse_solution(spectrum, trancond, dtype, rng):
    A = hermitian(SPECTRA[spectrum], rng, dtype)
    b = vector(len(A), rng, dtype)
    result = MINRESQLP(rtol=1e-10, trancond=trancond).solve(A, b)
    expected = shortest(A, b)
    assert result.status is Status.LEAST_SQUARES and result.converged
    assert np.linalg.norm(result.x - expected) <= 1e-7 * np.linalg.norm(expected)
    gradient = np.linalg.norm(A @ (b - A @ result.x))
    assert gradient <= 1.01e-10 * np.linalg.norm(A, 2) * result.residual_norm
    assert result.extra["normal_residual"][0] == pytest.approx(gradient, rel=0.2, abs=1e-14 * np.linalg.norm(A, 2))
    assert result.residual_norm > result.tolerance
    assert result.extra["norm_A"][0] <= np.linalg.norm(A, 2) * (1 + 1e-12)


@DTYPE
@TRANSFER
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_consistent_singular_systems_give_the_shortest_solution(spectrum, trancond, dtype, rng):
    A = hermitian(SPECTRA[spectrum], rng, dtype)
    b = A @ vector(len(A), rng, dtype)
    result = MINRESQLP(rtol=1e-11, trancond=trancond).solve(A, b)
    expected = shortest(A, b)
    assert result.status is Status.CONVERGED and relative_residual(A, result.x, b) <= 1e-11
    assert np.linalg.norm(result.x - expected) <= 1e-7 * np.linalg.norm(expected)


@TRANSFER
def test_minres_finds_a_longer_solution_of_an_inconsistent_system(trancond, rng):
    A, b = hermitian(SPECTRA["few"], rng), rng.standard_normal(50)
    ours, theirs = MINRESQLP(trancond=trancond).solve(A, b), MINRES().solve(A, b)
    assert ours.residual_norm == pytest.approx(theirs.residual_norm)
    assert np.linalg.norm(theirs.x) > 1.1 * np.linalg.norm(ours.x)


@TRANSFER
@pytest.mark.parametrize("recipe", [None, "diagonal", SSOR(1.3)])
@pytest.mark.parametrize("shift", [0.0, 1.7, 3.7])
def test_takes_as_many_iterations_as_minres(shift, recipe, trancond, rng):
    A = Sparse(sp.csr_array(poisson(11) - shift * sp.eye_array(121)), props=Props.SELF_ADJOINT)
    if recipe is not None and shift and recipe != "diagonal":
        recipe = None
    M = Diagonal(rng.uniform(0.5, 2.0, 121)) if recipe == "diagonal" else recipe
    b = rng.standard_normal(121)
    ours = MINRESQLP(trancond=trancond, maxiter=2000).solve(A, b, M=M)
    theirs = MINRES(maxiter=2000).solve(A, b, M=M)
    assert ours.status is theirs.status is Status.CONVERGED
    assert abs(ours.iterations - theirs.iterations) <= 1 + theirs.iterations // 50  # rounding, after long solves
    early = min(ours.iterations, 20)
    assert np.allclose(ours.history[:early], theirs.history[:early], rtol=1e-8)
    assert (ours.extra["transferred"] == 0) == (trancond == 1.0)


def test_transfers_when_the_condition_number_shows(rng):
    A, b = sp.diags_array(np.geomspace(1.0, 1e4, 30) * np.resize([1, -1], 30)), rng.standard_normal(30)
    late = MINRESQLP(trancond=50.0, maxiter=3000).solve(A, b)
    never = MINRESQLP(trancond=1e12, maxiter=3000).solve(A, b)
    assert late.converged and 0 < late.extra["transferred"] < late.iterations
    assert never.converged and never.extra["transferred"] is None
    assert np.linalg.norm(late.x - never.x) <= 1e-3 * np.linalg.norm(never.x)


@TRANSFER
def test_recorded_residuals_are_those_of_the_iterates(trancond, rng):
    A, seen = sp.csr_array(diffusion(10) - 2.0 * sp.eye_array(100)), []
    b = rng.standard_normal(100)
    for M in (None, SSOR(1.2)):
        seen.clear()
        result = MINRESQLP(trancond=trancond).solve(
            A, b, M=M, callback=lambda p: seen.append((p.residual_norm[0], np.linalg.norm(b - A @ p.x[:, 0])))
        )
        recorded, true = np.array(seen).T
        assert result.converged and np.allclose(recorded, true, rtol=1e-5, atol=1e-12 * true[0])


@TRANSFER
@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("size", [1.0, 1e-4])
def test_neumann_problems(n, size, trancond, rng):
    A = neumann(n)
    b = A @ rng.standard_normal(n)
    consistent = MINRESQLP(trancond=trancond).solve(A, b)
    assert consistent.status is Status.CONVERGED and abs(consistent.x.sum()) <= 1e-6 * np.linalg.norm(consistent.x)
    spoilt = b + size * np.linalg.norm(b) / np.sqrt(n)
    result = MINRESQLP(trancond=trancond).solve(A, spoilt)
    assert result.status is Status.LEAST_SQUARES
    assert result.residual_norm == pytest.approx(abs(spoilt.sum()) / np.sqrt(n), rel=1e-6)
    assert abs(result.x.sum()) <= 1e-6 * np.linalg.norm(result.x) and result.iterations <= 1.2 * n


def test_right_hand_sides_inside_the_null_space():
    A = sp.diags_array(np.resize(np.arange(4.0), 40))
    b = np.where(np.arange(40) % 4 == 0, 1.0, 0.0)
    result = MINRESQLP().solve(A, b)
    assert result.status is Status.LEAST_SQUARES and not result.x.any() and result.iterations <= 1
    assert MINRESQLP().solve(np.zeros((3, 3)), np.ones(3)).status is Status.LEAST_SQUARES
    zero = MINRESQLP().solve(A, np.zeros(40), b)
    assert zero.status is Status.CONVERGED and not zero.x.any()


@TRANSFER
def test_the_start_keeps_its_part_in_the_null_space(trancond, rng):
    A, b, x0 = hermitian(SPECTRA["few"], rng), rng.standard_normal(50), rng.standard_normal(50)
    result = MINRESQLP(rtol=1e-10, trancond=trancond).solve(A, b, x0)
    expected = x0 + shortest(A, b - A @ x0)
    assert result.status is Status.LEAST_SQUARES
    assert np.linalg.norm(result.x - expected) <= 1e-8 * np.linalg.norm(expected)


@pytest.mark.parametrize("seed", range(4))
def test_preconditioned_inconsistent_systems_are_never_called_solved(seed):
    rng = np.random.default_rng(seed)
    A, b = hermitian(SPECTRA["few"], rng), rng.standard_normal(50)
    result = MINRESQLP(maxiter=300).solve(A, b, M=Diagonal(rng.uniform(0.2, 5.0, 50)))
    assert not result.converged and np.isfinite(result.x).all()
    x = A @ rng.standard_normal(50)
    consistent = MINRESQLP().solve(A, A @ x, M=Diagonal(rng.uniform(0.2, 5.0, 50)))
    assert consistent.status is Status.CONVERGED


def test_columns_are_judged_one_by_one(rng):
    A = hermitian(SPECTRA["few"], rng)
    B = rng.standard_normal((50, 5))
    B[:, 1] = A @ B[:, 1]
    B[:, 2] = 0.0
    B[:, 3] = np.nan
    B[:, 4] = 1e-6 * A @ B[:, 4]
    together = MINRESQLP(rtol=1e-10).solve(A, B)
    kinds = [c.status.name for c in together.columns]
    assert kinds == ["LEAST_SQUARES", "CONVERGED", "CONVERGED", "NONFINITE", "CONVERGED"]
    for c in (0, 1, 4):
        expected = shortest(A, B[:, c])
        assert np.linalg.norm(together.x[:, c] - expected) <= 1e-8 * np.linalg.norm(expected)


@pytest.mark.parametrize("recipe", [False, True])
@pytest.mark.parametrize("maxiter", [None, 3])
def test_counts_are_those_of_an_instrumented_operator(maxiter, recipe, rng):
    for spectrum in ("few", "graded"):
        dense = Dense(hermitian(SPECTRA[spectrum], rng), props=Props.SELF_ADJOINT)
        A, M = Counted(dense), Counted(Diagonal(rng.uniform(0.5, 2.0, 50))) if recipe else None
        counts = MINRESQLP(maxiter=maxiter).solve(A, rng.standard_normal((50, 2)), M=M).counts
        assert counts.products == A.matvecs + A.rmatvecs
        assert counts.preconditioner == (M.matvecs + M.rmatvecs if recipe else 0)


def test_iterations_run_out(rng):
    A, b = hermitian(SPECTRA["definite"], rng), rng.standard_normal(45)
    for allowed in (0, 1, 5):
        result = MINRESQLP(maxiter=allowed).solve(A, b)
        assert result.status is Status.MAXITER and result.iterations == allowed
        assert result.residual_norm == pytest.approx(np.linalg.norm(b - A @ result.x))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision(dtype, rng):
    A = hermitian(SPECTRA["few"], rng, complex if dtype is np.complex64 else float)
    b = vector(50, rng, complex if dtype is np.complex64 else float)
    result = MINRESQLP(rtol=1e-4).solve(A.astype(dtype), b.astype(dtype))
    expected = shortest(A, b)
    assert result.status is Status.LEAST_SQUARES and result.x.dtype == dtype
    assert np.linalg.norm(result.x - expected) <= 1e-3 * np.linalg.norm(expected)


@TRANSFER
@pytest.mark.parametrize("seed", range(5))
def test_nearly_singular_systems_end_honestly(seed, trancond):
    rng = np.random.default_rng(seed)
    spectrum = np.r_[10.0 ** -rng.uniform(8, 17, 4), np.geomspace(1.0, 50.0, 30)] * rng.choice([-1, 1], 34)
    A = hermitian(spectrum, rng)
    for b in (rng.standard_normal(34), A @ rng.standard_normal(34)):
        result = MINRESQLP(trancond=trancond, maxiter=1000).solve(A, b)
        assert np.isfinite(result.x).all()
        r = b - A @ result.x
        assert (result.status is Status.CONVERGED) == (np.linalg.norm(r) <= 1e-8 * np.linalg.norm(b))
        if result.status is Status.LEAST_SQUARES:
            assert np.linalg.norm(A @ r) <= 1.01e-8 * np.linalg.norm(A, 2) * np.linalg.norm(r)
        assert result.status in (Status.CONVERGED, Status.LEAST_SQUARES, Status.STAGNATED)


def test_not_a_number_and_indefinite_preconditioners(rng):
    A, b = second_difference(20), rng.standard_normal(20)
    for M in (Diagonal(-np.ones(20)), Diagonal(np.where(np.arange(20) < 19, 1.0, -1.0))):
        result = MINRESQLP().solve(A, b, M=M)
        assert result.status is Status.INDEFINITE and np.isfinite(result.x).all()
    b[3] = np.nan
    assert MINRESQLP().solve(A, b).status is Status.NONFINITE


def test_refuses_what_it_cannot_use():
    A = poisson(4)
    with pytest.raises(StructureError, match="use FGMRES"):
        MINRESQLP().prepare(A, Function(A.shape, lambda r: r, props=Props.VARIABLE))
    with pytest.raises(StructureError, match="complex symmetric"):
        MINRESQLP().prepare(Sparse(sp.csr_array(A + 1j * sp.eye_array(16)), props=Props.SYMMETRIC))
    with pytest.raises(ValueError, match="trancond"):
        MINRESQLP(trancond=0.5)
    with pytest.raises(ValueError, match="normal_tol"):
        MINRESQLP(normal_tol=-1.0)


@TRANSFER
def test_torch_storage(trancond, rng):
    torch = pytest.importorskip("torch")
    from resolvent.operators import as_operator

    A, B = hermitian(SPECTRA["few"], rng), rng.standard_normal((50, 2))
    result = MINRESQLP(trancond=trancond).solve(as_operator(torch.from_numpy(A)), torch.from_numpy(B))
    assert result.status is Status.LEAST_SQUARES
    assert np.allclose(result.x.numpy(), MINRESQLP(trancond=trancond).solve(A, B).x, atol=1e-8)


@TRANSFER
def test_an_indefinite_system_on_which_scipy_stops_early(trancond):
    """scipy's minres reports success here at a residual above the tolerance; see test_peers_errors.py."""
    A = sp.csr_array(poisson(20) - 3.7 * sp.eye_array(400))
    b = np.random.default_rng(0).standard_normal(400)
    result = MINRESQLP(trancond=trancond, maxiter=2000).solve(A, b)
    assert result.status is Status.CONVERGED and relative_residual(A, result.x, b) <= 1e-8 * (1 + 1e-6)
    assert abs(result.iterations - MINRES(maxiter=2000).solve(A, b).iterations) <= 10
