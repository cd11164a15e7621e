"""Networks inside of solvers."""

import copy
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='needs the extra "learn"')

from resolvent.datasets.families import Darcy2D  # noqa: E402
from resolvent.operators import StructureError, as_operator  # noqa: E402
from resolvent.operators.neural import build  # noqa: E402
from resolvent.solvers import (  # noqa: E402
    AMG,
    CG,
    FGMRES,
    GMRES,
    MINRES,
    Computed,
    FlexibleCG,
    Sequence,
)
from resolvent.solvers.learned import NeuralGuess, NeuralPreconditioner, diagonal_image  # noqa: E402

FAMILY = Darcy2D(resolution=17, grid="vertex", coefficient="fno_twophase")


@pytest.fixture(scope="module")
def systems():
    rng = np.random.default_rng(0)
    inputs = [FAMILY.draw(rng) for _ in range(5)]
    return [(given["a"][None], *FAMILY.assemble(given)) for given in inputs]


class Inverse(torch.nn.Module):
    """What a perfectly trained network would be, with an error: the solution operator of the mean coefficient."""

    def __init__(self, A, error=0.0):
        super().__init__()
        self.inverse = torch.nn.Parameter(torch.tensor(np.linalg.inv(A.to_dense())))
        self.error = error

    def forward(self, x):
        r = x[:, -1, 1:-1, 1:-1].flatten(1)
        u = (r @ self.inverse.T) * (1.0 + self.error * torch.sin(1e3 * r))
        return torch.nn.functional.pad(u.reshape(-1, 1, 15, 15), [1] * 4)


def untrained(seed=0, c_in=2):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build("fno", c_in=c_in, c_out=1, n_modes=[6, 6], width=8, layers=2)


def test_a_network_near_the_inverse_saves_most_iterations(systems):
    a, A, b = systems[0]
    _, other, _ = systems[1]
    plain = CG().solve(A, b).iterations
    found = {}
    for error in (0.0, 0.1):
        for outer in (FlexibleCG(), FGMRES()):
            M = NeuralPreconditioner(Inverse(other, error), image=a)
            result = outer.solve(A, b, M=M)
            assert result.converged and result.residual_norm <= 1e-8 * result.rhs_norm
            found[type(outer).__name__, error] = result.iterations
    assert max(found.values()) < 0.6 * plain


@pytest.mark.parametrize("outer", [CG(), MINRES(), GMRES()])
def test_methods_that_need_a_fixed_preconditioner_name_one_that_does_not(outer, systems):
    a, A, _ = systems[0]
    with pytest.raises(StructureError, match=r"VARIABLE: use (FlexibleCG|FGMRES)"):
        outer.prepare(A, NeuralPreconditioner(untrained(), image=a))


@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_network_does_not_break_the_solve(seed, systems):
    a, A, b = systems[0]
    result = FlexibleCG(safe=AMG()).solve(A, b, M=NeuralPreconditioner(untrained(seed), image=a))
    assert result.converged and result.residual_norm <= 1e-8 * result.rhs_norm


def test_a_broken_network_is_given_up_for_what_is_safe(systems):
    a, A, b = systems[0]
    net = untrained()
    with torch.no_grad():
        next(net.parameters()).fill_(torch.nan)
    result = FlexibleCG(safe=AMG()).solve(A, b, M=NeuralPreconditioner(net, image=a))
    assert result.converged and result.extra == {"fallbacks": 3, "abandoned": 1}
    assert result.iterations <= CG().solve(A, b, M=AMG()).iterations + 5


def test_the_image_follows_the_operator(systems):
    steps = Sequence(FlexibleCG(), M=NeuralPreconditioner(untrained(), image=diagonal_image))
    maps = []
    for _, A, b in systems[:3]:
        assert steps.solve(A, b).converged
        maps.append(steps.prepared.M)
    r = np.random.default_rng(0).standard_normal(225)
    assert not np.allclose(maps[0] @ r, maps[1] @ r)
    for (_, A, _), M in zip(systems, maps, strict=False):
        assert np.array_equal(M @ r, NeuralPreconditioner(untrained(), image=diagonal_image)(A) @ r)


def test_guesses_by_a_network(systems):
    a, A, b = systems[0]
    x = np.linalg.solve(A.to_dense(), b)
    guess = NeuralGuess(Inverse(A), image=a, sees_b=True)
    assert np.allclose(guess(A, b), x, rtol=1e-10)
    assert CG().solve(A, b, x0=guess(A, b)).iterations == 0
    B = np.stack([b, 2.0 * b], axis=1)
    assert np.allclose(guess(A, B), np.stack([x, 2.0 * x], axis=1), rtol=1e-10)
    assert torch.allclose(guess(A, torch.tensor(b)), torch.tensor(x), rtol=1e-10)
    net = untrained(c_in=1)
    predicted = NeuralGuess(net, image=a)(A, B)
    with torch.no_grad():
        wanted = net(torch.tensor(a[None], dtype=torch.float32))[0, 0, 1:-1, 1:-1].numpy().ravel()
    assert predicted.shape == B.shape and np.allclose(predicted[:, 1], wanted)
    assert NeuralGuess(net, image=a)(A, torch.tensor(b)).dtype == torch.float64


def test_sequences_ask_a_function_from_the_first_system_on(systems):
    asked = []

    def exact(A, b):
        asked.append(A)
        return np.linalg.solve(A.to_dense(), b)

    steps = Sequence(CG(), warm_start=exact)
    assert [steps.solve(A, b).iterations for _, A, b in systems[:3]] == [0, 0, 0]
    assert len(asked) == 3 and steps.guess == Computed(exact)
    wrong = Sequence(CG(), warm_start=Computed(lambda A, b: 1e6 * exact(A, b), scale=True))
    result = wrong.solve(*systems[0][1:])
    assert result.iterations == 0 and result.counts.setup == 1
    lost = Sequence(CG(), warm_start=lambda A, b: np.full_like(b, np.nan)).solve(*systems[0][1:])
    assert lost.converged
    with pytest.raises(ValueError, match=r"guess must be an array of shape \(225, 1\), got \(3,\)"):
        Sequence(CG(), warm_start=lambda A, b: np.ones(3)).solve(*systems[0][1:])
    with pytest.raises(ValueError, match="got NoneType"):
        Sequence(CG(), warm_start=lambda A, b: None).solve(*systems[0][1:])
    with pytest.raises(TypeError, match="needs a function"):
        Computed(3)


def test_what_is_missing_is_named(systems):
    a, A, b = systems[0]
    bare = as_operator(A.to_sparse())
    with pytest.raises(StructureError, match="give grid="):
        NeuralPreconditioner(untrained(), image=a)(bare)
    assert NeuralPreconditioner(untrained(), image=a, grid=(15, 15))(bare).shape == A.shape
    with pytest.raises(ValueError, match="give image="):
        NeuralGuess(untrained(c_in=1))(A, b)
    with pytest.raises(ValueError, match="does not fit the unknowns"):
        NeuralGuess(untrained(c_in=1), image=np.ones((1, 12, 12)))(A, b)
    shown = repr(NeuralPreconditioner(copy.deepcopy(untrained()), image=a))
    assert shown.startswith("NeuralPreconditioner(model='FNO', image=<1 x 17 x 17 array>")


def test_solvers_do_not_import_torch():
    code = "import sys, resolvent.solvers, resolvent.datasets; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
