import h5py
import numpy as np
import pytest
from tiny_family import TinyChain, TinyDiffusion, TinyLU

from resolvent.datasets import FormatError, verify
from resolvent.datasets.storage import file_format
from resolvent.datasets.worker import content_digests


@pytest.fixture
def path(make):
    return make(20).path


def alter(path, name, index, change):
    """Change one number in place, as damage or a careless script would; the file hash is made to fit."""
    with h5py.File(path, "r+") as file:
        column = file[name]
        values = column[index]
        column[index] = change(values, np.abs(column[...]).max() if column.dtype.kind in "fi" else None)
    reseal(path)


def reseal(path):
    content = path.read_bytes()[512:]
    path.write_bytes(file_format.user_block("0" * 64) + content)
    path.write_bytes(file_format.user_block(file_format.hash_file(path, 512)) + content)


def bump(values, largest):
    """Change one entry by a thousandth of the largest value of the column."""
    values = np.array(values)
    values.flat[0] += 1e-3 * largest
    return values


def found(path, **options):
    report = verify(path, **({"family": TinyDiffusion()} | options))
    assert report.passed == (not report.problems)
    return {(problem.index, problem.field) for problem in report.problems}


def test_an_untouched_file_passes(path):
    seen = []
    report = verify(path, family=TinyDiffusion(), progress=seen.append)
    assert report.passed
    assert report.samples == 20
    assert report.worst_rho <= 1e-8
    assert "passed (20 samples" in str(report)
    assert "60 inputs drawn again bitwise" in str(report)
    assert [(state.phase, state.done) for state in seen][-1] == ("verify", 20)


@pytest.mark.parametrize("options", [{"dtype": "float32"}, {"solver": TinyLU()}, {"splits": (1, 0, 0)}])
def test_other_sets_pass(make, options):
    assert found(make(20, **options).path) == set()


COLUMNS = [
    "params/strength",
    "inputs/a",
    "inputs/f",
    "solution/u",
    "certificate/rho_float64",
    "certificate/rho_stored",
    "certificate/tolerance",
]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("index", [0, 13, 19])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_value_changed_by_a_thousandth_is_found_and_named(make, name, index, dtype):
    path = make(20, dtype=dtype).path
    alter(path, name, index, bump)
    assert (index, name) in found(path)


def test_other_certificate_columns_are_covered(path):
    alter(path, "certificate/iterations", 3, lambda value, _: value + 1)
    alter(path, "certificate/status", 4, lambda value, _: b"MAXITER")
    alter(path, "certificate/certified", 5, lambda value, _: False)
    alter(path, "certificate/rounding_error", 6, lambda value, _: 1e-3)
    names = ("iterations", "status", "certified", "rounding_error")
    assert {(3 + i, f"certificate/{name}") for i, name in enumerate(names)} <= found(path)


def test_index_split_digest_and_statistics_are_covered(path):
    alter(path, "index", 2, lambda value, _: 99)
    alter(path, "split", 3, lambda value, _: (value + 1) % 3)
    alter(path, "digests/inputs/a", 4, lambda value, _: value ^ 1)
    alter(path, "digests/sample", 5, lambda value, _: value ^ 1)
    alter(path, "statistics/u/mean", (), lambda value, _: value + 1e-3)
    expected = {(2, "index"), (3, "split"), (4, "digests/inputs/a"), (5, "digests/sample")}
    expected |= {(None, "statistics/u/mean"), (None, "content_sha256")}
    assert found(path) == expected


def test_a_forgery_with_fitting_digests_is_found_by_the_seed_and_by_the_equation(path):
    """Changes a coefficient and a solution and recomputes every digest, as a faulty rewriting tool might."""
    layout = file_format.Layout(TinyDiffusion(), "float64")
    content = file_format.ContentDigest()
    with h5py.File(path, "r+") as file:
        for index, name in ((6, "inputs/a"), (7, "solution/u")):
            file[name][index] = bump(file[name][index], np.abs(file[name][:]).max())
        for index in range(20):
            digests = content_digests(layout.content, {c.path: file[c.path][index] for c in layout.content})
            for name, digest in digests.items():
                file[f"digests/{name}"][index] = np.frombuffer(digest, dtype=np.uint8)
            sample = file_format.sample_digest(index, digests)
            file["digests/sample"][index] = np.frombuffer(sample, dtype=np.uint8)
            content.add(np.frombuffer(sample, dtype=np.uint8))
        file["content_sha256"][()] = content.hexdigest().encode()
    reseal(path)
    problems = found(path)
    assert {(6, "inputs/a"), (6, "solution"), (7, "solution")} <= problems
    assert not any(index in range(6) for index, _ in problems)


def test_one_flipped_byte_is_found_and_named(path, rng):
    content = path.read_bytes()
    with h5py.File(path) as file:
        where = {name: file[name].id.get_offset() for name in ("solution/u", "inputs/a", "certificate/rho_stored")}
        row = {name: file[name].dtype.itemsize * int(np.prod(file[name].shape[1:])) for name in where}
    for name, offset in where.items():
        for index in (0, 11, 19):
            damaged = bytearray(content)
            damaged[offset + index * row[name] + int(rng.integers(row[name]))] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            assert {(None, "file"), (index, name)} <= found(path)


def test_a_flipped_byte_anywhere_is_found(path, rng):
    content = path.read_bytes()
    for position in [*rng.integers(512, len(content), size=40), 0, 30, 100, 511]:
        damaged = bytearray(content)
        damaged[int(position)] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        assert not verify(path, family=TinyDiffusion()).passed


def test_a_truncated_and_a_foreign_file_are_reported(path, tmp_path):
    path.write_bytes(path.read_bytes()[:-100])
    assert {field for _, field in found(path)} == {"file", "structure"}
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FormatError, match="not a dataset of this package"):
        verify(tmp_path / "text.h5")
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "none.h5")


def test_a_file_of_another_family_is_reported(path):
    assert found(path, family=TinyDiffusion(resolution=8)) == {(None, "config")}
    assert found(path, family=None) == {(None, "config")}


def test_long_lists_of_problems_are_cut_and_counted(make):
    path = make(150, chunk=50).path
    with h5py.File(path, "r+") as file:
        file["solution/u"][:] = 0.0
    report = verify(path, family=TinyDiffusion())
    assert len(report.problems) == 100
    assert report.count > 300
    assert "more" in str(report)


def test_a_column_of_another_type_is_reported(path):
    with h5py.File(path, "r+") as file:
        values = file["solution/u"][:]
        attributes = dict(file["solution/u"].attrs)
        del file["solution/u"]
        file["solution/u"] = values.astype(np.float32)
        file["solution/u"].attrs.update(attributes)
    reseal(path)
    assert (None, "solution/u") in found(path)


def test_a_set_of_other_versions_may_differ_by_rounding(make, monkeypatch):
    """Random streams and transforms may differ in their last bits between versions; more than that is a finding."""
    from resolvent.datasets import provenance

    monkeypatch.setattr(provenance, "processor", lambda: "another one")
    path = make(6).path
    monkeypatch.undo()

    class Rounded(TinyDiffusion):
        factor = 1 + 1e-15

        def draw(self, rng):
            drawn = super().draw(rng)
            return drawn | {"a": drawn["a"] * self.factor}

    report = verify(path, family=Rounded())
    assert report.passed
    assert "to rounding" in str(report)
    Rounded.factor = 1 + 1e-6
    assert not verify(path, family=Rounded()).passed
    assert not verify(make(6, "here.h5", solver=TinyChain()).path, family=Rounded()).passed


def test_inputs_in_two_splits_are_found(make):
    class Repeating(TinyDiffusion):
        """Draws one problem again and again, but for a few samples."""

        def draw(self, rng):
            return super().draw(np.random.default_rng(int(rng.integers(3))))

    family = Repeating()
    with make(30, family=family) as dataset:
        split = dataset.column("split")
        digests = [d.tobytes() for d in dataset.column("digests/inputs/a")]
        first = {}
        shared = [i for i, d in enumerate(digests) if split[i] != split[first.setdefault(d, i)]]
        report = verify(dataset.path, family=family)
    assert shared and {p.index for p in report.problems if p.field == "inputs"} == set(shared)
    assert report.checks["splits"] == "share inputs"


def test_independent_draws_share_no_inputs(make, tiny):
    with make(30) as dataset:
        assert verify(dataset.path, family=tiny).checks["splits"] == "no inputs in two of them"


@pytest.mark.parametrize("target, warned", [(None, False), (1e-4, False), (1e-6, False), (1e-7, True)])
def test_labels_too_loose_for_the_model_to_be_trained_are_warned_of(make, tiny, target, warned):
    with make(4, rtol=1e-8) as dataset:
        report = verify(dataset.path, family=tiny, target_error=target)
    assert report.passed and bool(report.warnings) == warned
    assert report.checks["accuracy"] == "tolerance 1.0e-08, fit for models down to a relative error of 1e-06"
    assert not warned or ("generate with rtol 1e-09 or less" in report.warnings[0] and "warning: " in str(report))
