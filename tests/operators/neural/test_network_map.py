"""Networks as operators that may vary."""

import pickle

import numpy as np
import pytest
import torch

from resolvent.operators import Props, StructureError
from resolvent.operators.neural import NetworkMap, build


def network(dtype=torch.float32, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build("fno", **{"c_in": 2, "c_out": 1, "n_modes": [4, 4], "width": 6, "layers": 2, **options}).to(dtype)


@pytest.fixture
def image():
    return np.random.default_rng(1).random((1, 9, 9))


def test_is_the_network_on_vectors_of_unit_size_between_boundary_nodes(image, rng):
    net = network(torch.float64)
    M, r = NetworkMap(net, (7, 7), image=image), rng.standard_normal((49, 3))
    for k in range(3):
        s = np.sqrt(np.mean(r[:, k] ** 2))
        x = np.stack([image[0], np.pad(r[:, k].reshape(7, 7) / s, 1)])
        with torch.no_grad():
            wanted = s * net(torch.tensor(x)[None])[0, 0, 1:-1, 1:-1].numpy().ravel()
        assert np.allclose((M @ r)[:, k], wanted, rtol=1e-12) and np.allclose(M @ r[:, k], wanted, rtol=1e-12)


@pytest.mark.parametrize("t", [1e-150, 1e-9, 7.0, 1e150])
def test_homogeneous_and_without_a_trace_of_size(t, image, rng):
    M, r = NetworkMap(network(), (7, 7), image=image), rng.standard_normal(49)
    assert np.allclose(M @ (t * r), t * (M @ r), rtol=1e-5, atol=0.0)
    assert (M @ r).dtype == np.float64 and M.dtype == np.float32
    assert not (M @ np.zeros(49)).any()


def test_varies_has_no_adjoint_and_follows_its_weights(image, rng):
    net, r = network(), rng.standard_normal(49)
    M = NetworkMap(net, (7, 7), image=image)
    assert M.props == Props.VARIABLE
    with pytest.raises(StructureError, match="no adjoint"):
        M.rmatvec(r)
    before, version, stamp = M @ r, M.version, M.stamp()
    net.train()
    with torch.no_grad():
        next(net.parameters()).mul_(2.0)
    assert M.version > version and M.stamp() != stamp and not np.allclose(M @ r, before)
    assert net.training, "left as it was"
    again = pickle.loads(pickle.dumps(M))
    assert np.array_equal(again @ r, M @ r) and again.version == M.version


def test_tensors_parts_and_no_image(rng):
    M = NetworkMap(network(c_out=2, n_modes=[4]), (12,), parts=2)
    r = torch.tensor(rng.standard_normal(24))
    assert isinstance(M @ r, torch.Tensor) and M.grid == (2, 12)
    assert np.allclose((M @ r).numpy(), M @ r.numpy())
    bordered = NetworkMap(network(c_in=1), (7, 7), border=1)
    assert (bordered @ rng.standard_normal(49)).shape == (49,)


def test_what_does_not_fit_is_named(image):
    for wrong in (image[0], image[:, 1:], image[:, :5, :5], np.ones((1, 9, 11))):
        with pytest.raises(ValueError, match="the image needs the shape"):
            NetworkMap(network(), (7, 7), image=wrong)
    with pytest.raises(ValueError, match="needs fields"):
        NetworkMap(network(c_out=2), (7, 7), image=image) @ np.ones(49)
    with pytest.raises(TypeError, match="real vectors"):
        NetworkMap(network(), (7, 7), image=image) @ (1j * np.ones(49))
    with pytest.raises(ValueError, match="border must be"):
        NetworkMap(network(), (7, 7), border=-1)
