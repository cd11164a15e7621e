"""Learned linear maps as operators for the solvers."""

import numpy as np
import pytest
import torch

from resolvent.operators import Props, StructureError, check_operator
from resolvent.operators.neural import NeuralMap, VCycle
from resolvent.solvers import CG


def smoother(dtype=torch.float64) -> torch.nn.Conv2d:
    """A symmetric definite 3×3 convolution."""
    module = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False, dtype=dtype)
    module.weight.data[0, 0] = torch.tensor([[0.0, -0.1, 0.0], [-0.1, 1.0, -0.1], [0.0, -0.1, 0.0]])
    return module


def test_claims_and_channels():
    check_operator(NeuralMap(smoother(), (7, 6), props=Props.POSITIVE_DEFINITE)).check()
    two = NeuralMap(torch.nn.Conv2d(2, 2, 3, padding=1, bias=False), (5, 4), c_in=2)
    assert two.grid == (2, 5, 4)
    check_operator(two).check()


def test_map_to_another_grid():
    A = NeuralMap(torch.nn.Conv2d(1, 3, 3, stride=2, padding=1, bias=False, dtype=torch.float64), (9, 9))
    assert A.shape == (75, 81)
    check_operator(A).check()


@pytest.mark.parametrize(
    "module",
    [
        torch.nn.Conv2d(1, 1, 3, padding=1),
        torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1, bias=False), torch.nn.GELU()),
        torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1, bias=False), torch.nn.ReLU()),
    ],
)
def test_what_is_not_linear_is_refused(module):
    with pytest.raises(StructureError, match=r"is not linear.*leave out biases"):
        NeuralMap(module, (6, 6))


def test_weights_in_the_precision_of_the_vectors():
    single, double = VCycle(1, 1, [1, 1]), VCycle(1, 1, [1, 1]).double()
    double.load_state_dict(single.state_dict())
    x = np.random.default_rng(0).standard_normal(100)
    exact = double.as_operator((10, 10)) @ x
    converted, rounded = (single.as_operator((10, 10), precision=p) @ x for p in ("vector", "module"))
    assert converted.dtype == rounded.dtype == np.float64
    assert np.linalg.norm(converted - exact) <= 1e-14 * np.linalg.norm(exact)
    difference = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
    assert 1e-9 < difference < 1e-5


def test_rounding_does_not_lose_small_vectors():
    """Residuals far below the smallest float32 come out with its relative precision."""
    A = NeuralMap(smoother(torch.float32), (6, 6), precision="module")
    x = np.random.default_rng(0).standard_normal((36, 2)) * [1e-60, 1e50]
    y = A.matmat(x) / [1e-60, 1e50]
    assert np.allclose(y, A.matmat(x / [1e-60, 1e50]), rtol=1e-5)


def test_training_is_noticed():
    module = VCycle(1, 1, [1, 1])
    A = module.as_operator((8, 8))
    x = np.ones(64)
    before, version = A @ x, A.version
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.0)
    assert A.version > version
    assert not np.allclose(A @ x, before)


def test_preconditioner_in_single_precision():
    """A float32 module inside a float64 iteration reaches float64 accuracy."""
    A = NeuralMap(smoother(), (12, 12), props=Props.POSITIVE_DEFINITE)
    inverse = smoother(torch.float32)
    inverse.weight.data[0, 0, 1, 1], inverse.weight.data[0, 0, 0, 1] = 1.0, 0.1
    inverse.weight.data[0, 0] = inverse.weight.data[0, 0].abs()
    M = NeuralMap(inverse, (12, 12), props=Props.POSITIVE_DEFINITE, precision="module")
    b = np.random.default_rng(1).standard_normal(144)
    plain, better = CG(rtol=1e-11).solve(A, b), CG(rtol=1e-11).solve(A, b, M=M)
    assert better.check().iterations < plain.check().iterations
    assert np.linalg.norm(A @ better.x - b) <= 2e-11 * np.linalg.norm(b)


def test_tensors_flow_through_with_gradients():
    A = VCycle(1, 1, [1, 1]).double().as_operator((6, 6))
    x = torch.randn(36, dtype=torch.float64, requires_grad=True)
    (A @ x).square().sum().backward()
    expected = 2 * (A.T @ (A @ x.detach()))
    assert torch.allclose(x.grad, expected, rtol=1e-12)


def test_on_torch_storage():
    module = VCycle(1, 1, [1, 1])
    A = module.as_operator((6, 5)).to_torch("cpu", torch.float64)
    check_operator(A).check()
    x = torch.randn(30, dtype=torch.float64, requires_grad=True)
    (A.T @ (A @ x)).sum().backward()
    assert torch.allclose(x.grad, A.T @ (A @ torch.ones(30, dtype=torch.float64)))
    assert all(parameter.grad is None for parameter in module.parameters())


def test_bad_precision():
    with pytest.raises(ValueError, match="precision must be one of 'vector', 'module'"):
        NeuralMap(smoother(), (4, 4), precision="half")
