"""The published networks, and MgNO's Gram form."""

import numpy as np
import pytest
import torch

from resolvent.operators import Props, StructureError, check_operator
from resolvent.solvers import CG, FGMRES, FlexibleCG
from resolvent.solvers.learned import DCDM, NPSD, Learned, LearnedOperator, MgNOGram
from resolvent.solvers.learned.levels import level_of


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_numbers_of_parameters_are_the_published_ones():
    assert parameters(DCDM(dim=3, size=64)) == 97_457
    assert parameters(DCDM(dim=3, size=128)) == 152_881
    assert parameters(NPSD(coarsenings=4)) == 20_582
    assert parameters(NPSD(coarsenings=5)) == 25_174


def test_npsd_is_linear_and_not_symmetric(make, shake):
    A, _ = make(16, 3)
    level, network = level_of(A), shake(NPSD(coarsenings=2), 0, 0.05)
    x, y = torch.randn(2, 1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        f = [network(level, z) for z in (x, y, 2.0 * x - 3.0 * y)]
    assert (f[2] - 2.0 * f[0] + 3.0 * f[1]).norm() <= 1e-5 * f[2].norm()
    assert abs(float((f[0] * y).sum() - (f[1] * x).sum())) > 1e-3 * float(f[0].norm() * y.norm())


def test_npsd_sees_walls_and_solids(make):
    network = NPSD(coarsenings=1)
    seen = [network.prepare(level_of(make(8, 3, seed=s)[0]))[0][0].detach() for s in (0, 1)]
    assert torch.equal(*[K * 0 for K in seen])
    torch.manual_seed(0)
    network = NPSD(coarsenings=1)
    seen = [network.prepare(level_of(make(8, 3, seed=s)[0]))[0][0].detach() for s in (0, 1)]
    assert not torch.equal(*seen)


def test_npsd_refuses_what_it_cannot_halve(make):
    with pytest.raises(ValueError, match="fewer coarsenings"):
        Learned(NPSD(coarsenings=3), "any", (4, 64))(make(12, 3)[0])


@pytest.mark.parametrize("dim, n", [(2, 17), (3, 8)])
def test_dcdm_never_sees_scale_and_is_variable(dim, n, make):
    torch.manual_seed(0)
    A, b = make(n, dim)
    M = LearnedOperator(DCDM(dim=dim, width=4), level_of(A))
    assert np.allclose(M @ b / np.abs(M @ b).max(), M @ (1e-20 * b) / np.abs(M @ (1e-20 * b)).max(), atol=1e-5)
    with pytest.raises(StructureError, match="FlexibleCG"):
        CG().solve(A, b, M=M)


@pytest.mark.parametrize("method", [FlexibleCG(mmax=2, maxiter=400), FGMRES(maxiter=400)])
def test_an_untrained_dcdm_costs_iterations_and_not_the_answer(method, make):
    torch.manual_seed(1)
    A, b = make(12)
    result = method.solve(A, b, M=Learned(DCDM(dim=2, width=4), "any", (4, 64)))
    assert np.linalg.norm(b - A @ result.x) <= 1.001 * np.linalg.norm(b)
    assert result.converged or result.history[-1] < result.history[0]


def test_corrections_without_descent_are_replaced_by_the_residual(make):
    torch.manual_seed(1)
    A, b = make(12)
    network = DCDM(dim=2, width=4)
    checked = Learned(network, "any", (4, 64), descent=1.0)(A)
    assert np.array_equal(checked @ b, b) and checked.replaced == 1
    with torch.no_grad():
        network.head.bias.fill_(torch.nan)
    spoilt = LearnedOperator(network, level_of(A))
    assert FlexibleCG().solve(A, b, M=spoilt).iterations == CG().solve(A, b).iterations and spoilt.replaced > 0
    free = Learned(DCDM(dim=2, width=4), "any", (4, 64), descent=0.0)(A)
    assert not np.array_equal(free @ b, b) and free.replaced == 0


@pytest.mark.parametrize("n, dim", [(13, 2), (8, 3)])
def test_gram_form_of_mgno_is_definite(n, dim, make):
    A, b = make(n, dim)
    M = LearnedOperator(MgNOGram(dim=dim, levels=2, width=3), level_of(A))
    assert Props.POSITIVE_DEFINITE in M.props
    check_operator(M).check()
    B = LearnedOperator(MgNOGram(dim=dim, levels=2, width=3).double(), level_of(A)) @ np.eye(A.shape[0])
    assert np.abs(B - B.T).max() <= 1e-12 * np.abs(B).max() and np.linalg.eigvalsh(B)[0] > 0.0
    assert CG(maxiter=400).solve(A, b, M=M).converged


@pytest.mark.parametrize("options", [{"dim": 1}, {"dim": 2, "size": 32}, {"dim": 2, "width": 0}])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match=r"dim|size|width"):
        DCDM(**options)
