"""What a run does with samples that fail, and what every sample's certificate says."""

import dataclasses

import numpy as np
import pytest
from tiny_family import TinyDiffusion, TinyFailing, TinyLU, outcome

import resolvent.datasets as datasets
from resolvent.datasets import CertificationError, SampleError


def parts(ds_or_path):
    path = getattr(ds_or_path, "path", ds_or_path)
    return path.with_name(path.name + ".parts")


def test_every_sample_carries_its_certificate(make, tiny):
    ds = make(10)
    certificates = ds.certificates
    assert certificates["certified"].all()
    assert (certificates["tolerance"] == 1e-8).all()
    assert (certificates["rounding_error"] == 0).all()
    for i, sample in enumerate(ds):
        A, b = tiny.assemble(sample)
        rho = np.linalg.norm(b - A.matrix @ sample["u"]) / np.linalg.norm(b)
        assert certificates["rho_stored"][i] == pytest.approx(rho, rel=1e-12)
        assert certificates["rho_float64"][i] == certificates["rho_stored"][i]


def test_single_precision_is_certified_before_rounding_on_the_stored_inputs(make, tiny):
    ds, exact = make(10, "single.h5", dtype="float32"), make(10, "double.h5")
    assert ds.column("a").dtype == ds.column("u").dtype == np.float32
    assert ds.column("strength").dtype == np.float64
    assert np.array_equal(ds.column("a"), exact.column("a").astype(np.float32))
    certificates = ds.certificates
    assert certificates["rho_float64"].max() <= 1e-8
    assert certificates["rho_stored"].min() > 1e-8  # rounding alone costs this much
    assert (certificates["rounding_error"] < 6e-8).all()
    assert (certificates["rounding_error"] > 1e-9).all()
    sample = {name: np.asarray(value, dtype=np.float64) for name, value in ds[4].items()}
    A, b = tiny.assemble(sample)
    rho = np.linalg.norm(b - A.matrix @ sample["u"]) / np.linalg.norm(b)
    assert certificates["rho_stored"][4] == pytest.approx(rho, rel=1e-12)


def test_a_failed_sample_stops_the_run_and_is_named(make, tmp_path):
    with pytest.raises(CertificationError) as caught:
        make(20, solver=TinyFailing(5), seed=11)
    error = caught.value
    assert (error.index, error.seed, error.status) == (5, 11, "MAXITER")
    assert error.rho == pytest.approx(0.01, rel=0.1)
    assert "sample 5 of seed 11" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_sample_in_a_worker_is_named_too_and_finished_chunks_are_kept(make, tmp_path):
    with pytest.raises(CertificationError, match="is not certified"):
        make(40, solver=TinyFailing(5), workers=2)
    assert not list(tmp_path.glob("*.parts/*.tmp"))


def test_failed_samples_can_be_flagged(make):
    ds = make(20, solver=TinyFailing(5), on_failure="flag")
    certified = ds.certificates["certified"]
    assert np.flatnonzero(~certified).tolist() == [5, 6, 7, 13, 14, 15]
    assert ds.certificates["status"][5] == b"MAXITER"
    assert ds.certificates["iterations"][5] == 7
    report = datasets.verify(ds.path, family=TinyDiffusion())
    assert report.passed
    assert "6 samples are flagged" in str(report)
    with pytest.raises(CertificationError, match="stored with on_failure='flag'"):
        make(20, solver=TinyFailing(5))


def test_problems_that_cannot_be_assembled_are_failures(make):
    class Inadmissible(TinyDiffusion):
        def assemble(self, inputs):
            if inputs["f"][0] > 0.5:
                raise ValueError("f starts too high")
            return super().assemble(inputs)

    with pytest.raises(CertificationError, match=r"INADMISSIBLE.*f starts too high"):
        make(20, family=Inadmissible(), solver=TinyLU())
    ds = make(20, family=Inadmissible(), solver=TinyLU(), on_failure="flag")
    bad = ds.column("f")[:, 0] > 0.5
    assert bad.any()
    assert np.array_equal(ds.certificates["certified"], ~bad)
    assert np.isnan(ds.column("u")[bad]).all()
    assert set(ds.certificates["status"][bad]) == {b"INADMISSIBLE"}
    assert np.isfinite(ds.statistics["u"]["mean"])
    assert datasets.verify(ds.path, family=Inadmissible()).passed


def test_a_solution_that_is_not_finite_fails(make):
    @dataclasses.dataclass(frozen=True)
    class Broken(TinyLU):
        def start(self):
            return lambda systems: [outcome(np.full(16, np.nan), 3, "NONFINITE") for _ in systems]

    with pytest.raises(CertificationError, match="NONFINITE"):
        make(3, solver=Broken())
    assert np.isnan(make(3, solver=Broken(), on_failure="flag").certificates["rho_stored"]).all()


def test_a_zero_right_hand_side_has_a_certificate(make):
    class Zero(TinyDiffusion):
        def draw(self, rng):
            return super().draw(rng) | {"f": np.zeros(self.resolution)}

    ds = make(3, family=Zero(), solver=TinyLU())
    assert (ds.certificates["rho_float64"] == 0).all()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ({"a": np.ones(3)}, r"'a' of shape \(3,\) for sample 0, announced \(16,\)"),
        ({"a": np.full(16, np.inf)}, "not finite for sample 0"),
        ({"a": np.ones(16, dtype=complex)}, "dtype complex128 for sample 0, not real"),
        ({"b": np.ones(16)}, r"\['a', 'b', 'f', 'strength'\] for sample 0"),
    ],
)
def test_a_family_that_breaks_its_contract_is_named(make, draw, message):
    class Careless(TinyDiffusion):
        def draw(self, rng):
            return super().draw(rng) | draw

    with pytest.raises(SampleError, match=message):
        make(3, family=Careless())
