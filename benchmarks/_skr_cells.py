"""The published comparison, cell by cell: GMRES(40) of PETSc against GCRO-DR(40, 20), with the same preconditioner.

Both are preconditioned on the right and stop by the residual of the system; what they return is checked by SciPy's
product. Set-up is counted in every time, the k products of a recycled space in those and beside the iterations. The
ways take turns, system by system, so that a change of the machine's load meets all of them; times are those of the one
processor that works, which is the wall clock's where nothing else runs.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from _report import console, show, spread, true_residual
from _skr_systems import PRECONDITIONERS, Problem

from resolvent.datasets.choosing.judgement import same_matrix
from resolvent.solvers import GCRODR, Sequence
from resolvent.solvers.petsc import PETScKSP, PETScPC
from resolvent.solvers.sequences.policies import Pilot

RESTART, K, PILOTS = 40, 20, 3
ENOUGH = 3
"""Systems after which a way that has reached the cap on all of them is given up."""
SLACK = 1.01
"""What the recurrence of a baseline may miss the tolerance by."""

Step = Callable[[Any, np.ndarray], tuple[np.ndarray, int, int]]
"""System to solution, iterations and products of set-up."""


class PETScGMRES:
    """GMRES(40) of PETSc on an assembled matrix of its own, without a callback: the baseline at its best.

    Classical Gram–Schmidt as PETSc has it by default; matrix and objects are kept from system to system.
    """

    def __init__(self, options: dict[str, Any], rtol: float, cap: int) -> None:
        self._options, self._rtol, self._cap, self._kept = options, rtol, cap, None

    def __call__(self, A: Any, b: np.ndarray) -> tuple[np.ndarray, int, int]:
        from petsc4py import PETSc

        matrix = sp.csr_array(A.to_sparse())
        if self._kept is None:
            csr = (matrix.indptr, matrix.indices, matrix.data)
            mat = PETSc.Mat().createAIJ(matrix.shape, csr=csr, comm=PETSc.COMM_SELF)
            ksp = PETSc.KSP().create(PETSc.COMM_SELF)
            ksp.setOperators(mat)
            ksp.setOptionsPrefix("skr_")
            database = PETSc.Options("skr_")
            options = {"ksp_type": "gmres", "ksp_gmres_restart": RESTART, "ksp_pc_side": "right"} | self._options
            for name, value in options.items():
                database[name] = value
            ksp.setFromOptions()
            ksp.setUp()
            for name in options:
                database.delValue(name)
            self._kept = (A, mat, ksp)
        elif not same_matrix(self._kept[0], A):
            _, mat, ksp = self._kept
            mat.setValuesCSR(matrix.indptr, matrix.indices, matrix.data)
            mat.assemble()
            self._kept = (A, mat, ksp)
        _, _, ksp = self._kept
        ksp.setTolerances(rtol=self._rtol, atol=0.0, max_it=self._cap)
        x = np.zeros_like(b)
        right = PETSc.Vec().createWithArray(b.copy(), comm=PETSc.COMM_SELF)
        left = PETSc.Vec().createWithArray(x, comm=PETSc.COMM_SELF)
        ksp.solve(right, left)
        right.destroy()
        left.destroy()
        return x, int(ksp.getIterationNumber()), 0

    def destroy(self) -> None:
        """Let PETSc's objects go."""
        if self._kept is not None:
            for part in self._kept[1:]:
                part.destroy()
        self._kept = None


def chained(solver: Any, M: Any, *, cold: bool = False, spaces: Any = None) -> Step:
    """Return a chain, or one that forgets its space before each system and keeps what is prepared."""
    chain = Sequence(solver, M=M, cold_every=None, spaces=spaces)
    last: list[Any] = []

    def step(A: Any, b: np.ndarray) -> tuple[np.ndarray, int, int]:
        if last and same_matrix(last[0], A):
            A = last[0]
        last[:] = [A]
        if cold:
            chain._kept = None
        result = chain.solve(A, b)
        return result.x, result.iterations, result.counts.setup

    return step


@dataclasses.dataclass
class Run:
    """One way on its way through the systems of a cell."""

    step: Any
    order: list[int]
    iterations: list[int] = dataclasses.field(default_factory=list)
    setup: list[int] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    missed: int = 0
    failed: str = ""

    def given_up(self, cap: int) -> bool:
        """Whether nothing more is to be learned."""
        capped = len(self.iterations) >= ENOUGH and self.missed == len(self.iterations)
        return bool(self.failed) or (capped and min(self.iterations) >= cap)

    def row(self) -> dict[str, Any]:
        """Return what the report has of it."""
        if not self.iterations:
            return {"systems": 0, "failed": self.failed}
        return {
            "systems": len(self.iterations),
            "iterations": spread(self.iterations),
            "with set-up": spread([i + s for i, s in zip(self.iterations, self.setup, strict=True)]),
            "seconds": spread(self.seconds),
            "missed": self.missed,
            "failed": self.failed,
        }


def ways(options: dict[str, Any], rtol: float, cap: int) -> dict[str, Any]:
    """Return what is compared, by name, with one preconditioner."""
    M = None if options["pc_type"] == "none" else PETScPC(options)
    solver = GCRODR(restart=RESTART, k=K, rtol=rtol, maxiter=cap)
    return {
        "GMRES(40)": PETScGMRES(options, rtol, cap),
        "cold": chained(solver, M, cold=True),
        "recycled": chained(solver, M),
        "sorted": chained(solver, M),
        "shared": chained(solver, M, spaces=Pilot(PILOTS)),
    }


def cell(
    problem: Problem, systems: list[Any], order: list[int], options: dict[str, Any], rtol: float
) -> dict[str, Run]:
    """Solve the systems by every way, one system of each in turn."""
    matrices = [sp.csr_array(A.to_sparse()) for A, _ in systems]
    plain = list(range(len(systems)))
    runs = {
        name: Run(step, order if name == "sorted" else plain)
        for name, step in ways(options, rtol, problem.cap).items()
        if problem.fields or name != "sorted"
    }
    for turn in range(len(systems)):
        for run in runs.values():
            if run.given_up(problem.cap):
                continue
            at = run.order[turn]
            A, b = systems[at]
            start = time.process_time()
            try:
                x, iterations, setup = run.step(A, b)
            except (ValueError, ArithmeticError, RuntimeError) as error:
                run.failed = f"{type(error).__name__}: {error}"[:160]
                continue
            run.seconds.append(time.process_time() - start)
            run.iterations.append(iterations)
            run.setup.append(setup)
            run.missed += not true_residual(matrices[at], b, x) <= SLACK * rtol
    runs["GMRES(40)"].step.destroy()
    return runs


def ratio(row: dict[str, Any], way: str, what: str) -> float | None:
    """Return how many times as much the baseline takes, None where one of them did not get there."""
    base, other = row["ways"].get("GMRES(40)", {}), row["ways"].get(way, {})
    if not base.get("systems") or not other.get("systems") or base["missed"] or other["missed"]:
        return None
    return float(base["iterations" if what == "with set-up" else what]["mean"] / other[what]["mean"])


def compare(found: list[Problem], count: int, names: list[str]) -> list[dict[str, Any]]:
    """Measure all cells, print a table for each problem and tolerance, return the rows."""
    rows: list[dict[str, Any]] = []
    for problem in found:
        systems = problem.systems(count)
        order, seconds = problem.sorted(count, "greedy")
        warm_up(systems)
        for rtol in problem.tolerances:
            here = []
            for name in names:
                runs = cell(problem, systems, order, PRECONDITIONERS[name], rtol)
                here.append(
                    {
                        "family": problem.title,
                        "n": systems[0][1].size,
                        "M": name,
                        "rtol": rtol,
                        "cap": problem.cap,
                        "sort seconds": seconds,
                        "ways": {way: run.row() for way, run in runs.items()},
                    }
                )
            report(problem, len(systems), here)
            rows += here
    return rows


def warm_up(systems: list[Any]) -> None:
    """Compile what is compiled at first use."""
    A, b = systems[0]
    chained(GCRODR(restart=RESTART, k=K, rtol=1e-1, maxiter=80), None)(A, b)
    PETScKSP(options={"ksp_type": "gmres"}, rtol=1e-1, maxiter=40).solve(A, b)


def text(part: dict[str, Any], key: str = "iterations") -> str:
    """Return mean and spread of one way; what it did not solve is said."""
    if not part:
        return ""
    if not part["systems"]:
        return "fails"
    s = part[key]
    missed = f", {part['missed']}/{part['systems']} missed" if part["missed"] else ""
    return f"{s['mean']:.0f} ± {s['std']:.0f}{missed}"


def _cells(rows: list[dict[str, Any]]) -> Iterator[list[str]]:
    for row in rows:
        parts = row["ways"]
        counts = [text(parts.get("GMRES(40)", {})), text(parts.get("cold", {}))]
        counts += [text(parts.get(way, {}), "with set-up") for way in ("recycled", "sorted", "shared")]
        ratios = []
        for way, what in (("cold", "with set-up"), ("recycled", "with set-up"), ("cold", "seconds")):
            ratios.append(_number(ratio(row, way, what)))
        ratios += [_number(ratio(row, way, "seconds")) for way in ("recycled", "shared")]
        base = parts["GMRES(40)"]
        spent = {key: 1e3 * value for key, value in base["seconds"].items()} if base["systems"] else {}
        milliseconds = f"{spent['mean']:.1f} ± {spent['std']:.1f}" if spent else ""
        yield [row["M"], *counts, *ratios, milliseconds]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def report(problem: Problem, count: int, rows: list[dict[str, Any]]) -> None:
    """Print one table."""
    columns = ("M", "GMRES(40)", "cold", "recycled + k", "sorted + k", "shared + k", "its: cold", "recycled")
    columns += ("time: cold", "recycled", "shared", "GMRES ms")
    first = rows[0]
    title = f"{problem.title}, n = {first['n']}, rtol {first['rtol']:.0e}, {count} systems, at most {problem.cap} "
    title += "iterations: mean ± std; GMRES(40) / ours"
    show(title, columns, _cells(rows))


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print and return the ratios over the cells of each family: least, median, largest, and how often slower."""
    found, cells = [], []
    for family in dict.fromkeys(row["family"] for row in rows):
        here = [row for row in rows if row["family"] == family]
        entry: dict[str, Any] = {"family": family, "cells": len(here)}
        for way in ("cold", "recycled", "sorted", "shared"):
            for what in ("with set-up", "seconds"):
                values = [v for v in (ratio(row, way, what) for row in here) if v is not None]
                if values:
                    low, middle, high = float(np.min(values)), float(np.median(values)), float(np.max(values))
                    below = sum(v < 1.0 for v in values)
                    entry[f"{way}, {what}"] = {"min": low, "median": middle, "max": high, "below 1": below}
                    entry[f"{way}, {what}"]["cells"] = len(values)
        found.append(entry)
        for way in ("cold", "recycled", "sorted", "shared"):
            line = [family if way == "cold" else "", way]
            for what in ("with set-up", "seconds"):
                part = entry.get(f"{way}, {what}")
                line.append("" if part is None else f"{part['min']:.2f}/{part['median']:.2f}/{part['max']:.2f}")
                line.append("" if part is None else f"{part['below 1']} of {part['cells']}")
            cells.append(line)
    columns = ("family", "GCRO-DR(40, 20)", "iteration ratio", "below 1", "time ratio", "slower")
    show("GMRES(40) / GCRO-DR, cells that both solve: least/median/largest", columns, cells)
    console.print("  iterations of recycled solves include the k products of the space")
    return found
