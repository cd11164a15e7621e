"""Greedy relaxation: the block of the largest residual each time."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Sparse, StructureError
from resolvent.solvers import SOR, GaussSouthwell, Jacobi, Status

from ..conformance import diffusion, poisson, relative_residual, spd
from .splittings import random_matrix


def greedily(A, b, x, parts, omega, count):
    """The same in dense arithmetic, the residual anew each time."""
    chosen = []
    for _ in range(count):
        r = b - A @ x
        s = int(np.argmax([np.linalg.norm(r[part]) for part in parts]))
        chosen.append(s)
        part = parts[s]
        x[part] += omega * np.linalg.solve(A[np.ix_(part, part)], r[part])
    return x, chosen


@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32])
@pytest.mark.parametrize("blocks", [None, 5, [[3, 1], [0], [19, 2, 4], list(range(5, 19))]])
def test_it_picks_the_largest_residual(blocks, dtype, rng):
    A = random_matrix(20, dtype, rng)
    b, x = rng.standard_normal((2, 20)).astype(dtype)
    parts = [[i] for i in range(20)] if blocks is None else blocks
    if blocks == 5:
        parts = [list(range(i, i + 5)) for i in range(0, 20, 5)]
    wide = np.result_type(dtype, np.float64)
    wanted, chosen = greedily(A.astype(wide), b.astype(wide), x.astype(wide), parts, 1.1, 3 * len(parts))
    seen = []
    GaussSouthwell(1.1, blocks=blocks, rtol=0.0).solve(
        A, b, x, callback=lambda progress: seen.append(progress.x[:, 0].copy()) or len(seen) == 3
    )
    assert np.allclose(seen[-1], wanted, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)
    assert len(set(chosen)) > 1


@pytest.mark.parametrize("options", [{}, {"omega": 1.6}, {"blocks": 8}, {"omega": 0.5, "blocks": 3}])
def test_the_error_falls_in_the_energy_norm(options, rng):
    A, x = diffusion(8), rng.standard_normal(64)
    energies = []

    def energy(progress):
        e = progress.x[:, 0] - x
        energies.append(e @ (A @ e))

    result = GaussSouthwell(maxiter=10_000, **options).solve(spd(A), A @ x, callback=energy)
    assert result.converged and (np.diff(energies) < 1e-13).all() and len(energies) > 10


@pytest.mark.parametrize("claimed", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_hermitian_and_nonsymmetric_matrices_are_read_by_columns(dtype, claimed, rng):
    A = poisson(6).toarray().astype(dtype)
    if np.dtype(dtype).kind == "c":
        phase = np.exp(1j * np.linspace(0.0, 3.0, 36))
        A = phase[:, None] * A * phase.conj()
    if not claimed:
        A = A + np.diag(np.linspace(0.1, 0.4, 35), 1)
    b = rng.standard_normal(36).astype(dtype)
    operator = spd(sp.csr_array(A)) if claimed else Sparse(A)
    result = GaussSouthwell(maxiter=5000).solve(operator, b)
    assert result.converged and relative_residual(A, result.x, b) <= 1e-8
    assert result.counts.products == 2  # at the start, and to confirm


def test_a_local_residual_is_met_locally():
    """Of a point source in a strongly damped medium only the neighbourhood is touched."""
    A, b = poisson(40) + 1.0 * sp.eye_array(1600), np.zeros(1600)
    b[820] = 1.0
    greedy, swept = GaussSouthwell(rtol=1e-6).solve(spd(A), b), SOR(rtol=1e-6).solve(spd(A), b)
    assert greedy.converged and greedy.extra["relaxations"] < 1600 * swept.iterations / 5
    assert np.count_nonzero(greedy.x) < 1600


def test_spread_residuals_take_fewer_relaxations_than_sweeps(rng):
    A, b = poisson(12), rng.standard_normal(144)
    greedy = GaussSouthwell(maxiter=5000).solve(spd(A), b)
    swept = SOR(maxiter=5000).solve(spd(A), b)
    assert greedy.extra["relaxations"] < 144 * swept.iterations


def test_columns_add_their_relaxations(rng):
    A, B = spd(poisson(5)), rng.standard_normal((25, 2))
    both = GaussSouthwell(maxiter=1000).solve(A, B)
    singles = [GaussSouthwell(maxiter=1000).solve(A, np.ascontiguousarray(B[:, c])) for c in range(2)]
    assert [c.iterations for c in both.columns] == [s.iterations for s in singles]


def test_how_it_ends(rng):
    A, b = poisson(6) - 3.5 * sp.eye_array(36), rng.standard_normal(36)
    diverged = GaussSouthwell(maxiter=100_000).solve(A, b)
    assert diverged.status is Status.DIVERGED and diverged.residual_norm <= 1.001 * np.linalg.norm(b)
    tight = GaussSouthwell(rtol=0.0, maxiter=100_000).solve(poisson(6), b)
    assert tight.status in (Status.STAGNATED, Status.CONVERGED) and tight.residual_norm < 1e-13 * tight.rhs_norm
    spoilt = poisson(6).copy()
    spoilt.data[5] = np.inf
    assert GaussSouthwell().solve(spoilt, b).status is Status.NONFINITE
    assert GaussSouthwell(blocks=36).solve(poisson(6), b).iterations == 1
    assert GaussSouthwell(maxiter=0).solve(poisson(6), b).status is Status.MAXITER


def test_what_it_refuses():
    with pytest.raises(ValueError, match="divides by the diagonal"):
        GaussSouthwell().solve(np.array([[0.0, 1.0], [1.0, 0.0]]), np.ones(2))
    with pytest.raises(ValueError, match="square"):
        GaussSouthwell().solve(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValueError, match="omega must lie between 0 and 2"):
        GaussSouthwell(2.0)
    with pytest.raises(ValueError, match="exactly once"):
        GaussSouthwell(blocks=[[0, 1]]).solve(np.eye(3), np.ones(3))
    with pytest.raises(StructureError, match="takes no preconditioner"):
        GaussSouthwell().solve(np.eye(2), np.ones(2), M=Jacobi())
