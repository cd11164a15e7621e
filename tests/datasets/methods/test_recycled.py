"""Generation with recycling: along a chunk, or from one space that the pilot systems leave."""

import numpy as np
import pytest
from tiny_family import TinyDiffusion

from resolvent import datasets
from resolvent.datasets import Recycled, SharedSpace, families, generate, reproduce, verify
from resolvent.datasets.choosing.arms import arms_of
from resolvent.datasets.methods import recycled
from resolvent.datasets.methods.strategies import STRATEGIES, Request, named, setup_seconds
from resolvent.datasets.seeding import sample_rng
from resolvent.solvers import AMG, CG, GCRODR, GCROT, GMRES, IC, ILU0, RMINRES, DeflatedCG, Jacobi


@pytest.fixture
def darcy():
    return families.get("darcy2d", resolution=32)


def systems(family, count, seed=0):
    return [family.assemble(family.draw(sample_rng(seed, family.family_id, i))) for i in range(count)]


SOLVERS = [
    (GCRODR(restart=30, k=12), None),
    (GCRODR(restart=30, k=12), ILU0()),
    (GCROT(m=20, k=10), Jacobi()),
    (DeflatedCG(k=10), IC()),
    (RMINRES(k=10), Jacobi()),
]


@pytest.mark.parametrize(("solver", "M"), SOLVERS)
def test_a_chain_takes_fewer_iterations_than_cold_solves(darcy, solver, M):
    step = Recycled(solver, M, cold_every=None).start()
    for number, (A, b) in enumerate(systems(darcy, 4)):
        (result,) = step([(A, b)])
        assert result.converged
        if number:
            assert result.iterations < solver.solve(A, b, M=M).iterations
            assert result.counts.setup > 0, "the images of the space are charged"


def test_a_chain_starts_anew_at_the_border_of_a_chunk(tmp_path, darcy):
    method = Recycled(GCRODR(restart=30, k=12, rtol=5e-9), cold_every=None)
    whole = generate(darcy, 8, out=tmp_path / "whole.h5", solver=method, chunk=4, two_grid=0)
    iterations = whole.certificates["iterations"]
    assert iterations[[1, 2, 3, 5, 6, 7]].max() < iterations[[0, 4]].min()
    A, b = systems(darcy, 5)[4]
    assert iterations[4] == GCRODR(restart=30, k=12, rtol=5e-9).solve(A, b).iterations
    assert reproduce(whole.path, 6, solver=method).identical
    again = generate(darcy, 8, out=tmp_path / "again.h5", solver=method, chunk=4, two_grid=0, workers=2)
    assert again.content_sha256 == whole.content_sha256


def test_one_matrix_is_prepared_once(monkeypatch):
    family = families.get("poisson_chebyshev", resolution=24)
    built = []
    call = ILU0.__call__
    monkeypatch.setattr(ILU0, "__call__", lambda self, A: built.append(A) or call(self, A))
    step = Recycled(GCRODR(restart=30, k=12), ILU0(), cold_every=None).start()
    results = [step([system])[0] for system in systems(family, 4)]
    assert len(built) == 1 and all(result.converged for result in results)
    assert [result.counts.setup for result in results] == [0, 0, 0, 0], "its images are known"


SHARED = [(GCRODR(restart=30, k=12, rtol=5e-9), None), (GCRODR(restart=30, k=12, rtol=5e-9), ILU0()),
          (DeflatedCG(k=10, rtol=5e-9), IC()), (DeflatedCG(k=10, rtol=5e-9), AMG(reuse="interpolation"))]  # fmt: skip


@pytest.mark.parametrize(("solver", "M"), SHARED)
def test_samples_of_a_shared_space_depend_on_nothing_else(tmp_path, solver, M):
    """Not on chunks, the order, workers or what was made before in the process: bit by bit."""
    family = families.get("darcy2d", resolution=20)
    method = SharedSpace(solver, family, 3, M)
    runs = [{"chunk": 12}, {"chunk": 3}, {"chunk": 4, "order": "greedy"}, {"chunk": 5, "workers": 2}]
    digests = set()
    for number, run in enumerate(runs):
        recycled._spaces.clear()
        ds = generate(family, 12, out=tmp_path / f"{number}.h5", solver=method, seed=3, two_grid=0, **run)
        digests.add(ds.content_sha256)
    assert len(digests) == 1
    assert reproduce(ds.path, 7, solver=method).replayed == 3, "of its chunk, which it would not need"
    assert reproduce(ds.path, 7, solver=method).identical


def test_a_shared_space_takes_fewer_iterations_and_its_pilots_are_solved_once(darcy, monkeypatch):
    calls = []
    make = recycled._space_of_pilots
    monkeypatch.setattr(recycled, "_space_of_pilots", lambda method: calls.append(method) or make(method))
    recycled._spaces.clear()
    solver = GCRODR(restart=40, k=20)
    method = SharedSpace(solver, darcy)
    found = systems(darcy, 8)
    first = method.start()(found[4:5])[0]
    results = [first, *(method.start()([system])[0] for system in found[5:])]
    assert calls == [method]
    for (A, b), result in zip(found[4:], results, strict=True):
        assert result.converged and result.counts.setup == 20
        assert result.iterations + 20 < solver.solve(A, b).iterations
    assert setup_seconds([first]) > setup_seconds(results[1:2]), "the pilots are set-up of the first"
    same = method.start()([found[4]])[0]
    assert same.x.tobytes() == first.x.tobytes()


def test_spaces_of_few_methods_are_kept(darcy):
    recycled._spaces.clear()
    one = TinyDiffusion(resolution=40)
    for seed in range(4):
        SharedSpace(DeflatedCG(k=3), one, seed).start()(systems(one, 1))
    assert len(recycled._spaces) == 2


def test_systems_of_another_size_are_solved_without_the_space(tmp_path, darcy):
    method = SharedSpace(GCRODR(restart=30, k=10, rtol=5e-9), darcy)
    finer = families.get("darcy2d", resolution=40)
    (result,) = method.start()(systems(finer, 1))
    assert result.converged and result.counts.setup == 0
    ds = generate(darcy, 2, out=tmp_path / "s.h5", solver=method, two_grid=2)
    assert len(ds.provenance["discretisation"]["two_grid_errors"]) == 2


@pytest.mark.parametrize("rtol", [1e-6, 1e-10])
def test_complex_and_nonsymmetric_families_recycle(tmp_path, rtol):
    for name, options, solver in (
        ("helmholtz2d", {"resolution": 16, "wavenumber": 2.0, "layer": 0.25}, "gcrodr"),
        ("helmholtz2d", {"resolution": 16, "wavenumber": 2.0, "layer": 0.25}, "gcrodr:shared"),
        ("convdiff2d", {"resolution": 20}, "gmres+ilu0:recycled"),
        ("convdiff2d", {"resolution": 20}, "gmres+ilu0:shared"),
    ):
        family = families.get(name, **options)
        out = tmp_path / f"{name}-{solver.replace(':', '-')}.h5"
        ds = generate(family, 4, out=out, solver=solver, rtol=rtol, two_grid=0, chunk=4)
        assert ds.certificates["rho_float64"].max() <= rtol
        assert verify(ds.path).passed and reproduce(ds.path, 2).identical


def test_names_and_variants(darcy):
    request = Request(1e-8, 1024, 2, 64, darcy, 5)
    assert named("gcrodr")(request) == Recycled(GCRODR(rtol=5e-9))
    assert named("cg+ic:shared")(request) == SharedSpace(DeflatedCG(rtol=5e-9), darcy, 5, IC())
    with pytest.raises(ValueError, match="must name the family"):
        named("cg+ic:shared")(Request(1e-8, 1024, 2, 64))
    offered = {arm.name for arm in arms_of(["direct", "gmres+ilu0", "cg+ic"], request)}
    assert {"gmres+ilu0:recycled", "gmres+ilu0:shared", "cg+ic:recycled", "cg+ic:shared"} <= offered
    assert "gcrodr:shared" not in offered and "gcrodr" in STRATEGIES
    decision = datasets.explain(darcy, solver="gcrodr:shared", seed=7)
    assert decision.method.seed == 7 and "seed=7" in repr(decision.method) and "Darcy2D" in repr(decision.method)


def test_auto_never_recycles_where_something_better_is_known():
    for name in ("darcy2d", "convdiff2d", "helmholtz2d", "elasticity2d", "thermal", "poisson_chebyshev"):
        chosen = datasets.explain(families.get(name)).chosen
        assert "gcrodr" not in chosen and "recycled" not in chosen and "shared" not in chosen


def test_bad_arguments_are_refused(darcy):
    for cls, rest in ((Recycled, ()), (SharedSpace, (darcy,))):
        for solver in (CG(), GMRES(), GCRODR, "gcrodr", None):
            with pytest.raises(TypeError, match="needs a solver that recycles"):
                cls(solver, *rest)
        with pytest.raises(TypeError, match="needs a recipe"):
            cls(GCRODR(), *rest, M=np.eye(3))
    with pytest.raises(TypeError, match="needs the family"):
        SharedSpace(GCRODR(), "darcy")
    for options in ({"seed": -1}, {"systems": 0}, {"systems": 1.5}, {"seed": True}):
        with pytest.raises(ValueError, match="must be a whole number"):
            SharedSpace(GCRODR(), darcy, **options)


def test_without_admissible_pilots_there_is_no_space(darcy):
    class Never(TinyDiffusion):
        def assemble(self, inputs):
            raise ValueError("never")

    assert recycled._space_of_pilots(SharedSpace(DeflatedCG(), Never())) is None
    (result,) = SharedSpace(DeflatedCG(), Never()).start()(systems(TinyDiffusion(), 1))
    assert result.converged
