import dataclasses
import importlib.util
from typing import ClassVar

import numpy as np
import pytest
from constant_family import ConstantDiffusion
from tiny_family import TinyDiffusion, TinyLU

from resolvent import solvers
from resolvent.datasets import FieldSpec, LinearFamily, OneByOne, System, families, generate, reproduce, verify
from resolvent.datasets.choosing.decision import decide
from resolvent.datasets.choosing.judgement import Judgement, same_matrix
from resolvent.datasets.methods.blocks import InBlocks
from resolvent.datasets.methods.strategies import SAFETY, STRATEGIES, Request, Rescued, Together
from resolvent.datasets.schemes.diffusion import cell_transmissibilities
from resolvent.datasets.seeding import sample_rng
from resolvent.operators import Stencil


@dataclasses.dataclass(frozen=True, kw_only=True)
class WhiteNoise(LinearFamily):
    """−∇·(a∇u) = 1 with coefficients that vary by 10⁶ from cell to cell."""

    name: ClassVar[str] = "white"
    family_id: ClassVar[int] = 998
    title: ClassVar[str] = "White noise"
    equation: ClassVar[str] = "−∇·(a∇u) = 1"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "u = 0"

    def fields(self):
        shape = (self.resolution,) * 2
        return {"a": FieldSpec(shape, "input", "coefficient"), "u": FieldSpec(shape, "solution", "solution")}

    def axes(self):
        return dict.fromkeys("xy", (np.arange(self.resolution) + 0.5) / self.resolution)

    def law(self):
        return "log a uniform and independent."

    def draw(self, rng):
        return {"a": 10.0 ** rng.uniform(-3.0, 3.0, (self.resolution,) * 2)}

    def assemble(self, inputs):
        faces = cell_transmissibilities(np.asarray(inputs["a"]), 1.0 / self.resolution, 2)
        return System(Stencil.from_transmissibilities(faces), np.ones(self.resolution**2))

    def expand(self, x, inputs):
        return {"u": x.reshape((self.resolution,) * 2)}

    def restrict(self, solution):
        return solution["u"].ravel()


@pytest.fixture
def darcy():
    return families.get("darcy2d", resolution=16)


NO_PETSC = pytest.mark.skipif(importlib.util.find_spec("petsc4py") is None, reason="petsc4py is not installed")
VARYING = [pytest.param(n, marks=NO_PETSC if n == "petsc" else ()) for n in STRATEGIES if n != "fft"]


@pytest.mark.parametrize("name", VARYING)
@pytest.mark.parametrize("rtol", [1e-6, 1e-10])
def test_every_strategy_makes_certified_sets(tmp_path, darcy, name, rtol):
    ds = generate(darcy, 6, out=tmp_path / "set.h5", solver=name, chunk=4, rtol=rtol)
    assert ds.certificates["rho_float64"].max() <= rtol
    assert ds.certificates["status"].tolist() == [b"CONVERGED"] * 6
    assert ds.provenance["decision"]["chosen"] == name
    assert verify(ds.path).passed
    assert reproduce(ds.path, 5).identical


@pytest.mark.parametrize("name", VARYING)
def test_strategies_are_deterministic_and_independent_of_workers(tmp_path, darcy, name):
    digests = {
        generate(darcy, 12, out=tmp_path / f"{run}.h5", solver=name, chunk=4, workers=workers).content_sha256
        for run, workers in enumerate((1, 1, 2))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("name", VARYING)
def test_strategies_agree_within_tolerance(tmp_path, darcy, name):
    reference = generate(darcy, 3, out=tmp_path / "reference.h5", solver="direct", rtol=1e-12)
    ds = generate(darcy, 3, out=tmp_path / "set.h5", solver=name, rtol=1e-10)
    for ours, theirs in zip(ds, reference, strict=True):
        A, b = darcy.assemble(theirs)
        change = darcy.restrict(ours) - darcy.restrict(theirs)
        assert np.linalg.norm(A @ change.ravel()) <= 10 * 1e-10 * np.linalg.norm(b)


def test_auto_decides_by_structure_and_says_why():
    darcy = decide("auto", 1e-8, families.get("darcy2d", resolution=64), 0)
    assert (darcy.requested, darcy.chosen) == ("auto", "multigrid")
    assert "4096 unknowns, 2-D, positive definite" in darcy.why and "estimated multigrid" in darcy.why
    assert darcy.estimates[0].way == "multigrid" and {e.way for e in darcy.estimates} >= {"direct", "cg+amg"}
    assert all(darcy.estimates[0].seconds <= e.seconds for e in darcy.estimates)
    assert str(darcy).startswith("multigrid: 4096 unknowns") and "direct" in str(darcy)
    assert decide("auto", 1e-8, families.get("darcy3d", resolution=16), 0).chosen == "multigrid"
    assert decide("auto", 1e-8, families.get("heat2d_step", resolution=64), 0).chosen == "multigrid"
    assert decide("auto", 1e-8, families.get("convdiff2d", resolution=64), 0).chosen == "direct"
    assert decide("auto", 1e-8, families.get("helmholtz2d", resolution=64), 0).chosen == "direct"


@pytest.mark.parametrize("chunk", [1, 6, 64])
def test_the_window_divides_the_chunk(darcy, chunk):
    method = STRATEGIES["multigrid"](Request(1e-8, 256, 2, chunk))
    assert isinstance(method.method, Together) and chunk % method.window == 0


def test_no_calibration_of_a_user_enters_the_decision(darcy, tmp_path, monkeypatch):
    from resolvent import choose
    from resolvent.solvers import costs

    monkeypatch.setenv("RESOLVENT_CALIBRATION", str(tmp_path / "costs.json"))
    before = decide("auto", 1e-8, darcy, 0)
    system = darcy.assemble(darcy.draw(np.random.default_rng(0)))
    assert type(choose(system.A).solver) is solvers.Direct
    slow = {"direct": costs.Curve([costs.Point(256, 9.0, 9.0, 9.0, 9.0)])}
    fast = {"multigrid": costs.Curve([costs.Point(256, 1e-4, 1e-4, 1e-4, 1e-4)])}
    costs.write_calibration(costs.CostModel({"definite-2d": slow | fast}, costs.packaged_model().machine | this()))
    assert type(choose(system.A).solver) is solvers.MultigridCG, "where it may, the calibration decides"
    after = decide("auto", 1e-8, darcy, 0)
    assert (after.chosen, after.why) == (before.chosen, before.why)


def this():
    from resolvent.solvers.costs.stored import this_machine

    return this_machine()


def test_a_constant_matrix_is_found_out_and_prepared_once(tmp_path):
    family = ConstantDiffusion(resolution=24)
    decision = decide("auto", 1e-8, family, 0)
    assert decision.chosen == "fft" and "one matrix for all samples" in decision.why
    for solver in ("auto", "direct"):
        ds = generate(family, 6, out=tmp_path / f"{solver}.h5", solver=solver, chunk=3)
        assert ds.certificates["certified"].all()
    one, two = (family.assemble(family.draw(sample_rng(0, family.family_id, i))) for i in range(2))
    assert one.A is not two.A and same_matrix(one.A, two.A) and same_matrix(one.A, one.A)
    other = ConstantDiffusion(resolution=24, level=2.0).assemble({"f": np.ones((24, 24))})
    assert not same_matrix(one.A, other.A) and not same_matrix(one.A, one.A.to_sparse())


def test_blocks_of_one_matrix_are_solved_in_full_whatever_the_size_of_the_set(tmp_path):
    family = ConstantDiffusion(resolution=24)
    whole = generate(family, 20, out=tmp_path / "whole.h5", chunk=8, solver="fft", two_grid=0)
    part = generate(family, 11, out=tmp_path / "part.h5", chunk=8, solver="fft", two_grid=0)
    assert whole.config["window"] == 8 and "InBlocks" in whole.config["method"]
    assert all(whole[i]["u"].tobytes() == part[i]["u"].tobytes() for i in range(11))
    assert whole.certificates["rho_float64"].max() <= 1e-8
    assert reproduce(whole.path, 10, family=family).identical
    timing = whole.chunks
    assert timing["seconds_setup"].min() >= 0.0 and (timing["seconds_setup"] < timing["seconds_solve"]).all()


def test_blocks_of_different_matrices_are_solved_one_by_one():
    systems = [ConstantDiffusion(resolution=12, level=level).assemble({"f": np.full((12, 12), level)})
               for level in (1.0, 1.0, 3.0)]  # fmt: skip
    solve = InBlocks(solvers.FastPoisson(), 4).start()
    for number in (3, 2, 1, 0):
        results = solve(systems[:number])
        assert len(results) == number and all(result.converged for result in results)
        for (A, b), result in zip(systems, results, strict=False):
            assert result.x.shape == b.shape and np.linalg.norm(b - A @ result.x) <= 1e-10 * np.linalg.norm(b)
            assert len(result.columns) == 1 and result.rhs_norm == pytest.approx(np.linalg.norm(b))


def test_the_decision_for_a_set_is_kept_when_the_rule_changes(tmp_path, darcy, monkeypatch):
    out = tmp_path / "set.h5"
    first = generate(darcy, 4, out=out, chunk=4)
    assert first.provenance["decision"]["chosen"] == "multigrid"
    monkeypatch.setattr(
        "resolvent.datasets.choosing.decision.judge", lambda *found: Judgement("direct", "another rule")
    )
    grown = generate(darcy, 8, out=out, chunk=4)
    assert grown.provenance["decision"] == first.provenance["decision"]
    assert grown.certificates["iterations"].min() >= 5, "none was factorised"


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
    loose, tight = Request(1e-6, 256, 2, 64), Request(1e-8, 256, 2, 64)
    for make in STRATEGIES.values():
        assert repr(make(tight)) == repr(make(tight)) != repr(make(loose))


def test_samples_that_multigrid_finds_hard_are_solved_by_what_is_surer(tmp_path):
    family = WhiteNoise(resolution=48)
    decision = decide("auto", 1e-8, family, 0)
    assert decision.chosen == "multigrid" and isinstance(decision.method, Rescued)
    ds = generate(family, 4, out=tmp_path / "set.h5", chunk=4, two_grid=0)
    assert ds.certificates["certified"].all() and ds.certificates["iterations"].max() <= 60
    assert reproduce(ds.path, 3, family=family).identical
