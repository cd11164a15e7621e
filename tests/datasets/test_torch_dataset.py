import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")


@pytest.fixture
def ds(make):
    return make(30)


def test_pairs_are_channel_first_tensors(ds):
    pairs = ds.torch(split="train")
    assert len(pairs) == 24
    x, y = pairs[5]
    assert (x.shape, y.shape) == ((2, 16), (1, 16))  # a and f; u
    assert x.dtype == y.dtype == torch.float32
    sample = ds.split("train")[5]
    assert np.array_equal(x.numpy(), np.stack([sample["a"], sample["f"]]).astype(np.float32))


def test_fields_are_chosen_by_name_and_numbers_become_constant_channels(ds):
    pairs = ds.torch(inputs=["strength", "a"], targets=["u", "f"], dtype="float64")
    x, y = pairs[7]
    assert x.dtype == torch.float64
    assert (x[0] == float(ds[7]["strength"])).all()
    assert np.array_equal(x[1].numpy(), ds[7]["a"])
    assert np.array_equal(y.numpy(), np.stack([ds[7]["u"], ds[7]["f"]]))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_loader_reads_every_sample_once(ds, workers):
    whole = ds.column("u").astype(np.float32)  # the file is open in this process before the loader forks
    loader = torch.utils.data.DataLoader(ds.torch(), batch_size=7, num_workers=workers)
    batches = [y for _, y in loader]
    assert np.array_equal(torch.cat(batches).numpy()[:, 0], whole)


def test_complex_fields_become_two_channels_and_vectors_several(tmp_path):
    from tiny_family import TinyDiffusion, TinyLU

    from resolvent.datasets import FieldSpec, generate

    class Wave(TinyDiffusion):
        def fields(self):
            fields = super().fields()
            fields["u"] = FieldSpec((16,), "solution", "wave", kind="complex")
            fields["w"] = FieldSpec((3, 16), "solution", "vector")
            return fields

        def expand(self, x, inputs):
            return {"u": x * (1 + 2j), "w": np.stack([x, 2 * x, 3 * x])}

        def restrict(self, solution):
            return solution["w"][0]

    ds = generate(Wave(), 4, out=tmp_path / "wave.h5", solver=TinyLU())
    _, y = ds.torch(dtype="float64")[2]
    u = ds[2]["u"]
    assert u.dtype == np.complex128
    assert y.shape == (5, 16)
    assert np.array_equal(y.numpy()[:2], [u.real, u.imag])
    assert np.array_equal(y.numpy()[2:], ds[2]["w"])
    assert ds.statistics["u"]["mean"] == pytest.approx(ds.split("train").column("u").mean())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": ["b"]}, "expected field names among strength, a, f, u, got b"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"split": "dev"}, "a split is one of"),
    ],
)
def test_wrong_requests(ds, options, message):
    with pytest.raises(ValueError, match=message):
        ds.torch(**options)


def test_without_torch_the_error_names_the_command(ds, monkeypatch):
    monkeypatch.delitem(sys.modules, "resolvent.datasets._torch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'pip install "resolvent\[learn\]"'):
        ds.torch()
