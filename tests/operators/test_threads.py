import multiprocessing
import threading
import warnings

import numba
import numpy as np
import pytest

from resolvent.operators import stencil_kernels
from resolvent.operators.threads import run_in_parts

from .conformance import FIVE, random_array, stencil


def record(parts, start, stop):
    parts.append((start, stop, threading.current_thread().name))


@pytest.fixture
def two_threads():
    """Two threads where the machine has them; one otherwise, in which case nothing is divided."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    yield numba.get_num_threads()
    numba.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_the_parts_cover_every_row_once(two_threads, count):
    parts = []
    run_in_parts(record, count, 8, parts)
    assert len(parts) == two_threads
    rows = [row for start, stop, _ in parts for row in range(start, stop)]
    assert sorted(rows) == list(range(count))


def test_one_thread_is_used_when_the_work_or_the_setting_says_so(two_threads):
    parts = []
    run_in_parts(record, 10, 0, parts)
    numba.set_num_threads(1)
    run_in_parts(record, 10, 5, parts)
    assert parts == [(0, 10, "MainThread")] * 2


def test_a_program_with_threads_of_its_own_gets_no_more(two_threads):
    parts = []
    thread = threading.Thread(target=run_in_parts, args=(record, 10, 5, parts), name="worker")
    thread.start()
    thread.join()
    assert parts == [(0, 10, "worker")]


def test_an_error_in_a_part_is_raised(two_threads):
    def fail(start, stop):
        if stop == 10:
            raise ArithmeticError("in the last part")

    with pytest.raises(ArithmeticError, match="last part"):
        run_in_parts(fail, 10, 2)


@pytest.mark.parametrize("k", [1, 5])
def test_divided_stencil_products_are_the_same(monkeypatch, two_threads, k):
    A = stencil((60, 70), FIVE)
    X = random_array((4200, k))
    expected = A.matmat(X), A.rmatmat(X)
    monkeypatch.setattr(stencil_kernels, "PART", 1)
    for found, reference in zip((A.matmat(X), A.rmatmat(X)), expected, strict=True):
        np.testing.assert_allclose(found, reference, rtol=1e-14, atol=1e-14)


def _product_in_child(A, x, queue):
    queue.put(A @ x)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_forked_child_can_multiply_after_its_parent_used_threads(monkeypatch, two_threads):
    A, x = stencil((60, 70), FIVE), random_array(4200)
    monkeypatch.setattr(stencil_kernels, "PART", 1)
    expected = A @ x
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    with warnings.catch_warnings():
        # From Python 3.12 on, forking a process with threads warns: that it works is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = context.Process(target=_product_in_child, args=(A, x, queue))
        child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    np.testing.assert_array_equal(queue.get(), expected)


def test_threads_of_torch_stay_as_they_were(run_python):
    """Numba starts its threads at the first question, and OpenMP's number is that of the whole process."""
    pytest.importorskip("torch")
    code = (
        "import torch, numpy as np; from resolvent.solvers import fixed_threads; before = torch.get_num_threads()\n"
        "with fixed_threads(1): pass\n"
        "print(before, torch.get_num_threads())"
    )
    outcome = run_python("-c", code, OMP_NUM_THREADS="1")
    assert outcome.stdout.split() == ["1", "1"], outcome.stderr
