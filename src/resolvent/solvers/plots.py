"""Pictures of a solve. Matplotlib is imported when one is drawn, and pyplot's global state is never touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .tuning import OnlineTuner

_COLUMNS = 32
"""Right-hand sides drawn besides the worst one; more would be one grey area."""
_MARKERS = 60
"""Iterations up to which each is marked by a dot."""
_ARMS = 7
"""Arms drawn in colours of their own; all others are one grey area."""


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


def plot_tuning(tuner: OnlineTuner, compared: dict[str, np.ndarray] | None = None) -> Figure:
    """Draw what a tuner did: the share of arms over time, and its cost against others on the same systems.

    The cost is the mean up to each system, attempts that were given up included; crosses mark these. Where the cost of
    other policies is given, such as that of the best fixed arm, they are drawn beside it.

    Parameters
    ----------
    tuner : OnlineTuner
        With at least one system solved.
    compared : dict of name -> (systems,) array, optional
        What the same systems cost otherwise.

    Returns
    -------
    figure : matplotlib Figure

    Raises
    ------
    ValueError
        If nothing was solved yet, or a policy has another number of systems.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers import CG, Jacobi
    >>> from resolvent.solvers.plots import plot_tuning
    >>> from resolvent.solvers.tuning import Arm, OnlineTuner
    >>> tuner = OnlineTuner([Arm(CG()), Arm(CG(), Jacobi())], cost="work")
    >>> for _ in range(5):
    ...     result = tuner.solve(np.diag([1.0, 2.0, 3.0]), np.ones(3))
    >>> [ax.get_ylabel() for ax in plot_tuning(tuner).axes]
    ['share of arms', 'mean cost so far, products']
    """
    from matplotlib.figure import Figure

    costs = np.array([each.cost for each in tuner.history])
    if not costs.size:
        raise ValueError("the tuner has solved no systems yet: there is nothing to draw")
    for name, other in (compared or {}).items():
        if np.shape(other) != costs.shape:
            raise ValueError(f"{name} has costs of shape {np.shape(other)}, the tuner has solved {costs.size} systems")
    figure = Figure(figsize=(10.5, 4.2), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2)
    played = np.array([each.play.arm for each in tuner.history])
    often = np.argsort(-np.bincount(played, minlength=len(tuner.arms)), kind="stable")[: min(_ARMS, len(tuner.arms))]
    often = often[np.isin(often, played)]
    time = np.arange(1, costs.size + 1)
    window = max(costs.size // 40, 1)
    shares = [_moving_mean((played == arm).astype(float), window) for arm in often]
    names = [tuner.arms[arm].name for arm in often]
    rest = 1.0 - np.sum(shares, axis=0)
    left.stackplot(
        time, *shares, rest, labels=[*names, "others"], colors=[*(f"C{i}" for i in range(len(names))), "0.8"]
    )
    left.set(xlabel="system", ylabel="share of arms", xlim=(1, max(costs.size, 2)), ylim=(0.0, 1.0))
    left.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    for name, other in (compared or {}).items():
        right.plot(time, np.cumsum(other) / time, linewidth=1.2, linestyle="--", label=name)
    mean = np.cumsum(costs) / time
    right.plot(time, mean, color="black", linewidth=1.8, label="tuner")
    lost = np.array([len(each.attempts) > 1 for each in tuner.history])
    if lost.any():
        right.plot(time[lost], mean[lost], "x", color="#b3261e", markersize=4, label="an attempt was given up")
    unit = "seconds" if tuner.cost == "seconds" else "products"
    right.set(xlabel="system", ylabel=f"mean cost so far, {unit}", xscale="log", yscale="log")
    right.grid(True, which="both", color="0.9", linewidth=0.7)
    right.set_axisbelow(True)
    right.legend(frameon=False, fontsize=8)
    for ax in (left, right):
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    return figure


def _moving_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean over the last `window` values, or as many as there are."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - window, 0)
    mean: np.ndarray = (total[ends] - total[begins]) / (ends - begins)
    return mean


def _smallest(result: Result, scale: float) -> float:
    """Return what an exact zero is drawn at: a logarithmic axis has no place for it."""
    seen = np.append(np.asarray(result.history, dtype=float), [result.residual_norm, result.tolerance]) / scale
    positive = seen[np.isfinite(seen) & (seen > 0.0)]
    return float(max(positive.min() * 0.1, 1e-300)) if positive.size else 1e-17
