"""What a tuner did, in plain text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .online import OnlineTuner


def report_of(tuner: OnlineTuner) -> str:
    """Return a table of the arms, and the last decision with its reason."""
    unit = "s" if tuner.cost == "seconds" else "products"
    plays, lost, costs = _tally(tuner)
    verdicts = [tuner.strategy.pruning.verdict(arm) for arm in range(len(tuner.arms))]
    order = sorted(range(len(tuner.arms)), key=lambda arm: (bool(verdicts[arm]), -plays[arm], arm))
    width = max(len("arm"), *(len(arm.name) for arm in tuner.arms))
    head = f"{'arm':{width}}  {'solved':>6}  {'failed':>6}  {'mean cost':>10}  note"
    lines = [f"{len(tuner.history)} systems, {len(tuner.arms)} arms, cost in {unit}", head]
    for arm in order:
        mean = f"{costs[arm] / plays[arm]:10.4g}" if plays[arm] else " " * 10
        note = "safe" if arm == tuner.safe else f"dropped: {verdicts[arm]}" if verdicts[arm] else ""
        if not note and tuner.strategy.pruning.probes[arm].left:
            note = "not probed yet"
        name = tuner.arms[arm].name
        lines.append(f"{name:{width}}  {plays[arm]:6}  {lost[arm]:6}  {mean}  {note}".rstrip())
    total = tuner.charged
    lines.append(f"total {total:.5g}, of which {_given_up(tuner):.3g} in attempts that did not solve their system")
    if tuner.cost == "seconds" and total:
        spent = tuner.strategy.overhead.seconds
        line = f"decisions took {spent:.3g} s, {spent / total:.2%} of that"
        lines.append(line + f"; loading compiled code {tuner.attempts.warming:.3g} s, not charged")
    if tuner.key is not None:
        lines.append(f"priors: {tuner.prior or 'none'} for {tuner.key}")
    if tuner.restarts:
        lines.append(f"begun anew {tuner.restarts} times, because costs had drifted")
    if tuner.frozen:
        lines.append(f"switched off: {tuner.frozen}")
    if tuner.history:
        last = tuner.history[-1]
        limit = f", to be given up at {last.play.limit:.4g}" if math.isfinite(last.play.limit) else ""
        lines.append(f"last: {tuner.arms[last.play.arm].name} ({last.play.reason}{limit}), cost {last.cost:.4g}")
    return "\n".join(lines)


def _tally(tuner: OnlineTuner) -> tuple[list[int], list[int], list[float]]:
    """Return for each arm the systems it solved, those it did not, and what the former cost."""
    plays, lost = [0] * len(tuner.arms), [0] * len(tuner.arms)
    total = [0.0] * len(tuner.arms)
    for each in tuner.history:
        for arm, outcome, cost in each.attempts:
            if outcome == "solved":
                plays[arm] += 1
                total[arm] += cost
            else:
                lost[arm] += 1
    return plays, lost, total


def _given_up(tuner: OnlineTuner) -> float:
    return sum(cost for each in tuner.history for _, outcome, cost in each.attempts if outcome != "solved")
