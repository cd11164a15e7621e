"""What the benchmarks of solvers share: one thread, true residuals, spreads, tables and files."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyamg
import scipy
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

import resolvent

RESULTS = Path(__file__).parent / "results"
console = Console(width=None if Console().is_terminal else 170, highlight=False)


def has_petsc() -> bool:
    """Whether petsc4py is there; says so where it is not."""
    if importlib.util.find_spec("petsc4py") is None:
        console.print("petsc4py is not installed: no PETSc rows (make test installs it)")
        return False
    return True


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS, OpenMP and numba to one thread."""
    import numba

    # Read by what is loaded later, which threadpoolctl does not see: MKL inside pypardiso, the BLAS of PETSc.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    if importlib.util.find_spec("petsc4py") is not None:
        import petsc4py.PETSc  # noqa: F401
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        numba.set_num_threads(before)


def true_residual(matrix: Any, b: np.ndarray, x: np.ndarray) -> float:
    """Return ‖b − A x‖/‖b‖ in double precision, by SciPy's product; infinity where x is not finite."""
    rho = float(np.linalg.norm(b - matrix @ x) / np.linalg.norm(b))
    return rho if np.isfinite(rho) else float("inf")


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return mean, standard deviation (of a sample), least and largest."""
    values = [float(v) for v in values]
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "std": deviation, "min": min(values), "max": max(values)}


def spread_text(s: dict[str, float]) -> str:
    """Return a spread in a table cell."""
    return f"{s['mean']:.0f} ± {s['std']:.0f} ({s['min']:.0f}–{s['max']:.0f})"


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table: texts to the left, figures to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", padding=(0, 1))
    for i, column in enumerate(columns):
        figures = all(row[i][:1].isdigit() or row[i][:1] in "-–≥<" for row in rows if row[i])
        table.add_column(column, justify="right" if figures and i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(table)


def verdict(
    name: str, value: float, bound: float, *, least: bool = False, note: str = "", judged: bool = True
) -> dict[str, Any]:
    """Print whether a figure is on the right side of its bound; return it for the report.

    Bounds are for full sizes: in quick forms the figure is printed, and not judged.
    """
    met = bool(value >= bound if least else value <= bound)
    sign = "≥" if least else "≤"
    word, tail = ("pass" if met else "FAIL") if judged else "    ", f"; {note}" if note else ""
    console.print(f"  {word}  {name}: {value:.3g} (wanted {sign} {bound:.3g}{'' if judged else ' at full size'}){tail}")
    return {"name": name, "value": value, "bound": bound, "sense": sign, "met": met if judged else None, "note": note}


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "pyamg": pyamg.__version__,
        "resolvent": resolvent.__version__,
    }


def about() -> dict[str, Any]:
    """Return what the figures are measured on, the load of the machine included."""
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    found = machine() | {"load before": load, "threads": 1}
    console.print(f"{found['cpu']}, {found['cores']} cores, load {load}; one thread")
    return found


def write(report: dict[str, Any], name: str, folder: Path | None = None) -> Path:
    """Write a report as JSON; return the path without the ending, for the plot."""
    folder = RESULTS if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.with_suffix(".json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"\nwritten: {path}.json and .png")
    return path
