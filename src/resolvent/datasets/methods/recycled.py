"""Methods of generation that recycle: a space handed from system to system, or one space for all of them.

The published way (SKR) is the chain: `Recycled`. Its samples depend on the ones before them in their chunk, within the
tolerance. `SharedSpace` is the alternative without an order: what a sample is depends on nothing but its own inputs and
the pilot systems.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...solvers.fixed_threads import threads_in_force
from ..choosing.judgement import same_matrix
from ..family import Family, System
from ..storage.file_format import Layout
from ..storage.sample_arrays import drawn_inputs, working_inputs
from .strategies import Method, SolveSystems, without_setup

if TYPE_CHECKING:
    from ...solvers.prepared import Prepared
    from ...solvers.recycling.space import RecycleSpace
    from ...solvers.result import Result
    from ...solvers.solver import Solver

TRIES = 100
"""Draws that are looked through for pilot systems."""


def _check(solver: Any, M: Any, what: str) -> None:
    from ...solvers.preconditioners.recipe import Recipe

    if not getattr(solver, "recycles", False) or isinstance(solver, type):
        raise TypeError(f"{what} needs a solver that recycles, such as GCRODR() or DeflatedCG(), got {solver!r}")
    if M is not None and not isinstance(M, Recipe):
        raise TypeError(f"{what} needs a recipe such as Jacobi() as M, which is built for each system, got {M!r}")


@dataclasses.dataclass(frozen=True)
class Recycled(Method):
    """A chain: each system is given the recycle space that the one before it left, from the border of a chunk on.

    Do not use it where a cold solve is short: with multigrid, or where matrices can be factorised. One solve in
    `cold_every` is made without a space, and recycling suspended while it saves no products; with None it is never
    suspended, which is the published method.

    Parameters
    ----------
    solver : Solver
        One that recycles: `GCRODR`, `GCROT`, `DeflatedCG`, `RMINRES`, `BlockGCRODR`.
    M : recipe, optional
        Preconditioner, brought up to date for each system.
    cold_every : int or None

    References
    ----------
    Parks et al. 2006, doi:10.1137/040607277; Wang et al. 2024, arXiv:2401.09516.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from resolvent import datasets
    >>> from resolvent.solvers import GCRODR
    >>> chain = datasets.Recycled(GCRODR(restart=40, k=20, rtol=5e-9), cold_every=None)
    >>> family = datasets.families.get("darcy", resolution=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ds = datasets.generate(family, 8, out=Path(folder) / "d.h5", solver=chain, order="greedy")
    ...     iterations = ds.certificates["iterations"]
    >>> bool(iterations[1:].max() < iterations[0])
    True
    """

    solver: Solver
    M: Any = None
    cold_every: int | None = 25

    def __post_init__(self) -> None:
        _check(self.solver, self.M, "Recycled")

    def start(self) -> SolveSystems:
        """Return a function that solves systems in order, from no space on."""
        from ...solvers.sequences import Sequence as Chain

        chain = Chain(self.solver, M=self.M, cold_every=self.cold_every)
        last: Any = None

        def solve(systems: Sequence[System]) -> Sequence[Result]:
            nonlocal last
            results = []
            for A, b in systems:
                # One object for one matrix: then the chain knows that nothing has changed.
                last = last if last is not None and same_matrix(last, A) else A
                results.append(chain.solve(last, b))
            return results

        return solve


@dataclasses.dataclass(frozen=True)
class SharedSpace(Method):
    """One recycle space, from a few pilot systems, copied to every solve and updated inside of it only.

    The pilot systems are the first admissible ones of the random stream, solved once in each process, one after the
    other, each with the space of the one before. All others are then independent of one another: a sample does not
    depend on its chunk, on the order or on the number of workers, in any bit.

    Each solve computes the images of the space, k products. Do not use it where `Recycled` is not worth it either. For
    systems of another size, such as those of a finer grid, there is no space.

    Parameters
    ----------
    solver : Solver
        One that recycles: `GCRODR`, `GCROT`, `DeflatedCG`, `RMINRES`.
    family : Family
    seed : int
        Of the random stream from which the pilot systems are.
    M : recipe, optional
        Preconditioner, built for each system.
    systems : int
        Pilot systems.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from resolvent import datasets
    >>> from resolvent.solvers import GCRODR
    >>> family = datasets.families.get("darcy", resolution=32)
    >>> shared = datasets.SharedSpace(GCRODR(restart=40, k=20, rtol=5e-9), family, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     digests = {
    ...         datasets.generate(
    ...             family, 6, out=Path(folder) / f"{chunk}.h5", solver=shared, seed=1, chunk=chunk
    ...         ).content_sha256
    ...         for chunk in (2, 3)
    ...     }
    >>> len(digests)
    1
    """

    solver: Solver
    family: Family
    seed: int = 0
    M: Any = None
    systems: int = 3

    def __post_init__(self) -> None:
        _check(self.solver, self.M, "SharedSpace")
        if not isinstance(self.family, Family):
            raise TypeError(f"SharedSpace needs the family whose systems it is for, got {self.family!r}")
        for name, least in (("seed", 0), ("systems", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or int(value) != value or value < least:
                raise ValueError(f"{name} must be a whole number ≥ {least}, got {value!r}")

    def start(self) -> SolveSystems:
        """Return a function that solves each system with the shared space."""
        prepared: Prepared | None = None

        def solve(systems: Sequence[System]) -> Sequence[Result]:
            nonlocal prepared
            begun = time.perf_counter()
            space = _shared_space(self) if systems else None
            pilots = time.perf_counter() - begun
            results: list[Result] = []
            for A, b in systems:
                prepared, anew = _prepared_for(prepared, self.solver, self.M, A)
                result = prepared.solve(b, space=_fitting(space, A))
                result = result if anew else without_setup(result)
                if not results and pilots > 0.0:
                    seconds = dataclasses.replace(result.seconds, prepare=result.seconds.prepare + pilots)
                    result = dataclasses.replace(result, seconds=seconds)
                results.append(result)
            return results

        return solve


def _prepared_for(prepared: Prepared | None, solver: Solver, M: Any, A: Any) -> tuple[Prepared, bool]:
    """Return what is prepared for A, the same whatever was prepared for before; and whether that took any work."""
    if prepared is None or prepared.A.shape != A.shape:
        return solver.prepare(A, M), True
    if same_matrix(prepared.A, A):
        return prepared, False
    prepared.update(A, anew=M is not None and not M.renews)
    return prepared, True


def _fitting(space: RecycleSpace | None, A: Any) -> RecycleSpace | None:
    return space if space is not None and space.U.shape[0] == A.shape[0] else None


_KEPT = 2
_spaces: OrderedDict[tuple[str, int | None], RecycleSpace | None] = OrderedDict()
"""Spaces of the pilot systems of the last methods used in this process, by their printed form and the threads."""
_making = threading.Lock()


def _shared_space(method: SharedSpace) -> RecycleSpace | None:
    key = (repr(method), threads_in_force())
    with _making:
        if key not in _spaces:
            _spaces[key] = _space_of_pilots(method)
            while len(_spaces) > _KEPT:
                _spaces.popitem(last=False)
        _spaces.move_to_end(key)
        return _spaces[key]


def _space_of_pilots(method: SharedSpace) -> RecycleSpace | None:
    """Solve the pilot systems, and return the space that the last one leaves, without what ties it to that system."""
    from ...solvers.recycling.space import RecycleSpace

    family, layout = method.family, Layout(method.family, "float64")
    prepared: Prepared | None = None
    space: RecycleSpace | None = None
    solved = 0
    for index in range(TRIES):
        try:
            A, b = family.pose(working_inputs(drawn_inputs(family, layout, method.seed, index), layout)).task
        except ValueError:
            continue
        prepared, _ = _prepared_for(prepared, method.solver, method.M, A)
        result = prepared.solve(b, space=_fitting(space, A))
        space = result.space if result.converged and result.space is not None else space
        solved += 1
        if solved == method.systems:
            break
    return None if space is None else RecycleSpace(space.U, None, space.T, left=space.left)
