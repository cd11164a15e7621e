"""Batches that are read ahead."""

import numpy as np
import pytest
import torch

from resolvent.training import as_pairs
from resolvent.training.runs.batches import batches_in_parts
from resolvent.training.runs.processes import Processes

from ..small_runs import smooth


@pytest.mark.parametrize("pinned", [False, True])
def test_batches_come_in_parts_and_pinned_if_asked(monkeypatch, pinned):
    held = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda values: held.append(values.shape) or values)
    x, y = smooth(24)
    order = [np.array([5, 1, 7]), np.array([2])]
    found = list(batches_in_parts(as_pairs(x, y), order, Processes(), 2, pinned))
    assert [batch.tolist() for batch, _ in found] == [[5, 1, 7], [2]]
    assert [[rows.tolist() for rows, _ in parts] for _, parts in found] == [[[5, 1], [7]], [[2]]]
    assert np.array_equal(found[0][1][0][1][0], x[[5, 1]]) and np.array_equal(found[1][1][0][1][1], y[[2]])
    assert len(held) == (6 if pinned else 0)


def test_a_process_without_samples_takes_part():
    x, y = smooth(24)
    [(_, [(rows, (a, _))])] = batches_in_parts(as_pairs(x, y), [np.array([3])], Processes(1, 2), 1)
    assert rows.tolist() == [-1] and np.array_equal(a, x[[3]])
