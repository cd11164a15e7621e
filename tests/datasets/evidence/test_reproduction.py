import h5py
import numpy as np
import pytest
from tiny_family import TinyChain, TinyDiffusion, TinyEnsemble, TinyFailing, TinyLU

from resolvent.datasets import DatasetError, describe, reproduce


@pytest.mark.parametrize("method", [TinyChain(), TinyEnsemble(), TinyLU()])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_sample_is_made_again_in_every_bit(make, method, dtype):
    path = make(20, solver=method, dtype=dtype).path
    for index in (0, 7, 13, 19):
        again = reproduce(path, index, family=TinyDiffusion(), solver=method)
        assert again.identical
        assert again.passed
        assert again.replayed == index % 8 + 1
        assert again.environment == {}
        assert "identical in every bit" in str(again)


def test_a_flagged_sample_is_made_again(make):
    path = make(20, solver=TinyFailing(5), on_failure="flag").path
    assert reproduce(path, 14, family=TinyDiffusion(), solver=TinyFailing(5)).identical


def test_a_changed_sample_is_compared(make):
    path = make(20).path
    with h5py.File(path, "r+") as file:
        u = file["solution/u"][9]
        u[2] *= 1 + 1e-3
        file["solution/u"][9] = u
    # The stored digest is that of the original: it is the numbers that are compared.
    again = reproduce(path, 9, family=TinyDiffusion(), solver=TinyChain())
    assert again.changes["solution/u"] > 0
    assert again.changes["inputs/a"] == 0.0
    assert again.residual_change > 1e-6
    assert not again.identical
    assert not again.passed
    assert "DIFFERENT" in str(again)


def test_another_solver_within_tolerance_passes_as_the_same(make, monkeypatch):
    path = make(20).path
    monkeypatch.setattr(TinyChain, "start", TinyLU.start)  # what another version of a solver amounts to
    again = reproduce(path, 15, family=TinyDiffusion(), solver=TinyChain())
    assert not again.identical
    assert again.passed
    assert 0 < again.residual_change < 1e-7
    assert "the same within tolerance" in str(again)


def test_what_cannot_be_reproduced_is_said(make):
    path = make(20).path
    with pytest.raises(IndexError, match="samples 0 to 19"):
        reproduce(path, 20, family=TinyDiffusion())
    with pytest.raises(DatasetError, match=r"was solved by TinyChain\(\): pass that as solver="):
        reproduce(path, 0, family=TinyDiffusion())
    with pytest.raises(DatasetError, match=r"was solved by TinyChain\(\), this version offers TinyLU\(\)"):
        reproduce(path, 0, family=TinyDiffusion(), solver=TinyLU())


def test_a_description_says_what_where_from_and_how_good(make):
    ds = make(20, solver=TinyFailing(5), on_failure="flag")
    description = describe(ds.path)
    assert description.samples == 20
    assert description.splits == {"train": 16, "valid": 2, "test": 2}
    assert description.statuses == {"CONVERGED": 14, "MAXITER": 6}
    assert description.certified == 14
    low, median, high = description.certificates["rho_float64"]
    assert low < median < 1e-8 < high
    cost = description.cost
    assert sum(cost[stage] for stage in cost if stage != "wall") == pytest.approx(cost["wall"], rel=0.05)
    text = str(description)
    session = ds.provenance["sessions"][0]
    for part in (
        "−(a u')' = f",
        "log a and f have independent normal values",
        "CC-BY-4.0",
        "14 of 20 certified (14 CONVERGED, 6 MAXITER)",
        "input, 16, diffusivity [m²/s]",
        session["host"],
        session["started"],
        session["libraries"]["numpy"],
        session["code"],
        ds.content_sha256,
        "TinyFailing(first=5)",
    ):
        assert part in text
    assert np.isfinite(description.size_bytes)
