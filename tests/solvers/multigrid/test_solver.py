"""Multigrid as a solver: contract, honest statuses, singular systems, full multigrid."""

import numpy as np
import pytest

from resolvent.datasets.families import Darcy2D, Darcy3D
from resolvent.operators import SPD, Props, Sparse, Stencil, StructureError
from resolvent.solvers import GeometricMultigrid, Jacobi, Multigrid, Status, check, check_solver

from ..conformance import poisson
from .boxes import diffusion, random_network, smooth_coefficient


@pytest.mark.parametrize("solver", [Multigrid(), Multigrid(full=False, cycle="F", smoother="gauss_seidel")], ids=str)
def test_the_contract_of_solvers(solver, monkeypatch):
    """Without the systems it refuses: indefinite and complex Hermitian ones."""

    def accepted(needs, rng, dtype=np.float64):
        every = problems(needs, rng, dtype)
        return [p for p in every if p.name != "indefinite" and (np.dtype(dtype).kind != "c" or p.name == "absorption")]

    problems = check.problems
    monkeypatch.setattr(check, "problems", accepted)
    report = check_solver(solver)
    assert report.passed and all(row.passed for row in report.rows), report


@pytest.mark.parametrize("cycle", ["V", "W", "F"])
def test_independent_of_the_grid(cycle):
    for family, sizes in ((Darcy2D, (32, 100, 128)), (Darcy3D, (8, 20))):
        counts = []
        for n in sizes:
            problem = family(resolution=n, coefficient="lognormal_unit")
            A, b = problem.assemble(problem.draw(np.random.default_rng(0)))
            result = Multigrid(cycle=cycle).solve(A, b)
            assert result.converged and np.linalg.norm(b - A @ result.x) <= 1.01e-8 * np.linalg.norm(b)
            counts.append(result.iterations)
        limit = {(2, "V"): 20, (3, "V"): 27}.get((problem.dim, cycle), 15 if problem.dim == 2 else 22)
        assert max(counts) <= limit and max(counts) - counts[0] <= 2, counts


def test_full_multigrid_leaves_an_error_of_the_size_of_the_discretisation_error():
    for family, n, factor in ((Darcy2D, 64, 1.0), (Darcy2D, 100, 1.0), (Darcy3D, 24, 10.0)):
        problem = family(resolution=n)
        inputs, exact = problem.manufactured()
        A, b = problem.assemble(inputs)
        discrete = Multigrid(rtol=1e-11).solve(A, b).check().x
        started = GeometricMultigrid()(A)
        x = np.empty((b.size, 1))
        started.full_into(b.reshape(-1, 1), x)
        discretisation = np.linalg.norm(discrete - exact["u"].ravel())
        assert np.linalg.norm(x.ravel() - discrete) < factor * discretisation
        with_start, without = (Multigrid(rtol=1e-4, full=full).solve(A, b).iterations for full in (True, False))
        assert with_start < without


@pytest.mark.parametrize("closed", [("neumann", "neumann"), ("periodic", "neumann"), ("periodic", "periodic")])
def test_singular_systems(closed, rng):
    from .boxes import dense

    A = Sparse(dense(random_network((12, 9), closed, rng)), props=SPD | Props.SINGULAR, grid=(12, 9))
    x = rng.standard_normal(108)
    b = A @ x
    result = Multigrid().solve(A, b)
    assert result.converged and abs(result.x.mean()) < 1e-12
    np.testing.assert_allclose(result.x, x - x.mean(), atol=1e-5)
    warm = Multigrid().solve(A, b, x0=np.full(108, 3.0))
    assert warm.converged and warm.x.mean() == pytest.approx(3.0)
    inconsistent = Multigrid().solve(A, b + 1.0)
    assert inconsistent.status is Status.STAGNATED and "least-squares" in inconsistent.extra["reason"]
    assert inconsistent.residual_norm == pytest.approx(np.sqrt(108.0))
    np.testing.assert_allclose(inconsistent.x, x - x.mean(), atol=1e-5)


def test_statuses_are_honest(rng):
    noise = diffusion(np.where(rng.random((64, 64)) < 0.5, 1.0, 1e6))
    b = rng.standard_normal(4096)
    assert GeometricMultigrid()(noise).measured_rate(0) > 1.0
    result = Multigrid(maxiter=500).solve(noise, b)
    assert result.status in (Status.DIVERGED, Status.STAGNATED) and not result.converged
    assert np.isfinite(result.x).all()
    assert result.residual_norm == pytest.approx(np.linalg.norm(b - noise @ result.x))
    exact = Multigrid(rtol=0.0).solve(diffusion(np.ones((16, 16))), rng.standard_normal(256))
    assert exact.status is Status.STAGNATED and exact.residual_norm < 1e-13 * exact.rhs_norm


def test_new_values_are_noticed(rng):
    A, b = Sparse(poisson(9), props=SPD, grid=(9, 9)), rng.standard_normal(81)
    prepared = Multigrid().prepare(A)
    first = prepared.solve(b)
    A.update(data=3.0 * A.matrix.data)
    second = prepared.solve(b)
    assert second.converged and second.iterations == first.iterations
    np.testing.assert_allclose(3.0 * second.x, first.x, atol=1e-7)
    spoilt = A.matrix.data.copy()
    spoilt[4] = np.inf
    A.update(data=spoilt)
    assert prepared.solve(b).status is Status.NONFINITE


def test_columns_leave_one_by_one(rng):
    A = diffusion(smooth_coefficient(24, 10.0))
    B = rng.standard_normal((576, 4))
    B[:, 1] *= 1e-9
    B[:, 2] = 0.0
    result = Multigrid(atol=1e-6).solve(A, B)
    assert [c.iterations for c in result.columns][1:3] == [0, 0] and result.converged
    for c in (0, 3):
        assert result.columns[c].iterations == Multigrid(atol=1e-6).solve(A, B[:, c]).iterations


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_on_torch_storage(rng):
    torch = pytest.importorskip("torch")
    A, b = diffusion(smooth_coefficient(20, 10.0)), rng.standard_normal(400)
    expected = Multigrid().solve(A, b)
    result = Multigrid().solve(A.to_torch(), torch.as_tensor(b))
    assert result.converged and result.iterations == expected.iterations
    np.testing.assert_allclose(result.x.numpy(), expected.x, atol=1e-12)
    insulated = Stencil.from_transmissibilities([np.array([0.0, 1.0, 2.0, 3.0, 0.0])])
    b = torch.tensor([1.0, -1.0, 2.0, -2.0], dtype=torch.float64)
    assert Multigrid().solve(insulated.to_torch(), b).converged


def test_what_cannot_be_used_is_refused():
    A = diffusion(np.ones((4, 4)))
    with pytest.raises(StructureError, match="takes no preconditioner"):
        Multigrid().solve(A, np.ones(16), M=Jacobi())
    with pytest.raises(ValueError, match="cycle must be one of 'V', 'W', 'F'"):
        Multigrid(cycle="X")
    with pytest.raises(ValueError, match="full must be True or False"):
        Multigrid(full=1)
    with pytest.raises(StructureError, match="couplings ≤ 0"):
        Multigrid().solve(Sparse(abs(poisson(4)), grid=(4, 4)), np.ones(16))
