"""Whether a learned preconditioner may take part: it has to reduce the residual, and to pay."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, final

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ..krylov.cg import CG
from ..krylov.flexible_cg import FlexibleCG
from ..preconditioners.ic import IC
from ..preconditioners.recipe import Recipe, is_number, is_whole, known_not_self_adjoint
from .operator import LearnedOperator
from .recipe import Learned

PROBES = 3
"""Steps that have to reduce the residual, each of them."""
LOOK = 12
"""Steps from whose mean reduction the iterations are predicted: the first few are faster than the rest."""
SETUPS = 3
"""Set-ups of which the least time counts: one may fall to an interruption, or compile."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes
    ----------
    open : bool
        Whether the learned preconditioner takes part.
    reason : str
    probes : int
        Steps taken until that was known.
    apply_seconds, predicted_iterations, setup_seconds : float
        Of the learned preconditioner; NaN if it was refused before.
    incumbent_seconds : float
        Of a solve with the incumbent and its share of the set-up; NaN if the incumbent cannot take the operator.
    """

    open: bool
    reason: str
    probes: int
    apply_seconds: float = math.nan
    predicted_iterations: float = math.nan
    setup_seconds: float = math.nan
    incumbent_seconds: float = math.nan


@final
class GatedOperator(LinearOperator):
    """The preconditioner that passed, with the verdict."""

    def __init__(self, M: LinearOperator, verdict: Verdict) -> None:
        super().__init__(M.shape, M.dtype, props=M.props, grid=M.grid, device=M.device)
        self.M, self.verdict = M, verdict

    @property
    def not_self_adjoint(self) -> bool:
        """Whether CG must not use it."""
        return known_not_self_adjoint(self.M)

    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.M,)

    def _matmat(self, X: Array) -> Array:
        return self.M._matmat(X)

    def _matmat_into(self, X: Array, out: Array) -> None:
        self.M._matmat_into(X, out)

    def _summary(self) -> str:
        return f"{'learned' if self.verdict.open else 'incumbent'}: {self.M!r}"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Gated(Recipe):
    """A learned preconditioner where it passes two tests on the operator at hand, else the incumbent.

    Three steps with it must each reduce the residual of a white right-hand side; and the seconds of a product and an
    application, times the iterations that the reduction of the first steps predicts, must stay below those of a solve
    with the incumbent, set-up counted on both sides. Training is not: it is spent. Where the network cannot take the
    operator at all, it is the incumbent too, and the verdict says why; where the incumbent cannot, or CG cannot use it,
    the network that passed the first test takes part whatever it costs. The tests cost up to twelve steps and three
    set-ups, and three set-ups and two solves with the incumbent unless its seconds are given.

    Parameters
    ----------
    learned : Learned
    incumbent : Recipe
        What is used otherwise, IC by default.
    rtol : float
        Tolerance of the solves to come.
    solves : int
        Right-hand sides that each set-up will serve; 1 where every system is new.
    incumbent_seconds : float, optional
        Of one solve with the incumbent and its share of the set-up, if they are known.
    seed : int
        Of the right-hand side of the tests.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers.learned import Gated, Learned, SPDCycle
    >>> A = Stencil.from_transmissibilities([np.ones((17, 16)), np.ones((16, 17))])
    >>> M = Gated(Learned(SPDCycle(dim=2), "any", (8, 64)), incumbent_seconds=0.0)(A)
    >>> M.verdict.open, M.verdict.probes <= 12
    (False, True)
    """

    learned: Learned
    incumbent: Recipe = dataclasses.field(default_factory=IC)
    rtol: float = 1e-8
    solves: int = 1
    incumbent_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not is_whole(self.solves, 1):
            raise ValueError(f"solves must be a whole number ≥ 1, got {self.solves!r}")
        if not (is_number(self.rtol) and 0.0 < self.rtol < 1.0):
            raise ValueError(f"rtol must lie between 0 and 1, got {self.rtol!r}")
        known = self.incumbent_seconds
        if known is not None and not (is_number(known) and known >= 0.0):
            raise ValueError(f"incumbent_seconds must be a finite number ≥ 0, got {known!r}")

    def __call__(self, A: LinearOperator) -> GatedOperator:
        """Build what passes for A."""
        try:
            M = self.learned(A)
        except (StructureError, ValueError) as error:
            return GatedOperator(self.incumbent(A), Verdict(False, f"refused: {error}", 0))
        verdict = self._judge(A, M)
        if not verdict.open:
            try:
                return GatedOperator(self.incumbent(A), verdict)
            except StructureError as error:
                if math.isnan(verdict.setup_seconds):
                    raise  # the network is of no use either
                verdict = dataclasses.replace(verdict, open=True, reason=_without_incumbent(error))
        return GatedOperator(M, verdict)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M claims whichever it is."""
        return self.learned.claims(A) & self.incumbent.claims(A) | (self.learned.claims(A) & Props.VARIABLE)

    def _judge(self, A: LinearOperator, M: LearnedOperator) -> Verdict:
        b = np.random.default_rng(self.seed).standard_normal(A.shape[0])
        # Solid cells have an equation each, which no domain's residual ever meets.
        b *= A @ np.abs(b) != A.diagonal() * np.abs(b)
        solver = FlexibleCG if Props.VARIABLE in M.props else CG
        M @ b  # what the first application compiles is no part of the cost
        begin = time.perf_counter()
        result = solver(rtol=self.rtol, maxiter=LOOK).solve(A, b, M=M)
        seconds = (time.perf_counter() - begin) / max(result.iterations, 1)
        norms = np.asarray(result.history, dtype=float).reshape(-1)
        worse = [k for k in range(1, min(PROBES + 1, len(norms))) if not norms[k] < norms[k - 1]]
        if worse or len(norms) < 2 or not np.isfinite(norms).all():
            probe = worse[0] if worse else 1
            return Verdict(False, f"probe {probe} of {PROBES} does not reduce the residual", probe)
        if result.extra.get("fallbacks", 0) + M.replaced > result.iterations // 2:
            return Verdict(False, "most steps were made without the network, whose directions were of no use", PROBES)
        rate = math.log(norms[0] / max(norms[-1], np.finfo(float).tiny)) / (len(norms) - 1)
        iterations = -math.log(self.rtol) / rate if rate > 0.0 else math.inf
        setup, _ = _least(lambda: self.learned(A))
        known = self.incumbent_seconds
        if known is None:
            try:
                share, prepared = _least(lambda: CG(rtol=self.rtol).prepare(A, self.incumbent))
            except StructureError as error:
                return Verdict(True, _without_incumbent(error), len(norms) - 1, seconds, iterations, setup)
            prepared.solve(b)  # what the first solve compiles is no part of the cost
            begin = time.perf_counter()
            prepared.solve(b)
            known = share / self.solves + time.perf_counter() - begin
        opens = setup / self.solves + seconds * iterations < known
        reason = (
            f"set-up of {setup:.1e} s for {self.solves}, {iterations:.0f} iterations of {seconds:.1e} s, against "
            f"{known:.1e} s of the incumbent"
        )
        return Verdict(opens, reason, len(norms) - 1, seconds, iterations, setup, known)


def _least(set_up: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least seconds of some set-ups, and what the last one made."""
    least, made = math.inf, None
    for _ in range(SETUPS):
        begin = time.perf_counter()
        made = set_up()
        least = min(least, time.perf_counter() - begin)
    return least, made


def _without_incumbent(error: StructureError) -> str:
    return f"the incumbent cannot take the operator: {error}"
