import logging

import numpy as np
import pytest
from tiny_family import Matrix, TinyDiffusion

from resolvent.datasets import DiscretisationError, System, describe, families, generate, verify
from resolvent.datasets.evidence.discretisation import inspect_discretisation
from resolvent.datasets.evidence.two_grid import two_grid_error
from resolvent.datasets.methods.strategies import STRATEGIES, Request
from resolvent.datasets.seeding import sample_rng


@pytest.fixture
def darcy():
    return families.get("darcy2d", resolution=16)


def test_a_set_states_its_structural_checks_and_discretisation_error(tmp_path, darcy):
    out = tmp_path / "set.h5"
    evidence = generate(darcy, 3, out=out, two_grid=2).provenance["discretisation"]
    assert len(evidence["checks"]) >= 4
    assert all(passed for _, passed, _ in evidence["checks"])
    assert len(evidence["two_grid_errors"]) == 2
    assert all(1e-4 < error < 0.1 for error in evidence["two_grid_errors"])
    assert "two-grid error" in str(describe(out))
    assert generate(darcy, 5, out=out).provenance["discretisation"] == evidence


def test_the_subset_is_drawn_at_random_and_belongs_to_the_seed(darcy):
    method = STRATEGIES["direct"](Request(1e-8, 256, 2, 64))
    first, again, other = (inspect_discretisation(darcy, seed, 1000, method, 3) for seed in (0, 0, 1))
    assert first == again and first["two_grid_samples"] != other["two_grid_samples"]
    assert len(set(first["two_grid_samples"])) == 3 and max(first["two_grid_samples"]) > 10
    index = first["two_grid_samples"][2]
    alone = two_grid_error(darcy, sample_rng(0, darcy.family_id, index))
    assert first["two_grid_errors"][2] == pytest.approx(alone, rel=1e-6)
    assert inspect_discretisation(darcy, 0, 2, method, 5)["two_grid_samples"] == [0, 1]


def test_the_estimate_falls_with_refinement():
    method = STRATEGIES["direct"](Request(1e-8, 256, 2, 64))
    coarse, fine = (
        inspect_discretisation(families.get("darcy2d", resolution=n), 0, 4, method, None)["two_grid_errors"]
        for n in (16, 64)
    )
    assert np.median(fine) < 0.3 * np.median(coarse)


def test_large_problems_are_not_estimated_unasked(darcy):
    method = STRATEGIES["direct"](Request(1e-8, 256, 2, 64))
    large = inspect_discretisation(families.get("darcy2d", resolution=140), 0, 4, method, None)
    assert large["two_grid_errors"] == []
    assert "two_grid=" in large["note"]
    assert "as asked" in inspect_discretisation(darcy, 0, 4, method, 0)["note"]


class Faulty(TinyDiffusion):
    """The off-diagonal is shifted by one place, as happens with an index error."""

    def assemble(self, inputs):
        A, b = super().assemble(inputs)
        matrix = A.matrix.tolil()
        matrix[3, 4], matrix[3, 5] = 0.0, matrix[3, 4]
        return System(Matrix(matrix.tocsr()), b)

    def checks(self, inputs, system):
        matrix = system.A.to_sparse()
        return [("symmetry", abs(matrix - matrix.T).max() == 0, "an entry and its transpose differ")]


def test_a_faulty_discretisation_is_refused_before_the_first_sample(make, tmp_path):
    with pytest.raises(DiscretisationError, match=r"not what its equation gives: symmetry \(an entry"):
        make(4, family=Faulty())
    assert list(tmp_path.iterdir()) == []


def test_a_faulty_discretisation_is_found_by_verify(make, monkeypatch):
    monkeypatch.setattr(Faulty, "checks", TinyDiffusion.checks)
    path = make(10, family=Faulty()).path
    monkeypatch.undo()
    problems = verify(path, family=Faulty()).problems
    assert {problem.index for problem in problems if problem.field == "discretisation"} == {0, 8}


def test_labels_less_accurate_than_models_are_warned_about(make, caplog):
    with caplog.at_level(logging.WARNING):
        make(2, rtol=1e-2)
        assert "a hundredth of the error you aim at" in caplog.text
        caplog.clear()
        make(2, "fine.h5", rtol=1e-4)
        assert caplog.text == ""
