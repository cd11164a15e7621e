"""Choosing among whole solver configurations while solving."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...operators import Array, StructureError, as_operator
from ..preconditioners.recipe import is_whole
from ..progress import Callback
from ..result import Result, Timing
from .arm import Arm
from .attempts import Attempt, Attempts
from .priors import adopt, read_priors, signature_of, write_priors
from .report import report_of
from .rounds import Play, Round
from .strategy import MakeLearner, Strategy

if TYPE_CHECKING:
    from .priors import Prior


class OnlineTuner:
    """Solves a stream of systems by the best of several arms, which it finds out on the way.

    The safe arm solves the first system, and its cost is the measure of all others. Then each arm is tried once, in the
    order given; those that cost several times the best are dropped; a learner chooses among the rest. Any arm but the
    safe one is given up when it costs too much. All of that is charged:

    - a probe, or an arm that is not the favourite, is given up at `patience` times the predicted cost of the favourite,
      and from that cost on as soon as its residual falls too slowly to stay below;
    - any arm at `backstop` times the cost of the safe arm, or earlier, so that the total stays below (1 + `waste`)
      times the cost of the safe arm alone plus one solve given up, whatever the arms cost;
    - one whose set-up raises, or that ends with any status but CONVERGED, has failed.

    What an arm has left unsolved, the favourite solves, if it is cheaper than the safe arm, and in the end the latter.

    Every result is one of the arm that is named in it, converged by the recomputed residual: which arm was chosen does
    not matter beyond the tolerance, and all arms must have the same one.

    With ``cost="seconds"`` it switches itself off, and says so, where decisions take more than 1 % of the cheapest
    solve. Costs are compared with set-ups spread over the solves they serve; what is charged are set-ups when they are
    made. An arm that recycles, keeps its preconditioner or starts from earlier solutions is probed twice, as its first
    solve is not like the others. A set-up cannot be stopped half way, and neither can methods that run in one compiled
    piece (`MultigridCG`); relaxation, which else runs through many sweeps at once, is slowed by being watched.

    Do not use it for a handful of systems: trying 25 arms costs some 40 to 100 solves of the best, and where the best
    arm comes late in the list and the safe one is several times dearer, 500 systems are not enough to make up for it.
    Not for several threads or MPI ranks.

    Parameters
    ----------
    arms : sequence of Arm
        At least one, the most promising first: see `standard_arms`.
    learner : callable, optional
        Number of arms -> `Tuner`, as a class or ``lambda d: Ridge(d, low=0.0, high=1.0)``; called when all arms are
        probed. By default `EpsilonGreedy`, restarted when costs drift, or `Ridge` over the contexts seen where there
        are contexts.
    cost : {"seconds", "work"}
        What is to be small. Work units (`work`) are counted and the same in every run; seconds decide between families.
    safe : int or Arm
        What always converges.
    patience : float
        γ > 1.
    waste : float
        δ ≥ 0.
    backstop : float
        In costs of the safe arm, > 1.
    prune : float
        Arms that cost more than this multiple of the best are dropped after their probe; infinite drops failures only.
    keep : int
        Arms that keep preconditioner, recycle space and solutions between their solves; those not used for longest
        lose them.
    family : str
        Goes into the key of priors; by default kind and size of the first system are all there is.
    clock : callable
        Seconds, for ``cost="seconds"``. On a machine shared with others, one thread is better timed by
        `time.process_time`, which stands still while somebody else computes.

    Attributes
    ----------
    key : str or None
        Kind and size of the systems, by which priors are found; None before the first.

    References
    ----------
    Khodak, Chow, Balcan & Talwalkar 2024, doi:10.48550/arXiv.2310.02246; PCGBandit (2025) for arms that are whole
    configurations and for a backstop.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG, IC, SSOR, Jacobi, Sequence
    >>> from resolvent.solvers.tuning import Arm, OnlineTuner
    >>> T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(20, 20))
    >>> A = sp.csr_array(sp.kron(T, sp.eye_array(20)) + sp.kron(sp.eye_array(20), T))
    >>> arms = [Arm(CG(), SSOR(1.5)), Arm(CG(), IC()), Arm(CG(), Jacobi()), Arm(CG(), SSOR(0.1))]
    >>> steps = Sequence(tuner=OnlineTuner(arms, cost="work"))
    >>> for t in range(40):
    ...     result = steps.solve(A + 1e-3 * t * sp.eye_array(400), np.ones(400)).check()
    >>> result.extra["arm"], result.extra["why"]
    ('CG + SSOR(omega=1.5)', 'least mean')
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        learner: MakeLearner | None = None,
        *,
        cost: str = "seconds",
        safe: int | Arm = 0,
        patience: float = 3.0,
        waste: float = 0.10,
        backstop: float = 10.0,
        prune: float = 5.0,
        keep: int = 12,
        family: str = "",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.arms = _checked_arms(arms)
        if isinstance(safe, Arm):
            if safe not in self.arms:
                raise ValueError(f"the safe arm must be one of the arms, got {safe}")
            safe = self.arms.index(safe)
        if not (is_whole(safe, 0) and safe < len(self.arms)):
            raise ValueError(f"safe must be an arm or its number, 0 to {len(self.arms) - 1}, got {safe!r}")
        if cost not in ("seconds", "work"):
            raise ValueError(f"cost must be 'seconds' or 'work', got {cost!r}")
        if not is_whole(keep, 1):
            raise ValueError(f"keep must be a whole number ≥ 1, got {keep!r}")
        self.safe, self.cost, self.family = int(safe), cost, family
        self.strategy = Strategy(
            [arm.settling for arm in self.arms],
            safe=self.safe,
            make=learner,
            patience=patience,
            waste=waste,
            backstop=backstop,
            prune=prune,
            timed=cost == "seconds",
            clock=clock,
        )
        self.attempts = Attempts(self.arms, cost, int(keep), clock)
        self._priors: dict[str, Prior] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all that was learned and kept, priors that were loaded excepted."""
        self.attempts.reset()
        self.strategy.reset()
        self.key: str | None = None
        self.prior = ""

    # ---------------------------------------------------------------------------------------------------------------
    # Decisions, for who solves himself

    def suggest(self, context: Any = None) -> Play:
        """Choose an arm for the next system, and what it may cost.

        Parameters
        ----------
        context : float, (dimensions,) array or None
            What is known of the system: of the same length for all systems, or None for all.

        Returns
        -------
        play : Play
        """
        return self.strategy.suggest(context)

    def observe(
        self, arm: int, cost: float, censored: bool = False, *, told: float | None = None, note: str = ""
    ) -> None:
        """Learn what an attempt on the system at hand cost.

        An attempt that did not solve it (`censored`, or with a `note`) is to be followed by the next step of the play;
        the last one, of the safe arm, ends the round in any case.

        Parameters
        ----------
        arm : int
        cost : float
            What is charged, positive and finite.
        censored : bool
            Whether it was given up for its cost, which is then a lower bound.
        told : float, optional
            The same with set-ups spread over the solves that they serve; `cost` by default.
        note : str
            Why it failed.

        Raises
        ------
        ValueError
            Without a suggestion before, or for costs that are not positive and finite.
        """
        self.strategy.observe(arm, cost, censored, told=told, note=note)

    # ---------------------------------------------------------------------------------------------------------------
    # Solving

    def solve(self, A: Any, b: Array, *, context: Any = None, callback: Callback | None = None) -> Result:
        """Solve the next system with an arm of the tuner's choice, and learn from it.

        Parameters
        ----------
        A, b, callback
            See `Sequence.solve`.
        context : float, (dimensions,) array or None
            Numbers known of the system before it is solved, on which costs may depend: logarithms of those that range
            over decades. For all systems or for none.

        Returns
        -------
        result : Result
            Of the arm that solved it, or of the safe arm if none did. Counts and seconds include attempts that were
            given up. ``extra`` tells ``arm``, ``why`` it was chosen, ``attempts`` (name, outcome and cost of each) and
            ``cost``.
        """
        operator = as_operator(A)
        if operator._communicator() is not None:
            raise StructureError("OnlineTuner does not work on systems spread over ranks: choose one arm for them")
        if self.key is None:
            self.key = signature_of(operator, self.family, self.cost)
            self._adopt_prior(self.key)
        play = self.suggest(context)
        now = self.strategy.round
        assert now is not None
        tried: list[tuple[int, Attempt]] = []
        try:
            for arm, limit in play.steps:
                pace = math.inf if tried else play.pace
                tried.append((arm, self.attempts.run(arm, A, b, limit=limit, pace=pace, callback=callback)))
                if not tried[-1][1].unsolved:
                    break
            error = tried[-1][1].error
            if error is not None:  # that of the safe arm is the caller's
                raise error
        except BaseException:
            self.strategy.round = None  # a system that nobody can solve teaches nothing about arms
            raise
        for arm, attempt in tried:
            self.strategy.take(arm, attempt)
        return _combined([attempt for _, attempt in tried], now, self.arms)

    # ---------------------------------------------------------------------------------------------------------------
    # What was learned

    @property
    def history(self) -> list[Round]:
        """Every system: what was played, why, and what it cost; about half a kilobyte each."""
        return self.strategy.history

    @property
    def frozen(self) -> str:
        """Why the tuner has switched itself off and plays its favourite, empty while it has not."""
        return self.strategy.frozen

    @property
    def restarts(self) -> int:
        """How often all was learned anew because costs had drifted."""
        return self.strategy.restarts

    @property
    def charged(self) -> float:
        """What all systems have cost together, attempts that were given up included."""
        return sum(each.cost for each in self.history)

    def best(self, context: Any = None) -> Arm:
        """Return the arm that is best as far as is known."""
        return self.arms[self.strategy.favourite(self.strategy.read(context))]

    def report(self) -> str:
        """Return a plain-text table: what each arm was played and cost, what was dropped and why, the last decision."""
        return report_of(self)

    def save(self, path: str | Path) -> None:
        """Add what was learned to a file of priors (JSON), under the kind and size of the systems.

        Raises
        ------
        ValueError
            If nothing was learned yet, or the file is not one of priors.
        """
        write_priors(self, Path(path))

    def load(self, path: str | Path) -> None:
        """Take priors from a file: used from the first system on if there are some of its kind and size.

        Arms that were dropped stay dropped, means weigh at most 20 observations an arm, and exploration goes on as
        after 500. ``report()`` says whether there was one that fits.

        Raises
        ------
        ValueError
            If the file is not one of priors, of another version, or made for other arms, and after the first system.
        """
        if self.key is not None:
            raise ValueError("priors are for the beginning: load them before the first system, or reset the tuner")
        self._priors = read_priors(Path(path), self.arms)

    def _adopt_prior(self, key: str) -> None:
        found = self._priors.get(key)
        if found is not None:
            adopt(self.strategy, found)
            self.prior = f"{found.systems} systems of an earlier run"

    def __repr__(self) -> str:
        return f"OnlineTuner({len(self.arms)} arms, cost={self.cost!r}, safe={self.safe}, {len(self.history)} systems)"


def _checked_arms(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    found = tuple(arms)
    if not found:
        raise ValueError("arms must not be empty")
    wrong = next((arm for arm in found if not isinstance(arm, Arm)), None)
    if wrong is not None:
        raise TypeError(f"arms must be Arm(solver, M, …), got {wrong!r}")
    names = [arm.name for arm in found]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ValueError(f"arms must differ, but {double!r} is there twice: give one of them another name")
    tolerances = {(arm.solver.rtol, arm.solver.atol) for arm in found}
    if len(tolerances) > 1:
        listed = ", ".join(f"rtol={rtol:g}, atol={atol:g}" for rtol, atol in sorted(tolerances))
        raise ValueError(f"all arms must have the same tolerance, or results depend on the choice; got {listed}")
    return found


def _combined(tried: list[Attempt], now: Round, arms: Sequence[Arm]) -> Result:
    """Return the last result with what the attempts before it took."""
    *failed, last = tried
    result = last.result
    assert result is not None
    lost = 0.0
    for attempt in failed:
        if attempt.result is not None:
            result.counts.add(attempt.result.counts)
            lost += attempt.result.seconds.total
    extra = {
        **result.extra,
        "arm": arms[now.arm].name,
        "why": now.play.reason,
        "attempts": [(arms[arm].name, outcome, cost) for arm, outcome, cost in now.attempts],
        "cost": now.cost,
    }
    return dataclasses.replace(result, extra=extra, seconds=Timing(result.seconds.prepare + lost, result.seconds.solve))
