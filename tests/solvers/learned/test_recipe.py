"""Files, refusals, the gate, guesses and spaces."""

import dataclasses
import itertools
import types

import numpy as np
import pytest
import torch

from resolvent.operators import Props, StructureError
from resolvent.solvers import CG, IC, ILU, DeflatedCG, FlexibleCG, Recipe, Sequence
from resolvent.solvers.learned import (
    DCDM,
    DeflationNetwork,
    Gated,
    Learned,
    LearnedGuess,
    LearnedSpaces,
    MgNOGram,
    ModelFileError,
    PreconditionerNetwork,
    SPDCycle,
    gate,
)


@pytest.fixture
def learned(shake):
    return Learned(shake(SPDCycle(dim=2), 0, 0.01), "poisson_obstacles", (8, 64), {"seconds": 1.5})


@pytest.mark.parametrize(
    "network", [SPDCycle(dim=2, smoothing=(1, 1)), DCDM(dim=2, width=4), MgNOGram(dim=2, levels=2)]
)
def test_a_file_builds_the_same_preconditioner(network, make, tmp_path):
    A, b = make(16)
    first = Learned(network, "poisson_obstacles", (8, 64), {"seconds": 1.5})
    first.save(tmp_path / "m.pt")
    again = Learned.load(tmp_path / "m.pt", family="poisson_obstacles")
    assert np.array_equal(first(A) @ b, again(A) @ b)
    assert (again.family, again.resolutions, again.about) == ("poisson_obstacles", (8, 64), {"seconds": 1.5})
    assert again.claims(A) == first.claims(A) and [p.name for p in tmp_path.iterdir()] == ["m.pt"]


def test_another_family_is_refused(learned, tmp_path):
    learned.save(tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"trained on 'poisson_obstacles', not 'darcy'.*AMG"):
        Learned.load(tmp_path / "m.pt", family="darcy")


@pytest.mark.parametrize(
    "n, dim, words", [(4, 2, "8 to 64 cells"), (70, 2, "GeometricMultigrid"), (8, 3, "2 dimensions")]
)
def test_another_resolution_or_dimension_is_refused(n, dim, words, learned, make):
    with pytest.raises(ValueError, match=words):
        learned(make(n, dim)[0])


def test_weights_that_are_not_finite_are_refused(learned, tmp_path):
    learned.save(tmp_path / "m.pt")
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    content["weights"]["correction.0.bias"][0] = torch.nan
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(ModelFileError, match=r"NaN.*correction\.0\.bias"):
        Learned.load(tmp_path / "bad.pt")


def test_other_files_are_refused(learned, tmp_path):
    learned.save(tmp_path / "m.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "m.pt").read_bytes()[:300])
    torch.save({"format": "something"}, tmp_path / "other.pt")
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    torch.save({**content, "network": "Unknown"}, tmp_path / "unknown.pt")
    torch.save({**content, "options": {"dim": 3}}, tmp_path / "options.pt")
    torch.save({**content, "version": 99}, tmp_path / "newer.pt")
    for name in ("cut", "other", "unknown", "options", "newer"):
        with pytest.raises(ModelFileError):
            Learned.load(tmp_path / f"{name}.pt")
    with pytest.raises(FileNotFoundError):
        Learned.load(tmp_path / "none.pt")


def test_resolutions_and_networks_are_checked():
    with pytest.raises(ValueError, match="resolutions"):
        Learned(SPDCycle(dim=2), "any", (64, 8))
    with pytest.raises(TypeError, match="PreconditionerNetwork"):
        Learned(torch.nn.Linear(2, 2), "any", (8, 64))


class Noise(PreconditionerNetwork):
    """Answers with noise, or not at all."""

    props = Props.VARIABLE

    def __init__(self, size):
        super().__init__(2)
        self.weight, self.size, self.options = torch.nn.Parameter(torch.ones(1)), size, {}

    def prepare(self, level):
        return None

    def correct(self, prepared, r):
        return self.size * torch.randn(r.shape, generator=torch.Generator().manual_seed(0), dtype=r.dtype)


def test_gate_opens_for_what_pays(learned, make):
    A, b = make(32)
    M = Gated(learned, incumbent_seconds=1e3)(A)
    assert M.verdict.open and M.verdict.predicted_iterations < 40
    assert (
        Props.POSITIVE_DEFINITE in M.props
        and CG().solve(A, b, M=M).iterations == CG().solve(A, b, M=learned).iterations
    )


def test_gate_closes_on_cost(learned, make):
    A, b = make(32)
    M = Gated(learned, incumbent_seconds=1e-9)(A)
    assert not M.verdict.open and "incumbent" in M.verdict.reason
    assert CG().solve(A, b, M=M).iterations == CG().solve(A, b, M=IC()).iterations


def test_gate_counts_the_share_of_the_setup(learned, make, monkeypatch):
    A, _ = make(32)
    ticks = itertools.count()
    monkeypatch.setattr(gate, "time", types.SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    for solves in (1, 4):
        v = Gated(learned, solves=solves)(A).verdict
        # Each part takes one tick of this clock: a set-up, a solve, and all the probes together.
        assert v.setup_seconds == 1.0 and v.incumbent_seconds == 1.0 / solves + 1.0
        assert v.open == (1.0 / solves + v.apply_seconds * v.predicted_iterations < v.incumbent_seconds)


def test_gate_takes_the_least_of_three_setups(learned, make, monkeypatch):
    A, _ = make(32)
    # The probes; three set-ups of the network; three of the incumbent; the second solve with it.
    lasted = iter([1.0, 9.0, 2.0, 5.0, 7.0, 8.0, 3.0, 4.0])
    clock = {"now": 0.0, "ticks": 0}

    def read():
        clock["now"] += next(lasted) if clock["ticks"] % 2 else 0.5
        clock["ticks"] += 1
        return clock["now"]

    monkeypatch.setattr(gate, "time", types.SimpleNamespace(perf_counter=read))
    v = Gated(learned, solves=2)(A).verdict
    assert v.setup_seconds == 2.0 and v.incumbent_seconds == 3.0 / 2 + 4.0


@dataclasses.dataclass(frozen=True)
class Refusing(Recipe):
    """Takes no operator."""

    def __call__(self, A):
        raise StructureError("Refusing takes no operator")


def test_gate_keeps_the_network_where_the_incumbent_cannot(learned, make):
    A, b = make(32)
    for incumbent, seconds, words in (
        (ILU(1e-1), None, "CG needs M = Mᴴ"),
        (Refusing(), None, "Refusing takes no operator"),
        (Refusing(), 0.0, "Refusing takes no operator"),
    ):
        M = Gated(learned, incumbent, incumbent_seconds=seconds)(A)
        assert M.verdict.open and "the incumbent cannot take the operator" in M.verdict.reason
        assert words in M.verdict.reason and CG().solve(A, b, M=M).converged
    useless = Learned(Noise(torch.nan), "any", (8, 64))
    with pytest.raises(StructureError, match="Refusing"):
        Gated(useless, Refusing())(A)
    # Behind the gate ILU is what it is.
    with pytest.raises(StructureError, match="not self-adjoint"):
        CG().solve(A, b, M=Gated(learned, ILU(1e-1), incumbent_seconds=0.0))


def test_options_of_the_gate_are_checked(learned):
    with pytest.raises(ValueError, match="solves"):
        Gated(learned, solves=0)
    for rtol in (0.0, 1.0, -1e-8, float("nan"), "small"):
        with pytest.raises(ValueError, match="rtol"):
            Gated(learned, rtol=rtol)
    for seconds in (-1.0, float("nan"), float("inf"), "fast"):
        with pytest.raises(ValueError, match="incumbent_seconds"):
            Gated(learned, incumbent_seconds=seconds)


def test_gate_closes_within_three_probes_on_a_useless_network(make):
    A, b = make(32)
    torch.manual_seed(0)
    M = Gated(Learned(DCDM(dim=2, width=4), "any", (8, 64)), incumbent_seconds=1.0)(A)
    assert not M.verdict.open
    for size in (torch.nan, 1.0):
        M = Gated(Learned(Noise(size), "any", (8, 64)), incumbent_seconds=1e3)(A)
        assert not M.verdict.open and 1 <= M.verdict.probes <= 3
        assert CG().solve(A, b, M=M).iterations == CG().solve(A, b, M=IC()).iterations


def test_gate_takes_the_incumbent_where_the_network_cannot(learned, make):
    M = Gated(learned, IC())(make(70)[0])
    assert not M.verdict.open and "refused" in M.verdict.reason and M.verdict.probes == 0
    claims = Gated(Learned(DCDM(dim=2, width=4), "any", (8, 64))).claims(make(16)[0])
    assert Props.VARIABLE in claims and Props.POSITIVE_DEFINITE not in claims


def test_dcdm_is_flexible_cg_with_two_directions(make):
    """The published iteration, written out: two stored directions, exact line search, the residual recomputed."""
    torch.manual_seed(0)
    A, b = make(12)
    M = Learned(DCDM(dim=2, width=4).double(), "any", (4, 64))(A)
    x, r, stored, norms = np.zeros_like(b), b.copy(), [], []
    for _ in range(12):
        d = M @ r
        d = d - sum((d @ q) / (p @ q) * p for p, q in stored)
        q = A @ d
        x = x + (d @ r) / (d @ q) * d
        r = b - A @ x
        stored = [*stored[-1:], (d, q)]
        norms.append(np.linalg.norm(r))
    result = FlexibleCG(mmax=2, maxiter=12).solve(A, b, M=M)
    assert result.extra["fallbacks"] == 0
    assert np.allclose(np.asarray(result.history)[1:13], norms, rtol=1e-7)


def test_learned_guess_never_starts_worse_than_zero(learned, make):
    A, b = make(32)
    x0, products = LearnedGuess(learned).start(A, b[:, None], None)
    assert products == 1 and np.linalg.norm(b[:, None] - A @ x0) < np.linalg.norm(b)
    steps = Sequence(CG(), warm_start=LearnedGuess(learned))
    result = steps.solve(A, b).check()
    assert result.counts.setup == 1 and result.history[0] < np.linalg.norm(b)


def test_learned_space_saves_iterations_and_follows_the_operator(make):
    torch.manual_seed(0)
    policy = LearnedSpaces(DeflationNetwork(dim=2, k=8, depth=2))
    steps = Sequence(DeflatedCG(k=8, update=False), spaces=policy, cold_every=None)
    for seed in (0, 1):
        A, b = make(32, seed=seed)
        space = policy.space(A)
        assert np.allclose(space.U.T @ space.U, np.eye(8), atol=1e-12)
        result = steps.solve(A, b).check()
        assert result.iterations < 0.85 * CG().solve(A, b).iterations and result.counts.setup == 8
    assert not np.allclose(policy.space(make(32, seed=0)[0]).U, space.U)
    with pytest.raises(ValueError, match="extents that 4 divides"):
        policy.space(make(18)[0])


def test_solvers_work_without_torch(run_python):
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from resolvent.operators import Stencil
from resolvent.solvers import CG, IC
A = Stencil.from_transmissibilities([np.ones((17, 16)), np.ones((16, 17))])
assert CG().solve(A, np.ones(256), M=IC()).converged
try:
    import resolvent.solvers.learned
except ImportError as error:
    assert "resolvent[learn]" in str(error)
else:
    raise AssertionError
"""
    outcome = run_python("-c", code)
    assert outcome.returncode == 0, outcome.stderr
