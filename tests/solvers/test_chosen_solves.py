"""What is chosen by cost, solved: hard systems, complex right-hand sides, tensors."""

import numpy as np
import pytest

from resolvent import choose, solve
from resolvent.datasets.schemes.diffusion import cell_transmissibilities
from resolvent.operators import Stencil
from resolvent.solvers import MultigridCG
from resolvent.solvers.costs.problems import problem


def rough(n, contrast):
    """Diffusion with white noise for a coefficient."""
    a = 10.0 ** np.random.default_rng(0).uniform(-contrast / 2, contrast / 2, (n, n))
    return Stencil.from_transmissibilities(cell_transmissibilities(a, 1.0 / n, 2))


def test_a_hard_system_is_handed_on_to_what_is_surer():
    A, b = rough(96, 6), np.random.default_rng(1).standard_normal(96**2)
    assert isinstance(choose(A).solver, MultigridCG)
    result = solve(A, b)
    assert result.converged and result.solver.startswith("Direct(") and "after MultigridCG(" in result.solver
    assert np.linalg.norm(b - A @ result.x) <= 1e-8 * np.linalg.norm(b)
    assert result.counts.preconditioner >= 60, "what the first attempt cost is counted"
    limited = solve(A, b, maxiter=5)
    assert not limited.converged and limited.solver.startswith("MultigridCG"), "a limit of the caller is a limit"
    assert solve(A, b, solver=MultigridCG(maxiter=5)).solver.startswith("MultigridCG")


def test_complex_right_hand_sides_of_real_systems_are_solved():
    A, b = problem("definite-2d", 128, 0)
    assert isinstance(choose(A).solver, MultigridCG) and not isinstance(choose(A, dtype=complex).solver, MultigridCG)
    turned = b * (1.0 + 2.0j)
    for matrix in (A, A.to_sparse()):
        result = solve(matrix, turned)
        assert result.converged and np.linalg.norm(turned - A @ result.x) <= 1e-8 * np.linalg.norm(turned)
    constant, b = problem("constant-2d", 64, 0)
    assert solve(constant, b * 1j).converged


def test_torch_tensors_are_solved_by_what_was_chosen_and_have_gradients():
    torch = pytest.importorskip("torch")
    A, b = problem("definite-2d", 96, 0)
    right = torch.tensor(b, requires_grad=True)
    result = solve(A, right)
    assert result.solver.startswith("MultigridCG")
    result.x.sum().backward()
    np.testing.assert_allclose(A @ right.grad.numpy(), np.ones(b.size), atol=1e-6)
    assert solve(A, right.detach() * (1 + 1j)).converged


def test_asymmetry_of_a_stencil_is_seen_without_assembling(monkeypatch):
    A, _ = problem("nonsymmetric-2d", 64, 0)
    monkeypatch.setattr(Stencil, "to_sparse", lambda self: pytest.fail("assembled"))
    assert choose(A).structure.character == "nonsymmetric"
    waves, _ = problem("complex-2d", 64, 0)
    assert choose(waves).structure.character == "complex"
