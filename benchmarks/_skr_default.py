"""What `--solver auto` takes on the published families, against every single method and the usual baselines.

Times are those of the one processor that works: the wall clock's, where nothing else runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _report import show, true_residual, verdict
from _rivals import petsc
from _skr_systems import Problem

from resolvent.datasets import families
from resolvent.datasets.choosing.decision import decide
from resolvent.datasets.methods.strategies import NONE, Method, OneByOne, Request, named
from resolvent.operators import StructureError
from resolvent.solvers import COCG, GMRES, MINRES, Jacobi, ShiftedLaplacian
from resolvent.solvers.petsc import PETScAMG

RTOL, WANTED = 1e-8, 1.2
BATCH = 16
"""Samples of one repeat."""
PATIENCE = 0.15
"""Seconds a sample above which a method has one turn of one sample only."""

DEFINITE = ("multigrid", "direct", "cg+amg", "cg+ic", "cg+ssor", "cg+fft", "cg+ic:recycled")
DEFINITE += ("cg+ic:shared", "gcrodr", "gcrodr:shared")
CONSTANT = (*DEFINITE, "fft", "superposition")
WAVES = ("direct", "gcrodr", "gmres+ilu0:recycled")
NONSYMMETRIC = ("direct", "gmres+ilu", "gmres+ilu0", "bicgstab+ilu0", "gmres+ilu0:recycled", "gmres+ilu0:shared")
NONSYMMETRIC += ("gcrodr", "gcrodr:shared")
REFUSALS = (ValueError, ArithmeticError, RuntimeError, MemoryError, StructureError, np.linalg.LinAlgError)


def problems(quick: bool) -> list[tuple[Problem, tuple[str, ...], bool]]:
    """Return the published families, with their candidates and whether acceptance is judged on them, and others."""
    n = (24, 24, 21, 24, 16) if quick else (100, 100, 81, 107, 100)
    found = [
        (Problem("Darcy", families.get("darcy2d", resolution=n[0], coefficient="skr"), ("a",), ()), DEFINITE, True),
        (Problem("Thermal", families.get("thermal", resolution=n[2]), (), ()), CONSTANT, True),
        (Problem("Poisson", families.get("poisson_chebyshev", resolution=n[3]), (), ()), CONSTANT, True),
        (Problem("Helmholtz", families.get("helmholtz2d", resolution=n[4]), ("m",), ()), WAVES, True),
        (Problem("convection–diffusion", families.get("convdiff2d", resolution=n[1]), (), ()), NONSYMMETRIC, False),
        (Problem("elasticity", families.get("elasticity2d", resolution=17 if quick else 65), (), ()), DEFINITE, False),
    ]
    return found


def others(problem: Problem) -> dict[str, Method]:
    """Return candidates that have no name in generation."""
    aim = RTOL / 2
    if problem.title == "Helmholtz":
        return {
            "COCG, Jacobi": OneByOne(COCG(rtol=aim, maxiter=5000), Jacobi()),
            "GMRES(100), shifted Laplacian": OneByOne(GMRES(rtol=aim, restart=100, maxiter=2000), ShiftedLaplacian()),
        }
    return (
        {"MINRES, BoomerAMG": OneByOne(MINRES(rtol=aim), PETScAMG())} if problem.title != "convection–diffusion" else {}
    )


class Timed:
    """A method on its way through the repeats."""

    def __init__(self, run: Callable[[list[Any]], list[np.ndarray]], window: int = 1) -> None:
        self.run, self.window = run, window
        self.seconds: list[float] = []
        self.worst, self.failed, self.slow = 0.0, "", False

    def turn(self, systems: list[Any], *, counted: bool) -> None:
        """Solve some systems, in windows."""
        start, solutions = time.process_time(), []
        try:
            for first in range(0, len(systems), self.window):
                solutions += self.run(systems[first : first + self.window])
        except REFUSALS as error:
            self.failed = f"{type(error).__name__}: {error}"[:160]
            return
        seconds = (time.process_time() - start) / len(systems)
        self.slow = seconds > PATIENCE
        if counted:
            self.seconds.append(seconds)
            rho = (true_residual(A.to_sparse(), b, x) for (A, b), x in zip(systems, solutions, strict=True))
            self.worst = max(self.worst, *rho)

    @property
    def counts(self) -> bool:
        """Whether it solved all it was given."""
        return bool(self.seconds) and not self.failed and self.worst <= RTOL


def as_run(method: Method) -> Timed:
    """Return a method as generation uses it."""
    step = method.start()
    return Timed(lambda systems: [np.asarray(result.x) for result in step(systems)], method.window)


def boomeramg(ksp: str) -> Timed:
    """Return PETSc's CG or MINRES with BoomerAMG, on PETSc's own matrices."""
    step = petsc(ksp, "hypre", pc_hypre_type="boomeramg")
    return Timed(lambda systems: [step(A, b) for A, b in systems])


def defaults(quick: bool, repeats: int, outside: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Measure the default choice and every candidate in turns; return rows and verdicts."""
    rows, checks = [], []
    batch = 4 if quick else BATCH
    for problem, candidates, judged in problems(quick):
        family = problem.family
        systems = problem.systems((repeats + 1) * batch, real=False)
        unknowns = systems[0][1].size
        request = Request(RTOL, unknowns, len(family.axes()), 64, family, 0)
        decision = decide("auto", RTOL, family, 0)
        assert decision.chosen != NONE
        names = dict.fromkeys((decision.chosen, *candidates))
        runs: dict[str, Timed] = {}
        failed: dict[str, str] = {}
        for name in names:
            try:
                runs[name] = as_run(named(name)(request))
            except REFUSALS as error:
                failed[name] = str(error)[:160]
        if outside or not any("BoomerAMG" in name for name in others(problem)):
            runs |= {name: as_run(method) for name, method in others(problem).items()}
        if outside and problem.title not in ("Helmholtz", "convection–diffusion", "elasticity"):
            runs["PETSc CG, BoomerAMG"] = boomeramg("cg")
        for repeat in range(repeats + 1):
            here = systems[repeat * batch : (repeat + 1) * batch]
            for timed in runs.values():
                if timed.failed or timed.slow:
                    continue
                if repeat == 0:  # compiles and prepares; another turn finds out who is slow
                    timed.turn(here[: timed.window], counted=False)
                    if timed.slow:
                        timed.turn(here[-timed.window :], counted=False)
                    if timed.slow:
                        timed.turn(here[: timed.window], counted=True)
                else:
                    timed.turn(here, counted=True)
        row = _row(problem, unknowns, decision.chosen, runs, failed)
        rows.append(row)
        _show(row)
        name = f"{problem.title}, n = {unknowns}: {decision.chosen}, times the best single method ({row['best']})"
        checks.append(verdict(name, row["ratio"], WANTED, judged=judged and not quick))
    return rows, checks


def _row(
    problem: Problem, unknowns: int, chosen: str, runs: dict[str, Timed], failed: dict[str, str]
) -> dict[str, Any]:
    medians = {name: statistics.median(timed.seconds) for name, timed in runs.items() if timed.seconds}
    sound = {name: seconds for name, seconds in medians.items() if runs[name].counts}
    best = min(sound, key=lambda name: sound[name])
    failed |= {name: timed.failed for name, timed in runs.items() if timed.failed}
    return {
        "family": problem.title,
        "n": unknowns,
        "chosen": chosen,
        "best": best,
        "ratio": medians[chosen] / sound[best],
        "seconds": medians,
        "each": {name: timed.seconds for name, timed in runs.items()},
        "worst residual": {name: timed.worst for name, timed in runs.items() if timed.seconds},
        "failed": failed,
    }


def _show(row: dict[str, Any]) -> None:
    lines = []
    for name, seconds in sorted(row["seconds"].items(), key=lambda item: item[1]):
        each = row["each"][name]
        mark = "← default" if name == row["chosen"] else ""
        mark = mark if row["worst residual"][name] <= RTOL and name not in row["failed"] else "not solved"
        spread = f"{1e3 * min(each):.2f}–{1e3 * max(each):.2f}"
        lines.append([name, f"{1e3 * seconds:.2f}", spread, f"{seconds / row['seconds'][row['best']]:.2f}", mark])
    lines += [
        [name, "", "", "", f"refused: {why[:60]}"] for name, why in row["failed"].items() if name not in row["seconds"]
    ]
    title = (
        f"{row['family']}, n = {row['n']}, rtol {RTOL:.0e}: one more sample of a long run, medians of repeats in turns"
    )
    show(title, ("method", "ms", "least–largest", "/ best", ""), lines)
