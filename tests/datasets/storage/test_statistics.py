import numpy as np
import pytest

from resolvent.datasets.storage.statistics import RunningStatistics


def accumulate(samples):
    running = RunningStatistics()
    for sample in samples:
        running.add(sample)
    return running.summary()


def test_statistics_equal_numpy(rng):
    samples = rng.standard_normal((30, 5, 7)) * 3.0 + 10.0
    summary = accumulate(samples)
    assert summary["mean"] == pytest.approx(samples.mean(), rel=1e-14)
    assert summary["std"] == pytest.approx(samples.std(), rel=1e-13)
    assert (summary["min"], summary["max"]) == (samples.min(), samples.max())
    assert (summary["count"], summary["samples"], summary["skipped"]) == (1050, 30, 0)


def test_a_large_mean_does_not_cancel_a_small_deviation(rng):
    deviation = rng.standard_normal((50, 20))
    summary = accumulate(1e8 + deviation)
    assert summary["std"] == pytest.approx((1e8 + deviation).std(), rel=1e-9)


def test_single_precision_is_accumulated_in_double(rng):
    samples = rng.random((200, 64)).astype(np.float32)
    assert accumulate(samples)["mean"] == pytest.approx(samples.astype(np.float64).mean(), rel=1e-14)


def test_complex_fields_have_a_complex_mean_and_the_deviation_of_the_modulus(rng):
    samples = rng.standard_normal((9, 4)) + 1j * rng.standard_normal((9, 4))
    summary = accumulate(samples)
    assert summary["mean"] == pytest.approx(samples.mean(), rel=1e-14)
    assert summary["std"] == pytest.approx(samples.std(), rel=1e-13)
    assert summary["max"] == abs(samples).max()


def test_samples_that_are_not_finite_are_left_out_and_counted(rng):
    good = rng.standard_normal((3, 4))
    summary = accumulate([good[0], np.full(4, np.nan), good[1], good[2]])
    assert summary["mean"] == pytest.approx(good.mean())
    assert (summary["samples"], summary["skipped"]) == (3, 1)


def test_numbers_and_nothing():
    assert accumulate(np.array([1.0, 3.0]))["std"] == 1.0
    assert np.isnan(accumulate([])["mean"])
