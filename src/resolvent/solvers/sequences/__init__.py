"""Solving a stream of related systems: what to keep, what to renew, where to start."""

from .bootstrapped import Bootstrapped
from .guesses import Computed, Guess, Previous, Projected, Scaled
from .policies import Chained, Fixed, Pilot, Snapshots, SpacePolicy
from .refresh import Refresh
from .sequence import Sequence

__all__ = [
    "Bootstrapped",
    "Chained",
    "Computed",
    "Fixed",
    "Guess",
    "Pilot",
    "Previous",
    "Projected",
    "Refresh",
    "Scaled",
    "Sequence",
    "Snapshots",
    "SpacePolicy",
]
