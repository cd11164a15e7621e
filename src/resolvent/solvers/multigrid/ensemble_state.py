"""What multigrid with conjugate gradients prepares for the members of an ensemble, and how it solves for them."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ..separable.couplings import NonFiniteError
from ..status import Status
from ..vector_kernels import residual
from .checkerboard import CheckerboardHierarchy, natural_entries, plan
from .checkerboard_cg import INDEFINITE, NOT_FINITE, RUNNING
from .checkerboard_walls import ROUNDING as WALL_ROUNDING

Entries = tuple[tuple[int, int, int], tuple[Array, ...], tuple[bool, bool, bool]]
"""What `natural_entries` returns."""

DEFICIT = 1e-3
"""Row sums may be below zero by this part of the diagonal where a member claims to be definite all the same."""

ROUNDING = 1e-10
"""The same where it claims nothing."""

NEGLIGIBLE = 1e-10
"""Part of b that rounding may leave of the residual of a singular system."""

STRETCH = 200
"""Iterations after which the true residual is looked at, in any case."""

MARGIN = 0.9
"""The iteration aims at this part of the tolerance, so that its own rounding does not miss it."""

GAIN = 1e-14
"""Part of the residual it begins with that the iteration reduces before the true one is looked at: its own says no more
about that, and would leave the range of single precision in the end."""


@dataclasses.dataclass
class Outcome:
    """How the iteration went for each of B members.

    Attributes
    ----------
    norms : (B,) array
        True residual norms ‖b − A x‖.
    iterations : (B,) array
    histories : list of lists of float
        Residual norms of each member, the initial one first.
    status : list of Status or None
        Why a member ended before its residual met the tolerance.
    reasons : list of str
    products, cycles : int
        Products with A and multigrid cycles, each counted once a member.
    """

    norms: np.ndarray
    iterations: np.ndarray
    histories: list[list[float]]
    status: list[Status | None]
    reasons: list[str]
    products: int = 0
    cycles: int = 0

    def end(self, which: np.ndarray, status: Status, reason: str) -> None:
        """Give members a status, unless they have one."""
        for number in np.flatnonzero(which):
            if self.status[number] is None:
                self.status[number], self.reasons[number] = status, reason


class EnsembleState:
    """A fused hierarchy for some operators of one grid; `renew` gives it others, in the same arrays.

    Parameters
    ----------
    members : sequence of LinearOperator
    precision : dtype
        Of the hierarchy.
    sweeps : int

    Attributes
    ----------
    flaws : list of (Status, str) or None
        Why a member cannot be solved.

    Raises
    ------
    StructureError
        For operators that are not symmetric couplings of neighbours on one box, or whose boxes differ.
    """

    def __init__(self, members: Sequence[LinearOperator], precision: Any, sweeps: int) -> None:
        self._precision, self._sweeps = precision, sweeps
        self._lock = threading.Lock()
        self._box: Any = None
        self._r = np.empty((0, 0))  # kept, since large arrays that are allocated anew cost more to touch than to fill
        self.hierarchy: CheckerboardHierarchy
        self.renew(members)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that are kept."""
        return self.hierarchy.nbytes + self._r.nbytes

    def renew(self, members: Sequence[LinearOperator]) -> None:
        """Take other operators, which keep the levels if the grid is the same."""
        found = _entries_of(members)
        grid, _, periodic = found[0]
        if any((other, closed) != (grid, periodic) for other, _, closed in found[1:]):
            raise StructureError("the members of an ensemble must lie on one grid, and be periodic along the same axes")
        entries = [arrays for _, arrays, _ in found]
        self.members = tuple(members)
        box = (grid, len(members), periodic)
        strengths = _strengths(entries)
        # Which axes are coarsened must not depend on what was prepared for before.
        if self._box != box or plan(*box, strengths) != self.hierarchy.levels:
            grounded = any(_grounded_inside(grid, arrays) for arrays in entries)
            self._box, self.hierarchy = box, self._hierarchy(box, strengths, grounded=grounded)
        self._factors = np.array([_normalising(arrays[0]) for arrays in entries])
        addresses = np.array([[array.ctypes.data for array in arrays] for arrays in entries], dtype=np.int64)
        claimed = all(Props.POSITIVE_DEFINITE in member.props for member in members)
        deficit = DEFICIT if claimed else ROUNDING
        with np.errstate(all="ignore"):  # what leaves the range of single precision ends as a status
            coupling, grounding, lack = self.hierarchy.load(addresses, deficit, self._factors)
            if not self.hierarchy.grounded and (grounding > 0.0).any():
                self.hierarchy = self._hierarchy(box, strengths, grounded=True)
                coupling, grounding, lack = self.hierarchy.load(addresses, deficit, self._factors)
            self.hierarchy.refill()
        self.flaws = [_flaw(*values) for values in zip(coupling, lack, entries, strict=True)]
        # Where cells are not linked at all, the coarsest has lost what grounds them.
        self._singular = self.hierarchy.singular
        for number, (member, arrays) in enumerate(zip(members, entries, strict=True)):
            if self._singular[number]:
                self._singular[number] = _ungrounded(member, arrays[0])

    def _hierarchy(self, box: Any, strengths: tuple[float, float, float], *, grounded: bool) -> CheckerboardHierarchy:
        grid, members, periodic = box
        return CheckerboardHierarchy(
            grid, members, periodic, strengths, precision=self._precision, sweeps=self._sweeps, grounded=grounded
        )

    def solve(self, b: Array, x: Array, tolerances: np.ndarray, norms: np.ndarray, maxiter: int) -> Outcome:
        """Improve x until the true residuals meet the tolerances, or cannot.

        Parameters
        ----------
        b, x : (B, n) arrays
        tolerances : (B,) array
            Absolute, for ‖b − A x‖.
        norms : (B,) array
            Norms of b where x is zero; not-a-number where the residual is not known.
        maxiter : int
            Iterations of each member.
        """
        with self._lock:  # threads share the working arrays
            return self._solve(b, x, tolerances, norms, maxiter)

    def _solve(self, b: Array, x: Array, tolerances: np.ndarray, norms: np.ndarray, maxiter: int) -> Outcome:
        count = len(self.members)
        if self._r.shape != b.shape:
            self._r = np.zeros(b.shape)
        r, right = self._r, b
        none: list[Status | None] = [None] * count
        outcome = Outcome(norms.copy(), np.zeros(count, int), [], none, [""] * count)
        outcome.end(~np.isfinite(tolerances), Status.NONFINITE, "b is not finite")
        for number, flaw in enumerate(self.flaws):
            if flaw is not None:
                outcome.end(np.arange(count) == number, *flaw)
        if np.isnan(norms).any():
            np.copyto(r, b)
            self._residuals(np.isnan(norms) & ~self._flawed(outcome), b, x, r, outcome)
            right = r
        outcome.histories.extend([norm] for norm in outcome.norms)
        outcome.end(~np.isfinite(outcome.norms), Status.NONFINITE, "the residual is not finite")
        while True:
            outcome.end((outcome.norms > tolerances) & (outcome.iterations >= maxiter), Status.MAXITER, "")
            left = (outcome.norms > tolerances) & ~self._flawed(outcome)
            if not left.any():
                return outcome
            before = outcome.norms.copy()
            limit = min(STRETCH, int((maxiter - outcome.iterations[left]).min()))
            unfinished = self._stretch(left, right, x, tolerances, limit, outcome)
            self._residuals(left, b, x, r, outcome)
            right = r
            for number in map(int, np.flatnonzero(left & ~np.isfinite(outcome.norms))):
                x[number] = 0.0  # never not-a-number for the caller
                outcome.norms[number] = np.linalg.norm(b[number])
                outcome.status[number], outcome.reasons[number] = Status.NONFINITE, "the residual is not finite"
            stuck = left & ~(outcome.norms <= tolerances) & ~(outcome.norms < 0.5 * before)
            if limit == STRETCH:
                slow = stuck & unfinished & (outcome.iterations < maxiter)
                no_gain = f"no gain in {STRETCH} iterations"
                outcome.end(slow & self._singular, Status.STAGNATED, f"{no_gain}: b is perhaps not in the range of A")
                outcome.end(slow, Status.STAGNATED, f"{no_gain}: try CG with AMG")
            stuck &= ~unfinished
            outside = stuck & self._singular
            outside[outside] = outcome.norms[outside] > NEGLIGIBLE * np.linalg.norm(b[outside], axis=1)
            outcome.end(outside, Status.STAGNATED, "b is not in the range of the singular A")
            outcome.end(stuck, Status.STAGNATED, "the limit of rounding")

    def _flawed(self, outcome: Outcome) -> np.ndarray:
        return np.array([status is not None for status in outcome.status])

    def _residuals(self, which: np.ndarray, b: Array, x: Array, r: Array, outcome: Outcome) -> None:
        """Set r to b − A x by the operators that were given, in double precision."""
        for number in np.flatnonzero(which):
            self.members[number].matvec(np.asarray(x[number], dtype=np.float64), out=r[number])
            outcome.norms[number] = residual(np.asarray(b[number], dtype=np.float64), r[number])
        outcome.products += int(which.sum())

    def _stretch(
        self, left: np.ndarray, r: Array, x: Array, tolerances: np.ndarray, maxiter: int, outcome: Outcome
    ) -> np.ndarray:
        """Run the fused iteration once for the members that are left; return which of them it did not finish."""
        norms = np.where(left, outcome.norms, 1.0)
        # What lies outside of the range of a singular A could only grow.
        right = r - np.where(self._singular, r.mean(axis=1), 0.0)[:, None] if self._singular.any() else r
        back = np.where(left, self._factors * norms, 0.0)
        wanted = np.maximum(MARGIN * tolerances / norms, GAIN)
        solved = self.hierarchy.solve(right, 1.0 / norms, back, x, wanted, maxiter)
        count = len(solved.history) - 1
        outcome.cycles += count * len(left)
        outcome.products += count * len(left)
        outcome.iterations += np.where(left, solved.iterations, 0)
        for number in np.flatnonzero(left):
            steps = solved.history[1 : solved.iterations[number] + 1, number]
            outcome.histories[number].extend(steps * norms[number])
        # What a singular A leaves of the directions in the end is in its null space, which says nothing about it.
        indefinite = left & (solved.state == INDEFINITE) & ~self._singular
        outcome.end(indefinite, Status.INDEFINITE, "pᵀAp ≤ 0 or rᵀMr ≤ 0")
        outcome.end(left & (solved.state == NOT_FINITE), Status.NONFINITE, "the residual is not finite")
        unfinished: np.ndarray = left & (solved.state == RUNNING)
        return unfinished


def _entries_of(members: Sequence[LinearOperator]) -> list[Entries]:
    """Return the natural entries of all members, not-a-number for those that hold such: on the grid of the others."""
    found: list[Entries | None] = []
    for member in members:
        try:
            found.append(natural_entries(member))
        except NonFiniteError:
            found.append(None)
    grid, _, periodic = next((entries for entries in found if entries is not None), None) or (
        (1, 1, members[0].shape[0]),
        (),
        (False, False, False),
    )
    nothing = np.full(math.prod(grid), np.nan)
    return [(grid, (nothing,) * 4, periodic) if entries is None else entries for entries in found]


def _grounded_inside(grid: tuple[int, int, int], entries: tuple[Array, ...]) -> bool:
    """Whether the row sum of the cell in the middle is more than rounding, where it touches no wall."""
    if min(n for n in grid if n > 1) < 3 if max(grid) > 1 else True:
        return False
    centre, *couplings = entries
    i, j, k = (n // 2 for n in grid)
    at = (i * grid[1] + j) * grid[2] + k
    steps = (1, grid[2], grid[1] * grid[2])
    extents = grid[::-1]
    faces = [c[at] + c[at - step] for c, step, n in zip(couplings, steps, extents, strict=True) if n > 1]
    return bool(abs(centre[at] + sum(faces)) > WALL_ROUNDING * centre[at])


def _ungrounded(A: LinearOperator, diagonal: Array) -> bool:
    """Whether A maps constants to zero, but for rounding."""
    return bool((np.abs(A.matvec(np.ones(len(diagonal)))) <= 2.0 * WALL_ROUNDING * diagonal).all())


def _normalising(diagonal: Array) -> float:
    """Return what brings the entries of a member to order one: hierarchies are in single precision."""
    size = float(np.max(diagonal[:: max(1, len(diagonal) // 256)], initial=0.0))
    return 1.0 / size if 0.0 < size < np.inf else 1.0


def _strengths(entries: list[tuple[Array, ...]]) -> tuple[float, float, float]:
    """Return the mean couplings along i, j and k of the first member where they are finite."""
    for member in entries:
        k, j, i = (abs(float(np.mean(values))) for values in member[1:])
        if np.isfinite(i + j + k):
            return i, j, k
    return 1.0, 1.0, 1.0


def _flaw(coupling: float, lack: float, entries: tuple[Array, ...]) -> tuple[Status, str] | None:
    # Entries near the largest number may add up to infinity.
    if np.isnan(coupling) and not all(np.isfinite(values).all() for values in entries):
        return Status.NONFINITE, "the operator holds NaN or infinity"
    if coupling > 0.0:
        return Status.INDEFINITE, f"not elliptic: a coupling of {coupling:.3g} has the sign of the diagonal"
    if not float(entries[0].min()) > 0.0:
        return Status.INDEFINITE, f"not elliptic: the diagonal goes down to {entries[0].min():.3g}"
    if lack > 0.0:
        return Status.INDEFINITE, "not diagonally dominant: use CG with AMG, or MINRES"
    return None
