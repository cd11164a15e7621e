"""Forms of the multipliers of a spectral convolution: contractions, ranks, counts, initial scale, shared layers."""

import copy
import math
import string

import pytest
import torch

from resolvent.operators.neural import FNO, build, count_params
from resolvent.operators.neural.spectral.cp import CPWeights
from resolvent.operators.neural.spectral.forms import make_weights
from resolvent.operators.neural.spectral.frozen import FrozenWeights, real_copy
from resolvent.operators.neural.spectral.joint import JointLayer
from resolvent.operators.neural.spectral.ranks import cp_rank, tensor_train_ranks, tucker_ranks
from resolvent.operators.neural.spectral.separable import SeparableWeights
from resolvent.operators.neural.spectral.tensor_train import TensorTrainWeights
from resolvent.operators.neural.spectral.tucker import TuckerWeights
from resolvent.operators.neural.spectral.weights import DenseWeights, target_std

FORMS = ("dense", "cp", "tucker", "tt", "separable")
FACTORISED = (CPWeights, TuckerWeights, TensorTrainWeights)
MODES = {1: (7,), 2: (6, 4), 3: (4, 3, 2)}
KEPT = {1: (slice(0, 5),), 2: (slice(1, 5), slice(0, 3)), 3: (slice(1, 3), slice(0, 3), slice(0, 1))}


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def whole_tensor(weights):
    """The weight as one tensor (layers if shared, *modes, c_in, c_out), summed index by index."""
    pair = torch.view_as_complex
    q = len(weights.sizes)
    letters = string.ascii_lowercase[:q]
    lead, channels, modes = letters[: q - 2 - len(weights.modes)], letters[-2 - len(weights.modes) :][:2], letters
    modes = letters[q - len(weights.modes) :]
    out = lead + modes + channels
    if isinstance(weights, DenseWeights):
        return pair(weights.entries)
    if isinstance(weights, SeparableWeights):
        return torch.diag_embed(pair(weights.entries))
    if isinstance(weights, CPWeights):
        terms = ",".join(f"{letter}z" for letter in letters)
        return torch.einsum(f"z,{terms}->{out}", weights.scale + 0j, *(pair(f) for f in weights.factors))
    if isinstance(weights, TuckerWeights):
        ranks = string.ascii_uppercase[:q]
        terms = ",".join(a + b for a, b in zip(letters, ranks, strict=True))
        return torch.einsum(f"{ranks},{terms}->{out}", pair(weights.core), *(pair(f) for f in weights.factors))
    ranks = string.ascii_uppercase[: q + 1]
    terms = ",".join(ranks[i] + letters[i] + ranks[i + 1] for i in range(q))
    return torch.einsum(f"{terms}->{out}", *(pair(core) for core in weights.cores))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("layers", [None, 3])
def test_factor_by_factor_rebuilt_and_dense_agree(form, dim, layers):
    weights = make_weights(form, 5, MODES[dim], rank=0.4, implementation="factorized", layers=layers).double()
    W = whole_tensor(weights)
    slices = [(None, W)] if layers is None else [(i, W[i]) for i in range(layers)]
    rebuilt = copy.deepcopy(weights)
    rebuilt.implementation = "reconstructed"
    for layer, dense in slices:
        for kept in (tuple(slice(0, n) for n in MODES[dim]), KEPT[dim]):
            z = torch.randn(*(s.stop - s.start for s in kept), 2, 5, 2, dtype=torch.float64)
            expected = torch.view_as_real(torch.einsum("...bi,...io->...bo", torch.view_as_complex(z), dense[kept]))
            assert float((weights.dense(kept, layer) - dense[kept]).detach().abs().max()) <= 1e-12
            assert float((weights(z, kept, layer) - expected).detach().abs().max()) <= 1e-12
            assert float((rebuilt(z, kept, layer) - expected).detach().abs().max()) <= 1e-12
            frozen = FrozenWeights(weights if layer is None else JointLayer(weights, layer))
            assert float((frozen(z, kept) - expected).detach().abs().max()) <= 1e-12
        assert torch.equal(weights.dense(None, layer), weights.dense(tuple(slice(0, n) for n in MODES[dim]), layer))


@pytest.mark.parametrize("cls", FACTORISED)
def test_both_implementations_have_the_same_gradients(cls):
    weights = cls(4, 4, (4, 3), 0.5).double()
    z = torch.randn(4, 3, 2, 4, 2, dtype=torch.float64)
    kept = (slice(0, 4), slice(0, 3))
    found = []
    for implementation in ("factorized", "reconstructed"):
        weights.implementation = implementation
        weights.zero_grad()
        weights(z, kept).square().sum().backward()
        found.append([p.grad.clone() for p in weights.parameters()])
    for a, b in zip(*found, strict=True):
        assert float((a - b).abs().max()) <= 1e-11 * float(a.abs().max())


def test_ranks_and_counts_of_the_published_network():
    sizes = (32, 32, 16, 9)
    assert cp_rank(sizes, 0.1) == 166
    assert tucker_ranks(sizes, 0.1) == (18, 18, 9, 5)
    assert tensor_train_ranks(sizes, 0.1) == (22, 17, 9)
    expected = {"dense": 602977, "tucker": 76837, "cp": 72913, "tt": 73957, "separable": 31585}
    found = {
        form: count_params(FNO(c_in=1, c_out=1, n_modes=[16, 16], width=32, weights=form), complex_as_one=True)
        for form in FORMS
    }
    assert found == expected
    assert count_params(build("tfno", c_in=1, c_out=1), complex_as_one=True) == 76837


@pytest.mark.parametrize("sizes", [(32, 32, 16, 9), (8, 8, 5), (4, 4, 4, 3, 3, 2)])
@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.9])
def test_entries_are_about_the_fraction_asked_for(sizes, fraction):
    wanted = fraction * math.prod(sizes)
    R, r, rho = cp_rank(sizes, fraction), tucker_ranks(sizes, fraction), (1, *tensor_train_ranks(sizes, fraction), 1)
    assert all(1 <= a <= n for a, n in zip(r, sizes, strict=True))
    entries = {
        "cp": R * sum(sizes),
        "tucker": math.prod(r) + sum(a * n for a, n in zip(r, sizes, strict=True)),
        "tt": sum(a * n * b for a, n, b in zip(rho, sizes, rho[1:], strict=False)),
    }
    smallest = 3 * sum(sizes)  # entries at the lowest ranks; rounding changes a rank by a half
    for form, count in entries.items():
        assert 0.6 * wanted - smallest <= count <= 1.4 * wanted + smallest, form


def test_ranks_do_not_exceed_those_of_a_full_tensor():
    assert tensor_train_ranks((2, 8, 8), 1.0)[0] == 2
    assert max(tucker_ranks((4, 4, 1), 1.0)) <= 4
    assert tensor_train_ranks((32, 32, 16, 9), 0.42) == (32, 52, 9)  # beyond the means of neighbouring sizes


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layers", [None, 4])
def test_initial_scale(form, layers):
    squares = []
    for _ in range(12):
        weights = make_weights(form, 16, (10, 6), rank=0.2, implementation="factorized", layers=layers)
        if form == "separable":
            W, sigma = weights.entries, 1.0
            squares.append(2.0 * float(W.detach().square().mean()))  # of pairs
            continue
        W, sigma = whole_tensor(weights), target_std(16, 16)
        squares.append(float(W.detach().abs().square().mean()) / sigma**2)
    assert 0.9 <= math.sqrt(sum(squares) / len(squares)) <= 1.1


def test_shared_layers_share_parameters_but_not_their_slice():
    model = build("fno", c_in=1, c_out=1, n_modes=[6, 6], width=6, layers=3, weights="tucker", rank=0.3, joint=True)
    shared = [name for name in model.state_dict() if "weights" in name or "shared" in name]
    assert len(shared) == 1 + 5 and all(name.startswith("shared.") for name in shared)
    matrices = [block.spectral.weights.dense() for block in model.blocks]
    assert float((matrices[0] - matrices[1]).detach().abs().max()) > 1e-3
    # A copy's layers refer to the copy's parameters.
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for p in copied.shared.parameters():
            p.zero_()
    assert not copied.blocks[2].spectral.weights.dense().any() and model.blocks[2].spectral.weights.dense().any()
    assert count_params(copied, complex_as_one=True) == count_params(model, complex_as_one=True)
    with pytest.raises(ValueError, match="below the 3 layers"):
        JointLayer(model.shared, 3)


@pytest.mark.parametrize("cls", [TuckerWeights, TensorTrainWeights])
def test_decomposition_of_dense_weights(cls):
    low = cls(6, 6, (5, 4), 0.2).double().dense().detach()
    assert float((cls.from_dense(low, 0.2).dense() - low).detach().abs().max()) <= 1e-12
    W = torch.randn(5, 4, 6, 6, dtype=torch.complex128)
    errors = []
    for rank in (0.1, 0.3, 0.8):
        weights = cls.from_dense(W, rank)
        # A projection: it keeps what has the ranks already, and its error is orthogonal to the result.
        again = cls.from_dense(weights.dense().detach(), rank)
        assert float((again.dense() - weights.dense()).detach().abs().max()) <= 1e-12
        error = W - weights.dense().detach()
        assert abs(complex(torch.vdot(error.flatten(), weights.dense().detach().flatten()))) <= 1e-10
        errors.append(float(torch.linalg.norm(error)))
        assert [p.shape for p in weights.parameters()] == [p.shape for p in cls(6, 6, (5, 4), rank).parameters()]
    assert errors[0] > errors[1] > errors[2]


def test_decompositions_can_be_trained():
    weights = TuckerWeights.from_dense(torch.randn(4, 3, 4, 4, dtype=torch.complex64), 0.4)
    weights.dense().abs().sum().backward()
    assert all(p.grad is not None and not p.is_complex() for p in weights.parameters())


def test_real_copies_have_no_parameters_in_their_multipliers_and_give_the_same():
    for options in ({"weights": "cp"}, {"weights": "tt", "joint": True}, {"weights": "separable", "joint": True}):
        model = build("fno", c_in=1, c_out=1, n_modes=[6, 5], width=6, layers=2, **options).double()
        x = torch.randn(2, 1, 9, 5, dtype=torch.float64)
        frozen = real_copy(model)
        assert not [name for name, _ in frozen.named_parameters() if "weights" in name or "shared" in name]
        assert float((frozen(x) - model(x)).detach().abs().max()) <= 1e-12
        assert count_params(model) > count_params(frozen)


@pytest.mark.parametrize("rank", [0.0, -0.1, 1.1, True, "tenth", math.nan])
def test_bad_ranks(rank):
    with pytest.raises(ValueError, match="rank must be the fraction"):
        FNO(c_in=1, c_out=1, weights="cp", rank=rank)


def test_unknown_forms():
    with pytest.raises(ValueError, match="weights must be one of 'dense', 'cp', 'tucker', 'tt', 'separable'"):
        FNO(c_in=1, c_out=1, weights="svd")
    with pytest.raises(ValueError, match="implementation must be one of 'factorized', 'reconstructed'"):
        FNO(c_in=1, c_out=1, weights="cp", implementation="fast")
