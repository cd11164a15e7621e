"""Pictures of a solve. Matplotlib is imported when one is drawn, and pyplot's global state is never touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 32
"""Right-hand sides drawn besides the worst one; more would be one grey area."""
_MARKERS = 60
"""Iterations up to which each is marked by a dot."""


def plot_history(result: Result, ax: Axes | None = None) -> Axes:
    """Draw the relative residual ‖b − A x‖₂/‖b‖₂ of each iteration on a logarithmic scale, with the tolerance.

    The history is what the iteration saw; the residual recomputed at the end is a ring of its own. Where there are
    many right-hand sides, the one furthest above its tolerance is drawn in full colour and others in grey.

    Parameters
    ----------
    result : Result
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default, which is ``plot_history(result).figure``.

    Returns
    -------
    ax : matplotlib Axes

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers import CG
    >>> from resolvent.solvers.plots import plot_history
    >>> ax = plot_history(CG().solve(np.diag([1.0, 2.0, 3.0]), np.ones(3)))
    >>> ax.get_yscale(), ax.get_xlabel()
    ('log', 'iteration')
    """
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(6.4, 4.2), layout="constrained", dpi=150).subplots()
    scale = result.rhs_norm or 1.0
    smallest = _smallest(result, scale)
    others = [column for column in result.columns if not np.array_equal(column.history, result.history, equal_nan=True)]
    for column in others[:_COLUMNS]:
        values = np.asarray(column.history, dtype=float) / (column.rhs_norm or 1.0)
        ax.plot(np.maximum(values, smallest), color="0.75", linewidth=0.8, zorder=1)
    history = np.maximum(np.asarray(result.history, dtype=float) / scale, smallest)
    dots = "o" if len(history) <= _MARKERS else None
    ax.plot(history, color="#1f5a99", linewidth=1.6, marker=dots, markersize=3.5, zorder=3, label="residual seen")
    final = max(result.residual_norm / scale, smallest) if np.isfinite(result.residual_norm) else np.nan
    met = "#2a7f3b" if result.converged else "#b3261e"
    ax.plot(
        [result.iterations], [final], "o", color=met, markersize=8, markerfacecolor="none", markeredgewidth=1.6,
        zorder=4, label="recomputed at the end",
    )  # fmt: skip
    tolerance = result.tolerance / scale
    if tolerance > 0.0:
        ax.axhline(
            tolerance, color="#b3261e", linewidth=1.2, linestyle="--", zorder=2, label=f"tolerance {tolerance:.1e}"
        )
    ax.set_yscale("log")
    ax.set_xlabel("iteration")
    ax.set_ylabel("relative residual  ‖b − A x‖ / ‖b‖")
    count = f", {len(result.columns)} right-hand sides" if len(result.columns) > 1 else ""
    ax.set_title(f"{result.solver}\n{result.status.name}, {result.iterations} iterations{count}", fontsize=10)
    ax.locator_params(axis="x", integer=True)
    ax.margins(x=0.02)
    ax.grid(True, which="major", color="0.9", linewidth=0.7)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return ax


def _smallest(result: Result, scale: float) -> float:
    """Return what an exact zero is drawn at: a logarithmic axis has no place for it."""
    seen = np.append(np.asarray(result.history, dtype=float), [result.residual_norm, result.tolerance]) / scale
    positive = seen[np.isfinite(seen) & (seen > 0.0)]
    return float(max(positive.min() * 0.1, 1e-300)) if positive.size else 1e-17
