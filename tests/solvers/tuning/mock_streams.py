"""Streams without systems, costs that a function tells, played by the rules of `OnlineTuner`; and one system."""

import itertools

import numpy as np
import scipy.sparse as sp

from resolvent.operators import SPD, Sparse
from resolvent.solvers import SOR
from resolvent.solvers.tuning import Arm, OnlineTuner

FAILED = "DIVERGED"
SIDE = 16


class Clock:
    """Seconds that pass when they are told to, and a little whenever somebody looks."""

    def __init__(self, a_look=0.0):
        self.now, self.a_look = 0.0, a_look

    def __call__(self):
        self.now += self.a_look
        return self.now


def mock_arms(count):
    """Return arms that differ, and are never solved with."""
    return [Arm(SOR(1.0 + i / count), name=f"arm {i}") for i in range(count)]


def mock_tuner(count, **options):
    return OnlineTuner(mock_arms(count), **{"cost": "work"} | options)


def play(tuner, cost, rounds, first=0, contexts=None, clock=None):
    """Play rounds of a stream; cost(t, arm) is what the arm needs, infinite where it fails at once for nothing.

    Returns what each round cost, and the arm that ended it.
    """
    charged, arms = np.zeros(rounds), np.zeros(rounds, dtype=int)
    for i, t in enumerate(range(first, first + rounds)):
        decision = tuner.suggest(None if contexts is None else contexts[t])
        for arm, limit in decision.steps:
            needed = cost(t, arm)
            stopped = needed >= limit
            spent = limit if stopped else needed
            if clock is not None:
                clock.now += spent
            tuner.observe(arm, float(spent), censored=bool(stopped))
            charged[i] += spent
            arms[i] = arm
            if not stopped:
                break
    return charged, arms


def noisy(means, spread, seed=0):
    """Return costs about the means of arms, one draw for each round and arm, repeatable."""
    means = np.asarray(means, dtype=float)
    factors = {}

    def cost(t, arm):
        if t not in factors:
            factors[t] = np.random.default_rng([seed, t]).lognormal(0.0, spread, len(means))
        return means[arm] * factors[t][arm]

    return cost


def true_total(cost, arm, rounds):
    return sum(cost(t, arm) for t in range(rounds))


def runs(values):
    """Return values without repetitions of neighbours."""
    return [value for value, _ in itertools.groupby(values)]


def laplacian(shift=0.0, side=SIDE):
    T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    eye = sp.eye_array(side)
    return Sparse(sp.csr_array(sp.kron(T, eye) + sp.kron(eye, T) + shift * sp.eye_array(side**2)), props=SPD)
