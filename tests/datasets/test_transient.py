"""Sets of trajectories go through the same pipeline as those of linear systems."""

import h5py
import numpy as np
import pytest

from resolvent.datasets import GenerationInterrupted, describe, explain, generate, reproduce, verify
from resolvent.datasets import open as open_dataset
from resolvent.datasets.families import Advection1D, Burgers1D, DiffusionReaction2D, Heat2D, NavierStokes2D, Wave2D
from resolvent.datasets.plots import plot_dataset
from resolvent.datasets.transient import march_by_halving, worst_frame

FAMILIES = {
    "advection1d": Advection1D(resolution=32, frames=3),
    "burgers1d": Burgers1D(resolution=32, frames=3, final_time=0.2, viscosities=(0.04, 0.4)),
    "ns2d_vorticity": NavierStokes2D(resolution=64, frames=3, final_time=0.6),
    "wave2d": Wave2D(resolution=24, frames=3, final_time=0.3),
    "heat2d": Heat2D(resolution=16, frames=3, final_time=0.02),
    "diffreact2d": DiffusionReaction2D(resolution=16, frames=3, final_time=0.2),
}
each = pytest.mark.parametrize("name", FAMILIES)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A finished set of each family."""
    folder = tmp_path_factory.mktemp("sets")
    made = {name: generate(family, 6, out=folder / f"{name}.h5", chunk=2) for name, family in FAMILIES.items()}
    return {name: ds.path for name, ds in made.items()}


@each
def test_sets_are_certified_and_verify(sets, name):
    ds, family = open_dataset(sets[name]), FAMILIES[name]
    certificates = ds.certificates
    assert certificates["certified"].all() and set(certificates["status"].tolist()) == {b"CONVERGED"}
    assert set(family.evidence) <= set(certificates)
    evidence = np.stack([certificates[key] for key in family.evidence])
    np.testing.assert_array_equal(evidence.max(axis=0), certificates["rho_float64"])
    assert certificates["rho_float64"].max() <= family.default_rtol == ds.config["rtol"]
    frames = {spec.shape[0] for spec in ds.fields.values() if spec.role == "solution"}
    assert frames == {len(ds.axes["t"])} == {family.frames}
    assert ds.provenance["decision"]["chosen"] == "none"
    assert ds.provenance["discretisation"]["checks"]
    report = verify(sets[name])
    assert report.passed and report.samples == 6, str(report)
    assert all(key in str(describe(sets[name])) for key in family.evidence)


@each
def test_workers_and_interruptions_do_not_change_a_bit(sets, name, tmp_path):
    whole = open_dataset(sets[name]).content_sha256
    assert generate(FAMILIES[name], 6, out=tmp_path / "two.h5", chunk=2, workers=2).content_sha256 == whole

    def stop(state):
        if state.done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(GenerationInterrupted):
        generate(FAMILIES[name], 6, out=tmp_path / "resumed.h5", chunk=2, progress=stop)
    assert generate(FAMILIES[name], 6, out=tmp_path / "resumed.h5", chunk=2).content_sha256 == whole
    assert generate(FAMILIES[name], 3, out=tmp_path / "grown.h5", chunk=2)
    assert generate(FAMILIES[name], 6, out=tmp_path / "grown.h5", chunk=2).content_sha256 == whole


@each
def test_samples_are_reproduced(sets, name):
    found = reproduce(sets[name], 3)
    assert found.identical and found.passed and found.replayed == 2 and found.residual_change == 0.0


@each
def test_a_changed_value_is_found_by_its_digest_and_by_the_evidence(sets, name, tmp_path):
    path = tmp_path / "altered.h5"
    path.write_bytes(sets[name].read_bytes())
    with h5py.File(path, "r+") as file:
        field = next(iter(file["solution"].values()))
        altered, sample = field.name.removeprefix("/"), field[4]
        sample[1, 5] += 1e-3 * np.abs(sample).max()
        field[4] = sample
    report = verify(path)
    assert {altered, "certificate/rho_stored"} <= {p.field for p in report.problems if p.index == 4}
    assert not reproduce(path, 4).identical


@each
def test_single_precision_stores_what_rounding_does(name, tmp_path):
    ds = generate(FAMILIES[name], 2, out=tmp_path / "single.h5", dtype="float32")
    certificates = ds.certificates
    assert certificates["certified"].all()
    assert all(ds.column(key).dtype == np.float32 for key, spec in ds.fields.items() if spec.role != "parameter")
    assert (certificates["rounding_error"] > 1e-9).all() and (certificates["rounding_error"] < 1e-7).all()
    assert (certificates["rho_stored"] < 1e-5).all()
    assert verify(ds.path).passed


@each
def test_no_solver_can_be_chosen(name, tmp_path):
    decision = explain(FAMILIES[name], chunk=2)
    assert decision.chosen == "none" and FAMILIES[name].integrator() in decision.why
    assert ("2 samples together" in decision.why) == (FAMILIES[name].members(2) == 2)
    for solver in ("direct", "tuned"):
        with pytest.raises(ValueError, match="marches by itself: leave solver out"):
            generate(FAMILIES[name], 2, out=tmp_path / "set.h5", solver=solver)
    with pytest.raises(ValueError, match="has linear systems to be solved"):
        generate("darcy", 2, out=tmp_path / "set.h5", solver="none")


@each
def test_pictures_are_drawn(sets, name):
    figure = plot_dataset(open_dataset(sets[name]))
    labels = [ax.get_xlabel() for part in figure.subfigs for ax in part.axes]
    assert "log₁₀ of the largest evidence of error" in labels


@each
def test_frames_are_channels_for_torch(sets, name):
    pytest.importorskip("torch")
    ds = open_dataset(sets[name])
    x, y = ds.torch()[0]
    grid = tuple(len(axis) for key, axis in ds.axes.items() if key != "t")
    states, paths = (sum(spec.role == role for spec in ds.fields.values()) for role in ("input", "solution"))
    assert x.shape == (states, *grid) and y.shape == (3 * paths, *grid)


def test_a_failing_trajectory_is_flagged_with_its_evidence(tmp_path):
    ds = generate(FAMILIES["burgers1d"], 2, out=tmp_path / "set.h5", rtol=1e-15, on_failure="flag")
    assert not ds.certificates["certified"].any() and set(ds.certificates["status"].tolist()) == {b"MAXITER"}
    assert verify(ds.path).passed  # flagged, as it says


def test_every_halving_is_the_next_candidate():
    asked = []

    def simulate(steps):
        asked.append(steps)
        return {"u": np.array([[1.0 + steps**-4.0]])}, {"other": 0.0}

    march = march_by_halving(simulate, 2, 1e-6)
    assert asked == [2, 4, 8, 16, 32, 64] and march.steps == 32
    assert march.rho == pytest.approx(15 / 16 * 32**-4.0, rel=1e-3)
    assert march.rho == march.judge(march.solution)["step_halving"]
    assert march_by_halving(simulate, 2, 1e-15, doublings=1).steps == 4


def test_the_worst_frame_keeps_what_is_not_a_number():
    assert worst_frame({"u": np.array([[1.0], [2.0]])}, {"u": np.array([[1.0], [4.0]])}) == 0.5
    assert np.isnan(worst_frame({"u": np.array([[1.0], [np.nan]])}, {"u": np.array([[1.0], [4.0]])}))
    assert worst_frame({"u": np.zeros((1, 2))}, {"u": np.zeros((1, 2))}) == 0.0
