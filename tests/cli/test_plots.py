"""Pictures: `resolvent plot`, `resolvent solve --plot`, and the functions behind them."""

import contextlib
import subprocess
import sys
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest

from resolvent import datasets, solvers
from resolvent.datasets import families
from resolvent.datasets.family import FieldSpec
from resolvent.datasets.plots import _draw_field, _planar, plot_dataset, plot_residuals
from resolvent.solvers.plots import plot_history, plot_tuning
from resolvent.solvers.tuning import Arm, OnlineTuner


def assert_is_a_picture(path):
    """It can be read, is of a size for print, and is not of one colour."""
    assert path.stat().st_size > 10_000
    pixels = matplotlib.image.imread(path)
    assert min(pixels.shape[:2]) > 500 and max(pixels.shape[:2]) < 4000
    assert pixels[..., :3].std() > 0.05
    colours = (pixels[..., :3] * 255).astype(np.int64) @ [65536, 256, 1]
    assert len(np.unique(colours)) > 50


def test_overview_of_a_dataset(run, dataset_path, tmp_path):
    out = tmp_path / "overview.png"
    result = run("plot", dataset_path, "--out", out)
    assert result.exit_code == 0 and str(out) in result.stdout
    assert_is_a_picture(out)


def test_chosen_samples(run, dataset_path, tmp_path):
    out = tmp_path / "two.png"
    result = run("plot", dataset_path, "--index", 3, "--index", 5, "--out", out)
    assert result.exit_code == 0 and "sample 3, sample 5" in result.stdout
    assert_is_a_picture(out)


@pytest.mark.parametrize("ending", ["pdf", "svg"])
def test_vector_formats(run, dataset_path, tmp_path, ending):
    out = tmp_path / f"one.{ending}"
    assert run("plot", dataset_path, "--index", 0, "--out", out).exit_code == 0
    assert out.stat().st_size > 10_000


def test_picture_lies_beside_the_file_by_default(run, dataset_path, tmp_path):
    copy = tmp_path / "copy.h5"
    copy.write_bytes(dataset_path.read_bytes())
    assert run("plot", copy, "--index", 2).exit_code == 0
    assert_is_a_picture(tmp_path / "copy.png")


def test_figure_shows_samples_fields_and_tolerance(dataset_path):
    with datasets.open(dataset_path) as dataset:
        figure = plot_dataset(dataset, [2, 4])
        rho = dataset.certificates["rho_float64"]
    panels = [ax for part in figure.subfigs for ax in part.axes]
    images = [ax for ax in panels if ax.images]
    assert len(images) == 4
    assert all(ax.get_aspect() in (1.0, "equal") for ax in images)
    assert images[0].get_title().startswith("sample 2") and f"{rho[2]:.1e}" in images[0].get_title()
    assert all(ax.child_axes for ax in images), "each has its colour bar"
    texts = [text.get_text().replace("\n", " ") for ax in images for text in ax.texts]
    assert any("permeability" in text for text in texts) and any("pressure" in text for text in texts)
    histogram = next(ax for ax in panels if ax.patches)
    assert sum(patch.get_height() for patch in histogram.patches) == 12
    tolerance = [line for line in histogram.lines if list(line.get_xdata()) == [-8.0, -8.0]]
    assert len(tolerance) == 1 and "log₁₀" in histogram.get_xlabel()


def test_residuals_into_given_axes(dataset_path):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    with datasets.open(dataset_path) as dataset:
        assert plot_residuals(dataset, ax) is ax
        assert plot_residuals(dataset.split("train")) is not ax


def test_failures_and_exact_zeros_are_drawn():
    """Residuals of a flagged set may be infinite, not-a-number or zero."""

    rho = np.array([0.0, 1e-9, np.inf, np.nan])
    columns = {"certificate/rho_float64": rho, "certificate/certified": rho <= 1e-8}
    ax = plot_residuals(SimpleNamespace(config={"rtol": 1e-8}, column=columns.__getitem__, axes={}))
    assert ax.get_title() == "2 of 4 samples certified, 2 not finite"


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_fields_in_every_dimension_and_form(dim):
    from matplotlib.figure import Figure

    axes = {name: np.linspace(0.0, 1.0, 5 + i) for i, name in enumerate("xyz"[:dim])}
    grid = tuple(map(len, axes.values()))
    rng = np.random.default_rng(0)
    fields = {
        "real": rng.standard_normal(grid),
        "complex": rng.standard_normal(grid) + 1j,
        "mask": rng.random(grid) > 0.5,
        "constant": np.ones(grid),
        "contrast": np.exp(5.0 * rng.standard_normal(grid)),
        "missing": np.full(grid, np.nan),
        "vector": rng.standard_normal((2, *grid)),
        "components last": rng.standard_normal((*grid, 2)),
        "edges": rng.standard_normal((4, len(axes["x"]))),
        "odd": rng.standard_normal(17),
        "strange": rng.standard_normal((3, 11, 2)),
    }
    figure = Figure(figsize=(20, 3), layout="constrained")
    for ax, (name, values) in zip(figure.subplots(1, len(fields)), fields.items(), strict=True):
        kind = {"c": "complex", "b": "boolean"}.get(values.dtype.kind, "real")
        described, _ = _draw_field(ax, values, FieldSpec(values.shape, "input", name, "m/s", kind), axes, name)
        assert described == f"{name} [m/s]"
        assert ax.images or ax.lines
    figure.draw_without_rendering()


def test_the_last_time_and_the_middle_plane_are_drawn():
    t, x, y, z = np.arange(4.0), np.arange(5.0), np.arange(6.0), np.arange(7.0)
    values = np.random.default_rng(0).random((4, 5, 6, 7))
    plane, coordinates, remark = _planar(values, {"t": t, "x": x, "y": y, "z": z})
    assert np.array_equal(plane, values[-1, :, :, 3])
    assert [name for name, _ in coordinates] == ["x", "y"] and remark == ", t = 3, z = 3"


def smallest_resolution(name):
    """A small resolution that a family accepts, and for which its checks pass: absorbing layers need four cells."""
    if name == "helmholtz2d":
        return 32
    for resolution in (8, 16, 32):
        with contextlib.suppress(ValueError):
            return families.get(name, resolution=resolution).resolution
    return families.get(name).resolution


@pytest.mark.parametrize("name", families.names())
def test_every_family_can_be_drawn(run, tmp_path, name):
    resolution = smallest_resolution(name)
    made = run(
        "generate", name, "-n", 2, "-r", resolution, "--chunk", 2, "-o", tmp_path / "d.h5", "--on-failure", "flag"
    )
    assert made.exit_code == 0, made.output
    with datasets.open(tmp_path / "d.h5") as dataset:
        figure = plot_dataset(dataset)
    assert all(ax.images or ax.lines or ax.collections for ax in figure.subfigs[0].axes)


# Histories ----------------------------------------------------------------------------------------------------------


def test_history_of_a_solve(run, matrices, tmp_path):
    out = tmp_path / "history.png"
    result = run("solve", matrices / "A.mtx", "-s", "cg", "--plot", out)
    assert result.exit_code == 0 and str(out) in result.stdout
    assert_is_a_picture(out)


def test_history_has_logarithmic_scale_and_tolerance():
    result = solvers.CG(rtol=1e-6).solve(np.diag(np.arange(1.0, 9.0)), np.ones(8))
    ax = plot_history(result)
    assert ax.get_yscale() == "log"
    curve, _, tolerance = ax.lines
    assert np.allclose(curve.get_ydata(), result.history / result.rhs_norm)
    assert np.allclose(tolerance.get_ydata(), 1e-6)
    assert "CONVERGED" in ax.get_title()


@pytest.mark.parametrize("b", [np.zeros(3), np.ones((3, 4)), np.array([np.nan, 1.0, 1.0])], ids=["zero", "many", "nan"])
def test_history_of_odd_cases(b):
    ax = plot_history(solvers.CG().solve(np.diag([1.0, 2.0, 3.0]), b))
    ax.figure.draw_without_rendering()


def test_tuning_shows_shares_and_costs():
    arms = [Arm(solvers.CG()), Arm(solvers.CG(), solvers.Jacobi()), Arm(solvers.CG(maxiter=1), name="gives up")]
    tuner = OnlineTuner(arms, cost="work")
    with pytest.raises(ValueError, match="no systems yet"):
        plot_tuning(tuner)
    for t in range(30):
        tuner.solve(np.diag(np.arange(1.0, 9.0) + t), np.ones(8))
    costs = np.array([each.cost for each in tuner.history])
    left, right = plot_tuning(tuner, {"twice": 2.0 * costs}).axes
    assert sum(each.get_paths()[0].vertices.shape[0] > 0 for each in left.collections) == 4, "three arms and the others"
    twice, mean, lost = right.lines
    assert np.allclose(mean.get_ydata(), np.cumsum(costs) / np.arange(1, 31))
    assert np.allclose(twice.get_ydata(), 2.0 * mean.get_ydata())
    assert len(lost.get_xdata()) == sum(len(each.attempts) > 1 for each in tuner.history) > 0
    left.figure.draw_without_rendering()
    with pytest.raises(ValueError, match="has solved 30 systems"):
        plot_tuning(tuner, {"twice": costs[:3]})


def test_pyplot_is_never_loaded(dataset_path, repository):
    code = f"""
import sys, numpy as np
from resolvent import datasets, solvers
from resolvent.datasets.plots import plot_dataset
from resolvent.solvers.plots import plot_history, plot_tuning
from resolvent.solvers.tuning import Arm, OnlineTuner
assert "matplotlib" not in sys.modules
plot_dataset(datasets.open({str(dataset_path)!r}))
plot_history(solvers.CG().solve(np.eye(2), np.ones(2)))
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
