"""How much may be lost by trying: a running account against the safe arm."""

from __future__ import annotations

import math

TIGHT = 0.8
"""Part of S from which C is near enough for errors of the estimate to matter."""

KEPT = 0.5
"""Part of the credit that trials may use."""


class Allowance:
    """Keeps the total cost below (1 + waste) times what the safe arm alone would have cost, plus one solve given up.

    With C charged so far, S what the safe arm is estimated to have cost on the same systems and ŝ its estimate for the
    next one, an arm may cost at most

        room = min(backstop · ŝ,  waste · S + backstop · ŝ − (C − S))

    before it is given up. The safe arm then solves the system, so that C − S ≤ waste · S + backstop · ŝ holds after
    each system if it held before: whatever arms cost, even if an adversary chooses it. What better arms have saved may
    be spent on trials. Half of the credit, backstop · ŝ, is kept for arms that are known to be good: what these save
    pays for the next trials. The bound is as good as the estimates of S; a set-up that serves later solves, too, is not
    weighed before it is made, so that the largest one may come on top.

    Parameters
    ----------
    waste : float
        δ ≥ 0.
    backstop : float
        Multiple of the cost of the safe arm at which any other is given up, > 1.

    Examples
    --------
    >>> account = Allowance(waste=0.1, backstop=10.0)
    >>> account.room(2.0, trial=True), account.room(2.0)
    (10.0, 20.0)
    >>> account.charge(10.0), account.close(2.0, safe=2.0)  # given up, and solved by the safe arm
    (None, None)
    >>> round(account.room(2.0, trial=True), 6), round(account.room(2.0), 6)
    (0.2, 10.2)
    """

    def __init__(self, waste: float, backstop: float) -> None:
        self.waste, self.backstop = waste, backstop
        self.charged = 0.0
        """C: all costs, those of attempts that were given up included."""
        self.safe = 0.0
        """S: the estimate of what the safe arm would have cost."""

    def room(self, estimate: float, *, trial: bool = False) -> float:
        """Return what an attempt may cost before it is given up; not more than 0 where nothing may be risked."""
        if not math.isfinite(estimate):
            return 0.0
        credit = self.backstop * estimate * (KEPT if trial else 1.0)
        return min(credit, self.waste * self.safe + credit - (self.charged - self.safe))

    @property
    def tight(self) -> bool:
        """Whether so little is saved that the estimate of the safe arm matters."""
        return self.charged > TIGHT * self.safe

    def charge(self, cost: float) -> None:
        """Add the cost of an attempt that did not solve its system."""
        self.charged += cost

    def close(self, cost: float, *, safe: float) -> None:
        """Add the cost of the attempt that ended a system, and what the safe arm would have cost on it."""
        self.charged += cost
        self.safe += safe
