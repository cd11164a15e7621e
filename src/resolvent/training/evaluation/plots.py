"""Pictures of predictions and of training. Matplotlib is imported when one is drawn, without pyplot's global state."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..data.geometry import Geometry
from .rollout import Rollout
from .spectra import Spectrum
from .table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SAMPLES = 6
"""Samples drawn below each other in one figure."""

_BLUE, _RED, _ORANGE, _GREY = "#1f5a99", "#b3261e", "#d9822b", "0.55"
_NOT_CURVES = ("epoch", "step", "lr", "learning_rate", "gradient_norm", "grad_norm", "seconds", "time")
"""Columns of a log that are no losses or metrics."""


def plot_fields(
    prediction: np.ndarray | torch.Tensor,
    target: np.ndarray | torch.Tensor,
    geometry: Geometry,
    inputs: np.ndarray | torch.Tensor | None = None,
    *,
    channel: int = 0,
) -> Figure:
    """Draw truth, prediction and error of samples, one a line: curves in 1-D, images in 2-D, middle slices in 3-D.

    Truth and prediction share their colours; the error has its own, symmetric around zero.

    Parameters
    ----------
    prediction, target : (N, C, *grid) array or tensor
        At most `MAX_SAMPLES` samples.
    geometry : Geometry
    inputs : (N, C', *grid) array or tensor, optional
        Their first channel is drawn before the others.
    channel : int
        Of prediction and target.

    Returns
    -------
    figure : matplotlib Figure
        Save it with ``figure.savefig(path)``; in a notebook, it is shown as the value of a cell.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training import Geometry, plot_fields
    >>> figure = plot_fields(np.ones((2, 1, 9, 9)), np.zeros((2, 1, 9, 9)), Geometry.unit([9, 9]))
    >>> [ax.get_title() for ax in figure.axes[:3]]
    ['truth', 'prediction', 'error']
    """
    from matplotlib.figure import Figure

    p, y = _array(prediction), _array(target)
    x = None if inputs is None else _array(inputs)
    if p.shape != y.shape or p.shape[2:] != geometry.grid or not 1 <= len(p) <= MAX_SAMPLES:
        raise ValueError(
            f"expected equal fields of 1 to {MAX_SAMPLES} samples on {geometry!r}, got {p.shape} and {y.shape}"
        )
    if not 0 <= channel < p.shape[1]:
        raise ValueError(f"there are channels 0 to {p.shape[1] - 1}, not {channel}")
    if geometry.dim == 1:
        return _curves(p[:, channel], y[:, channel], None if x is None else x[:, 0], geometry)
    panels = 3 if x is None else 4
    ratio = geometry.lengths[1] / geometry.lengths[0]
    tall = float(np.clip(2.3 * ratio, 1.2, 4.5))
    figure = Figure(figsize=(3.3 * panels + 0.3, tall * len(p) + 0.7), layout="constrained", dpi=150)
    axes = np.asarray(figure.subplots(len(p), panels, squeeze=False))
    at = tuple(n // 2 for n in geometry.grid[2:])
    for line in range(len(p)):
        truth, guess = (_slice(u[line, channel], at) for u in (y, p))
        together = np.concatenate([truth.ravel(), guess.ravel()])
        error = guess - truth
        limit = float(np.abs(error[np.isfinite(error)]).max(initial=0.0)) or 1.0
        drawn: list[tuple[str, np.ndarray, dict[str, Any]]] = [
            ("truth", truth, _colours(together)),
            ("prediction", guess, _colours(together)),
            ("error", error, {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}),
        ]
        if x is not None:
            first = _slice(x[line, 0], at)
            drawn.insert(0, ("input", first, {**_colours(first), "cmap": "viridis"}))
        for column, (title, field, colours) in enumerate(drawn):
            ax = axes[line, column]
            _image(ax, field, geometry, colours)
            if line == 0:
                ax.set_title(title, fontsize=10)
            if line < len(p) - 1:
                ax.tick_params(labelbottom=False)
            if column:
                ax.tick_params(labelleft=False)
        axes[line, 0].set_ylabel(f"sample {line}\n{_relative(guess, truth)}", fontsize=9)
    if geometry.dim == 3:
        figure.suptitle(f"slice z = {geometry.axes[2][at[0]]:.3g}", fontsize=10)
    return figure


def plot_learning_curves(log: str | Path, ax: Axes | None = None) -> Axes:
    """Draw losses and metrics of a training log by epoch, on a logarithmic scale.

    Parameters
    ----------
    log : path
        Of a CSV file with a column ``epoch``; every other column of numbers but the learning rate, the norm of the
        gradient and times is a curve. Names that begin with ``val`` are drawn in full, others dashed.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default, which is ``plot_learning_curves(log).figure``.

    Raises
    ------
    ValueError
        For a file without rows, without epochs or without curves.
    """
    with Path(log).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "epoch" not in rows[0]:
        raise ValueError(f"{log} must have a column epoch and at least one row")
    epoch = np.array([_number(row["epoch"]) for row in rows])
    curves = {
        name: np.array([_number(row[name]) for row in rows]) for name in rows[0] if name and name not in _NOT_CURVES
    }
    curves = {name: values for name, values in curves.items() if (values > 0.0).any()}
    if not curves:
        raise ValueError(f"{log} has no losses or metrics beside {', '.join(rows[0])}")
    ax = _new() if ax is None else ax
    for number, (name, values) in enumerate(curves.items()):
        there = values > 0.0  # what was not measured in an epoch is no number
        style = "-" if name.startswith("val") else "--"
        dots = "o" if there.sum() <= 40 else None
        ax.plot(epoch[there], values[there], style, color=f"C{number}", marker=dots, markersize=3, label=name)
    # The metric is what the kept model is chosen by.
    best = sorted((name for name in curves if name.startswith("val")), key=lambda name: name != "valid_metric")
    if best:
        values = np.where(curves[best[0]] > 0.0, curves[best[0]], np.inf)
        at = int(values.argmin())
        ax.plot(epoch[at], values[at], "o", color=_RED, markersize=8, markerfacecolor="none", label=f"best {best[0]}")
    ax.set(xlabel="epoch", ylabel="loss and metrics", yscale="log")
    ax.locator_params(axis="x", integer=True)
    return _finished(ax)


def plot_spectra(spectra: Spectrum | Mapping[str, Spectrum], ax: Axes | None = None) -> Axes:
    """Draw the energies of target and error by wave number, for one model or several on the same targets.

    Where the curve of the error meets that of the target, the model knows nothing about these waves.
    """
    each = {"error": spectra} if isinstance(spectra, Spectrum) else dict(spectra)
    if not each:
        raise ValueError("there are no spectra to draw")
    ax = _new() if ax is None else ax
    first = next(iter(each.values()))
    # A logarithmic axis has no place for the mean, nor for what is rounding.
    floor = 1e-20 * max(float(first.target.max()), 1e-300)
    shown = (first.wavenumber > 0.0) & (first.target > floor)
    ax.plot(first.wavenumber[shown], first.target[shown], color="black", linewidth=1.6, label="target")
    for number, (name, spectrum) in enumerate(each.items()):
        there = (spectrum.wavenumber > 0.0) & (spectrum.error > floor)
        ax.plot(spectrum.wavenumber[there], spectrum.error[there], color=f"C{number}", linewidth=1.4, label=name)
    ax.set(xlabel="wave number |κ|", ylabel="energy of the shell", xscale="log", yscale="log")
    return _finished(ax)


def plot_sweep(table: Table) -> Figure:
    """Draw errors and times by the number of points, of a table of `resolvent.training.sweep`.

    Parameters
    ----------
    table : Table

    Returns
    -------
    figure : matplotlib Figure
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(10.5, 3.9), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2)
    points = np.array(table.column("points"), dtype=float)
    order = np.argsort(points, kind="stable")
    labels = np.array(table.column("grid"))[order]
    for name, colour in (("relative_l2", _BLUE), ("relative_h1", _ORANGE)):
        shown = name.replace("relative_l2", "relative L²").replace("relative_h1", "relative H¹")
        left.plot(points[order], _column(table, name)[order], "o-", color=colour, label=shown)
        around = _column(table, f"interpolated_{name}")[order]
        if np.isfinite(around).any():
            left.plot(
                points[order], around, "s--", color=colour, markersize=4, alpha=0.7, label=f"{shown}, interpolated"
            )
    left.set(ylabel="error", xscale="log", yscale="log", title="errors, and those of interpolation")
    right.plot(points[order], _column(table, "ms_per_sample")[order], "o-", color=_BLUE, label="prediction")
    right.set(ylabel="ms a sample", xscale="log", yscale="log", title="time")
    for ax in (left, right):
        ax.set_xlabel("grid")
        ax.set_xticks(points[order], labels)
        ax.xaxis.set_minor_locator(NullLocator())
        ax.title.set_fontsize(10)
        _finished(ax)
    return figure


def plot_rollout(result: Rollout, ax: Axes | None = None) -> Axes:
    """Draw the error of each step: of all trajectories, their median, and of single steps from the truth."""
    ax = _new() if ax is None else ax
    steps = np.arange(1, len(result.errors) + 1)
    for trajectory in result.errors.T[:50]:
        ax.plot(steps, trajectory, color="0.8", linewidth=0.8, zorder=1)
    finite = np.isfinite(result.errors)
    median = [
        float(np.median(row[good])) if good.any() else np.nan for row, good in zip(result.errors, finite, strict=True)
    ]
    dots = "o" if len(steps) <= 40 else None
    ax.plot(steps, median, color=_BLUE, marker=dots, markersize=3.5, label="from its predictions, median")
    single = [
        float(np.median(row[np.isfinite(row)])) if np.isfinite(row).any() else np.nan for row in result.teacher_forced
    ]
    ax.plot(steps, single, "--", color=_ORANGE, marker=dots, markersize=3.5, label="from the truth, median")
    lost = result.first_non_finite[result.first_non_finite > 0]
    if lost.size:
        ax.axvline(
            float(lost.min()), color=_RED, linewidth=1.2, label=f"{lost.size} cease to be finite, the first here"
        )
    ax.set(xlabel="step", ylabel="error", yscale="log")
    ax.locator_params(axis="x", integer=True)
    return _finished(ax)


# Parts -------------------------------------------------------------------------------------------------------------


def _curves(p: np.ndarray, y: np.ndarray, x: np.ndarray | None, geometry: Geometry) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 2.3 * len(p) + 0.5), layout="constrained", dpi=150)
    axes = np.asarray(figure.subplots(len(p), 2, squeeze=False))
    at = geometry.axes[0]
    for line, (left, right) in enumerate(axes):
        if x is not None:
            left.plot(at, x[line], color=_GREY, linewidth=1.0, label="input")
        left.plot(at, y[line], color="black", linewidth=1.6, label="truth")
        left.plot(at, p[line], "--", color=_ORANGE, linewidth=1.6, label="prediction")
        right.plot(at, p[line] - y[line], color=_RED, linewidth=1.3, label="error")
        left.set_ylabel(f"sample {line}\n{_relative(p[line], y[line])}", fontsize=9)
        for ax in (left, right):
            _finished(ax)
            if line == len(p) - 1:
                ax.set_xlabel("x")
            if line:
                ax.get_legend().remove()
    return figure


def _image(ax: Axes, field: np.ndarray, geometry: Geometry, colours: dict[str, Any]) -> None:
    (left, right), (bottom, top) = geometry.ends[:2]
    edges = [_edges(axis, *ends) for axis, ends in zip(geometry.axes[:2], geometry.ends[:2], strict=True)]
    image = ax.pcolormesh(*edges, field.T, rasterized=True, **colours)
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    ax.tick_params(labelsize=8)
    ax.locator_params(nbins=5)
    # A bar inside the panel's own coordinates is exactly as high as the image, whatever the layout makes of both.
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0.0, 0.05, 1.0)))
    bar.ax.tick_params(labelsize=7.5, length=2.5)
    bar.outline.set_linewidth(0.4)


def _slice(field: np.ndarray, at: tuple[int, ...]) -> np.ndarray:
    """Return a field of two dimensions, of three at one place of the last."""
    return field[:, :, at[0]] if at else field


def _edges(axis: np.ndarray, left: float, right: float) -> np.ndarray:
    """Return where the cells around points end: half-way between them, and no further than the domain."""
    middles = 0.5 * (axis[1:] + axis[:-1])
    return np.concatenate([[max(left, 2 * axis[0] - middles[0])], middles, [min(right, 2 * axis[-1] - middles[-1])]])


def _colours(values: np.ndarray) -> dict[str, Any]:
    """Return colour map and limits: diverging around zero for both signs."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low < 0.0 < high and min(-low, high) > 0.02 * max(-low, high):
        return {"cmap": "RdBu_r", "vmin": -max(-low, high), "vmax": max(-low, high)}
    return {"cmap": "inferno", "vmin": low, "vmax": high if high > low else low + 1.0}


def _relative(guess: np.ndarray, truth: np.ndarray) -> str:
    size = float(np.linalg.norm(truth))
    error = float(np.linalg.norm(guess - truth))
    return f"error {error / size:.1e}" if size > 0.0 else f"error {error:.1e} (absolute)"


def _array(u: np.ndarray | torch.Tensor) -> np.ndarray:
    return u.detach().cpu().double().numpy() if isinstance(u, torch.Tensor) else np.asarray(u, dtype=float)


def _column(table: Table, name: str) -> np.ndarray:
    return np.array([np.nan if entry is None else float(entry) for entry in table.column(name)])


def _number(text: str | None) -> float:
    try:
        return float(text) if text else np.nan
    except ValueError:
        return np.nan


def _new() -> Axes:
    from matplotlib.figure import Figure

    ax: Axes = Figure(figsize=(6.4, 4.2), layout="constrained", dpi=150).subplots()
    return ax


def _finished(ax: Axes) -> Axes:
    ax.grid(True, which="major", color="0.92", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=9)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.legend(fontsize=8.5, edgecolor="none", framealpha=0.9)
    return ax
