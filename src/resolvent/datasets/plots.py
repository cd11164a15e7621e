"""Pictures of datasets. Matplotlib is imported when one is drawn, and pyplot's global state is never touched."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .choosing.chunk_decision import entries_of, solve_times
from .family import FieldSpec
from .methods.strategies import NONE
from .reader import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SAMPLES = 8
"""Samples drawn side by side in one figure."""

_BLUE, _RED, _ORANGE = "#1f5a99", "#b3261e", "#d9822b"
_FLOOR = 1e-18
"""Where an exact zero is put on a logarithmic axis."""
_LOGARITHMIC = 30.0
"""Contrast of a positive input above which its colours are logarithmic."""
_POINTS = 50_000
"""Samples beyond which the residuals by index are thinned, the worst ones kept."""


def plot_dataset(dataset: Dataset, indices: Sequence[int] | None = None) -> Figure:
    """Draw samples with their inputs and solutions, and the residuals of the whole set against the tolerance.

    Parameters
    ----------
    dataset : Dataset
        As `resolvent.datasets.open` returns it.
    indices : sequence of int, optional
        Positions of the samples to draw; by default the first one, and those with the median and the worst residual.

    Returns
    -------
    figure : matplotlib Figure
        Save it with ``figure.savefig(path)``; in a notebook, it is shown as the value of a cell.

    Raises
    ------
    ValueError, IndexError
        For an empty dataset, more than `MAX_SAMPLES` samples, or one that is not there.

    Examples
    --------
    >>> import resolvent
    >>> figure = plot_dataset(resolvent.datasets.open("darcy.h5"))  # doctest: +SKIP
    >>> figure.savefig("darcy.png")  # doctest: +SKIP
    """
    from matplotlib.figure import Figure

    rows, remarks = _choose(dataset, indices)
    fields = _drawable(dataset)
    # Samples side by side, one field a line; a single sample has its fields side by side instead.
    single = len(rows) == 1
    across, down = (len(fields), 1) if single else (len(rows), len(fields))
    width = float(np.clip(3.3 * across, 7.4, 18.0))
    tall = down * min(0.76 * width / across, 2.9) + (0.5 if single else 0.7)
    figure = Figure(figsize=(width, 1.0), layout="constrained", dpi=150)
    figure.suptitle(_headline(dataset, width), fontsize=11)
    heights = (tall, 3.0, 2.4) if dataset.decisions else (tall, 3.0)
    figure.set_figheight(sum(heights) + 1.0)
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights, hspace=0.04)
    top, bottom = parts[:2]
    panels = np.asarray(top.subplots(down, across, squeeze=False))
    for column, row in enumerate(rows):
        sample = dataset[row]
        for line, name in enumerate(fields):
            ax = panels[0, line] if single else panels[line, column]
            described, remark = _draw_field(ax, sample[name], dataset.fields[name], dataset.axes, name)
            if single or line == 0:
                ax.set_title(f"{name}: {described}{remark}" if single else remarks[row], fontsize=9.5)
            if ax.images:
                ax.label_outer()
            if not single and column == 0:
                _label_line(ax, f"{name}: {described}{remark}")
    if single:
        top.suptitle(remarks[rows[0]].replace("\n", ", "), fontsize=10)
    left, right = bottom.subplots(1, 2)
    plot_residuals(dataset, left, marked=rows)
    _residuals_by_index(dataset, right, rows)
    if dataset.decisions:
        plot_times(dataset, parts[2].subplots())
    return figure


def _label_line(ax: Axes, text: str) -> None:
    """Write what a line of panels shows to the left of its first one, in lines of about equal length."""
    width = len(text) // (len(text) // 28 + 1) + 4
    ax.annotate(
        "\n".join(textwrap.wrap(text, width)), (0.0, 0.5), (-42.0, 0.0), xycoords="axes fraction",
        textcoords="offset points", rotation=90, ha="right", va="center", multialignment="center", fontsize=9.5,
    )  # fmt: skip


def plot_residuals(dataset: Dataset, ax: Axes | None = None, *, marked: Sequence[int] = ()) -> Axes:
    """Draw the histogram of log₁₀ ‖b − A u‖₂/‖b‖₂ over all samples, with the tolerance.

    Parameters
    ----------
    dataset : Dataset
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    marked : sequence of int
        Positions of samples to mark below the bars.

    Returns
    -------
    ax : matplotlib Axes
    """
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(5.2, 3.4), layout="constrained", dpi=150).subplots()
    rho = dataset.column("certificate/rho_float64")
    tolerance = float(dataset.config["rtol"])
    logs = np.log10(np.maximum(rho[np.isfinite(rho)], _FLOOR))
    low, high = float(min(logs.min(initial=0.0), np.log10(tolerance))), float(np.log10(tolerance))
    high = max(high, float(logs.max(initial=-np.inf)))
    # Quarter decades, or finer where all residuals lie close together.
    width = 0.25 if np.ptp(logs if logs.size else [0.0]) > 1.5 else 0.1
    edges = np.arange(np.floor(low / width) - 1, np.ceil(high / width) + 2) * width
    ax.hist(logs, bins=edges.tolist(), color=_BLUE, edgecolor="white", linewidth=0.5)
    ax.axvline(np.log10(tolerance), color=_RED, linewidth=1.4, linestyle="--", label=f"tolerance {tolerance:g}")
    if len(marked):
        spots = np.log10(np.maximum(rho[list(marked)], _FLOOR))
        ax.plot(
            spots, np.zeros(len(spots)), "^", color=_ORANGE, markersize=7, markeredgecolor="white", clip_on=False,
            zorder=5, label="samples shown",
        )  # fmt: skip
    certified = int(dataset.column("certificate/certified").sum())
    title = f"{certified} of {len(rho)} samples certified"
    if logs.size < len(rho):
        title += f", {len(rho) - logs.size} not finite"
    ax.set_title(title, fontsize=10)
    what = "log₁₀ of the relative residual  ‖b − A u‖ / ‖b‖"
    ax.set_xlabel("log₁₀ of the largest evidence of error" if "t" in dataset.axes else what)
    ax.set_ylabel("samples")
    ax.set_xlim(edges[0], edges[-1] + width)
    ax.set_ylim(0.0, 1.18 * ax.get_ylim()[1])  # room for the legend
    ax.locator_params(axis="y", integer=True)
    _plain(ax)
    ax.legend(loc="upper center", ncols=2, fontsize=8.5, edgecolor="none", framealpha=0.9)
    ax.locator_params(axis="x", nbins=7)
    return ax


def plot_times(dataset: Dataset, ax: Axes | None = None) -> Axes:
    """Draw the time of solving a sample for each chunk of a tuned set, coloured by the method that was taken.

    Parameters
    ----------
    dataset : Dataset
        The whole set is drawn, whatever samples are selected.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    ValueError
        For a set that was not tuned.
    """
    decisions = dataset.decisions
    if not decisions:
        raise ValueError(f"{dataset.path} was not tuned: one method made all of its chunks")
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(7.4, 3.0), layout="constrained", dpi=150).subplots()
    times = solve_times(entries_of(dataset.chunks), int(dataset.config["chunk"]))
    for number, share in enumerate(dataset.shares):
        points = [(chunk, 1e3 * seconds) for chunk, seconds, _ in times if decisions[chunk].arm == share.arm]
        label = f"{share.arm}, {share.chunks} chunk{'s' if share.chunks != 1 else ''}"
        ax.plot(*zip(*points, strict=True), "o", color=f"C{number}", markersize=4.5, label=label)
    low, high = min(seconds for _, seconds, _ in times), max(seconds for _, seconds, _ in times)
    if high > 10.0 * low:
        ax.set_yscale("log")
    else:
        ax.set_ylim(0.0, 1.1e3 * high)
    ax.set_title("what solving took, by the method decided for each chunk", fontsize=10)
    ax.set_xlabel("chunk")
    ax.set_ylabel("ms a sample")
    ax.locator_params(axis="x", integer=True)
    _plain(ax)
    ax.legend(fontsize=8.5, edgecolor="none", framealpha=0.9)
    return ax


def _residuals_by_index(dataset: Dataset, ax: Axes, rows: Sequence[int]) -> None:
    rho = np.maximum(dataset.column("certificate/rho_float64"), _FLOOR)
    certified = dataset.column("certificate/certified").astype(bool)
    index = np.asarray(dataset.indices)
    keep = np.arange(len(rho))
    if len(rho) > _POINTS:
        keep = np.union1d(keep[:: len(rho) // _POINTS + 1], np.argsort(rho)[-1000:])
    good, bad = keep[certified[keep]], keep[~certified[keep]]
    size = float(np.clip(600.0 / max(len(keep), 1), 2.0, 16.0))
    ax.scatter(
        index[good], rho[good], s=size, color=_BLUE, linewidths=0, alpha=0.75, rasterized=True, label="certified"
    )
    if bad.size:
        seen = np.where(np.isfinite(rho[bad]), rho[bad], np.nanmax(rho[np.isfinite(rho)], initial=1.0))
        ax.scatter(index[bad], seen, s=30, color=_RED, marker="x", label="not certified")
    shown = np.asarray(rows)
    ax.scatter(
        index[shown], rho[shown], s=34, facecolors="none", edgecolors=_ORANGE, linewidths=1.5, label="samples shown"
    )
    ax.axhline(float(dataset.config["rtol"]), color=_RED, linewidth=1.4, linestyle="--")
    ax.set_yscale("log")
    solvers = [share.arm for share in dataset.shares] or [dataset.provenance["decision"]["chosen"]]
    by = f"solved by {', '.join(solvers[:3])}{' and others' if len(solvers) > 3 else ''}"
    ax.set_title("marched by the family's integrator" if solvers == [NONE] else by, fontsize=10)
    ax.set_xlabel("sample index")
    ax.set_ylabel(f"relative {_measure(dataset)}")
    ax.locator_params(axis="x", integer=True)
    _plain(ax)


def _measure(dataset: Dataset) -> str:
    """What rho is: the residual of a system, or the evidence about a trajectory."""
    return "error" if "t" in dataset.axes else "residual"


def _plain(ax: Axes) -> None:
    ax.grid(True, which="major", color="0.92", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=9)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _headline(dataset: Dataset, width: float) -> str:
    about = dataset.attributes
    options = {key: value for key, value in dataset.config["family"].items() if key != "family" and value is not None}
    listed = ", ".join(f"{key} {value}" for key, value in options.items())
    equation = f"{about['equation']}  on {about['domain']},  boundary: {about['boundary']}"
    characters = int(width * 12.5)
    return "\n".join([about["title"], *textwrap.wrap(equation, characters), *textwrap.wrap(listed, characters)])


# Which samples and fields -------------------------------------------------------------------------------------------


def _choose(dataset: Dataset, indices: Sequence[int] | None) -> tuple[list[int], dict[int, str]]:
    """Return positions of the samples to draw, and what to write above each."""
    n = len(dataset)
    if n == 0:
        raise ValueError(f"{dataset.path} has no samples to draw in this selection")
    rho = dataset.column("certificate/rho_float64")
    if indices is None:
        order = np.argsort(rho, kind="stable")
        picks = {0: "", int(order[n // 2]): f"median {_measure(dataset)}", int(order[-1]): f"worst {_measure(dataset)}"}
        for other in range(1, n):  # where these coincide
            if len(picks) < 3:
                picks.setdefault(other, "")
    else:
        for index in indices:
            if not 0 <= index < n:
                raise IndexError(f"{dataset.path} has samples 0 to {n - 1}, not {index}")
        picks = dict.fromkeys(map(int, indices), "")
    if not 1 <= len(picks) <= MAX_SAMPLES:
        raise ValueError(f"expected 1 to {MAX_SAMPLES} samples to draw in one figure, got {len(picks)}")
    remarks = {
        row: f"sample {int(dataset.indices[row])}\n{remark or _measure(dataset)} {rho[row]:.1e}"
        for row, remark in picks.items()
    }
    return list(picks), remarks


def _drawable(dataset: Dataset) -> list[str]:
    """Return the fields to draw, inputs first: those with at least one axis, and no boundary data beside fields."""
    arrays = [name for name, spec in dataset.fields.items() if spec.shape and spec.role != "parameter"]
    if not arrays:
        arrays = [name for name, spec in dataset.fields.items() if spec.shape]
    return sorted(arrays, key=lambda name: dataset.fields[name].role == "solution")


# One field ----------------------------------------------------------------------------------------------------------


def _draw_field(
    ax: Axes, values: np.ndarray, spec: FieldSpec, axes: Mapping[str, np.ndarray], name: str
) -> tuple[str, str]:
    """Draw one field: a line in one dimension, an image in two, the middle plane in three, the last of many times.

    Returns its description with units, and what part of it is drawn.
    """
    field, coordinates, remark = _planar(np.asarray(values), axes)
    units = "" if spec.units in ("1", "") else f" [{spec.units}]"
    ax.tick_params(labelsize=8)
    if field.ndim == 1 or not coordinates:
        _draw_lines(ax, field, coordinates)
        return spec.description + units, remark
    (x_name, x), (y_name, y) = coordinates
    image = ax.imshow(
        field.T, origin="lower", extent=(*_edges(x), *_edges(y)), interpolation="nearest",
        aspect=_aspect(x_name, y_name, x, y), **_colours(field, spec.role),
    )  # fmt: skip
    ax.set_xlabel(x_name, fontsize=9, labelpad=1)
    ax.set_ylabel(y_name, fontsize=9, labelpad=3)
    ax.locator_params(nbins=5)
    # A bar inside the panel's own coordinates is exactly as high as the image, whatever the layout makes of both.
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.035, 0.0, 0.05, 1.0)))
    bar.ax.tick_params(labelsize=8, length=2.5)
    bar.outline.set_linewidth(0.4)
    label = f"Re {name}" if spec.kind == "complex" else name
    bar.ax.set_title(label + units, fontsize=8.5, pad=4)
    return spec.description + units, remark


def _draw_lines(ax: Axes, field: np.ndarray, coordinates: list[tuple[str, np.ndarray]]) -> None:
    lines = field if field.ndim == 2 else field[None, :]
    label, x = coordinates[0] if coordinates else ("entry", np.arange(lines.shape[-1]))
    for line in lines[:8]:
        ax.plot(x, line, linewidth=1.3)
    ax.set_xlabel(label, fontsize=9)
    _plain(ax)
    ax.set_box_aspect(0.8)


def _planar(values: np.ndarray, axes: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[tuple[str, np.ndarray]], str]:
    """Reduce a field to one or two dimensions; return it with its coordinates and what was done, in words."""
    if values.dtype.kind == "c":
        values = values.real
    if values.dtype.kind == "b":
        values = values.astype(float)
    grid = tuple(len(axis) for axis in axes.values())
    remark = ""
    if values.ndim == len(grid) + 1 and values.shape[1:] == grid:  # components of a vector first
        values, remark = np.sqrt((values**2).sum(axis=0)), ", magnitude"
    elif values.ndim == len(grid) + 1 and values.shape[:-1] == grid:  # or last
        values, remark = np.sqrt((values**2).sum(axis=-1)), ", magnitude"
    coordinates = [(name, np.asarray(axis)) for name, axis in axes.items()]
    in_space = [c for c in coordinates if c[0] != "t"]
    if values.shape == tuple(len(axis) for _, axis in in_space):  # a state of a trajectory, such as the initial one
        coordinates = in_space
    elif values.shape != grid:
        coordinates = [c for c in coordinates if values.ndim == 1 and len(c[1]) == values.shape[0]][:1]
        return (values if values.ndim <= 2 else values.reshape(values.shape[0], -1)), coordinates, remark
    if any(name == "t" for name, _ in coordinates) and values.ndim > 2:
        at = [name for name, _ in coordinates].index("t")
        values, (_, times) = np.take(values, -1, axis=at), coordinates.pop(at)
        remark += f", t = {times[-1]:.3g}"
    while values.ndim > 2:
        name, axis = coordinates.pop()
        middle = len(axis) // 2
        values, remark = np.take(values, middle, axis=values.ndim - 1), f"{remark}, {name} = {axis[middle]:.3g}"
    return values, coordinates, remark


def _colours(field: np.ndarray, role: str) -> dict[str, Any]:
    """Return colour map and scale: logarithmic for strong contrast, diverging around zero for both signs."""
    from matplotlib.colors import LogNorm

    finite = field[np.isfinite(field)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if role == "input" and low > 0.0 and high > _LOGARITHMIC * low:
        return {"cmap": "viridis", "norm": LogNorm(low, high)}
    if low < 0.0 < high and min(-low, high) > 0.02 * max(-low, high):
        limit = max(-low, high)
        return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    return {"cmap": "viridis" if role == "input" else "inferno", "vmin": low, "vmax": high}


def _edges(points: np.ndarray) -> tuple[float, float]:
    """Return where the cells around the first and the last of equidistant points end."""
    half = 0.5 * (points[-1] - points[0]) / max(len(points) - 1, 1)
    return float(points[0] - half), float(points[-1] + half)


def _aspect(x_name: str, y_name: str, x: np.ndarray, y: np.ndarray) -> float:
    """Return equal scales for lengths; a square picture where one axis is time."""
    if "t" not in (x_name, y_name):
        return 1.0
    (left, right), (bottom, top) = _edges(x), _edges(y)
    return (right - left) / (top - bottom)
