import json

import numpy as np
import pytest
import torch

from resolvent.operators.neural import FNO
from resolvent.training.data.normalisers import Normaliser, build_normaliser
from resolvent.training.physics.physical import PhysicalOperator


class Doubling(torch.nn.Module):
    def forward(self, x):
        return 2.0 * x


def fitted(channels, mean, deviation, seed=0):
    data = np.random.default_rng(seed).normal(mean, deviation, (50, channels, 8))
    return Normaliser("scalar", channels).fit(data)


def test_it_maps_physical_units_to_physical_units():
    inputs, outputs = fitted(1, 100.0, 5.0), fitted(1, -3.0, 0.1, seed=1)
    model = PhysicalOperator(Doubling(), inputs, outputs)
    x = torch.full((2, 1, 8), 105.0)
    z = 2.0 * (105.0 - inputs.shift) / inputs.scale
    torch.testing.assert_close(model(x), (outputs.shift + outputs.scale * z).expand(2, 1, 8))
    torch.testing.assert_close(model.encoded(x), z.expand(2, 1, 8))
    torch.testing.assert_close(outputs.encode(model(x)), model.encoded(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_boundary_points_have_the_given_value(dim):
    none = Normaliser("none", 2)
    x = torch.rand(3, 2, *(5, 6, 4)[:dim]) + 1.0
    x[0].flatten()[0] = float("nan")
    y = PhysicalOperator(Doubling(), none, none, boundary=[0.25, None])(x)
    inner = (slice(None), 0, *[slice(1, -1)] * dim)
    torch.testing.assert_close(y[inner], 2.0 * x[inner])
    torch.testing.assert_close(y[:, 1], 2.0 * x[:, 1])
    for i in range(dim):
        ends = y[:, 0].movedim(i + 1, -1)[..., [0, -1]]
        assert (ends == 0.25).all()
    partly = PhysicalOperator(Doubling(), none, none, boundary=0.0, boundary_axes=[0])(x)
    assert (partly[:, :, [0, -1]] == 0.0).all()
    assert dim == 1 or (partly[1:, :, 1:-1] != 0.0).all()


def test_boundary_points_have_no_gradient():
    none = Normaliser("none", 1)
    x = torch.rand(1, 1, 6, requires_grad=True)
    PhysicalOperator(Doubling(), none, none, boundary=0.0)(x).sum().backward()
    assert x.grad.flatten().tolist() == [0.0, 2.0, 2.0, 2.0, 2.0, 0.0]


def test_it_is_built_again_from_options_and_state():
    torch.manual_seed(0)

    def net():
        return FNO(c_in=2, c_out=1, n_modes=[4, 4], width=4, layers=1)

    data = np.random.default_rng(0).normal(2.0, 3.0, (6, 2, 9, 9))
    model = PhysicalOperator(
        net(), Normaliser("range", 2).fit(data), build_normaliser("per_point", 1, [9, 9]).fit(data[:, :1]), boundary=1.5
    )
    again = PhysicalOperator.with_options(net(), json.loads(json.dumps(model.options)))
    again.load_state_dict(model.state_dict())
    x = data.astype(np.float32)
    assert np.array_equal(again.predict(x), model.predict(x))
    assert not model.any_grid
    with pytest.raises(ValueError, match="its grid 9 × 9 only"):
        model.predict(np.zeros((1, 2, 17, 17)))


def test_prediction_by_batches_is_prediction():
    torch.manual_seed(0)
    net = FNO(c_in=1, c_out=1, n_modes=[4, 4], width=4, layers=1)
    model = PhysicalOperator(net, Normaliser("none", 1), Normaliser("none", 1)).train()
    x = np.random.default_rng(0).normal(size=(7, 1, 9, 12))
    whole = model.predict(x)
    assert isinstance(whole, np.ndarray) and whole.dtype == np.float32 and whole.shape == (7, 1, 9, 12)
    np.testing.assert_allclose(model.predict(x, batch_size=3), whole, atol=1e-6)
    y = model.predict(torch.tensor(x), batch_size=2)
    assert not y.requires_grad and model.training
    np.testing.assert_allclose(y.numpy(), whole, atol=1e-6)
    assert model.double().predict(x).dtype == np.float64
    model(torch.tensor(x)).sum().backward()  # nothing that a layer kept spoils training afterwards


def test_bad_options_are_refused():
    none = Normaliser("none", 2)
    with pytest.raises(ValueError, match="each of 2 channels"):
        PhysicalOperator(Doubling(), none, none, boundary=[0.0])
    with pytest.raises(ValueError, match="boundary_axes"):
        PhysicalOperator(Doubling(), none, none, boundary=0.0, boundary_axes=[3])
    model = PhysicalOperator(Doubling(), none, none)
    with pytest.raises(ValueError, match="batch_size"):
        model.predict(np.zeros((1, 2, 3)), batch_size=0)
    with pytest.raises(ValueError, match="no samples"):
        model.predict(np.zeros((0, 2, 3)))
