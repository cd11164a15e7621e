"""What every learner shares: checked choices and costs, forgetting, states that can be written down and read again."""

from __future__ import annotations

import abc
import dataclasses
import operator
from collections.abc import Mapping
from typing import Any, ClassVar, SupportsIndex

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_number, is_whole
from .saved_states import FORMAT, generator_state, generator_text, like

# Of an arm that was not played for long, discounting leaves ever less: below this, nothing.
FORGOTTEN = 1e-9


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """Which arm to play, and why. Serves as an index: ``grid[decision]``.

    Attributes
    ----------
    arm : int
    probability : float
        With which the arm was drawn; 1 where nothing was left to chance.
    reason : str
        In a word or two: "untried", "explore", "least mean", …
    """

    arm: int
    probability: float
    reason: str

    def __index__(self) -> int:
        return self.arm


class Tuner(abc.ABC):
    """Chooses one of several ways to solve, its arms, before each solve, and learns from what the solve cost.

    ``suggest`` names an arm, ``observe`` takes what it cost; nothing else is asked of the caller. A suggestion may stay
    without an observation; an observation without a suggestion, as of a probe, is welcome if it comes with its context.

    Parameters
    ----------
    arms : int
        How many, at least 1. They are numbered from 0.
    discount : float
        Every observation multiplies the weight of those before it by this, 0 < discount ≤ 1. With 0.99 about the last
        hundred count, which follows costs that drift; 1 forgets nothing.
    rng : numpy.random.Generator or int
        Source of all chance. The same seed and the same costs give the same arms.

    Notes
    -----
    Costs are positive and finite, in any one unit. A censored cost is a lower bound: the solve was stopped when it had
    cost that much. Learners that predict take the larger of bound and prediction for it.
    """

    _learned: ClassVar[tuple[str, ...]] = ()
    """Attributes, without the underscore, that hold what the class has learned: arrays of fixed shape, or numbers."""

    _shared: ClassVar[tuple[str, ...]] = ("counts", "totals", "clock", "pending", "context")

    def __init__(self, arms: int, *, discount: float = 1.0, rng: np.random.Generator | int = 0) -> None:
        if not is_whole(arms, 1):
            raise ValueError(f"arms must be a whole number ≥ 1, got {arms!r}")
        if not (is_number(discount) and 0.0 < discount <= 1.0):
            raise ValueError(f"discount must be above 0 and at most 1, got {discount!r}")
        self.arms = int(arms)
        self.discount = float(discount)
        self.rng = np.random.default_rng(rng)
        self._children: tuple[Tuner, ...] = ()
        self._forget()

    def _forget(self) -> None:
        """Set everything that is learned to what it is before any observation."""
        self._counts = np.zeros(self.arms)
        self._totals = np.zeros(self.arms)
        self._clock = 0.0  # observations, those long ago discounted
        self._pending = -1  # the arm suggested last, until it is observed
        self._context = np.zeros(0)

    # ---------------------------------------------------------------------------------------------------------------
    # What a learner is

    @abc.abstractmethod
    def _suggest(self, z: Array) -> Decision:
        """Choose, given a context that `_read` has checked."""

    def _observe(self, arm: int, cost: float, z: Array, own: bool) -> None:
        """Learn beyond counts and totals; `own` tells whether the arm is the one suggested last."""

    def _read(self, context: Any) -> Array:
        """Return the context as the learner wants it; those that use none ignore it."""
        return np.zeros(0)

    def _predict(self, z: Array) -> Array:
        """Return the expected cost of each arm, not-a-number where nothing is known."""
        known = self._counts > FORGOTTEN
        return np.divide(self._totals, self._counts, out=np.full(self.arms, np.nan), where=known)

    def _best(self, z: Array) -> int:
        predicted = self._predict(z)
        return 0 if np.isnan(predicted).all() else int(np.nanargmin(predicted))

    def _completed(self, arm: int, bound: float, z: Array) -> float:
        """Return the cost to learn from where only a lower bound of it is known."""
        return float(np.fmax(bound, self._predict(z)[arm]))

    def _cap(self, counts: float, clock: float) -> None:
        """Let what is learned weigh no more than `counts` observations an arm, and `clock` in all."""
        kept = np.minimum(1.0, counts / np.maximum(self._counts, 1.0))
        self._counts *= kept
        self._totals *= kept
        self._clock = min(self._clock, clock)

    def _options(self) -> str:
        """Return the options as they are written in a call, each after a comma."""
        return f", discount={self.discount:g}" if self.discount < 1.0 else ""

    # ---------------------------------------------------------------------------------------------------------------
    # What the caller uses

    def suggest(self, context: Any = None) -> Decision:
        """Choose an arm for the next solve.

        Parameters
        ----------
        context : float, (dimensions,) array or None
            What is known of the system before it is solved. Learners without context ignore it.

        Returns
        -------
        decision : Decision

        Raises
        ------
        ValueError
            If the learner needs a context and there is none, or it is not finite or of another length. Contexts outside
            of the range the learner was given are moved to its border.
        """
        z = self._read(context)
        decision = self._suggest(z)
        self._pending, self._context = decision.arm, z
        return decision

    def observe(self, arm: SupportsIndex, cost: float, censored: bool = False, *, context: Any = None) -> None:
        """Learn what a solve cost.

        Parameters
        ----------
        arm : int or Decision
            What was played. It need not be what was suggested; learners that weigh a cost by the probability of its arm
            (`TsallisINF`) then take note of the mean alone.
        cost : float
            Positive and finite, failed attempts included. Where a solve never ends, stop it and pass ``censored=True``.
        censored : bool
            Whether the cost is a lower bound, because the solve was stopped.
        context : float, array or None
            Of the solve; that of the last suggestion by default.

        Raises
        ------
        ValueError, IndexError, TypeError
            For a cost that is not positive and finite, an arm there is not, a context that is missing.
        """
        index = operator.index(arm)
        if not 0 <= index < self.arms:
            raise IndexError(f"there are arms 0 to {self.arms - 1}, got {index}")
        if not (is_number(cost) and cost > 0.0):
            raise ValueError(
                f"a cost must be a positive finite number, got {cost!r}: of a solve that failed, observe what was "
                "spent until it was given up, with censored=True"
            )
        z = self._context if self._pending >= 0 and context is None else self._read(context)
        own = index == self._pending and np.array_equal(z, self._context)
        self._absorb(index, float(cost), z, own, bool(censored))
        self._pending = -1

    def predict(self, context: Any = None) -> Array:
        """Return the expected cost of each arm, (arms,) array, not-a-number for arms of which nothing is known."""
        return self._predict(self._read(context))

    def best(self, context: Any = None) -> int:
        """Return the arm that is best as far as is known, without exploring; 0 before any observation."""
        return self._best(self._read(context))

    @property
    def counts(self) -> Array:
        """How often each arm was observed, (arms,) array; with a discount, or after `inherit`, the weight of that."""
        return self._counts.copy()

    def reset(self) -> None:
        """Forget all that was learned. The generator goes on, so that the next run differs from the one before."""
        for child in self._children:
            child.reset()
        self._forget()

    def state(self) -> dict[str, Any]:
        """Return everything a learner with the same options needs to go on exactly as this one would.

        Returns
        -------
        state : dict
            Flat: numbers, strings and arrays, copied. ``np.savez(path, **state)`` writes it, and so does `json`, with
            arrays as lists. `restore` takes it back in either form.

        Examples
        --------
        >>> import json, numpy as np
        >>> from resolvent.solvers.tuning import EpsilonGreedy
        >>> one, other = EpsilonGreedy(3, rng=1), EpsilonGreedy(3)
        >>> one.observe(one.suggest(), 2.0)
        >>> text = json.dumps({name: np.asarray(value).tolist() for name, value in one.state().items()})
        >>> other.restore(json.loads(text))
        >>> [one.suggest().arm, one.rng.random()] == [other.suggest().arm, other.rng.random()]
        True
        """
        found: dict[str, Any] = {"format": FORMAT, "learner": repr(self), "rng": generator_text(self.rng)}
        for name in (*self._shared, *self._learned):
            value = getattr(self, "_" + name)
            found[name] = value.copy() if isinstance(value, np.ndarray) else value
        for place, child in enumerate(self._children):
            found |= {f"{place}.{name}": value for name, value in child.state().items()}
        return found

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where the learner that gave `state` was, its generator included.

        Raises
        ------
        ValueError
            If the state is damaged or of a learner with other options; nothing is changed then.
        """
        self._adopt(self._parsed(state, same_options=True), generators=True)

    def inherit(self, state: Mapping[str, Any], *, counts: float = 20.0, clock: float = 500.0) -> None:
        """Begin with what an earlier run learned, given less weight, and with this learner's own generator.

        Parameters
        ----------
        state : dict
            Of a learner of the same kind with as many arms; options such as the discount may differ.
        counts, clock : float
            An arm weighs at most as many observations, and exploration goes on as after so many. New costs that
            contradict the old ones win soon, while little is explored again that is known.

        Raises
        ------
        ValueError
            If the state is damaged or of another kind of learner; nothing is changed then.
        """
        if not (is_number(counts) and counts > 0.0 and is_number(clock) and clock > 0.0):
            raise ValueError(f"counts and clock must be positive numbers, got {counts!r} and {clock!r}")
        self._adopt(self._parsed(state, same_options=False), generators=False)
        self._capped(counts, clock)

    def spawn(self) -> Tuner:
        """Return a learner with the same options that has learned nothing, with a generator of its own."""
        import copy

        other = copy.deepcopy(self)
        other.reset()
        other._reseed(self.rng)
        return other

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.arms}{self._options()})"

    # ---------------------------------------------------------------------------------------------------------------
    # Between the two

    def _absorb(self, arm: int, cost: float, z: Array, own: bool, censored: bool) -> None:
        """Learn one cost, checked: what `observe` does, without looking at the last suggestion."""
        if censored:
            cost = self._completed(arm, cost, z)
        if self.discount < 1.0:
            self._counts *= self.discount
            self._totals *= self.discount
        self._observe(arm, cost, z, own)
        self._counts[arm] += 1.0
        self._totals[arm] += cost
        self._clock = self.discount * self._clock + 1.0

    def _capped(self, counts: float, clock: float) -> None:
        for child in self._children:
            child._capped(counts, clock)
        self._cap(counts, clock)
        self._pending = -1

    def _reseed(self, rng: np.random.Generator) -> None:
        self.rng = rng.spawn(1)[0]
        for child in self._children:
            child._reseed(rng)

    def _parsed(self, state: Mapping[str, Any], *, same_options: bool) -> list[dict[str, Any]]:
        """Return the values of a state, checked, those of this learner first and then those of each child."""
        mine = {name: value for name, value in state.items() if "." not in name}
        names = (*self._shared, *self._learned)
        given = str(np.asarray(mine.get("learner", ""))[()])
        if given != repr(self) if same_options else given.partition("(")[0] != type(self).__name__:
            wanted = repr(self) if same_options else f"a {type(self).__name__}"
            raise ValueError(
                f"the state is of {given or 'no learner'}, this is {wanted}: make a learner like the one that was saved"
            )
        missing = {"format", "rng", *names} - mine.keys()
        if missing:
            raise ValueError(f"the state lacks {', '.join(sorted(missing))}: it is incomplete")
        if np.asarray(mine["format"])[()] != FORMAT:
            raise ValueError(f"the state is of format {mine['format']}, this version reads {FORMAT}")
        values = {name: like(getattr(self, "_" + name), mine[name], name) for name in names}
        values["rng"] = generator_state(self.rng, str(np.asarray(mine["rng"])[()]))
        found = [values]
        for place, child in enumerate(self._children):
            prefix = f"{place}."
            theirs = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
            found += child._parsed(theirs, same_options=same_options)
        return found

    def _adopt(self, parsed: list[dict[str, Any]], *, generators: bool) -> None:
        """Take over checked values, and remove them from the list."""
        values = parsed.pop(0)
        generator = values.pop("rng")
        if generators:
            self.rng.bit_generator.state = generator
        for name, value in values.items():
            setattr(self, "_" + name, value)
        for child in self._children:
            child._adopt(parsed, generators=generators)


def drawn(p: Array, rng: np.random.Generator) -> int:
    """Return an arm drawn from probabilities p, (arms,) array, whose sum may be off by rounding."""
    cumulative = p.cumsum()
    # To the right of equal sums, so that an arm of probability zero is never drawn.
    return int(min(cumulative.searchsorted(rng.random() * cumulative[-1], side="right"), p.size - 1))
