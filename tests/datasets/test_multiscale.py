import numpy as np
import pytest

from resolvent.datasets.multiscale import MULTISCALE, classical_solution, multiscale_problem


@pytest.mark.parametrize("name", MULTISCALE)
def test_problems_do_not_show_their_solution(name):
    """What a solver gets raises when it is asked for boundary values inside the box."""
    problem = multiscale_problem(name)
    for piece in problem.pde.pieces:
        with pytest.raises(ValueError, match="inside the box"):
            piece.value(*(np.array([0.3]) for _ in problem.pde.box))
    fields = vars(problem.pde).values()
    assert not any(value is problem.exact for value in fields)


@pytest.mark.parametrize("name", MULTISCALE)
def test_problems_are_consistent(name):
    """The source is that of the exact solution: Chebyshev polynomials find it again."""
    problem = multiscale_problem(name)
    if name == "u6":
        x = np.array([0.7, 1.3])
        exact = problem.exact(x[:, None], x)
        assert problem.pde.source_at([x, x]) == pytest.approx(-2e4 * exact)
        return
    assert problem.error(classical_solution(problem)) <= 2e-9


def test_unknown_problem_names_those_there_are():
    with pytest.raises(ValueError, match="expected one of u1, u2"):
        multiscale_problem("u8")


def test_published_form_has_data_on_all_sides():
    problem = multiscale_problem("v1")
    assert len(problem.pde.sides) == 2 and len(problem.published_pde.sides) == 4
