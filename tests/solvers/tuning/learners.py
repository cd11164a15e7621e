"""Every learner, by name, for checks that all of them must pass."""

import numpy as np

from resolvent.solvers.tuning import (
    Binned,
    ChebCB,
    ClosedForm,
    EpsilonGreedy,
    FixedArm,
    LowerConfidenceBound,
    RandomArm,
    RestartOnDrift,
    Ridge,
    TsallisINF,
)

ARMS = 5
UNIT = {"low": 0.0, "high": 1.0}
OMEGAS = [1.0, 1.2, 1.4, 1.6, 1.8]

# Each takes the source of chance. Contexts are numbers in [0, 1], which learners without context ignore.
LEARNERS = {
    "fixed": lambda rng, arms=ARMS: FixedArm(arms, arm=arms // 2, rng=rng),
    "random": lambda rng, arms=ARMS: RandomArm(arms, rng=rng),
    "closed form": lambda rng, arms=ARMS: ClosedForm(OMEGAS[:arms], beta=0.9, diagonal=4.0, rng=rng),
    "ε-greedy": lambda rng, arms=ARMS: EpsilonGreedy(arms, rng=rng),
    "ε-greedy, discounted": lambda rng, arms=ARMS: EpsilonGreedy(arms, explore=1.0, discount=0.95, rng=rng),
    "bound": lambda rng, arms=ARMS: LowerConfidenceBound(arms, rng=rng),
    "bound, discounted": lambda rng, arms=ARMS: LowerConfidenceBound(arms, discount=0.95, rng=rng),
    "Tsallis-INF": lambda rng, arms=ARMS: TsallisINF(arms, floor=1.0, rng=rng),
    "Tsallis-INF, reduced variance": lambda rng, arms=ARMS: TsallisINF(arms, reduced_variance=True, rng=rng),
    "Tsallis-INF, discounted": lambda rng, arms=ARMS: TsallisINF(arms, reduced_variance=True, discount=0.95, rng=rng),
    "ChebCB": lambda rng, arms=ARMS: ChebCB(arms, floor=1.0, rng=rng, **UNIT),
    "ChebCB, discounted": lambda rng, arms=ARMS: ChebCB(arms, features=3, discount=0.95, rng=rng, **UNIT),
    "ridge, bound": lambda rng, arms=ARMS: Ridge(arms, rng=rng, **UNIT),
    "ridge, ε": lambda rng, arms=ARMS: Ridge(arms, exploration="epsilon", discount=0.95, rng=rng, **UNIT),
    "bins": lambda rng, arms=ARMS: Binned(TsallisINF(arms, reduced_variance=True, rng=rng), bins=3, **UNIT),
    "bins of polynomials": lambda rng, arms=ARMS: Binned(ChebCB(arms, rng=rng, **UNIT), bins=2, **UNIT),
    "restarted": lambda rng, arms=ARMS: RestartOnDrift(EpsilonGreedy(arms, rng=rng), patience=3),
    "restarted bins": lambda rng, arms=ARMS: RestartOnDrift(Binned(EpsilonGreedy(arms, rng=rng), bins=2, **UNIT)),
}
CONTEXTUAL = ["closed form", *(name for name in LEARNERS if name.startswith(("ChebCB", "ridge")) or "bins" in name)]
CHANCE = [name for name in LEARNERS if name not in ("fixed", "closed form", "bound", "bound, discounted")]
CHANCE.remove("ridge, bound")


def cost_of(arm, context, rng):
    """A cost that depends on the context, noisy, between 2 and some 40."""
    return float((2.0 + 20.0 * abs(context - arm / (ARMS - 1)) ** 2) * rng.uniform(0.9, 1.8))


def play(tuner, rounds, seed=0, first=0):
    """Play rounds first, first + 1, … of one stream of contexts and costs; return the arms."""
    arms = []
    for t in range(first, first + rounds):
        rng = np.random.default_rng([seed, t])
        context = rng.uniform()
        arm = tuner.suggest(context)
        tuner.observe(arm, cost_of(arm.arm, context, rng), censored=bool(rng.random() < 0.1))
        arms.append(arm.arm)
    return arms
