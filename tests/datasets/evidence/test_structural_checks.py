"""Structural checks: correct operators pass all of them, misplaced indices fail several."""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.evidence.structural_checks import structural_checks
from resolvent.datasets.families import Darcy2D, Darcy3D
from resolvent.datasets.family import System
from resolvent.datasets.schemes.manufactured import observed_order
from resolvent.operators import Sparse

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

from _streams import shifted_lower_block


def failed(checks):
    return {name for name, passed, _ in checks if not passed}


@pytest.fixture(params=["cell", "vertex"])
def darcy(request):
    return Darcy2D(resolution=20, grid=request.param)


def test_an_unshifted_block_leaves_the_matrix_as_it_is(darcy, rng):
    A, _ = darcy.assemble(darcy.draw(rng))
    again = shifted_lower_block(A.to_sparse(), darcy.unknowns[1], shift=0)
    assert abs(again - A.to_sparse()).max() == 0


def test_the_index_error_of_a_shifted_block_fails_several_checks(darcy, rng):
    inputs = darcy.draw(rng)
    system = darcy.assemble(inputs)
    assert not failed(darcy.checks(inputs, system))
    faulty = shifted_lower_block(system.A.to_sparse(), darcy.unknowns[1])
    expected = {"symmetry", "interior row sums", "face coefficients"}
    assert expected <= failed(darcy.checks(inputs, System(Sparse(faulty), system.b)))
    # Without the coefficient, and for a bare matrix, two are left.
    assert {"symmetry", "interior row sums"} <= failed(structural_checks(faulty, darcy.unknowns))


def test_the_index_error_of_a_shifted_block_destroys_the_order(darcy, monkeypatch):
    n = 17 if darcy.grid == "vertex" else 16
    resolutions = (n, 2 * n - 1, 4 * n - 3) if darcy.grid == "vertex" else (n, 2 * n, 4 * n)
    right = observed_order(darcy, resolutions)
    assert right.within(2.0)
    assemble = Darcy2D.assemble

    def faulty(self, inputs):
        A, b = assemble(self, inputs)
        return System(Sparse(shifted_lower_block(A.to_sparse(), self.unknowns[1])), b)

    monkeypatch.setattr(Darcy2D, "assemble", faulty)
    wrong = observed_order(darcy, resolutions)
    assert not wrong.within(2.0)
    assert wrong.l2_errors[-1] > 100 * right.l2_errors[-1]


def swapped_axes(family, inputs):
    """Assembled from the transposed coefficient: symmetric, definite, an M-matrix, and wrong."""
    return family.assemble({"a": np.ascontiguousarray(inputs["a"].T)})


def test_a_transposed_coefficient_is_seen_by_the_face_coefficients(darcy, rng):
    inputs = darcy.draw(rng)
    assert failed(darcy.checks(inputs, swapped_axes(darcy, inputs))) == {"face coefficients"}


@pytest.mark.parametrize("shape", [(7,), (5, 6), (4, 3, 5)])
def test_constant_coefficient_operators_pass_on_any_grid(shape):
    lines = [sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]) for n in shape]
    A = sp.csr_array((int(np.prod(shape)),) * 2)
    for axis, line in enumerate(lines):
        before, after = sp.eye_array(int(np.prod(shape[:axis]))), sp.eye_array(int(np.prod(shape[axis + 1 :])))
        A = A + sp.kron(sp.kron(before, line), after)
    checks = structural_checks(A, shape, coefficient=np.ones(shape), h=1.0)
    assert not failed(checks)
    # The bound is attained by this operator.
    (detail,) = [detail for name, _, detail in checks if name == "smallest eigenvalue"]
    assert float(detail.split()[-1]) == pytest.approx(np.linalg.eigvalsh(A.toarray())[0], rel=1e-3)


@pytest.mark.parametrize("family", [Darcy2D(resolution=12, coefficient="lognormal_unit"),
                                    Darcy2D(resolution=12, coefficient="fno_twophase", grid="vertex"),
                                    Darcy3D(resolution=7, coefficient="lognormal_unit")])  # fmt: skip
def test_the_eigenvalue_bound_is_below_the_smallest_eigenvalue(family, rng):
    inputs = family.draw(rng)
    system = family.assemble(inputs)
    (detail,) = [detail for name, _, detail in family.checks(inputs, system) if name == "smallest eigenvalue"]
    smallest = np.linalg.eigvalsh(system.A.to_sparse().toarray())[0]
    assert 0 < float(detail.split()[-1]) <= smallest * (1 + 1e-3)


def edited(matrix, entries):
    matrix = matrix.tolil()
    for (i, j), value in entries.items():
        matrix[i, j] = value
    return matrix.tocsr()


@pytest.mark.parametrize(
    "entries,expected",
    [
        ({(0, 0): np.nan}, {"finite"}),
        ({(7, 8): -1.0, (8, 7): -1.0}, {"pattern"}),  # the end of one line to the start of the next
        ({(3, 4): 0.0, (4, 3): 0.0}, {"pattern"}),
        ({(9, 10): -2000.0}, {"symmetry", "interior row sums"}),
        ({(27, 27): -1.0}, {"diagonal", "interior row sums"}),
        ({(27, 28): 5.0, (28, 27): 5.0}, {"M-matrix signs", "interior row sums", "smallest eigenvalue"}),
        ({(0, 0): 1.0}, {"boundary row sums", "smallest eigenvalue"}),
    ],
)
def test_each_kind_of_damage_is_named(entries, expected):
    A, _ = Darcy2D(resolution=8).assemble({"a": np.ones((8, 8))})
    assert expected <= failed(structural_checks(edited(A.to_sparse(), entries), (8, 8)))


def test_arguments_are_checked():
    A = sp.eye_array(12)
    with pytest.raises(ValueError, match="12 x 12, got shape"):
        structural_checks(sp.eye_array(10), (3, 4))
    with pytest.raises(ValueError, match="the spacing h"):
        structural_checks(A, (3, 4), coefficient=np.ones((3, 4)))
    with pytest.raises(ValueError, match="complex"):
        structural_checks(A.astype(complex), (3, 4))
