import numpy as np
import pytest
from tiny_family import TinyDiffusion, TinyLU

from resolvent import solvers
from resolvent.datasets import OneByOne, families, generate, reproduce, verify
from resolvent.datasets.methods import PLANE_DIRECT_LIMIT, SAFETY, STRATEGIES, decide
from resolvent.datasets.seeding import sample_rng


@pytest.fixture
def darcy():
    return families.get("darcy2d", resolution=16)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("rtol", [1e-6, 1e-10])
def test_every_strategy_makes_certified_sets(tmp_path, darcy, name, rtol):
    ds = generate(darcy, 6, out=tmp_path / "set.h5", solver=name, chunk=4, rtol=rtol)
    assert ds.certificates["rho_float64"].max() <= rtol
    assert ds.certificates["status"].tolist() == [b"CONVERGED"] * 6
    assert ds.provenance["decision"]["chosen"] == name
    assert verify(ds.path).passed
    assert reproduce(ds.path, 5).identical


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_are_deterministic_and_independent_of_workers(tmp_path, darcy, name):
    digests = {
        generate(darcy, 12, out=tmp_path / f"{run}.h5", solver=name, chunk=4, workers=workers).content_sha256
        for run, workers in enumerate((1, 1, 2))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_agree_within_tolerance(tmp_path, darcy, name):
    reference = generate(darcy, 3, out=tmp_path / "reference.h5", solver="direct", rtol=1e-12)
    ds = generate(darcy, 3, out=tmp_path / "set.h5", solver=name, rtol=1e-10)
    for ours, theirs in zip(ds, reference, strict=True):
        A, b = darcy.assemble(theirs)
        change = darcy.restrict(ours) - darcy.restrict(theirs)
        assert np.linalg.norm(A @ change.ravel()) <= 10 * 1e-10 * np.linalg.norm(b)


def test_auto_decides_by_structure_and_says_why():
    small = decide("auto", 1e-8, families.get("darcy2d", resolution=16), 0)
    assert (small.requested, small.chosen) == ("auto", "direct")
    assert "256 unknowns in 2-D" in small.why
    side = int(PLANE_DIRECT_LIMIT**0.5) + 2
    assert decide("auto", 1e-8, families.get("darcy2d", resolution=side), 0).chosen == "cg+amg"
    assert decide("auto", 1e-8, families.get("darcy3d", resolution=8), 0).chosen == "cg+ssor"


def test_the_decision_for_a_set_is_kept_when_the_rule_changes(tmp_path, darcy, monkeypatch):
    out = tmp_path / "set.h5"
    first = generate(darcy, 4, out=out, chunk=4)
    assert first.provenance["decision"]["chosen"] == "direct"
    monkeypatch.setattr("resolvent.datasets.methods._rule", lambda system, dimension: ("cg+ssor", "another rule"))
    grown = generate(darcy, 8, out=out, chunk=4)
    assert grown.provenance["decision"] == first.provenance["decision"]
    assert grown.certificates["iterations"].max() <= 2


def test_a_solver_is_tightened_to_the_tolerance_of_the_set(tmp_path, darcy):
    ds = generate(darcy, 2, out=tmp_path / "set.h5", solver=solvers.CG(rtol=1e-2), rtol=1e-7)
    assert ds.certificates["certified"].all()
    assert f"rtol={SAFETY * 1e-7}" in ds.config["method"]
    tight = decide(solvers.CG(rtol=1e-12), 1e-7, darcy, 0)
    assert "rtol=1e-12" in repr(tight.method)
    assert reproduce(ds.path, 1, solver=solvers.CG(rtol=1e-2)).identical


def test_a_solver_that_does_not_converge_is_refused_by_its_certificate(tmp_path, darcy):
    from resolvent.datasets import CertificationError

    with pytest.raises(CertificationError, match="solver status MAXITER"):
        generate(darcy, 2, out=tmp_path / "set.h5", solver=solvers.CG(maxiter=2))


def test_what_depends_on_an_operator_is_prepared_once_while_it_stays_the_same():
    family = TinyDiffusion()
    system = family.assemble(family.draw(sample_rng(0, family.family_id, 0)))
    prepared = []

    class Solver:
        def prepare(self, A, M=None):
            prepared.append(("prepare", A))
            return Prepared(A)

    class Prepared:
        def __init__(self, A):
            self.A = A

        def update(self, A):
            prepared.append(("update", A))
            self.A = A

        def solve(self, b):
            return b

    solve = OneByOne(Solver()).start()
    other = family.assemble(family.draw(sample_rng(0, family.family_id, 1)))
    larger = TinyDiffusion(resolution=20).assemble(TinyDiffusion(resolution=20).draw(sample_rng(0, 1, 1)))
    for one in (system, system, other, larger):
        solve([one])
    assert prepared == [("prepare", system.A), ("update", other.A), ("prepare", larger.A)]


def test_methods_are_their_printed_form():
    assert repr(TinyLU()) == "TinyLU()"
    for make in STRATEGIES.values():
        assert repr(make(1e-8)) == repr(make(1e-8)) != repr(make(1e-6))
