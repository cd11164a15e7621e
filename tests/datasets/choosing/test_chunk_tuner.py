"""Which arm the next chunk gets: trials, what is not worth one, and what a lower bound makes of the rest."""

import itertools

import pytest
from tiny_family import TinyTimed

from resolvent.datasets.choosing.arms import Arm
from resolvent.datasets.choosing.chunk_tuner import ChunkTuner


def arm(name, estimate, variant_of=""):
    return Arm(name, TinyTimed(estimate), estimate, variant_of)


ARMS = (arm("rule", 1.0), arm("near", 1.2), arm("far", 2.9), arm("hopeless", 9.0), arm("near:more", 1.2, "near"))


def play(tuner, costs, chunks):
    """Decide and observe one chunk after the other; return what was decided."""
    found = []
    for _ in range(chunks):
        chosen, reason = tuner.decide()
        cost = costs[chosen.name]
        tuner.finished(chosen.name, cost() if callable(cost) else cost)
        found.append((chosen.name, reason))
    return found


def test_each_arm_once_in_the_order_of_the_estimates_then_variants_of_the_best():
    found = play(ChunkTuner(ARMS), {"rule": 1.0, "near": 0.99, "far": 3.0, "near:more": 0.9}, 8)
    assert found == [
        ("rule", "by rule"),
        ("near", "untried"),
        ("far", "untried"),
        ("near:more", "untried variant of near"),
        *[("near:more", "least so far")] * 4,
    ]


def test_what_is_estimated_far_above_what_was_seen_is_not_tried():
    names = {name for name, _ in play(ChunkTuner(ARMS), {"rule": 0.5, "near": 1.0}, 20)}
    assert names == {"rule", "near"}, "2.9 and 9.0 are more than three times 0.5"
    slow = play(ChunkTuner(ARMS), {"rule": 10.0, "near": 9.0, "far": 8.0, "hopeless": 1.0}, 9)
    assert slow[3] == ("hopeless", "untried") and slow[-1][0] == "hopeless", "the estimates were wrong"


def test_what_is_much_slower_gets_one_chunk_only():
    costs = {"rule": itertools.cycle([0.2, 2.0]).__next__, "near": 2.3, "far": 2.4, "near:more": 1.0}
    names = [name for name, _ in play(ChunkTuner(ARMS), costs, 60)]
    assert names.count("near") <= 1 and names.count("far") <= 1


def test_arms_within_the_spread_are_looked_at_again():
    noisy = itertools.cycle([0.8, 1.3, 1.0, 0.9]).__next__
    names = [name for name, _ in play(ChunkTuner(ARMS[:2]), {"rule": noisy, "near": noisy}, 40)]
    assert min(names.count("rule"), names.count("near")) >= 3


def test_one_arm_is_no_choice():
    assert play(ChunkTuner(ARMS[:1]), {"rule": 1.0}, 2) == [("rule", "the only one")] * 2


def test_chunks_under_way_count_as_trials_and_the_safe_arm_fills_in():
    tuner = ChunkTuner(ARMS)
    assert [tuner.decide()[0].name for _ in range(5)] == ["rule", "near", "far", "rule", "rule"]
    tuner.finished("near", 0.9)
    assert tuner.decide()[0].name == "near:more", "a variant of the only one that is known"
    assert tuner.decide()[0].name == "near"


def test_the_order_of_observations_does_not_matter():
    observed = [("rule", 1.0), ("near", 0.8), ("rule", 1.3), ("far", 2.5), ("near", 1.1), ("near:more", 0.9)]
    found = []
    for order in itertools.permutations(observed, 6):
        tuner = ChunkTuner(ARMS)
        for name, cost in order:
            tuner.finished(name, cost)
        found.append(tuple(tuner.decide()[0].name for _ in range(4)))
    assert len(set(found)) == 1


@pytest.mark.parametrize("cost", [None, 0.0, float("nan"), float("inf")])
def test_times_that_say_nothing_are_not_learned_from(cost):
    tuner = ChunkTuner(ARMS)
    tuner.decide()
    tuner.finished("rule", cost)
    tuner.finished("of another version", 1.0)
    assert tuner.means() == {} and tuner.decide()[1] == "by rule"
