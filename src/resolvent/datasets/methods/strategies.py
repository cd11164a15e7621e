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

from ..choosing.judgement import same_matrix
from ..family import LinearFamily, System

if TYPE_CHECKING:
    from ...solvers.prepared import Prepared
    from ...solvers.result import Result
    from ...solvers.solver import Solver

SAFETY = 0.5
"""Solvers are asked for this fraction of the accepted residual. The certificate sums the residual anew, in another
order than the solver, so a solver that stops exactly at the tolerance would now and then miss it by rounding."""

NONE = "none"
"""Name of the solver of families without linear systems."""

PETSC = "petsc"
"""Name of the strategy that solves by PETSc, over all ranks of ``mpiexec`` where there are several."""

SolveSystems = Callable[[Sequence[System]], "Sequence[Result]"]


def without_setup(result: Result) -> Result:
    """Return the result of a solve that relied on the set-up of an earlier one, so that it is counted once.

    One that tells no times stays as it is.
    """
    if getattr(result, "seconds", None) is None:
        return result
    seconds = dataclasses.replace(result.seconds, prepare=0.0)
    return dataclasses.replace(result, seconds=seconds)


def setup_seconds(results: Sequence[Any]) -> float:
    """Return how long set-up took in all; results that share their time, of an ensemble, share its set-up.

    Results that tell no times count nothing.
    """
    told = {id(result.seconds): result.seconds for result in results if getattr(result, "seconds", None) is not None}
    return float(sum(seconds.prepare for seconds in told.values()))


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
    with the operator of the one before, or one with the same entries, reuses all of it: a constant matrix is factorised
    once a chunk.

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
                anew = True
                if prepared is None or prepared.A.shape != A.shape:
                    prepared = self.solver.prepare(A, self.M)
                elif not same_matrix(prepared.A, A):
                    prepared.update(A)
                else:
                    anew = False
                result = prepared.solve(b)
                results.append(result if anew else without_setup(result))
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
        from ...operators import Ensemble
        from ...solvers.prepared_ensemble import PreparedEnsemble

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
class Rescued(Method):
    """One method, and another one for the systems that it fails on.

    Parameters
    ----------
    method, rescue : Method
    """

    method: Method
    rescue: Method

    @property
    def window(self) -> int:
        """That of the first method."""
        return self.method.window

    def start(self) -> SolveSystems:
        """Return a function that solves systems, those that fail once more."""
        first, second = self.method.start(), self.rescue.start()

        def solve(systems: Sequence[System]) -> Sequence[Result]:
            results = list(first(systems))
            for number, result in enumerate(results):
                if not result.converged:
                    results[number] = second([systems[number]])[0]
            return results

        return solve


@dataclasses.dataclass(frozen=True)
class Request:
    """What a named way to solve is made for.

    Attributes
    ----------
    rtol : float
        Accepted relative residual.
    unknowns : int
    dimension : int
        Of space.
    chunk : int
        Samples in a chunk, of which a window must be a whole part.
    family : LinearFamily, optional
        Where the systems come from: it may know their near null space, and pilot systems are its.
    seed : int
        Of pilot systems.
    """

    rtol: float
    unknowns: int
    dimension: int
    chunk: int
    family: LinearFamily | None = None
    seed: int = 0

    @property
    def aim(self) -> float:
        """The relative residual that solvers are asked for."""
        return SAFETY * self.rtol


def _multigrid(scale: float = 1.0) -> Callable[[Request], Method]:
    def make(request: Request) -> Method:
        from ...solvers import MultigridCG
        from ...solvers.candidates import DIRECT_UNKNOWNS, TRUST
        from ...solvers.costs import ensemble_width

        fits = request.unknowns <= DIRECT_UNKNOWNS[min(request.dimension, 3)]
        surer = STRATEGIES["direct" if fits else "cg+amg"](request)
        members = max(int(scale * ensemble_width(request.unknowns, request.dimension, request.chunk)), 1)
        most = max(TRUST, 0 if request.family is None else request.family.multigrid_iterations)
        return Rescued(Together(MultigridCG(rtol=request.aim, maxiter=most), members), surer)

    return make


def _one_by_one(name: str, **changes: Any) -> Callable[[Request], Method]:
    """Return what makes a way of the cost model; `changes` are options of its preconditioner."""

    def make(request: Request) -> Method:
        from ...solvers.costs import WAYS

        way = WAYS[name]
        M = dataclasses.replace(way.M, **changes) if way.M is not None and changes else way.M
        return OneByOne(way.solver(rtol=request.aim), M)

    return make


def _in_blocks(name: str) -> Callable[[Request], Method]:
    def make(request: Request) -> Method:
        from ...solvers.costs import WAYS, ensemble_width
        from .blocks import InBlocks

        columns = max(ensemble_width(request.unknowns, request.dimension, request.chunk), 1)
        return InBlocks(WAYS[name].solver(rtol=request.aim), columns)

    return make


def _aggregation(request: Request) -> Method:
    if request.family is None or request.family.near_null_space() is None:
        return _one_by_one("cg+amg", method="smoothed_aggregation", reuse="interpolation")(request)
    from ...solvers import CG
    from ..schemes.near_null_space import FamilyAggregation

    method = OneByOne(CG(rtol=request.aim), FamilyAggregation(request.family))
    return Rescued(method, STRATEGIES["direct"](request))


def _superposition(request: Request) -> Method:
    from ...solvers import Direct
    from .superposition import Superposed

    return Superposed(Direct(rtol=request.aim))


def _recycled(solver: str, M: str | None, *, shared: bool = False, **options: Any) -> Callable[[Request], Method]:
    """Return what makes a chain, or a shared space, of a method that recycles."""

    def make(request: Request) -> Method:
        from ... import solvers
        from .recycled import Recycled, SharedSpace

        chosen = getattr(solvers, solver)(rtol=request.aim, **options)
        recipe = None if M is None else getattr(solvers, M)()
        if not shared:
            return Recycled(chosen, recipe)
        if request.family is None:
            raise ValueError("a shared space is made from pilot systems: the request must name the family")
        return SharedSpace(chosen, request.family, request.seed, recipe)

    return make


def _petsc(request: Request) -> Method:
    from .petsc_method import PETScRanks

    return PETScRanks(request.aim, 0.5 if request.dimension > 2 else 0.25)


STRATEGIES: dict[str, Callable[[Request], Method]] = {
    "multigrid": _multigrid(),
    "direct": _one_by_one("direct"),
    "superposition": _superposition,
    "fft": _in_blocks("fft"),
    "cg+amg": _one_by_one("cg+amg"),
    "cg+ic": _one_by_one("cg+ic"),
    "cg+ssor": _one_by_one("cg+ssor"),
    "cg+fft": _one_by_one("cg+fft"),
    "gmres+ilu": _one_by_one("gmres+ilu"),
    "gmres+ilu0": _one_by_one("gmres+ilu0"),
    "gmres+amg": _one_by_one("gmres+amg"),
    "bicgstab+ilu0": _one_by_one("bicgstab+ilu0"),
    "gcrodr": _recycled("GCRODR", None),
    PETSC: _petsc,
}
"""Named ways to solve; ``fft`` is for constant coefficients on boxes, ``multigrid`` hands on systems that are hard,
``superposition`` is for one matrix and right-hand sides of few numbers, ``gcrodr`` is a chain of GCRO-DR(40, 20)
without preconditioner, for a matrix of any kind, ``petsc`` spreads each system over the ranks of ``mpiexec`` and needs
petsc4py."""

VARIANTS: dict[str, Callable[[Request], Method]] = {
    "multigrid:half": _multigrid(0.5),
    "multigrid:double": _multigrid(2.0),
    "cg+amg:reuse": _one_by_one("cg+amg", reuse="interpolation"),
    "cg+amg:aggregation": _aggregation,
    "cg+ic:fill": _one_by_one("cg+ic", drop_tol=1e-2),
    "gmres+ilu:coarse": _one_by_one("gmres+ilu", drop_tol=1e-2),
    "gmres+ilu0:recycled": _recycled("GCRODR", "ILU0"),
    "gmres+ilu0:shared": _recycled("GCRODR", "ILU0", shared=True),
    "cg+ic:recycled": _recycled("DeflatedCG", "IC"),
    "cg+ic:shared": _recycled("DeflatedCG", "IC", shared=True),
    "gcrodr:shared": _recycled("GCRODR", None, shared=True),
}
"""The named ways with other parameters, as ``<name>:<what differs>``: half or twice as many systems together;
interpolation kept from sample to sample, by classical coarsening or by aggregation (which is told the near null space
where a family knows it); factors with more, or less, fill; a recycle space handed from sample to sample, or one of a
few pilot systems for all of them (see `recycled`).
``tuned`` tries those of the way that is best, and they may be asked for like the others."""


def named(name: str) -> Callable[[Request], Method]:
    """Return what makes the method of a name: a strategy or a variant.

    Raises
    ------
    KeyError
        If there is none.
    """
    return STRATEGIES[name] if name in STRATEGIES else VARIANTS[name]


def is_named(name: str) -> bool:
    """Whether there is a strategy or a variant of this name."""
    return name in STRATEGIES or name in VARIANTS
