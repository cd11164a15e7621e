"""Pictures of fields. Matplotlib is imported when one is drawn, and pyplot's global state is never touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .field import Field


def plot_field(field: Field, n: int | None = None) -> Figure:
    """Draw a field: a line with two standard deviations, or an image with another of the error bars.

    Parameters
    ----------
    field : Field
        In one or two dimensions.
    n : int, optional
        Points along each axis.

    Raises
    ------
    ValueError
        In three dimensions.
    """
    from matplotlib.figure import Figure

    d = field.pde.dimensions
    if d > 2:
        raise ValueError("fields in one or two dimensions can be drawn: evaluate a slice with field.on_grid")
    n = n or (2001 if d == 1 else 201)
    axes = [np.linspace(low, high, n) for low, high in field.pde.box]
    u = field.on_grid(axes)
    if d == 1:
        figure = Figure(figsize=(8.0, 3.6), layout="constrained", dpi=150)
        ax = figure.subplots()
        bar = 2.0 * field.error(axes[0]) if field.posterior is not None or field.defect is not None else np.zeros(n)
        ax.fill_between(axes[0], u - bar, u + bar, color="#9ec5e8", linewidth=0, label="± 2 standard deviations")
        ax.plot(axes[0], u, color="#1f5a99", linewidth=1.0, label=f"u, {field.method}")
        seen = field.pde.observations
        if seen is not None:
            ax.plot(np.asarray(seen.points)[:, 0], seen.values, ".", color="#b3261e", label="observed")
        ax.set(xlabel="x", ylabel="u")
        ax.margins(x=0.01)
        ax.legend(frameon=False, fontsize=8)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        return figure
    with_bars = field.posterior is not None
    figure = Figure(figsize=(10.0 if with_bars else 5.2, 4.2), layout="constrained", dpi=150)
    places = figure.subplots(1, 2 if with_bars else 1, squeeze=False)[0]
    (x0, x1), (y0, y1) = field.pde.box
    shown = [(u, f"u, {field.method}")]
    if with_bars:
        shown.append((field.error(axes[0][:, None], axes[1]), "standard deviation"))
    for ax, (values, title) in zip(places, shown, strict=True):
        image = ax.imshow(values.T, origin="lower", extent=(x0, x1, y0, y1), aspect="auto")
        ax.set(xlabel="x", ylabel="y", title=title)
        figure.colorbar(image, ax=ax)
    return figure
