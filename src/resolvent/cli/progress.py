"""Live progress: the residual of a solve, the samples of a dataset. Drawn on terminals only, and gone afterwards."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .console import messages, note

if TYPE_CHECKING:
    from ..datasets.progress import Progress as DatasetProgress
    from ..solvers import Progress as SolveProgress
    from ..training import TrainingProgress

_LOG_EVERY = 30.0
"""Seconds between lines where there is no terminal to draw on, so that the log of a long job shows it is alive."""


@contextmanager
def residual_shown(method: str) -> Iterator[Callable[[SolveProgress], None] | None]:
    """Yield a callback that shows iteration and residual; None where nobody looks."""
    console = messages()
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(method.partition("(")[0], total=1.0, text="")
        first: list[float] = []

        def show(state: SolveProgress) -> None:
            ratios = [
                float(r / t) if t > 0.0 else math.inf for r, t in zip(state.residual_norm, state.tolerance, strict=True)
            ]
            ratio = max(ratios, default=math.inf)
            first.append(ratio) if not first else None
            text = f"iteration {state.iteration}, residual {ratio:.1e} × tolerance"
            progress.update(task, completed=_fraction(first[0], ratio), text=text)

        yield show


def _fraction(first: float, now: float) -> float:
    """Return which part of the orders of magnitude between the first residual and the tolerance (1) is done."""
    if not (math.isfinite(first) and math.isfinite(now)) or first <= 1.0 or now <= 0.0:
        return 0.0
    return min(max(1.0 - math.log(now) / math.log(first), 0.0), 1.0)


_WIDE = 110
"""Columns of a terminal from which there is room for the worst residual."""

_PHASES = {"generate": "generating", "publish": "writing", "verify": "verifying", "export": "exporting"}


@contextmanager
def samples_shown() -> Iterator[Callable[[DatasetProgress], None]]:
    """Yield a callback that shows samples, rate, time left and the worst residual."""
    console = messages()
    if not console.is_terminal:
        yield _logged()
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def show(state: DatasetProgress) -> None:
            if state.phase not in tasks:
                for task in tasks.values():
                    progress.update(task, visible=False)
                name = _PHASES.get(state.phase, state.phase)
                tasks[state.phase] = progress.add_task(
                    f"{name:<10}", total=state.total, text=_text(state, console.width)
                )
            progress.update(
                tasks[state.phase], completed=state.done, total=state.total, text=_text(state, console.width)
            )

        yield show


def _text(state: DatasetProgress, width: int) -> str:
    parts = [f"{state.done}/{state.total}"]
    if state.rate > 0.0:
        parts += [f"{rate(state.rate)} samples/s", f"{duration((state.total - state.done) / state.rate)} left"]
    if state.worst_rho > 0.0 and width >= _WIDE:
        parts.append(f"worst residual {state.worst_rho:.1e}")
    if state.failed:
        parts.append(f"{state.failed} failed")
    return ", ".join(parts)


def _logged() -> Callable[[DatasetProgress], None]:
    last = time.monotonic()

    def log(state: DatasetProgress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _LOG_EVERY:
            last = now
            note(f"{_PHASES.get(state.phase, state.phase)} {_text(state, _WIDE)}")

    return log


@contextmanager
def epochs_shown() -> Iterator[Callable[[TrainingProgress], None]]:
    """Yield a callback that shows epochs, loss, rate and time left; one line an epoch where nobody looks."""
    console = messages()
    if not console.is_terminal:

        def log(state: TrainingProgress) -> None:
            if state.epoch_ends:
                note(f"epoch {state.epoch}/{state.epochs} {_training_text(state)}")

        yield log
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("training", total=None, text="")

        def show(state: TrainingProgress) -> None:
            text = f"epoch {min(state.epoch + 1, state.epochs)}/{state.epochs} {_training_text(state)}"
            progress.update(task, completed=state.step, total=state.steps, text=text)

        yield show


def _training_text(state: TrainingProgress) -> str:
    parts = [f"loss {state.loss:.3e}"]
    if state.metric is not None:
        parts.append(f"validation {state.metric:.3e}")
    return ", ".join([*parts, f"rate {state.lr:.1e}", f"{duration(max(state.remaining, 0.0))} left"])


def rate(value: float) -> str:
    """Return a number of samples a second without an exponent.

    Examples
    --------
    >>> rate(0.0213), rate(25.31), rate(5123.4)
    ('0.0213', '25.3', '5123')
    """
    return f"{value:.0f}" if value >= 100.0 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> duration(4.25), duration(75), duration(7322)
    ('4.2 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
