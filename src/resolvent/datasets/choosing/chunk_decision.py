"""Which method makes a chunk of a tuned set: decided before the chunk starts, stored for good, read back ever after."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import FormatError


@dataclasses.dataclass(frozen=True)
class ChunkDecision:
    """The method of one chunk.

    Attributes
    ----------
    chunk : int
    arm : str
        Name of the way to solve.
    method : str
        Its printed form, by which another version is recognised.
    reason : str
        In a word or two: "by rule", "untried", "least so far", …
    """

    chunk: int
    arm: str
    method: str
    reason: str


def packed(decisions: Iterable[ChunkDecision]) -> dict[str, Any]:
    """Return decisions as they are stored in a finished file: plain values, each method printed once.

    Examples
    --------
    >>> packed([ChunkDecision(0, "direct", "Direct()", "by rule"), ChunkDecision(1, "direct", "Direct()", "untried")])
    {'arms': {'direct': 'Direct()'}, 'decisions': [[0, 'direct', 'by rule'], [1, 'direct', 'untried']]}
    """
    ordered = sorted(decisions, key=lambda decision: decision.chunk)
    return {
        "arms": {decision.arm: decision.method for decision in ordered},
        "decisions": [[decision.chunk, decision.arm, decision.reason] for decision in ordered],
    }


def stored_decisions(provenance: Mapping[str, Any]) -> dict[int, ChunkDecision]:
    """Return the decisions that the provenance of a finished file has, by chunk; none for a set that was not tuned.

    Raises
    ------
    FormatError
        If they are not as `packed` wrote them.
    """
    tuning = provenance.get("tuning")
    if tuning is None:
        return {}
    try:
        return {
            int(chunk): ChunkDecision(int(chunk), str(arm), str(tuning["arms"][arm]), str(reason))
            for chunk, arm, reason in tuning["decisions"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the decisions about chunks in the provenance are damaged ({error!r})") from error


SolveTime = tuple[int, float, bool]
"""Number of a chunk, seconds of solving a sample, and whether the chunk was solved to its end."""


def solve_times(entries: Iterable[tuple[int, int, float]], size: int) -> list[SolveTime]:
    """Return what solving a sample took, for each chunk made.

    Parameters
    ----------
    entries : iterable of (int, int, float)
        Number of the chunk, number of its last sample plus one, seconds spent on solving. A chunk is solved from its
        border on, even where its first samples were there already.
    size : int
        Samples in a whole chunk.

    Examples
    --------
    >>> solve_times([(0, 64, 6.4), (1, 80, 3.2)], size=64)
    [(0, 0.1, True), (1, 0.2, False)]
    """
    return [(c, seconds / max(stop - c * size, 1), stop == (c + 1) * size) for c, stop, seconds in entries]


def entries_of(chunks: Mapping[str, np.ndarray]) -> list[tuple[int, int, float]]:
    """Return the entries for `solve_times` of the chunk table of a finished file."""
    return list(zip(*(chunks[name].tolist() for name in ("chunk", "stop", "seconds_solve")), strict=True))


@dataclasses.dataclass(frozen=True)
class Share:
    """What one method did for a tuned set.

    Attributes
    ----------
    arm : str
    chunks, samples : int
    seconds : float
        Of solving, a sample.
    reasons : dict of str to int
        Why it was taken, and for how many chunks.
    """

    arm: str
    chunks: int
    samples: int
    seconds: float
    reasons: dict[str, int]

    @property
    def told(self) -> str:
        """The reasons with their numbers, the most frequent first."""
        ordered = sorted(self.reasons.items(), key=lambda item: -item[1])
        return ", ".join(reason if count == 1 else f"{count} {reason}" for reason, count in ordered)


def shares(decisions: Mapping[int, ChunkDecision], chunks: Mapping[str, np.ndarray], size: int) -> tuple[Share, ...]:
    """Return what each method did, the one with most samples first."""
    found: dict[str, Share] = {}
    seen: set[int] = set()
    starts, stops = chunks["start"].tolist(), chunks["stop"].tolist()
    for (chunk, seconds, _), start, stop in zip(solve_times(entries_of(chunks), size), starts, stops, strict=True):
        decision = decisions[chunk]
        old = found.get(decision.arm, Share(decision.arm, 0, 0, 0.0, {}))
        samples = old.samples + stop - start
        reasons, new = dict(old.reasons), chunk not in seen
        if new:
            reasons[decision.reason] = reasons.get(decision.reason, 0) + 1
        mean = (old.seconds * old.samples + seconds * (stop - start)) / samples
        found[decision.arm] = Share(decision.arm, old.chunks + new, samples, mean, reasons)
        seen.add(chunk)
    return tuple(sorted(found.values(), key=lambda share: -share.samples))
