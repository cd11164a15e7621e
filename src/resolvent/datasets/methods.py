"""How the systems of a chunk are solved: the one place where the pipeline meets the solvers.

A *method* is a frozen, picklable, printable value. `start` returns a function that solves consecutive systems of one
chunk and may carry state from one to the next (a symbolic ordering, a multigrid hierarchy, a recycled space); the
pipeline starts it afresh at each chunk border, so that a chunk never depends on another one.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .family import LinearFamily, System
from .sample_arrays import first_sample

if TYPE_CHECKING:
    from ..solvers.prepared import Prepared
    from ..solvers.result import Result
    from ..solvers.solver import Solver

SAFETY = 0.5
"""Solvers are asked for this fraction of the accepted residual. The certificate sums the residual anew, in another
order than the solver, so a solver that stops exactly at the tolerance would now and then miss it by rounding."""

PLANE_DIRECT_LIMIT = 25_000
"""Unknowns of a definite 2-D problem up to which `auto` factorises. Measured on one core with lognormal coefficients:
a factorisation with a repeated analysis takes two thirds of the time of conjugate gradients with AMG, set-up included,
at 128², and one and a half times as long at 256² (`benchmarks/generation.py`)."""

SPACE_SSOR_LIMIT = 300_000
"""Unknowns of a definite 3-D problem up to which `auto` prefers SSOR: the set-up of AMG costs more than the iterations
it saves, three times as much at 32³ (``benchmarks/generation.py --family darcy3d``)."""

WIDEST = 16
"""Most members of an ensemble."""

CACHED_UNKNOWNS = 131_072
"""Unknowns of all members of an ensemble together: some 75 bytes each are worked with in every iteration, which then
stay within a third-level cache of 10 MB and more. Twice as many were a third slower at 256² where that cache has
32 MB for several processors; fewer than 16 members pay less for loops over short rows."""

SolveSystems = Callable[[Sequence[System]], "Sequence[Result]"]


@dataclasses.dataclass(frozen=True)
class Method(abc.ABC):
    """A way to solve the systems of a chunk in order.

    Its `repr` is its identity: it is stored with the set, and a rerun must have the same.
    """

    @property
    def window(self) -> int:
        """How many consecutive systems are solved at once.

        The chunk size must be a multiple of it, and a set whose last window is incomplete has it solved in full, so
        that a sample never depends on the size of its set.
        """
        return 1

    @abc.abstractmethod
    def start(self) -> SolveSystems:
        """Return a function that solves the next `window` systems (fewer at the end of a chunk).

        It is called with consecutive systems from the border of a chunk on. What it returns for a system may
        depend on the systems of the same and earlier calls only.
        """


@dataclasses.dataclass(frozen=True)
class OneByOne(Method):
    """One solver applied to one system after the other.

    Whatever the solver and its preconditioner can reuse of the system before (`Prepared.update`), they do; a system
    with the same operator as the one before reuses all of it.

    Parameters
    ----------
    solver : Solver
    M : recipe, optional
        Preconditioner.
    """

    solver: Solver
    M: Any = None

    def start(self) -> SolveSystems:
        """Return a function that solves systems in order, updating one prepared solver."""
        prepared: Prepared | None = None

        def solve(systems: Sequence[System]) -> Sequence[Result]:
            nonlocal prepared
            results = []
            for A, b in systems:
                if prepared is None or prepared.A.shape != A.shape:
                    prepared = self.solver.prepare(A, self.M)
                elif prepared.A is not A:
                    prepared.update(A)
                results.append(prepared.solve(b))
            return results

        return solve


@dataclasses.dataclass(frozen=True)
class Together(Method):
    """One solver applied to several systems at once, as an `Ensemble`.

    Parameters
    ----------
    solver : Solver
        One that solves the members of an ensemble together, such as `MultigridCG`.
    members : int
        It is part of what is stored with a set: members do not influence one another, but how many of them are solved
        together may change the last bits.
    """

    solver: Solver
    members: int = 8

    @property
    def window(self) -> int:
        """As many as there are members."""
        return self.members

    def start(self) -> SolveSystems:
        """Return a function that solves a window of systems, in the arrays of the window before."""
        from ..operators import Ensemble
        from ..solvers.prepared_ensemble import PreparedEnsemble

        prepared: PreparedEnsemble | None = None

        def solve(systems: Sequence[System]) -> Sequence[Result]:
            nonlocal prepared
            if not systems:
                return []
            # Always a full window: the widths of loops, and with them the last bits, depend on the number of members.
            full = [*systems, *[systems[-1]] * (self.members - len(systems))]
            ensemble = Ensemble([A for A, _ in full])
            if prepared is None:
                prepared = self.solver.prepare(ensemble)
            else:
                prepared.update(ensemble)
            return prepared.solve_members(np.stack([b for _, b in full]))[: len(systems)]

        return solve


@dataclasses.dataclass(frozen=True)
class Request:
    """What a named way to solve is made for.

    Attributes
    ----------
    rtol : float
        Accepted relative residual.
    unknowns : int
    chunk : int
        Samples in a chunk, of which a window must be a whole part.
    """

    rtol: float
    unknowns: int
    chunk: int

    @property
    def aim(self) -> float:
        """The relative residual that solvers are asked for."""
        return SAFETY * self.rtol


def _direct(request: Request) -> Method:
    from ..solvers import Direct

    return OneByOne(Direct(rtol=request.aim))


def _multigrid(request: Request) -> Method:
    from ..solvers import MultigridCG

    window = WIDEST
    while window > 1 and (window * request.unknowns > CACHED_UNKNOWNS or request.chunk % window):
        window //= 2
    return Together(MultigridCG(rtol=request.aim), window)


def _cg_amg(request: Request) -> Method:
    from ..solvers import AMG, CG

    return OneByOne(CG(rtol=request.aim), AMG())


def _cg_ssor(request: Request) -> Method:
    from ..solvers import CG, SSOR

    return OneByOne(CG(rtol=request.aim), SSOR())


def _cg_fft(request: Request) -> Method:
    from ..solvers import CG, FastPoisson

    return OneByOne(CG(rtol=request.aim), FastPoisson())


def _gmres_ilu(request: Request) -> Method:
    from ..solvers import GMRES, ILU

    return OneByOne(GMRES(rtol=request.aim, restart=60), ILU())


STRATEGIES: dict[str, Callable[[Request], Method]] = {
    "multigrid": _multigrid,
    "direct": _direct,
    "cg+amg": _cg_amg,
    "cg+ssor": _cg_ssor,
    "cg+fft": _cg_fft,
    "gmres+ilu": _gmres_ilu,
}
"""Named ways to solve."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a requested solver came to, and why: recorded before the first chunk and never reconsidered.

    Attributes
    ----------
    requested : str
        ``auto``, a strategy name, or the printed form of a solver.
    chosen : str
        A strategy name or the same printed form.
    why : str
    method : Method
    """

    requested: str
    chosen: str
    why: str
    method: Method


def decide(solver: str | Method | Solver, rtol: float, family: LinearFamily, seed: int, chunk: int = 64) -> Decision:
    """Resolve a requested solver for a family.

    ``auto`` decides by rule from the structure of the first system: no timing enters, so that every run and every
    machine decides alike.

    Raises
    ------
    ValueError
        For an unknown strategy name.
    """
    if isinstance(solver, Method):
        return Decision(repr(solver), repr(solver), "requested", solver)
    if not isinstance(solver, str):
        return _decide_for_solver(solver, rtol)
    if solver not in ("auto", *STRATEGIES):
        names = ", ".join(repr(name) for name in ("auto", *STRATEGIES))
        raise ValueError(f"solver must be one of {names}, a Solver or a Method, got {solver!r}")
    system = first_sample(family, seed).system
    chosen, why = _rule(system, len(family.axes())) if solver == "auto" else (solver, "requested")
    return Decision(solver, chosen, why, STRATEGIES[chosen](Request(rtol, system.A.shape[0], chunk)))


def _decide_for_solver(solver: Any, rtol: float) -> Decision:
    from ..solvers.solver import Solver

    if not isinstance(solver, Solver):
        raise TypeError(f"solver must be a name, a Solver or a Method, got {solver!r} of type {type(solver).__name__}")
    if solver.rtol > SAFETY * rtol:  # the tolerance of the set rules
        solver = dataclasses.replace(solver, rtol=SAFETY * rtol)
    return Decision(repr(solver), repr(solver), "requested", OneByOne(solver))


def _rule(system: System, dimension: int) -> tuple[str, str]:
    from ..operators import Props
    from ..solvers.multigrid.multigrid_cg import fits

    n = system.A.shape[0]
    size = f"{n} unknowns in {dimension}-D"
    if Props.POSITIVE_DEFINITE not in system.A.props:
        return "direct", f"{size}, not known to be positive definite: sparse LU"
    if fits(system.A):
        return "multigrid", f"{size}, diffusion on a box: multigrid for many samples at once"
    if dimension <= 2 and n <= PLANE_DIRECT_LIMIT:
        return "direct", f"{size}, at most {PLANE_DIRECT_LIMIT}: a factorisation, analysed once for all samples"
    if dimension >= 3 and n <= SPACE_SSOR_LIMIT:
        return "cg+ssor", f"{size}, at most {SPACE_SSOR_LIMIT}: conjugate gradients with SSOR, which needs no set-up"
    return "cg+amg", f"{size}, positive definite: conjugate gradients with algebraic multigrid"
