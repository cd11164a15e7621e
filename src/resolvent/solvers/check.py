"""Checking that a solver tells the truth and keeps to its interface."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from ..operators import LinearOperator, Props, Report, Sparse, StructureError
from ..operators.check import Row
from ..operators.probe import Failed, Skipped, require
from .check_problems import Counted, Problem, jacobi, problems, singular_problem
from .result import Result
from .solver import Solver
from .status import Status

_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def check_solver(solver: Solver, *, rng: np.random.Generator | int = 0) -> Report:
    """Check a solver against the contract of `Solver`, on small systems of the kinds it claims to handle.

    Checked are an exact initial guess, a zero right-hand side, `maxiter`, NaN in every argument, counts against an
    instrumented operator and preconditioner, repeatability, untouched arguments, columns against single right-hand
    sides, the recomputed residual of every CONVERGED result, single and complex precision, pickling, warm starts,
    fields, callbacks, singular systems and right-hand sides of extreme size.

    Parameters
    ----------
    solver : Solver
        Its own options are used, apart from tolerance and maxiter where a check is about those.
    rng : numpy.random.Generator or int
        For the systems.

    Returns
    -------
    report : Report
        ``print(report)`` for the table, ``report.check()`` to raise AssertionError where something failed.

    Examples
    --------
    >>> from resolvent.solvers import CG, check_solver
    >>> check_solver(CG()).passed
    True
    """
    if not isinstance(solver, Solver):
        raise TypeError(f"check_solver needs a Solver, got {type(solver).__name__}")
    # One seed for all, so that a check sees the same systems whichever others run.
    seed = int(np.random.default_rng(rng).integers(2**31))
    rows = []
    for name, check in CHECKS:
        try:
            rows.append(Row(name, True, check(solver, np.random.default_rng(seed))))
        except (Skipped, StructureError) as reason:
            rows.append(Row(name, None, str(reason)))
        except Failed as failure:
            rows.append(Row(name, False, str(failure)))
        except _FAULTS as fault:
            rows.append(Row(name, False, f"raised {type(fault).__name__}: {fault}"))
    return Report(str(solver), tuple(rows))


def truthful(A: LinearOperator, b: np.ndarray, result: Result, what: str) -> Result:
    """Raise Failed unless a result says what its x is worth."""
    k = len(result.columns)
    B, X = np.asarray(b).reshape(A.shape[0], k), np.asarray(result.x).reshape(A.shape[0], k)
    require(np.asarray(result.x).shape == np.asarray(b).shape, f"{what}: x has not the shape of b")
    require(np.isfinite(X).all(), f"{what}: x is not finite")
    wide = np.result_type(B, np.float64)
    norms = np.linalg.norm(B.astype(wide) - A.matmat(X.astype(wide)), axis=0)
    rounding = 1e-14 * np.linalg.norm(B.astype(wide), axis=0)
    for c, column in enumerate(result.columns):
        where = f"{what}, column {c}" if k > 1 else what
        if np.isfinite(norms[c]):
            require(
                abs(column.residual_norm - norms[c]) <= 1e-6 * norms[c] + rounding[c],
                f"{where}: residual_norm is {column.residual_norm:.3e}, recomputed {norms[c]:.3e}",
            )
        if column.status is Status.CONVERGED:
            require(
                norms[c] <= column.tolerance + rounding[c],
                f"{where}: CONVERGED at residual {norms[c]:.3e}, allowed {column.tolerance:.3e}",
            )
        if column.status is Status.LEAST_SQUARES:
            r = B[:, [c]].astype(wide) - A.matmat(X[:, [c]].astype(wide))
            gradient, size = np.linalg.norm(A.H.matmat(r)), np.linalg.norm(A.to_dense())
            require(norms[c] > column.tolerance, f"{where}: LEAST_SQUARES at a residual that meets the tolerance")
            require(gradient <= 1e-5 * size * norms[c], f"{where}: LEAST_SQUARES with Aᴴr of norm {gradient:.3e}")
        require(len(column.history) == column.iterations + 1, f"{where}: the history is not iterations + 1 long")
    return result


def solved(solver: Solver, problem: Problem, what: str = "", **arguments: Any) -> Result:
    """Solve, require the truth, and CONVERGED where that can be expected."""
    result = truthful(problem.A, problem.b, solver.solve(problem.A, problem.b, **arguments), what or problem.name)
    converged = result.status is Status.CONVERGED
    require(converged or not problem.easy, f"{what or problem.name}: {result.status.name} ({result.extra})")
    return result


def with_options(solver: Solver, **options: Any) -> Solver:
    """Return the solver with other tolerances or another maxiter."""
    return dataclasses.replace(solver, **options)


# Each check returns its finding in words, or raises Failed or Skipped.


def converged_is_true(solver: Solver, rng: np.random.Generator) -> str:
    """CONVERGED means that the recomputed residual meets the tolerance; easy systems converge."""
    outcomes = []
    for problem in problems(solver.needs, rng):
        for rtol in (1e-3, 1e-8, 1e-12):
            result = solved(with_options(solver, rtol=rtol), problem, f"{problem.name} at rtol {rtol:g}")
            outcomes.append(result.converged)
            tolerance = rtol * np.linalg.norm(problem.b)
            require(abs(result.tolerance - tolerance) <= 1e-9 * tolerance, "the tolerance is not rtol ‖b‖")
        impossible = with_options(solver, rtol=0.0, maxiter=1000)
        truthful(problem.A, problem.b, impossible.solve(problem.A, problem.b), f"{problem.name} at rtol 0")
    return f"{sum(outcomes)} of {len(outcomes)} converged"


def exact_start(solver: Solver, rng: np.random.Generator) -> str:
    """Started from the solution, a solver does nothing."""
    for problem in problems(solver.needs, rng):
        result = solver.solve(problem.A, problem.b, problem.x)
        require(result.converged and result.iterations == 0, f"{problem.name}: {result.status.name}")
        require(np.array_equal(result.x, problem.x), f"{problem.name}: x is not x0")
    return "0 iterations"


def zero_right_hand_side(solver: Solver, rng: np.random.Generator) -> str:
    """b = 0 gives x = 0 at once, whatever x0 is."""
    problem = problems(solver.needs, rng)[0]
    for x0 in (None, problem.x):
        result = solver.solve(problem.A, np.zeros_like(problem.b), x0)
        require(result.converged and result.iterations == 0, f"{result.status.name} for b = 0")
        require(not result.x.any(), "x is not zero for b = 0")
    return "x = 0"


def honoured_maxiter(solver: Solver, rng: np.random.Generator) -> str:
    """No more iterations than allowed; what is reached in the last one counts."""
    problem = problems(solver.needs, rng)[1]
    needed = solved(solver, problem).iterations
    for allowed in sorted({0, 1, 2, max(needed - 1, 0), needed}):
        result = with_options(solver, maxiter=allowed).solve(problem.A, problem.b)
        truthful(problem.A, problem.b, result, f"maxiter {allowed}")
        require(result.iterations <= allowed, f"{result.iterations} iterations with maxiter {allowed}")
        expected = (Status.CONVERGED,) if allowed == needed else (Status.CONVERGED, Status.MAXITER)
        require(result.status in expected, f"{result.status.name} with maxiter {allowed} where {needed} are needed")
    return f"{needed} needed"


def nan_reported(solver: Solver, rng: np.random.Generator) -> str:
    """NaN or infinity in A, b or x0 is NONFINITE at once, with a finite x; in M too unless it can be done without."""
    problem = problems(solver.needs, rng)[0]
    for value in (np.nan, np.inf):
        spoilt = problem.A.to_sparse().copy()
        spoilt.data[7] = value
        vector = problem.b.copy()
        vector[3] = value
        results = {
            "A": solver.solve(Sparse(spoilt, props=problem.A.props), problem.b),
            "b": solver.solve(problem.A, vector),
            "x0": solver.solve(problem.A, problem.b, vector),
        }
        for where, result in results.items():
            require(result.status is Status.NONFINITE, f"{value} in {where} gives {result.status.name}")
            require(result.iterations <= 1, f"{value} in {where} noticed after {result.iterations} iterations")
            require(np.isfinite(result.x).all(), f"{value} in {where} gives x that is not finite")
    try:
        prepared = solver.prepare(problem.A, Spoilt(problem.A))
    except StructureError:
        return "in A, b and x0"
    result = truthful(problem.A, problem.b, prepared.solve(problem.b), "NaN in M")
    require(result.status in (Status.NONFINITE, Status.CONVERGED), f"NaN in M gives {result.status.name}")
    return f"in A, b, x0; in M {result.status.name}"


class Spoilt(LinearOperator):
    """A preconditioner that returns not-a-number."""

    def __init__(self, A: LinearOperator) -> None:
        super().__init__(A.shape, A.dtype, props=Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)

    def _matmat(self, X: Any) -> Any:
        return X * np.nan


def counts(solver: Solver, rng: np.random.Generator) -> str:
    """Reported products are those that were made, on success and on failure."""
    details = ""
    for problem in [*problems(solver.needs, rng), singular_problem(rng, consistent=False)]:
        for maxiter in (None, 3):
            for recipe in (None, jacobi):
                A = Counted(problem.A)
                M = None if recipe is None else Counted(recipe(problem.A))
                try:
                    prepared = with_options(solver, maxiter=maxiter).prepare(A, M)
                except StructureError:
                    continue
                found = prepared.solve(np.stack((problem.b, problem.x), axis=1)).counts
                # A self-adjoint operator answers for its adjoint with a product.
                made = (A.matvecs + A.rmatvecs, 0 if M is None else M.matvecs + M.rmatvecs)
                reported = (found.products, found.preconditioner)
                require(reported == made, f"{problem.name}: {reported} reported, {made} made (A or Aᴴ, M)")
                details = details or f"{problem.name}: {found}"
    return details


def repeatable(solver: Solver, rng: np.random.Generator) -> str:
    """The same solve twice is the same, bit by bit, also from one `Prepared`."""
    for problem in problems(solver.needs, rng):
        prepared = solver.prepare(problem.A)
        first, second, third = prepared.solve(problem.b), prepared.solve(problem.b), solver.solve(problem.A, problem.b)
        for other in (second, third):
            same = np.array_equal(first.x, other.x) and np.array_equal(first.history, other.history)
            require(same and first.counts == other.counts, f"{problem.name}: a second solve differs")
    return "bitwise"


def arguments_untouched(solver: Solver, rng: np.random.Generator) -> str:
    """b, x0 and the entries of A stay as they were."""
    for problem in problems(solver.needs, rng):
        x0 = rng.standard_normal(problem.x.shape)
        kept = (problem.b.copy(), x0.copy(), problem.A.to_sparse().copy())
        result = solver.solve(problem.A, problem.b, x0)
        require(np.array_equal(problem.b, kept[0]), f"{problem.name}: b was changed")
        require(np.array_equal(x0, kept[1]), f"{problem.name}: x0 was changed")
        require(np.array_equal(problem.A.to_sparse().data, kept[2].data), f"{problem.name}: A was changed")
        require(not np.shares_memory(result.x, x0) and not np.shares_memory(result.x, problem.b), "x shares memory")
    return "b, x0, A"


def columns_equal_singles(solver: Solver, rng: np.random.Generator) -> str:
    """Columns solved together end as they do alone: a failing or a finished one does not disturb the others."""
    problem = problems(solver.needs, rng)[1]
    B = np.stack((problem.b, 1e-6 * problem.x, 0.0 * problem.b, problem.x), axis=1)
    B = np.concatenate((B, np.full((len(problem.b), 1), np.nan)), axis=1)
    together = solver.solve(problem.A, B)
    require(len(together.columns) == B.shape[1], "there is not one verdict a column")
    require(together.status is Status.NONFINITE, "the status is not that of the worst column")
    for c, column in enumerate(together.columns):
        b = np.ascontiguousarray(B[:, c])
        alone = solver.solve(problem.A, b)
        require(column.status is alone.status, f"column {c}: {column.status.name}, alone {alone.status.name}")
        # Rounding differs between kernels for one and for many columns, and short recurrences amplify that.
        slack = max(2, alone.iterations // 10)
        difference = column.iterations - alone.iterations  # fewer where columns help one another
        require(
            (difference if solver.recycles or solver.block else abs(difference)) <= slack,
            f"column {c}: {column.iterations} iterations, alone {alone.iterations}",
        )
        if alone.converged:
            residual = np.linalg.norm(b - problem.A @ np.ascontiguousarray(together.x[:, c]))
            require(residual <= 1.01 * column.tolerance, f"column {c}: residual {residual:.1e}")
    return f"{B.shape[1]} columns"


def precisions(solver: Solver, rng: np.random.Generator) -> str:
    """Single precision and complex systems converge, and x has their dtype."""
    for dtype, rtol in ((np.float32, 1e-4), (np.complex64, 1e-4), (np.complex128, 1e-8)):
        chosen = with_options(solver, rtol=rtol)
        for problem in problems(solver.needs, rng, dtype):
            result = solved(chosen, problem, f"{problem.name} in {np.dtype(dtype)}")
            require(result.x.dtype == np.dtype(dtype), f"x has dtype {result.x.dtype} in {np.dtype(dtype)}")
    return "float32, complex64, complex128"


def pickling(solver: Solver, rng: np.random.Generator) -> str:
    """A solver survives pickling: equal, and with the same results."""
    copy = pickle.loads(pickle.dumps(solver))  # noqa: S301 - our own bytes
    require(copy == solver and str(copy) == str(solver), "the copy differs")
    problem = problems(solver.needs, rng)[0]
    require(np.array_equal(copy.solve(problem.A, problem.b).x, solver.solve(problem.A, problem.b).x), "x differs")
    return str(copy)


def warm_start(solver: Solver, rng: np.random.Generator) -> str:
    """The tolerance refers to b, not to the first residual: a good guess saves iterations."""
    problem = problems(solver.needs, rng)[1]
    guess = problem.x * (1.0 + 1e-4 * rng.standard_normal(problem.x.shape))
    cold, warm = solved(solver, problem), solved(solver, problem, x0=guess)
    require(warm.tolerance == cold.tolerance, f"tolerance {warm.tolerance:.1e}, without a guess {cold.tolerance:.1e}")
    require(warm.iterations <= cold.iterations, f"{warm.iterations} iterations, without a guess {cold.iterations}")
    return f"{warm.iterations} iterations instead of {cold.iterations}"


def fields(solver: Solver, rng: np.random.Generator) -> str:
    """A right-hand side in the shape of the grid gives x in that shape."""
    problem = problems(solver.needs, rng)[0]
    assert problem.A.grid is not None
    result = solver.solve(problem.A, problem.b.reshape(problem.A.grid), np.zeros(problem.A.grid))
    require(result.x.shape == problem.A.grid, f"x has shape {result.x.shape}")
    vector = solver.solve(problem.A, problem.b).x
    require(np.array_equal(result.x.reshape(-1), vector), "x differs from that for a vector")
    return str(problem.A.grid)


def callbacks(solver: Solver, rng: np.random.Generator) -> str:
    """The callback sees every iteration, and stops the solve by returning True."""
    problem = problems(solver.needs, rng)[1]
    seen: list[int] = []
    result = solver.solve(problem.A, problem.b, callback=lambda progress: seen.append(progress.iteration))
    require(seen == list(range(1, result.iterations + 1)), f"called at {seen} for {result.iterations} iterations")
    stopped = solver.solve(problem.A, problem.b, callback=lambda progress: True)
    truthful(problem.A, problem.b, stopped, "stopped")
    require(stopped.status in (Status.STOPPED, Status.CONVERGED), f"{stopped.status.name} when asked to stop")
    require(stopped.iterations <= 1, f"{stopped.iterations} iterations when asked to stop after one")
    return f"{len(seen)} calls"


def singular_systems(solver: Solver, rng: np.random.Generator) -> str:
    """A consistent singular system is solved or honestly given up, an inconsistent one LEAST_SQUARES at best."""
    consistent, inconsistent = (singular_problem(rng, consistent=c) for c in (True, False))
    found = truthful(consistent.A, consistent.b, solver.solve(consistent.A, consistent.b), "consistent")
    result = truthful(inconsistent.A, inconsistent.b, solver.solve(inconsistent.A, inconsistent.b), "inconsistent")
    require(result.status is not Status.CONVERGED, "CONVERGED for an inconsistent system")
    bound = 1.001 * np.linalg.norm(inconsistent.b)
    require(result.residual_norm <= bound, f"the residual of the inconsistent system is {result.residual_norm:.1e}")
    return f"consistent {found.status.name}, inconsistent {result.status.name}"


def extreme_sizes(solver: Solver, rng: np.random.Generator) -> str:
    """Right-hand sides near overflow and underflow are solved like any other."""
    problem = problems(solver.needs, rng)[1]
    for size in (1e-200, 1e200):
        result = solver.solve(problem.A, size * problem.b)
        require(result.converged, f"{result.status.name} for b of size {size:g}")
        error = np.linalg.norm(result.x / size - problem.x) / np.linalg.norm(problem.x)
        require(error <= 1e3 * max(solver.rtol, 1e-15), f"relative error {error:.1e} for b of size {size:g}")
    return "1e-200, 1e200"


CHECKS: tuple[tuple[str, Callable[[Solver, np.random.Generator], str]], ...] = (
    ("CONVERGED is true", converged_is_true),
    ("exact start", exact_start),
    ("zero right-hand side", zero_right_hand_side),
    ("maxiter", honoured_maxiter),
    ("NaN reported", nan_reported),
    ("counts", counts),
    ("repeatable", repeatable),
    ("arguments untouched", arguments_untouched),
    ("columns equal singles", columns_equal_singles),
    ("precisions", precisions),
    ("pickling", pickling),
    ("warm start", warm_start),
    ("fields", fields),
    ("callbacks", callbacks),
    ("singular systems", singular_systems),
    ("extreme sizes", extreme_sizes),
)
