import dataclasses
import hashlib

import h5py
import numpy as np
import pytest
from tiny_family import TinyDiffusion

from resolvent.datasets import FieldSpec, FormatError
from resolvent.datasets.storage.file_format import Layout, hash_file, sample_digest, stored_file_sha256, user_block


def test_the_file_reads_as_its_specification_says(make, tiny):
    """Everything below uses h5py and hashlib only, as a stranger with the specification would."""
    path = make(20, seed=3).path
    with h5py.File(path) as file:
        n = 20
        assert file.attrs["format"] == "resolvent dataset"
        assert file.attrs["format_version"] == 1
        assert file.attrs["n_samples"] == n
        for name in ("family", "title", "equation", "domain", "boundary", "law", "licence", "created", "config"):
            assert isinstance(file.attrs[name], str)
        assert file["index"][:].tolist() == list(range(n))
        assert file["params/strength"].shape == (n,)
        assert file["inputs/a"].shape == file["solution/u"].shape == (n, 16)
        assert file["inputs/a"].attrs["units"] == "m²/s"
        assert file["inputs/a"].chunks is None
        assert file["certificate/status"][0] == b"CONVERGED"
        assert file["certificate/certified"].dtype == bool
        assert set(file["timing"]) == {"draw", "assemble", "solve", "certify", "write"}
        assert np.array_equal(file["axes/x"][:], tiny.axes()["x"])
        assert file["chunks/stop"][:].tolist() == [8, 16, 20]

        columns = sorted(
            f"{group}/{name}" for group in ("params", "inputs", "solution", "certificate") for name in file[group]
        )
        content = hashlib.sha256(b"resolvent content 1\n")
        for i in range(n):
            digests = []
            for column in columns:
                value = file[column][i]
                dtype = file[column].dtype
                header = f"{column} {dtype.str} {np.shape(value)}\n".encode()
                digests.append(hashlib.sha256(header + np.asarray(value, dtype=dtype).tobytes()).digest())
                assert file[f"digests/{column}"][i].tobytes() == digests[-1]
            sample = hashlib.sha256(i.to_bytes(8, "little") + b"".join(digests)).digest()
            assert file["digests/sample"][i].tobytes() == sample
            content.update(sample)
        assert file["content_sha256"][()].decode() == content.hexdigest()

    head = path.read_bytes()[:512]
    assert head.startswith(b"resolvent dataset\nsha256 of the bytes from 512 on: ")
    assert hashlib.sha256(path.read_bytes()[512:]).hexdigest().encode() in head


def test_a_repacked_file_still_reads_and_states_no_hash(make, tmp_path):
    ds = make(5)
    with h5py.File(ds.path) as old, h5py.File(tmp_path / "copy.h5", "w") as new:
        new.attrs.update(old.attrs)
        for name in old:
            old.copy(name, new)
        del new["inputs/a"]
        new.create_dataset("inputs/a", data=old["inputs/a"][:], chunks=(1, 16), compression="gzip", shuffle=True)
        new["inputs/a"].attrs.update(old["inputs/a"].attrs)
    assert stored_file_sha256(tmp_path / "copy.h5") is None
    assert np.array_equal(type(ds)(tmp_path / "copy.h5").column("a"), ds.column("a"))


def test_the_user_block_states_the_hash_of_the_rest(make):
    path = make(3).path
    assert stored_file_sha256(path) == hash_file(path, 512)
    content = bytearray(path.read_bytes())
    content[300] = 1  # padding
    path.write_bytes(content)
    with pytest.raises(FormatError, match="altered"):
        stored_file_sha256(path)
    assert len(user_block("0" * 64)) == 512


def test_records_end_with_the_times(tiny):
    layout = Layout(tiny, "float64")
    names = list(layout.record.names)
    assert names[-5:] == ["timing/draw", "timing/assemble", "timing/solve", "timing/certify", "timing/write"]
    assert layout.timing_offset == layout.record.itemsize - 5 * 8


def test_single_precision_concerns_inputs_and_solutions_not_parameters(tiny):
    layout = Layout(tiny, "float32")
    assert [layout.fields[name].dtype.str for name in ("strength", "a", "u")] == ["<f8", "<f4", "<f4"]


def test_a_digest_depends_on_path_type_shape_and_bytes(tiny):
    column = Layout(tiny, "float64").fields["a"]
    value = np.arange(16.0)
    variants = [
        (column, value),
        (column, value + np.eye(1, 16, 3)[0] * 1e-12),
        (dataclasses.replace(column, path="inputs/b"), value),
        (dataclasses.replace(column, shape=(4, 4)), value),
        (dataclasses.replace(column, dtype=np.dtype("<f4")), value),
    ]
    assert len({c.digest(v) for c, v in variants}) == len(variants)
    assert sample_digest(0, {"a": b"1"}) != sample_digest(1, {"a": b"1"})


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("a/b", FieldSpec((), "input", ""), "dataset name"),
        ("a", FieldSpec((), "output", ""), "role"),
        ("a", FieldSpec((), "input", "", kind="text"), "kind"),
    ],
)
def test_fields_that_cannot_be_stored_are_refused(name, spec, message):
    class Odd(TinyDiffusion):
        def fields(self):
            return {name: spec}

    with pytest.raises(ValueError, match=message):
        Layout(Odd(), "float64")
