import math

import numpy as np
import pytest
import torch

from resolvent.operators.neural import AttentionOperator, QuadratureAttention
from resolvent.operators.neural.quadrature_attention import linear_attention, softmax_attention

FORMS = ("linear", "softmax")


def on_line(x):
    """Values of two functions at points x, the points, and their trapezoidal weights."""
    gaps = np.diff(x)
    weights = (np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2
    x = torch.tensor(x)
    return torch.stack([(2 * math.pi * x).sin(), x.square()], 1)[None], x[:, None], torch.tensor(weights)


def gap(there, t, here, x):
    """Relative distance of two functions, less their means, given on points t and x."""
    expected = np.interp(x, t, there)
    return np.linalg.norm(here - expected) / np.linalg.norm(expected - expected.mean())


@pytest.mark.parametrize("form", FORMS)
def test_crowded_points_count_no_more_than_their_share(form):
    torch.manual_seed(0)
    t = np.linspace(0.0, 1.0, 4000)
    attention = QuadratureAttention(2, 1, 1, form).double()
    with torch.no_grad():
        uniform = attention(*on_line(t))[0, :, 0].numpy()
        crowded = attention(*on_line(t**3))[0, :, 0].numpy()
        u, places, weights = on_line(t**3)
        unweighted = attention(u, places, torch.full_like(weights, 1 / 4000))[0, :, 0].numpy()
    assert gap(uniform, t, crowded, t**3) <= 1e-3
    assert gap(uniform, t, unweighted, t**3) > 1e-2


def test_forms_are_what_their_formulas_say():
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 7, 4, dtype=torch.float64, generator=generator)
    weights = torch.rand(7, dtype=torch.float64, generator=generator)
    weights = weights / weights.sum()
    E = torch.exp(q @ k.mT / 2.0) * weights
    torch.testing.assert_close(softmax_attention(q, k, v, weights), E @ v / E.sum(-1, keepdim=True))
    torch.testing.assert_close(softmax_attention(q, k, v, 3.0 * weights), softmax_attention(q, k, v, weights))
    unit = k / (weights[:, None] * k.square()).sum(-2, keepdim=True).sqrt()
    torch.testing.assert_close(
        linear_attention(q, k, v, weights), q @ (unit.mT @ torch.diag(weights) @ v) / 2.0, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_point_split_in_two_of_half_the_weight_changes_nothing(form):
    torch.manual_seed(0)
    model = AttentionOperator(c_in=2, c_out=1, width=8, heads=2, layers=2, form=form).double()
    u, places = torch.randn(1, 2, 6).double(), torch.rand(6, 2).double()
    weights = torch.rand(6).double() + 0.1
    split = torch.tensor([0, 0, 1, 2, 3, 4, 5])
    halved = weights[split] * torch.tensor([0.5, 0.5, 1, 1, 1, 1, 1])
    torch.testing.assert_close(
        model.on_points(u[..., split], places[split], halved), model.on_points(u, places, weights)[..., split]
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("positions", ["vertices", "centres", "periodic"])
def test_the_operator_converges_under_refinement(form, positions):
    torch.manual_seed(0)
    model = AttentionOperator(c_in=1, c_out=1, dim=1, width=8, heads=2, layers=2, form=form, positions=positions)
    model = model.double()
    from resolvent.operators.neural.grids import coordinates

    def at_common_points(n, stride):
        x = coordinates([n], positions, torch.zeros(()).double())[None]
        ramp = 0.0 if positions == "periodic" else x
        y = model((2 * math.pi * x).cos() + ramp).detach()[0, 0]
        start = (stride - 1) // 2 if positions == "centres" else 0
        return y[start::stride]

    # Factors of three keep the middles of cells.
    extra = 1 if positions == "vertices" else 0
    fine = at_common_points(729 + extra, 81)
    errors = [(at_common_points(n + extra, n // 9) - fine).abs().max().item() for n in (27, 81)]
    assert errors[1] < errors[0] / 6 + 1e-13


def test_points_of_a_grid_are_points():
    torch.manual_seed(0)
    model = AttentionOperator(c_in=1, c_out=2, width=8, heads=2, layers=1, positions="centres").double()
    u = torch.randn(2, 1, 4, 3).double()
    x, y = torch.meshgrid((torch.arange(4).double() + 0.5) / 4, (torch.arange(3).double() + 0.5) / 3, indexing="ij")
    places, weights = torch.stack([x, y], -1).reshape(-1, 2), torch.full((12,), 7.0).double()
    torch.testing.assert_close(model.on_points(u.flatten(2), places, weights), model(u).flatten(2))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="multiple of the 3 heads"):
        AttentionOperator(c_in=1, c_out=1, width=8, heads=3)
    with pytest.raises(ValueError, match="'linear', 'softmax'"):
        AttentionOperator(c_in=1, c_out=1, form="galerkin")
    with pytest.raises(ValueError, match="positions must be one of"):
        AttentionOperator(c_in=1, c_out=1, positions="corners")
    model = AttentionOperator(c_in=1, c_out=1, width=4, heads=1, layers=1)
    with pytest.raises(ValueError, match="must be positive"):
        model.on_points(torch.zeros(1, 1, 3), torch.zeros(3, 2), torch.tensor([0.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="expected values"):
        model.on_points(torch.zeros(1, 1, 3), torch.zeros(3, 1), torch.ones(3))
