import itertools

import numpy as np
import pytest

from resolvent.solvers.subspace_angles import distances, sine
from resolvent.training.physics.local_bases import LocalBases, k_medoids


@pytest.mark.parametrize("k", [1, 2, 3])
def test_medoids_are_the_best_ones(k, rng):
    x = rng.normal(size=(9, 2))
    distance = np.linalg.norm(x[:, None] - x, axis=2)
    found = k_medoids(distance, k, rng=0)
    best = min(distance[:, list(m)].min(1).sum() for m in itertools.combinations(range(9), k))
    assert found.cost == pytest.approx(best, rel=1e-12)
    assert (found.labels == distance[:, found.medoids].argmin(1)).all()
    again = k_medoids(distance, k, rng=0)
    assert (again.labels == found.labels).all()


def test_as_many_clusters_as_samples_and_samples_that_coincide():
    assert sorted(k_medoids(np.ones((3, 3)) - np.eye(3), 3, rng=0).labels) == [0, 1, 2]
    same = k_medoids(np.zeros((4, 4)), 2, rng=0)
    assert set(same.labels) == {0, 1} and same.cost == 0.0


def waves(rng, frequencies, count=20):
    """Packets of few frequencies, of all sizes and both signs."""
    x = np.linspace(0.0, 1.0, 60)
    modes = np.stack([np.sin(np.pi * k * x) for k in frequencies])
    return (rng.normal(size=(count, len(frequencies))) @ modes) * 10.0 ** rng.uniform(-3, 3, (count, 1))


def test_clusters_by_angle_do_not_see_factors(rng):
    ray, other = waves(rng, [3]), waves(rng, [7])
    solutions = np.concatenate([ray, other])
    bases = LocalBases.fit(solutions, clusters=2, modes=1, rng=0)
    labels = bases.clusters.labels
    assert len(set(labels[:20])) == 1 and len(set(labels[20:])) == 1 and labels[0] != labels[20]
    assert bases.errors(solutions).max() < 1e-7
    # By distance, small ones of both kinds would be one cluster.
    euclidean = k_medoids(np.linalg.norm(solutions[:, None] - solutions, axis=2), 2, rng=0).labels
    assert len({*euclidean[:20]}) == 2 or len({*euclidean[20:]}) == 2 or euclidean[0] == euclidean[20]


def test_a_basis_for_each_cluster_is_better_than_one_of_the_same_size(rng):
    solutions = np.concatenate([waves(rng, [k, k + 1]) for k in (2, 8, 14)])
    fresh = np.concatenate([waves(rng, [k, k + 1], 10) for k in (2, 8, 14)])
    one = LocalBases.fit(solutions, clusters=1, modes=3, rng=0).errors(fresh)
    local = LocalBases.fit(solutions, clusters=6, modes=3, rng=0)
    assert np.median(local.errors(fresh)) < 0.1 * np.median(one)
    assert (local.nearest(fresh) == local.projection_errors(fresh).argmin(1)).all()


def test_one_mode_of_one_solution_gives_its_angle(rng):
    u, v = rng.normal(size=(2, 4, 5))
    bases = LocalBases.fit(u[None], clusters=1, modes=2, rng=0)
    assert bases.bases[0].shape == (20, 1)
    assert bases.errors(v[None])[0] == pytest.approx(sine(u, v), rel=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least k = 3"):
        k_medoids(np.zeros((2, 2)), 3, rng=0)
    with pytest.raises(ValueError, match="not negative"):
        k_medoids(np.full((2, 2), -1.0), 1, rng=0)
    with pytest.raises(ValueError, match="modes must be"):
        LocalBases.fit(np.ones((3, 4)), clusters=1, modes=0, rng=0)
    assert distances(np.ones((1, 4))).shape == (1, 1)
