"""Gradients through the full solve of a diffusion problem."""

import numpy as np
import pytest
import torch

from resolvent.datasets import families
from resolvent.operators.neural import build
from resolvent.solvers import CG, ConvergenceError, Direct, MultigridCG
from resolvent.training import solve_diffusion


@pytest.mark.parametrize("name, n", [("darcy2d", 8), ("darcy3d", 5)])
@pytest.mark.parametrize("grid", ["cell", "vertex"])
def test_solves_what_the_families_assemble(name, n, grid):
    family = families.get(name, resolution=n, grid=grid, source="grf")
    inputs = family.draw(np.random.default_rng(0))
    u = family.expand(Direct().solve(*family.assemble(inputs)).x, inputs)["u"]
    a, f = (torch.tensor(inputs[key])[None, None] for key in ("a", "f"))
    assert np.allclose(solve_diffusion(a, f, grid=grid)[0, 0].numpy(), u, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("grid", ["cell", "vertex"])
@pytest.mark.parametrize("shape", [(2, 1, 6), (2, 1, 5, 5), (1, 1, 4, 4, 4)])
def test_gradients_agree_with_differences(grid, shape):
    generator = torch.Generator().manual_seed(0)
    a = (0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)).requires_grad_()
    f = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, f: solve_diffusion(a, f, grid=grid), (a, f), eps=1e-6, atol=1e-6)


def test_iterative_solvers_give_the_same_gradient():
    family = families.get("darcy2d", resolution=33, grid="vertex")
    a = torch.tensor(family.draw(np.random.default_rng(0))["a"])[None, None]
    gradients = []
    for solver in (None, MultigridCG(rtol=1e-11)):
        b = a.clone().requires_grad_()
        solve_diffusion(b, solver=solver).square().sum().backward()
        gradients.append(b.grad)
    assert torch.allclose(*gradients, rtol=1e-7, atol=1e-9 * float(gradients[0].abs().max()))
    with pytest.raises(ConvergenceError):
        solve_diffusion(a, solver=CG(maxiter=2))


def test_a_coefficient_network_is_tuned_by_observations_of_the_solution():
    family = families.get("darcy2d", resolution=12, coefficient="lognormal_unit")
    rng = np.random.default_rng(0)
    a = torch.tensor(np.stack([family.draw(rng)["a"] for _ in range(6)]))[:, None]
    seen = solve_diffusion(a).detach()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build("fno", c_in=1, c_out=1, n_modes=[6, 6], width=8, layers=2).double()
    optimiser, misfits = torch.optim.Adam(net.parameters(), lr=1e-2), []
    for _ in range(25):
        optimiser.zero_grad()
        u = solve_diffusion(net((seen - seen.mean()) / seen.std()).exp())
        misfit = ((u - seen).square().flatten(1).sum(1) / seen.square().flatten(1).sum(1)).mean().sqrt()
        misfit.backward()
        optimiser.step()
        misfits.append(float(misfit.detach()))
    assert misfits[-1] <= 0.7 * misfits[0]


def test_second_derivatives_and_bad_input_are_refused():
    a = torch.ones(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="once differentiable"):
        torch.autograd.grad(solve_diffusion(a).sum(), a, create_graph=True)
    for wrong, message in (
        (torch.ones(1, 5, 5), "shape"),
        (torch.ones(1, 1, 5, 6), "equally many points"),
        (-torch.ones(1, 1, 5, 5), "positive and finite"),
        (torch.full((1, 1, 5, 5), torch.nan), "positive and finite"),
        (torch.ones(1, 1, 5, 5, dtype=torch.int64), "real"),
    ):
        with pytest.raises(ValueError, match=message):
            solve_diffusion(wrong)
    with pytest.raises(ValueError, match="f must have the shape"):
        solve_diffusion(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 6, 6))
    with pytest.raises(ValueError, match="grid must be one of"):
        solve_diffusion(torch.ones(1, 1, 5, 5), grid="node")
    assert solve_diffusion(torch.ones(2, 1, 5, 5)).dtype == torch.float32
