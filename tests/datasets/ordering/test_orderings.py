"""Orderings of samples: permutations that shorten the way, for inputs of every kind."""

import itertools

import numpy as np
import pytest

from resolvent.datasets import order
from resolvent.datasets.ordering import ORDERINGS, Angle, Greedy, Hilbert, greedy, walk
from resolvent.datasets.ordering.features import on_one_scale, truncated_spectrum
from resolvent.datasets.ordering.hilbert import hilbert_index, principal_components

NAMES = list(ORDERINGS)


def on_a_curve(count, shape, rng, dtype=float):
    """Smooth fields along a curve, shuffled: where each stands on it, and the fields."""
    t = rng.permutation(np.linspace(0.0, 1.0, count))
    points = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    phase = 2.0 * np.pi * sum(points)
    fields = np.stack([np.cos(np.pi * s) * np.cos(phase) + np.sin(np.pi * s) * np.sin(phase) for s in t])
    return t, (fields * (1.0 + 0.5j) if dtype is complex else fields)


def way(t, found):
    return float(np.abs(np.diff(t[found])).sum())


def solve_by(fields):
    return lambda positions: [fields[i] for i in positions]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(40,), (12, 12), (9, 10), (6, 5, 4)])
@pytest.mark.parametrize("dtype", [float, complex])
def test_every_order_is_a_permutation_and_sorting_shortens_the_way(name, shape, dtype, rng):
    t, fields = on_a_curve(33, shape, rng, dtype)
    found = order(fields, name, solve=solve_by(fields))
    assert found.dtype == np.int64 and sorted(found.tolist()) == list(range(33))
    if name == "none":
        assert found.tolist() == list(range(33))
    else:
        assert way(t, found) < 0.5 * way(t, np.arange(33))
    assert np.array_equal(found, order(fields, name, solve=solve_by(fields))), "nothing random"


@pytest.mark.parametrize("name", ["greedy", "fft"])
def test_the_walk_starts_at_the_first_and_goes_to_the_nearest_one_left(name):
    assert order(np.array([0.0, 5.0, 1.0, 4.0, -1.5]), name).tolist() == [0, 2, 4, 3, 1]


def test_greedy_is_the_walk_by_frobenius_distances(rng):
    fields = np.exp(rng.standard_normal((30, 9, 11)))
    distances = np.array([[np.linalg.norm(a - b) for b in fields] for a in fields])
    left, expected = set(range(1, 30)), [0]
    while left:
        expected.append(min(left, key=lambda i: distances[expected[-1], i]))
        left.remove(expected[-1])
    assert order(fields, "greedy").tolist() == expected
    assert order(1e6 + 1e-3 * fields, "greedy").tolist() == expected, "a large mean does not drown differences"


def test_greedy_in_blocks_reads_the_same_distances(rng):
    fields = rng.standard_normal((23, 6, 7))
    reads = []

    class Lazy(list):
        def __getitem__(self, at):
            reads.append(at)
            return super().__getitem__(at)

    samples = Lazy({"a": field} for field in fields)
    assert order(samples, Greedy()).tolist() == order(fields, "greedy").tolist()
    assert len(reads) == 24, "each once, the first twice"
    small = Greedy(block_bytes=4 * 5 * fields[0].nbytes)
    assert np.array_equal(order(samples, small), order(fields, "greedy"))


def test_units_do_not_matter_and_constants_are_left_out(rng):
    a, s = rng.standard_normal((20, 8, 8)), rng.standard_normal(20)
    mask = np.broadcast_to(rng.random((8, 8)) > 0.5, (20, 8, 8))
    for name in ("greedy", "fft", "hilbert"):
        first = order({"a": a, "s": s, "mask": mask}, name)
        assert np.array_equal(first, order({"a": 1e-5 * a, "s": 300.0 * s + 7.0}, name)), name
        assert not np.array_equal(first, order({"s": s}, name))


@pytest.mark.parametrize("name", NAMES)
def test_samples_that_are_all_alike_stay_in_place(name):
    fields = np.ones((9, 12, 12))
    assert order(fields, name, solve=solve_by(fields)).tolist() == list(range(9))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_there_is_nothing_to_sort_among_two(name, count):
    fields = np.zeros((count, 3))
    assert order(fields, name, solve=solve_by(fields)).tolist() == list(range(count))


def test_boolean_and_integer_inputs_are_numbers(rng):
    masks = rng.random((16, 10, 10)) > 0.5
    assert np.array_equal(order(masks, "greedy"), order(masks.astype(float), "greedy"))
    assert np.array_equal(order(masks.astype(int), "fft"), order(masks.astype(float), "fft"))


def test_low_frequencies_carry_the_norm_of_smooth_fields(rng):
    for shape in ((200,), (40, 31), (18, 17, 16)):
        coarse = rng.standard_normal((3,) * len(shape))
        points = np.meshgrid(*(2.0 * np.pi * np.arange(n) / n for n in shape), indexing="ij")
        field = sum(
            coarse[k] * np.cos(sum(j * p for j, p in zip(k, points, strict=True)) + coarse[k])
            for k in itertools.product(range(3), repeat=len(shape))
        )
        for array in (field, field * (2.0 - 1.0j)):
            spectrum = truncated_spectrum(array)
            assert spectrum.size < array.size
            assert np.linalg.norm(spectrum) == pytest.approx(np.linalg.norm(array), rel=1e-12)
    small = rng.standard_normal((5, 6))
    assert truncated_spectrum(small) is small


def test_features_are_centred_and_of_unit_mean_square():
    rows = np.arange(12.0).reshape(4, 3)
    features = on_one_scale({"a": 1e3 + rows, "b": np.ones((4, 2))})
    assert features.shape == (4, 3)
    assert np.allclose(features.mean(axis=0), 0.0) and np.mean(np.sum(features**2, axis=1)) == pytest.approx(1.0)


@pytest.mark.parametrize(("dimension", "bits"), [(2, 1), (2, 5), (3, 1), (3, 3), (4, 2)])
def test_the_hilbert_curve_passes_every_cell_and_steps_to_a_neighbour(dimension, bits):
    cells = np.array(list(itertools.product(range(1 << bits), repeat=dimension)))
    index = hilbert_index(cells, bits)
    assert sorted(index.tolist()) == list(range(len(cells)))
    steps = np.abs(np.diff(cells[np.argsort(index)], axis=0))
    assert (steps.sum(axis=1) == 1).all()


def test_principal_components_are_scores_with_fixed_signs(rng):
    features = rng.standard_normal((15, 40)) * np.logspace(0, -3, 40)
    features -= features.mean(axis=0)
    scores = principal_components(features, 3)
    assert np.array_equal(scores, principal_components(features.copy(), 3))
    assert np.allclose(np.linalg.norm(scores, axis=0), np.linalg.svd(features, compute_uv=False)[:3])
    assert principal_components(features[:, :2], 5)[:, 2:].any() == np.False_


def test_the_angle_between_solutions_decides_where_inputs_mislead(rng):
    """Fields of two blocks: the second is large and does not matter to the solution."""
    t = rng.permutation(np.linspace(0.0, 1.0, 40))
    noise = 0.3 * rng.standard_normal((40, 6))
    features = np.concatenate([np.stack([np.cos(t), np.sin(t)], axis=1), noise], axis=1)
    x = np.exp(np.outer(t, np.linspace(-2.0, 2.0, 50)))
    asked = []

    def solve(positions):
        asked.append(list(positions))
        return [x[i] for i in positions]

    found = order(features, Angle(pilots=20), solve=solve)
    assert len(asked) == 1 and len(asked[0]) == 20
    assert way(t, found) < 0.7 * way(t, order(features, "fft"))


def test_angles_do_not_see_sign_or_phase(rng):
    fields = np.exp(rng.standard_normal((21, 10, 10)))
    signs = np.where(rng.random(21) > 0.5, 1.0, -1.0)[:, None, None]
    every = Angle(pilots=21, ridge=1e-8)
    a, b = (order(fields, every, solve=solve_by(x)) for x in (fields, fields * np.exp(0.3j)))
    assert np.array_equal(a, b)
    assert sorted(order(fields, every, solve=solve_by(fields * signs)).tolist()) == list(range(21))


def test_pilots_that_fail_are_left_out(rng):
    _, fields = on_a_curve(20, (10, 10), rng)
    assert np.array_equal(order(fields, "angle", solve=lambda at: [None] * len(at)), order(fields, "fft"))
    assert np.array_equal(order(fields, "angle", solve=lambda at: [np.full(4, np.nan)] * len(at)), order(fields, "fft"))
    some = order(fields, "angle", solve=lambda at: [None if i % 2 else fields[k] for i, k in enumerate(at)])
    assert sorted(some.tolist()) == list(range(20))


def test_very_many_samples_are_compared_row_by_row(rng, monkeypatch):
    fields = rng.standard_normal((50, 9, 9))
    expected = order(fields, "fft")
    monkeypatch.setattr(walk, "PAIRS", 10)
    monkeypatch.setattr(walk, "distances_of_gram", None)
    assert np.array_equal(order(fields, "fft"), expected)
    monkeypatch.setattr(greedy, "MOST", 49)
    with pytest.raises(ValueError, match="at most 49 samples, got 50"):
        order(fields, "greedy")


def test_twins_follow_one_another(rng):
    fields = np.repeat(rng.standard_normal((6, 50)) * 1e8, 2, axis=0)[rng.permutation(12)]
    for name in ("greedy", "fft"):
        line = fields[order(fields, name)]
        assert (np.abs(np.diff(line, axis=0)).max(axis=1) == 0.0).sum() == 6


def test_arguments_are_checked(rng):
    fields = rng.standard_normal((5, 4))
    with pytest.raises(ValueError, match="'none', 'greedy', 'fft', 'hilbert', 'angle', got 'random'"):
        order(fields, "random")
    with pytest.raises(TypeError, match="name of an ordering"):
        order(fields, Hilbert)
    with pytest.raises(TypeError, match="pass solve="):
        order(fields, "angle")
    with pytest.raises(TypeError, match="must be numbers"):
        order(np.array(["a", "b", "c"]), "fft")
    with pytest.raises(TypeError, match="features must be an array"):
        order(3, "fft")
    with pytest.raises(ValueError, match="not finite"):
        order([np.ones(3), np.full(3, np.nan), np.ones(3)], "greedy")
    with pytest.raises(ValueError, match="one first axis of samples"):
        order({"a": np.ones((3, 2)), "b": np.ones((4, 2))}, "fft")
    with pytest.raises(ValueError, match="of one shape"):
        order([np.ones(3), np.ones(4), np.ones(3)], "fft")
    with pytest.raises(ValueError, match="real for some samples and complex for others"):
        order([np.ones(3), np.ones(3, dtype=complex), np.ones(3)], "fft")
    with pytest.raises(ValueError, match="pilots must be"):
        Angle(pilots=1)
    with pytest.raises(ValueError, match="2 to 8 dimensions"):
        Hilbert(dimension=9)
