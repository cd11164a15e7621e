"""Derivatives through `solve`: refused where they would be wrong, and inputs that torch users have."""

from __future__ import annotations

import numpy as np
import pytest

import resolvent
from resolvent.operators import SPD, as_operator
from resolvent.solvers import CG, SSOR

torch = pytest.importorskip("torch", reason='needs the extra "learn"')

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support:UserWarning")


def test_second_derivatives_are_refused_rather_than_wrong() -> None:
    a = torch.tensor([[2.0]], dtype=torch.float64, requires_grad=True)
    x = resolvent.solve(a, torch.ones(1, dtype=torch.float64)).x.sum()
    (first,) = torch.autograd.grad(x, a, create_graph=True)
    assert float(first) == pytest.approx(-0.25)
    with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
        torch.autograd.grad(first.sum(), a)


def test_entries_changed_between_the_passes_are_noticed() -> None:
    A = torch.tensor([[2.0, 0.0], [0.0, 4.0]], dtype=torch.float64, requires_grad=True)
    entries = A * 1.0
    x = resolvent.solve(entries, torch.ones(2, dtype=torch.float64)).x
    with torch.no_grad():
        entries.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        x.sum().backward()


def test_every_sparse_layout_is_taken() -> None:
    dense = torch.tensor([[4.0, 1.0], [0.0, 3.0]], dtype=torch.float64)
    b = torch.tensor([5.0, 3.0], dtype=torch.float64)
    for A in (dense, dense.to_sparse_csr(), dense.to_sparse_csc(), dense.to_sparse_coo()):
        assert torch.allclose(resolvent.solve(A, b).x, torch.ones(2, dtype=torch.float64))
    negated = torch._neg_view(-b)
    assert torch.allclose(resolvent.solve(dense.numpy(), negated).x, torch.ones(2, dtype=torch.float64))


def test_storages_that_do_not_fit_are_named() -> None:
    A = torch.eye(2, dtype=torch.float64)
    with pytest.raises(TypeError, match=r"torch.as_tensor\(b\)"):
        resolvent.solve(A, np.ones(2))
    with pytest.raises(TypeError, match="bfloat16"):
        resolvent.solve(A.bfloat16(), torch.ones(2))


def test_preconditioners_follow_a_matrix_on_torch_storage() -> None:
    n = 12
    dense = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    A = as_operator(torch.as_tensor(dense).to_sparse_csr(), props=SPD)
    prepared = CG(rtol=1e-10).prepare(A, SSOR())
    b = torch.ones(n, dtype=torch.float64)
    first = prepared.solve(b).check().x
    A.update(A=(2.0 * torch.as_tensor(dense)).to_sparse_csr())
    assert torch.allclose(prepared.solve(b).check().x, first / 2.0, atol=1e-8)
