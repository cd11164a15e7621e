"""Which method makes a chunk: one for all of them, or of a tuned set one for each, decided when it is handed out."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..errors import ConfigurationMismatch
from ..methods.strategies import Method
from ..worker import ChunkRecord
from .arms import Arm
from .chunk_decision import ChunkDecision, SolveTime, solve_times
from .chunk_tuner import ChunkTuner


class Schedule(abc.ABC):
    """Names the method of each chunk, and is told of each that is finished."""

    warm: bool = False
    """Whether first uses of a method are to be kept out of the times."""

    @abc.abstractmethod
    def method(self, chunk: int) -> Method:
        """Return what makes a chunk that starts now."""

    def finished(self, record: ChunkRecord) -> None:
        """Take note of a chunk that is finished."""


class OneMethod(Schedule):
    """The same method for every chunk."""

    def __init__(self, method: Method) -> None:
        self._method = method

    def method(self, chunk: int) -> Method:
        """Return the method."""
        return self._method


class TunedSchedule(Schedule):
    """Decides for each chunk by what the chunks before it took, unless that was decided already.

    Parameters
    ----------
    arms : sequence of Arm
        The safe one first.
    size : int
        Samples in a chunk.
    decided : dict of int to ChunkDecision
        What stands.
    finished : iterable of SolveTime
        Chunks that were made.
    waiting : iterable of int
        Chunks to be made; some may have been decided.
    rebuild : callable
        Name of an arm -> Method, KeyError if there is none.
    enter : callable
        Called with a decision, to store it durably before the chunk starts.
    where : str
        What holds the decisions, for messages.

    Raises
    ------
    ConfigurationMismatch
        If a decision names a method that this version does not have, or has changed.
    """

    warm = True

    def __init__(
        self,
        arms: Sequence[Arm],
        size: int,
        decided: Mapping[int, ChunkDecision],
        finished: Iterable[SolveTime],
        waiting: Iterable[int],
        *,
        rebuild: Callable[[str], Method],
        enter: Callable[[ChunkDecision], None],
        where: str,
    ) -> None:
        self._size, self._decided, self._enter, self._where = size, dict(decided), enter, where
        self._methods: dict[str, Method] = {}
        known = {decision.arm: decision.method for decision in self._decided.values()}
        safe = arms[0]
        if known.get(safe.name, repr(safe.method)) != repr(safe.method):
            raise ConfigurationMismatch(where, {f"method of {safe.name}": (known[safe.name], repr(safe.method))})
        # One name is one method in a set, so an arm that has changed since it was begun is not offered any more.
        offered = [arm for arm in arms if known.get(arm.name, repr(arm.method)) == repr(arm.method)]
        self._tuner = ChunkTuner(offered)
        self._learn(finished)
        for chunk in waiting:
            decision = self._decided.get(chunk)
            if decision is not None:
                self._methods[decision.arm] = self._checked(decision, rebuild)
                self._tuner.begun(decision.arm)

    def _checked(self, decision: ChunkDecision, rebuild: Callable[[str], Method]) -> Method:
        if decision.arm in self._methods:
            return self._methods[decision.arm]
        try:
            method = rebuild(decision.arm)
        except KeyError:
            method = None
        if repr(method) != decision.method:
            raise ConfigurationMismatch(self._where, {f"method of {decision.arm}": (decision.method, repr(method))})
        assert method is not None
        return method

    def method(self, chunk: int) -> Method:
        """Return what was decided for a chunk, or decide now, and enter that before anything else happens."""
        decision = self._decided.get(chunk)
        if decision is None:
            arm, reason = self._tuner.decide()
            decision = ChunkDecision(chunk, arm.name, repr(arm.method), reason)
            self._enter(decision)
            self._decided[chunk] = decision
            self._methods[arm.name] = arm.method
        return self._methods[decision.arm]

    def finished(self, record: ChunkRecord) -> None:
        """Learn what a chunk took."""
        self._learn(solve_times([(record.chunk, record.stop, record.seconds["solve"])], self._size))

    def _learn(self, times: Iterable[SolveTime]) -> None:
        for chunk, seconds, whole in times:
            self._tuner.finished(self._decided[chunk].arm, seconds if whole else None)
