"""Every solver passes `check_solver`, and a solver with a fault does not."""

import dataclasses

import numpy as np
import pytest

from resolvent.operators import SPD
from resolvent.solvers import CG, Solver, Status, check_solver
from resolvent.solvers.check import CHECKS

from .conformance import SOLVERS


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_passes(name):
    check_solver(SOLVERS[name]).check()


def test_report_prints_every_check_and_depends_on_the_seed_only():
    first, second = check_solver(CG(), rng=3), check_solver(CG(), rng=np.random.default_rng(3))
    assert str(first) == str(second)
    assert len(first.rows) == len(CHECKS) == len(str(first).splitlines()) - 1


def test_needs_a_solver():
    with pytest.raises(TypeError, match="needs a Solver, got ABCMeta"):
        check_solver(CG)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Steepest(Solver):
    """Steepest descent, sound unless a fault is named."""

    needs = SPD
    fault: str = ""

    def _run(self, state, b, x, monitor):
        v = monitor.vectors
        r, q = np.empty_like(b), np.empty_like(b)
        if self.fault == "changes b":
            b *= 2.0
        if self.fault == "random":
            x += 1e-9 * np.random.default_rng().standard_normal(x.shape)
        monitor.start(x, r)
        while monitor.running:
            x, r, q = monitor.compact(x, r, q)
            if self.fault == "uncounted":
                monitor.A._matmat_into(r, q)
            else:
                monitor.multiply(r, q)
            step = v.dot(r, r) / v.dot(r, q)
            if self.fault == "ignores maxiter" and monitor.iteration == monitor.maxiter - 1:
                monitor.advance(v.norm(r), x)
            if self.fault == "mixes columns":
                step[:] = step.mean()
            if self.fault == "complex":
                step = step.real + 0.2 * step.real.max() * (r.dtype.kind == "c")
            if self.fault == "forgets a column" and r.shape[1] > 1:
                monitor.retire(np.arange(r.shape[1]) == 0, Status.BREAKDOWN, x)
            norms = v.step(step, r, q, x, r)
            monitor.step(norms, x, r)


def test_sound_steepest_descent_passes():
    report = check_solver(Steepest(maxiter=3000))
    assert report.passed, str(report)


@pytest.mark.parametrize(
    "fault, check",
    [
        ("changes b", "arguments untouched"),
        ("random", "exact start"),
        ("random", "repeatable"),
        ("uncounted", "counts"),
        ("ignores maxiter", "maxiter"),
        ("mixes columns", "columns equal singles"),
        ("forgets a column", "columns equal singles"),
    ],
)
def test_fault_is_found(fault, check):
    failed = {row.name for row in check_solver(Steepest(fault=fault, maxiter=3000)).failures}
    assert check in failed


def test_lying_convergence_is_found(monkeypatch):
    """A monitor that believed the recurrence would be caught by the recomputed residual."""
    from resolvent.solvers.monitor import Monitor

    def gullible(self, proposals, doubtful, x, r):
        self._true_norm[self.active] = 0.0
        self._current[self.active] = True
        self.retire(proposals, Status.CONVERGED, x)
        return np.zeros(len(self.active), dtype=bool)

    monkeypatch.setattr(Monitor, "_confirm", gullible)
    failed = {row.name for row in check_solver(CG()).failures}
    assert "CONVERGED is true" in failed
