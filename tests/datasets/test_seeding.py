import numpy as np
import pytest

from resolvent.datasets.seeding import SPLITS, SplitAssigner, sample_rng


def test_a_stream_depends_on_seed_family_and_index_alone():
    reference = sample_rng(7, 3, 5).standard_normal(8)
    for index in (900, 0, 5):  # whatever was drawn before
        again = sample_rng(7, 3, index).standard_normal(8)
    assert np.array_equal(again, reference)
    others = [(8, 3, 5), (7, 4, 5), (7, 3, 6)]
    assert not any(np.isin(sample_rng(*key).standard_normal(8), reference).any() for key in others)


def test_streams_of_neighbouring_samples_are_uncorrelated():
    draws = np.array([sample_rng(0, 1, i).standard_normal(400) for i in range(60)])
    correlations = np.corrcoef(draws)[np.triu_indices(60, 1)]
    # 1770 correlations of 400 independent pairs each: deviation 0.05, the largest near 3.5 deviations.
    assert abs(correlations).max() < 0.25
    assert correlations.std() == pytest.approx(0.05, rel=0.1)


def test_a_seed_may_be_longer_than_64_bits():
    assert sample_rng(2**100, 1, 0).random() != sample_rng(2**100 + 1, 1, 0).random()


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.7, 0.2, 0.1), (1 / 3, 1 / 3, 1 / 3), (1.0, 0.0, 0.0)])
def test_every_prefix_has_the_requested_shares_within_one_sample(shares):
    assigned = SplitAssigner(shares).take(1000)
    counts = np.cumsum(assigned[:, None] == np.arange(len(SPLITS)), axis=0)
    wanted = np.arange(1, 1001)[:, None] * np.array(shares)
    assert abs(counts - wanted).max() <= 1.0 + 1e-9


def test_splits_do_not_depend_on_how_they_are_asked_for():
    whole = SplitAssigner((0.8, 0.1, 0.1)).take(100)
    assigner = SplitAssigner((0.8, 0.1, 0.1))
    assert np.array_equal(np.concatenate([assigner.take(k) for k in (1, 9, 0, 50, 40)]), whole)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.1, 0.2), (1.2, -0.1, -0.1), (float("nan"), 0.5, 0.5)])
def test_shares_that_are_no_shares_are_refused(shares):
    with pytest.raises(ValueError, match="three shares"):
        SplitAssigner(shares)
