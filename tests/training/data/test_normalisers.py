import json

import numpy as np
import pytest
import torch

from resolvent.training.data.normalisers import Normaliser, build_normaliser

KINDS = ("none", "scalar", "per_point", "range")


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_decode_undoes_encode_and_state_is_kept(kind, dim, rng):
    grid = (5, 4, 3)[:dim]
    data = rng.normal(3.0, 2.0, (11, 2, *grid))
    normaliser = build_normaliser(kind, 2, grid).fit(data)
    x = torch.tensor(data)
    torch.testing.assert_close(normaliser.decode(normaliser.encode(x)), x, rtol=1e-12, atol=1e-12)
    again = build_normaliser(**json.loads(json.dumps(normaliser.options)))
    again.load_state_dict(normaliser.state_dict())
    assert torch.equal(again.encode(x), normaliser.encode(x))
    assert torch.equal(normaliser(x), normaliser.encode(x))
    assert normaliser.encode(x.float()).dtype == torch.float32
    assert kind in repr(normaliser)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_one_pass_over_batches_gives_the_moments_of_all(kind, rng):
    # A mean of 1e8 deviations: sums of squares would have no digit left.
    data = 1e8 + rng.normal(0.0, 1.0, (23, 2, 6, 5)) * [[[[1.0]], [[3.0]]]]
    grid = (6, 5)
    normaliser = build_normaliser(kind, 2, grid).double()
    read = []

    def batches():
        for part in np.array_split(data, 4):
            read.append(len(part))
            yield part

    normaliser.fit(batches())
    over = 0 if kind == "per_point" else (0, 2, 3)
    if kind == "range":
        low, high = data.min(over), data.max(over)
        shift, scale = (high + low) / 2, (high - low) / 2
    else:
        shift, scale = data.mean(over), data.std(over)
    assert sum(read) == 23
    np.testing.assert_allclose(normaliser.shift.numpy(), shift, rtol=1e-14)
    np.testing.assert_allclose(normaliser.scale.numpy(), scale, rtol=1e-6)
    encoded = normaliser.encode(torch.tensor(data))
    if kind == "scalar":
        np.testing.assert_allclose(encoded.std((0, 2, 3), correction=0), 1.0, rtol=1e-6)
    if kind == "range":
        assert encoded.min() == pytest.approx(-1.0) and encoded.max() == pytest.approx(1.0)


def test_torch_batches_and_empty_ones_are_taken(rng):
    data = rng.normal(size=(6, 1, 4)).astype(np.float32)
    normaliser = Normaliser().fit([torch.tensor(data[:4]), torch.zeros(0, 1, 4), data[4:]])
    assert normaliser.shift.item() == pytest.approx(data.mean(), abs=1e-7)


def test_grids_may_change_between_batches_unless_per_point(rng):
    fine, coarse = rng.normal(1.0, 1.0, (4, 1, 20)), rng.normal(-1.0, 1.0, (4, 1, 10))
    normaliser = Normaliser("scalar", 1).fit([fine, coarse])
    # Samples count alike, whatever their grids.
    assert normaliser.shift.item() == pytest.approx((fine.mean() + coarse.mean()) / 2, abs=1e-6)
    with pytest.raises(ValueError, match="batch 1 must be"):
        build_normaliser("per_point", 1, [20]).fit([fine, coarse])


def test_weights_make_means_integrals():
    from resolvent.training.data.geometry import Geometry

    geometry = Geometry([np.linspace(0.0, 1.0, 400) ** 3])
    x = geometry.axes[0][None, None]
    plain, weighted = Normaliser().fit(x), Normaliser().fit(x, weights=geometry.weights)
    assert plain.shift.item() == pytest.approx(0.25, abs=0.01)
    assert weighted.shift.item() == pytest.approx(0.5, abs=1e-4)
    assert weighted.scale.item() == pytest.approx(12**-0.5, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_constants_come_back_as_they_were(kind, rng):
    data = rng.normal(size=(5, 2, 7))
    data[:, 0] = 0.1  # not exact in binary: its computed deviation is not zero
    normaliser = build_normaliser(kind, 2, [7]).fit([data[:2], data[2:]])
    encoded = normaliser.encode(torch.tensor(data))
    assert encoded.isfinite().all() and encoded[:, 0].abs().max() < 1e-8
    decoded = normaliser.decode(torch.full((1, 2, 7), 5.0))
    assert (decoded[:, 0] == np.float32(0.1)).all()


def test_boundary_values_are_exact_per_point(rng):
    data = rng.normal(size=(5, 1, 9))
    data[..., [0, -1]] = 0.0
    normaliser = build_normaliser("per_point", 1, [9]).fit(data)
    assert (normaliser.decode(torch.randn(3, 1, 9))[..., [0, -1]] == 0.0).all()


def test_another_grid_is_refused_per_point(rng):
    normaliser = build_normaliser("per_point", 1, [9, 9]).fit(rng.normal(size=(3, 1, 9, 9)))
    with pytest.raises(ValueError, match="its grid 9 × 9 only, got 17 × 17"):
        normaliser.encode(torch.zeros(1, 1, 17, 17))


@pytest.mark.parametrize(
    "data, message",
    [
        ([], "at least 1 training sample"),
        ([np.full((1, 1, 3), np.nan)], "not finite"),
        ([np.zeros((2, 2, 3))], r"batch 0 must be \(samples, 1"),
        ([np.zeros((2, 3))], "batch 0 must be"),
    ],
)
def test_bad_data_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        Normaliser("scalar", 1).fit(data)


def test_bad_options_are_refused(rng):
    with pytest.raises(ValueError, match="one of 'none', 'scalar'"):
        Normaliser("unit")
    with pytest.raises(ValueError, match="needs the grid"):
        build_normaliser("per_point", 1)
    with pytest.raises(ValueError, match="to no other"):
        Normaliser("scalar", 1, [3])
    with pytest.raises(ValueError, match="at least 2 training samples, got 1"):
        build_normaliser("per_point", 1, [3]).fit(np.zeros((1, 1, 3)))
    with pytest.raises(ValueError, match="made for 2 channels"):
        Normaliser("scalar", 2).encode(torch.zeros(1, 1, 3))
    with pytest.raises(ValueError, match="weights of shape"):
        Normaliser("scalar", 1).fit(np.zeros((2, 1, 3)), weights=np.ones(4))
