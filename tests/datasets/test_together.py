"""Systems solved together: windows, what is inadmissible, and sets that do not depend on how they were made."""

import dataclasses
import os
import pickle
import signal
import subprocess
import sys
import time
from typing import ClassVar

import numpy as np
import pytest

from resolvent import solvers
from resolvent.datasets import Dataset, families, generate, reproduce, verify
from resolvent.datasets.choosing.decision import decide
from resolvent.datasets.family import FieldSpec, LinearFamily, System
from resolvent.datasets.methods.strategies import STRATEGIES, Request, Together
from resolvent.datasets.random_fields import grid_points
from resolvent.datasets.schemes.diffusion import dirichlet_diffusion
from resolvent.datasets.seeding import sample_rng
from resolvent.operators import Stencil
from resolvent.solvers import MultigridCG
from resolvent.solvers.costs.ways import CACHED_UNKNOWNS, WIDEST


@pytest.fixture
def darcy():
    return families.get("darcy2d", resolution=16)


def systems(family, count):
    return [family.assemble(family.draw(sample_rng(0, family.family_id, i))) for i in range(count)]


def test_a_window_gives_what_singles_give(darcy):
    four = systems(darcy, 4)
    results = Together(MultigridCG(), 4).start()(four)
    assert len(results) == 4
    for (A, b), result in zip(four, results, strict=True):
        alone = MultigridCG().solve(A, b)
        assert result.converged and result.iterations == alone.iterations
        np.testing.assert_allclose(result.x, alone.x, rtol=0, atol=1e-10 * abs(alone.x).max())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_incomplete_window_gives_the_bits_of_a_full_one(darcy, count):
    four = systems(darcy, 4)
    method = Together(MultigridCG(), 4)
    full, part = method.start()(four), method.start()(four[:count])
    assert len(part) == count
    for one, other in zip(part, full, strict=False):
        np.testing.assert_array_equal(one.x, other.x)


def test_windows_one_after_the_other_are_those_of_a_fresh_start(darcy):
    eight = systems(darcy, 8)
    method = Together(MultigridCG(), 4)
    running = method.start()
    running(eight[:4])
    for one, other in zip(running(eight[4:]), method.start()(eight[4:]), strict=True):
        np.testing.assert_array_equal(one.x, other.x)
    assert list(running([])) == []


def test_a_member_that_cannot_be_solved_is_alone(darcy):
    four = systems(darcy, 4)
    good = Together(MultigridCG(), 4).start()(four)
    A = four[2].A
    c = A.coefficients.copy()
    c[0, 3, 3] = np.nan
    four[2] = System(Stencil(c, A.offsets, mirrored=True, props=A.props), four[2].b)
    results = Together(MultigridCG(), 4).start()(four)
    assert [r.status.name for r in results] == ["CONVERGED", "CONVERGED", "NONFINITE", "CONVERGED"]
    for number in (0, 1, 3):
        np.testing.assert_array_equal(results[number].x, good[number].x)


@pytest.mark.parametrize("n", [1, 3, 7, 11])
def test_a_sample_does_not_depend_on_the_size_of_its_set(tmp_path, darcy, n):
    whole = generate(darcy, 16, out=tmp_path / "whole.h5", solver="multigrid", chunk=8)
    part = generate(darcy, n, out=tmp_path / "part.h5", solver="multigrid", chunk=8)
    for i in range(n):
        np.testing.assert_array_equal(part[i]["u"], whole[i]["u"])
    assert reproduce(part.path, n - 1).identical and verify(part.path).passed


def test_what_is_refused_inside_of_a_window(tmp_path, darcy):
    from resolvent.datasets import CertificationError

    class Rejecting(Together):
        def start(self):
            solve = super().start()

            def spoil(systems):
                results = list(solve(systems))
                if len(results) > 1:
                    results[1] = dataclasses.replace(results[1], x=1.01 * results[1].x)
                return results

            return spoil

    with pytest.raises(CertificationError, match="sample 1"):
        generate(darcy, 8, out=tmp_path / "set.h5", solver=Rejecting(MultigridCG(), 4), chunk=8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sieve(LinearFamily):
    """Diffusion on a square whose samples of strength above 1.5 cannot be assembled."""

    name: ClassVar[str] = "sieve"
    family_id: ClassVar[int] = 9011
    title: ClassVar[str] = "Diffusion"
    equation: ClassVar[str] = "−∇·(a∇u) = 1"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "u = 0"

    resolution: int = 8
    limit: float = 1.5

    def fields(self):
        grid = (self.resolution,) * 2
        return {
            "s": FieldSpec((), "parameter", "strength"),
            "a": FieldSpec(grid, "input", "diffusivity"),
            "u": FieldSpec(grid, "solution", "potential"),
        }

    def axes(self):
        return {name: grid_points(self.resolution, "cell") for name in "xy"}

    def law(self):
        return "log a has independent normal values; the strength is uniform on (1, 2)"

    def draw(self, rng):
        return {"s": np.asarray(rng.uniform(1.0, 2.0)), "a": np.exp(rng.standard_normal((self.resolution,) * 2))}

    def assemble(self, inputs):
        if inputs["s"] > self.limit:
            raise ValueError("too strong")
        A = dirichlet_diffusion(inputs["a"], 1.0 / self.resolution, "cell")
        return System(A, np.full(A.shape[0], float(inputs["s"])))

    def expand(self, x, inputs):
        return {"u": x.reshape(self.resolution, self.resolution)}

    def restrict(self, solution):
        return solution["u"].ravel()


def test_what_cannot_be_assembled_inside_of_a_window_is_flagged(tmp_path):
    options = {"solver": Together(MultigridCG(), 4), "chunk": 8, "seed": 1}
    ds = generate(Sieve(), 20, out=tmp_path / "sieve.h5", on_failure="flag", **options)
    all_of_them = generate(Sieve(limit=3.0), 20, out=tmp_path / "all.h5", **options)
    status = [s.decode() for s in ds.certificates["status"]]
    assert 3 < status.count("INADMISSIBLE") < 17
    for i, name in enumerate(status):
        assert (name == "INADMISSIBLE") == (all_of_them[i]["s"] > 1.5) == (not ds.certificates["certified"][i])
        if name == "CONVERGED":
            np.testing.assert_allclose(ds[i]["u"], all_of_them[i]["u"], rtol=1e-6)
            assert reproduce(ds.path, i, family=Sieve(), solver=options["solver"]).identical
        else:
            assert np.isnan(ds[i]["u"]).all()


def test_too_few_iterations_are_refused_by_the_certificate(tmp_path, darcy):
    from resolvent.datasets import CertificationError

    with pytest.raises(CertificationError, match="MAXITER"):
        generate(darcy, 8, out=tmp_path / "set.h5", solver=Together(MultigridCG(maxiter=2), 4), chunk=8)


@pytest.mark.parametrize("options", [{"chunk": 12}, {"chunk": 5}])
def test_the_content_does_not_depend_on_workers(tmp_path, darcy, options):
    digests = {
        generate(darcy, 24, out=tmp_path / f"{run}.h5", solver="multigrid", workers=workers, **options).content_sha256
        for run, workers in enumerate((1, 2))
    }
    assert len(digests) == 1


@pytest.mark.parametrize(("chunk", "window"), [(1, 1), (5, 1), (6, 2), (12, 4), (16, 16), (24, 8), (64, 16)])
def test_windows_divide_chunks(tmp_path, darcy, chunk, window):
    decision = decide("multigrid", 1e-8, darcy, 0, chunk)
    assert decision.method.window == window
    ds = generate(darcy, chunk + 3, out=tmp_path / "set.h5", solver="multigrid", chunk=chunk)
    assert ds.certificates["rho_float64"].max() <= 1e-8
    assert reproduce(ds.path, chunk + 1).identical and reproduce(ds.path, 0).identical


def test_windows_become_narrow_for_large_grids():
    for unknowns in (64, 128**2, 256**2, 1024**2):
        window = STRATEGIES["multigrid"](Request(1e-8, unknowns, 2, 64)).window
        assert window == 1 or window * unknowns <= CACHED_UNKNOWNS
        assert window == WIDEST or 2 * window * unknowns > CACHED_UNKNOWNS


SCRIPT = """
import sys
from resolvent.datasets import families, generate
generate(families.get("darcy2d", resolution=32), 400, out=sys.argv[1], solver="multigrid", chunk=8)
"""


def test_an_interrupted_set_is_the_same_when_resumed(tmp_path):
    family = families.get("darcy2d", resolution=32)
    out = tmp_path / "cut.h5"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(out)], env=os.environ.copy())
    begun = time.monotonic()
    while process.poll() is None and time.monotonic() - begun < 60:
        if any(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()):
            time.sleep(0.3)
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.02)
    process.wait()
    resumed = generate(family, 400, out=out, solver="multigrid", chunk=8)
    whole = generate(family, 400, out=tmp_path / "whole.h5", solver="multigrid", chunk=8)
    assert resumed.content_sha256 == whole.content_sha256


def test_a_set_that_grows_is_the_same_as_one_made_at_once(tmp_path, darcy):
    grown = tmp_path / "grown.h5"
    for n in (3, 9, 21):
        ds = generate(darcy, n, out=grown, solver="multigrid", chunk=8)
    whole = generate(darcy, 21, out=tmp_path / "whole.h5", solver="multigrid", chunk=8)
    assert ds.content_sha256 == whole.content_sha256 == Dataset(grown).content_sha256


@pytest.mark.parametrize("name", ["darcy2d", "darcy3d"])
def test_every_sample_can_be_reproduced(tmp_path, name):
    family = families.get(name, resolution=12 if name == "darcy2d" else 6, grid="vertex")
    ds = generate(family, 10, out=tmp_path / "set.h5", solver="multigrid", chunk=8)
    for i in range(10):
        assert reproduce(ds.path, i).identical


def test_it_prints_and_pickles_as_its_identity():
    method = Together(solvers.MultigridCG(rtol=1e-6), 4)
    assert repr(method).startswith("Together(solver=MultigridCG(") and "members=4" in repr(method)
    assert pickle.loads(pickle.dumps(method)) == method
