"""Losses of preconditioners: what they ignore, where they vanish."""

import numpy as np
import pytest
import torch

from resolvent.datasets.families import PoissonObstacles
from resolvent.solvers import CG
from resolvent.solvers.learned import Learned, SPDCycle
from resolvent.solvers.learned.levels import level_of
from resolvent.training.preconditioners.losses import energy, loss_of, plain, reduction, residual


@pytest.fixture
def problem():
    family = PoissonObstacles(resolution=12)
    A, b = family.assemble(family.draw(np.random.default_rng(0)))
    level = level_of(A).normalised()
    generator = torch.Generator().manual_seed(0)
    e = torch.randn(1, 3, 12, 12, generator=generator, dtype=torch.float64) * level.fluid
    f = torch.randn(1, 3, 12, 12, generator=generator, dtype=torch.float64) * level.fluid
    return A, b, level, level.multiply(e), e, f


def test_l1_is_blind_to_scale_and_vanishes_at_the_solution(problem):
    _, _, level, b, e, f = problem
    value = float(residual(f, level.multiply(f), b, e))
    assert float(residual(3.0 * f, level.multiply(3.0 * f), b, e)) == pytest.approx(value, abs=1e-12)
    assert float(residual(e, level.multiply(e), b, e)) <= 1e-20
    assert float(residual(-2.0 * e, b * -2.0, b, e)) <= 1e-20


def test_l2_is_the_energy_left_by_a_line_search(problem):
    A, _, level, b, e, f = problem
    assert float(energy(f, level.multiply(f), b, e)) == pytest.approx(
        float(energy(-5.0 * f, level.multiply(-5.0 * f), b, e)), abs=1e-12
    )
    assert float(energy(e, b, b, e)) <= 1e-14
    scale = A.diagonal().max()
    left = []
    for v, x in zip(f[0].reshape(3, -1).numpy(), e[0].reshape(3, -1).numpy(), strict=True):
        rest = x - (v @ (A @ x)) / (v @ (A @ v)) * v
        left.append((rest @ (A @ rest) / scale) / (x @ (A @ x) / scale))
    assert float(energy(f, level.multiply(f), b, e)) == pytest.approx(np.mean(left), rel=1e-10)


def test_l3_is_not_blind_to_scale(problem):
    _, _, _, b, e, _ = problem
    assert float(plain(e, b, b, e)) <= 1e-14
    assert float(plain(3.0 * e, 3.0 * b, b, e)) == pytest.approx(2.0, rel=1e-12)


def test_reduction_is_what_conjugate_gradients_does(problem):
    A, b, level, _, _, _ = problem
    cycle = SPDCycle(dim=2).double()
    x = CG(rtol=1e-13).solve(A, b).x
    iterates = []
    CG(rtol=1e-13, maxiter=3).solve(
        A, b, M=Learned(cycle, "any", (4, 64)), callback=lambda p: iterates.append(np.array(p.x[:, 0])) and None
    )
    error = x - iterates[2]
    wanted = np.log((error @ (A @ error)) / (x @ (A @ x))) / 3
    scale = A.diagonal().max()
    right = torch.from_numpy((b / scale).reshape(1, 1, 12, 12))
    with torch.no_grad():
        found = reduction(cycle, cycle.prepare(level), level, right, torch.from_numpy(x.reshape(1, 1, 12, 12)), steps=3)
    assert float(found) == pytest.approx(wanted, rel=1e-8)


def test_all_gradients_are_finite_and_not_zero(problem):
    _, _, level, b, e, _ = problem
    for name in ("residual", "energy", "plain", "reduction"):
        cycle = SPDCycle(dim=2).double()
        loss_of(name, cycle, level, b, e, steps=2).backward()
        norms = [float(p.grad.norm()) for p in cycle.parameters()]
        assert all(np.isfinite(norms)) and all(norm > 0.0 for norm in norms), name
