"""Options and vectors that are no numbers are refused by name."""

import numpy as np
import pytest

from resolvent.solvers import (
    CG,
    GCRODR,
    GMRES,
    IDR,
    LSMR,
    BlockCG,
)

from .conformance import second_difference


def test_masked_entries_and_guesses_that_are_no_numbers_are_refused():
    A, b = second_difference(4), np.ones(4)
    masked = np.ma.array(b, mask=[1, 0, 0, 1])
    for arguments in ((A, masked), (A, b, masked)):
        with pytest.raises(ValueError, match="2 masked entries"):
            CG().solve(*arguments)
    with pytest.raises(ValueError, match="a matrix has 6 masked entries"):
        CG().solve(np.ma.masked_less(A.toarray(), 0.0), b)
    assert CG().solve(np.ma.array(A.toarray()), np.ma.array(b)).converged
    for x0 in (["1"] * 4, [None] * 4, A):
        with pytest.raises(TypeError, match="x0 must be numeric, got dtype"):
            CG().solve(A, b, x0)
    with pytest.raises(TypeError, match="a matrix needs numeric entries, got dtype object"):
        CG().solve(A.toarray().astype(object), b)
    torch = pytest.importorskip("torch")
    guess = torch.ones(4, dtype=torch.float64, requires_grad=True)
    assert CG().solve(A, b, guess).converged


@pytest.mark.parametrize("value", ["abc", None, float("nan"), float("inf"), True, [], 1j, b"x"], ids=repr)
def test_options_of_another_type_are_named(value):
    for solver, name in ((GMRES, "restart"), (IDR, "s"), (LSMR, "damp"), (GCRODR, "k"), (BlockCG, "deflation")):
        with pytest.raises(ValueError, match=f"{name} must"):
            solver(**{name: value})
    if value is not None:
        with pytest.raises(ValueError, match="maxiter must be a whole number ≥ 0 or None"):
            CG(maxiter=value)
    if value is not True:
        with pytest.raises(ValueError, match="update must be True or False"):
            GCRODR(update=value)
    assert CG(maxiter=20.0).solve(second_difference(30), np.ones(30)).iterations <= 20
