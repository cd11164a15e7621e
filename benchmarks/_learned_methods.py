"""The systems, the classical methods and the measurements that benchmarks/learned.py compares learned ones by."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _peers
import numpy as np
import pyamg
import scipy.sparse as sp
from _report import true_residual

from resolvent.datasets.families import PoissonObstacles
from resolvent.operators import StructureError
from resolvent.solvers import AMG, CG, IC, SSOR, MultigridCG
from resolvent.solvers.learned import Learned, SPDCycle

LIMIT = 2000
BASELINES = (
    "CG",
    "CG, SSOR",
    "CG, IC(0)",
    "CG, IC(0) of the frame before",
    "CG, AMG of the frame before",
    "CG, untrained cycle",
    "MultigridCG",
    "pyamg CG, smoothed aggregation",
    "pyamg CG, Ruge-Stüben",
    "PETSc CG, ICC(0)",
    "PETSc CG, BoomerAMG",
    "PETSc CG, BoomerAMG, tuned",
    "PETSc CG, GAMG",
)
TUNED = {
    "pc_hypre_type": "boomeramg",
    "pc_hypre_boomeramg_coarsen_type": "HMIS",
    "pc_hypre_boomeramg_interp_type": "ext+i",
    "pc_hypre_boomeramg_P_max": "4",
    "pc_hypre_boomeramg_strong_threshold": "0.5",
}
M_MMAP_THRESHOLD = -3
"""Of mallopt; see `memory_of`."""


@dataclasses.dataclass(frozen=True)
class System:
    """A x = b, A assembled, and the operator of the frame before: every obstacle one cell further."""

    A: Any
    matrix: sp.csr_array
    b: np.ndarray
    before: Any


Run = Callable[[System, float], _peers.Outcome]


def obstacles(n: int, dim: int, walls: str, fraction: tuple[float, float] = (0.0, 0.3)) -> PoissonObstacles:
    """Return the family of all systems inside of what is trained on."""
    return PoissonObstacles(resolution=n, dim=dim, walls=walls, fraction=fraction)


def systems_of(family: Any, count: int) -> list[System]:
    """Return systems that no training has seen."""
    found = []
    for index in range(count):
        inputs = family.draw(np.random.default_rng([2024, family.family_id, index]))
        A, b = family.assemble(inputs)
        before = A
        if "mask" in inputs:
            try:
                before, _ = family.assemble(inputs | {"mask": np.roll(inputs["mask"], 1, axis=0)})
            except (StructureError, ValueError):  # an enclosed part of the domain: the frame stands still
                before = A
        found.append(System(A, sp.csr_array(A.to_sparse()), b, before))
    return found


def own(solver: Any, M: Any = None, limit: int = LIMIT) -> Run:
    """Return a run of a method of this package."""
    return lambda system, tol: _peers.ours(solver(rtol=tol, maxiter=limit), system.A, system.b, M)


def lagged(M: Any) -> Run:
    """Return a run of CG with M of the frame before, whose set-up is not counted."""

    def run(system: System, tol: float) -> _peers.Outcome:
        built = M(system.before)
        return _peers.ours(CG(rtol=tol, maxiter=LIMIT), system.A, system.b, built)

    return run


def by_pyamg(build: Callable[..., Any]) -> Run:
    """Return a run of pyamg's CG."""

    def run(system: System, tol: float) -> _peers.Outcome:
        start = _peers.clock()
        hierarchy = build(system.matrix)
        middle = _peers.clock()
        norms: list[float] = []
        # It stops on the preconditioned norm: a tenth of the tolerance, as its users learn to ask for.
        x = hierarchy.solve(system.b, tol=0.1 * tol, accel="cg", maxiter=200, residuals=norms)
        end = _peers.clock()
        return _peers.Outcome(x, len(norms) - 1, len(norms), middle - start, end - middle)

    return run


def by_petsc(M: str) -> Run:
    """Return a run of PETSc's CG."""
    return lambda system, tol: _peers.petsc("CG", system.matrix, system.b, M, tol, LIMIT, definite=True)


def untrained(dim: int) -> Learned:
    """Return the cycle that training starts from: a classical one with Jacobi sweeps."""
    return Learned(SPDCycle(dim=dim), "any", (1, 4096))


def classical(dim: int, petsc: bool) -> dict[str, Run]:
    """Return the baselines, by name."""
    found: dict[str, Run] = {
        "CG": own(CG),
        "CG, SSOR": own(CG, SSOR()),
        "CG, IC(0)": own(CG, IC()),
        "CG, IC(0) of the frame before": lagged(IC()),
        "CG, AMG of the frame before": lagged(AMG()),
        "CG, untrained cycle": own(CG, untrained(dim)),
        "MultigridCG": own(MultigridCG),
        "pyamg CG, smoothed aggregation": by_pyamg(pyamg.smoothed_aggregation_solver),
        "pyamg CG, Ruge-Stüben": by_pyamg(pyamg.ruge_stuben_solver),
    }
    if petsc:
        _peers.PETSC_PRECONDITIONERS |= {"GAMG": ("gamg", {}), "AMG, tuned": ("hypre", TUNED)}
        found |= {
            "PETSc CG, ICC(0)": by_petsc("IC(0)"),
            "PETSc CG, BoomerAMG": by_petsc("AMG"),
            "PETSc CG, BoomerAMG, tuned": by_petsc("AMG, tuned"),
            "PETSc CG, GAMG": by_petsc("GAMG"),
        }
    return found


def measured(run: Run, systems: list[System], tol: float, repeats: int) -> dict[str, Any]:
    """Return the means over systems of medians over repetitions; a run before them tells the memory.

    Where `repeats` is 0 that run is timed too.
    """
    setup, solve, spread, outcomes, grown = [], [], [], [], []
    for system in systems:
        first: list[_peers.Outcome] = []
        grown.append(memory_of(lambda system=system, first=first: first.append(run(system, tol))))
        several = [run(system, tol) for _ in range(repeats)] or first
        setup.append(statistics.median(o.setup_seconds for o in several))
        seconds = sorted(o.seconds for o in several)
        solve.append(statistics.median(seconds))
        low, high = np.percentile(seconds, [25, 75])
        spread.append(float(high - low))
        outcomes.append((several[0], true_residual(system.matrix, system.b, several[0].x)))
    return {
        "tolerance": tol,
        "setup seconds": statistics.fmean(setup),
        "solve seconds": statistics.fmean(solve),
        "solve interquartile seconds": statistics.fmean(spread),
        "iterations": statistics.fmean(o.iterations for o, _ in outcomes),
        "products": statistics.fmean(o.products for o, _ in outcomes),
        "memory bytes": max(grown),
        "true residual": max(rho for _, rho in outcomes),
        "failed": sum(not rho <= 1.01 * tol for _, rho in outcomes),
    }


def mean_iterations(solver: Any, systems: list[System], M: Any) -> float:
    """Return the mean count over systems; infinity where one is not solved."""
    options = {} if M is None else {"M": M}
    results = [solver.solve(s.A, s.b, **options) for s in systems]
    return statistics.fmean(r.iterations if r.converged else np.inf for r in results)


def memory_of(call: Callable[[], Any]) -> int:
    """Return the bytes by which the peak of a call is above what the process held before; 0 where nobody can tell.

    Everything from 64 KiB on comes from the system during the call and goes back to it: what the allocator kept of
    earlier calls would hide what this one takes.
    """
    status, marks = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    gc.collect()
    try:
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 1 << 16)
        library.malloc_trim(0)
        marks.write_text("5", encoding="ascii")  # the peak begins anew
        before = _kilobytes(status.read_text(encoding="ascii"), "VmRSS")
        call()
        peak = _kilobytes(status.read_text(encoding="ascii"), "VmHWM")
        library.mallopt(M_MMAP_THRESHOLD, 1 << 25)  # where glibc itself arrives after the first large arrays
        return 1024 * max(peak - before, 0)
    except (OSError, AttributeError):
        call()
        return 0


def _kilobytes(status: str, name: str) -> int:
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))
