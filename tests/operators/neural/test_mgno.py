"""The multigrid neural operator: published parameter counts, grids of every size, its cycle as a linear operator."""

import itertools

import numpy as np
import pytest
import torch

from resolvent.operators import StructureError, check_operator
from resolvent.operators.neural import MgNO, NeuralMap, VCycle, count_params
from resolvent.operators.neural.mgno_cycle import Prolongation
from resolvent.solvers import GMRES

LONG = [1, 1, 1, 1, 1, 2]
BOUNDARIES = ("dirichlet", "periodic", "neumann")


@pytest.mark.parametrize(
    "expected, options",
    [
        (572_661, {"smoothing": LONG}),
        (738_573, {"smoothing": LONG, "layers": 5}),
        (467_964, {"smoothing": [1, 1, 1, 1, 2]}),
        (363_267, {}),
        (678_093, {"smoothing": LONG, "layers": 5, "prolongation": [3, 4, 3, 3, 4]}),
    ],
)
def test_parameters_of_published_networks(expected, options):
    assert count_params(MgNO(c_in=1, c_out=1, **options)) == expected


@pytest.mark.parametrize("smoothing, post", [([2, 1], [0]), ([1, 2, 3], [1, 2]), ([2], [])])
def test_parameters_by_the_formula(smoothing, post):
    c_in, c_out, C, layers, J = 2, 3, 5, 2, len(smoothing)
    N = sum(smoothing) + sum(post)
    expected = C * c_out
    for c in (c_in, C):
        expected += 9 * c * C * N + 9 * C * c * (N - 1) + (J - 1) * (9 * C**2 + 9 * c**2 + 16 * C**2) + c * C + C
    model = MgNO(c_in=c_in, c_out=c_out, width=C, layers=layers, smoothing=smoothing, post_smoothing=post)
    assert count_params(model) == expected


def test_true_residuals_need_as_many_parameters():
    # J − 1 maps Π fewer, and as many maps A as before: one more before each restriction, one less on each level
    C, J = 5, 3
    counts = [count_params(VCycle(2, C, [1] * J, residual=residual)) for residual in (False, True)]
    assert counts[0] - counts[1] == (J - 1) * 9 * C**2


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("grid", [(33, 33), (64, 64), (65, 65), (101, 101), (17, 30)])
def test_cycle_and_its_transpose_on_every_size(boundary, grid):
    torch.manual_seed(0)
    V = VCycle(1, 2, [1, 1, 1, 2], boundary=boundary).double()
    A = V.as_operator(grid)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(A.shape[1]), rng.standard_normal(A.shape[0])
    Vx = A @ x
    assert Vx.shape == (2 * grid[0] * grid[1],)
    assert abs(Vx @ y - x @ (A.T @ y)) <= 1e-12 * np.linalg.norm(Vx) * np.linalg.norm(y)


@pytest.mark.parametrize("grid", [(21,), (13, 10), (5, 6, 7)])
@pytest.mark.parametrize("options", [{}, {"residual": True, "post_smoothing": [1, 0]}, {"growing": True}])
def test_cycle_as_an_operator(grid, options):
    V = VCycle(1, 1, [1, 1, 2], dim=len(grid), boundary="neumann", **options).double()
    check_operator(V.as_operator(grid)).check()


@pytest.mark.parametrize("options", [{"bias": True}, {"norm": True}])
def test_cycle_that_is_not_linear_is_no_operator(options):
    with pytest.raises(StructureError, match="not linear"):
        VCycle(1, 1, [1, 1], **options).as_operator((8, 8))


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_prolongation_is_the_transpose_of_a_convolution(kernel, dim):
    P = Prolongation(2, 3, kernel, dim=dim, boundary="dirichlet", bias=False).double()
    fine = (9, 8, 5)[:dim]
    v = torch.randn(1, 3, *fine, dtype=torch.float64)
    u = torch.randn(1, 2, *(-(-n // 2) for n in fine), dtype=torch.float64)
    padded = torch.nn.functional.pad(v, [1, 2] * dim)  # the last tap of four may look at one point more
    convolution = getattr(torch.nn.functional, f"conv{dim}d")
    transposed = convolution(padded, P.kernel, stride=2)[(..., *(slice(n) for n in u.shape[2:]))]
    assert (P(u, fine) * v).sum().item() == pytest.approx((u * transposed).sum().item(), rel=1e-12)


def test_prolongation_continues_a_constant_over_every_boundary_but_the_absorbing_one():
    u = torch.ones(1, 1, 6, 6, dtype=torch.float64)
    for boundary in BOUNDARIES:
        for kernel in (3, 4):
            P = Prolongation(1, 1, kernel, dim=2, boundary=boundary, bias=False).double()
            weights = torch.tensor([1.0, 2.0, 1.0] if kernel == 3 else [1.0, 1.0, 1.0, 1.0], dtype=torch.float64) / 2
            P.kernel.data.copy_(torch.outer(weights, weights))
            flat = torch.allclose(P(u, (12, 11)), torch.ones(1, 1, 12, 11, dtype=torch.float64))
            assert flat == (boundary != "dirichlet")


def test_layers_commute_with_translations_of_a_periodic_field():
    model = MgNO(c_in=1, c_out=1, width=3, layers=2, smoothing=[1, 1, 1], boundary="periodic").double()
    x = torch.randn(1, 1, 16, 24, dtype=torch.float64)
    shift = {"shifts": (4, 8), "dims": (2, 3)}  # by points of the coarsest level
    assert torch.allclose(model(x.roll(**shift)), model(x).roll(**shift), atol=1e-13)


def test_layers_commute_with_reflections_at_a_mirror():
    """On a field mirrored at both ends, reflection is what a periodic operator twice as long does."""
    short = MgNO(c_in=1, c_out=1, width=3, layers=2, smoothing=[1, 1], boundary="neumann", dim=1).double()
    for cycle in short.cycles:  # symmetric kernels keep the symmetry
        for kernel in cycle.parameters():
            kernel.data = (kernel.data + kernel.data.flip(-1)) / 2
    for cycle in short.cycles:
        for prolongation in cycle.prolongations:
            weights = prolongation.kernel.data
            weights[..., 3] = 0.0
            weights[..., :3] += weights[..., :3].flip(-1).clone()
    long = MgNO(**{**short.options, "boundary": "periodic"}).double()
    long.load_state_dict(short.state_dict())
    x = torch.randn(1, 1, 9, dtype=torch.float64)
    mirrored = torch.cat([x, x[..., 1:-1].flip(-1)], dim=-1)
    assert torch.allclose(short(x), long(mirrored)[..., :9], atol=1e-13)


def multigrid_for_poisson(levels: int, n: int) -> VCycle:
    """A V-cycle with the classical stencils for −Δu + 64u on the periodic unit square."""
    post = [2] * (levels - 1)
    V = VCycle(1, 1, [*post, 8], residual=True, post_smoothing=post, prolongation=3, boundary="periodic").double()
    cross = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]], dtype=torch.float64)
    middle = torch.zeros(3, 3, dtype=torch.float64)
    middle[1, 1] = 1.0
    linear = torch.tensor([0.5, 1.0, 0.5], dtype=torch.float64)
    for level in range(levels):
        A = cross * (n / 2**level) ** 2 + 64.0 * middle
        parts = [part[level] for part in (V.descents, V.ascents, V.restrictions) if level < len(part)]
        for name, parameter in itertools.chain.from_iterable(part.named_parameters() for part in parts):
            if "system" in name:
                parameter.data[0, 0] = A
            elif "smoothers" in name:
                parameter.data[0, 0] = 0.8 * middle / A[1, 1]
    for restriction, prolongation in zip(V.restrictions, V.prolongations, strict=True):
        restriction.restrict_f.kernel.data[0, 0] = torch.outer(linear, linear) / 4
        prolongation.kernel.data[0, 0] = torch.outer(linear, linear)
    return V


def test_classical_multigrid_is_among_the_cycles():
    """With the stencils of −Δ + 64 the cycle contracts the error as two plus two Jacobi steps should, and
    preconditions."""
    n = 32
    V = multigrid_for_poisson(5, n)
    M, A = V.as_operator((n, n)), V.restrictions[0].system
    x = torch.randn(1, 1, n, n, dtype=torch.float64)
    for _ in range(8):
        before = x.norm()
        with torch.no_grad():
            x = x - V(A(x))
    assert x.norm() < 0.15 * before
    operator = NeuralMap(A, (n, n))
    b = np.random.default_rng(0).standard_normal(n * n)
    plain = GMRES(rtol=1e-8, maxiter=200).solve(operator, b)
    better = GMRES(rtol=1e-8, maxiter=200).solve(operator, b, M=M)
    assert better.check().iterations <= 10 < plain.iterations


def test_grid_refinement_changes_the_operator():
    """What `function_space` says: stencils act on indices."""
    torch.manual_seed(0)
    model = MgNO(c_in=1, c_out=1, width=4, layers=2, smoothing=[1, 1], boundary="periodic").double()
    assert model.function_space.startswith("a map of one grid")

    def image(n):
        t = torch.arange(n, dtype=torch.float64) / n
        return model(torch.sin(2 * torch.pi * t)[None, None, :, None].expand(1, 1, n, n))

    coarse, fine = image(16), image(32)[:, :, ::2, ::2]
    assert (coarse - fine).norm() > 0.02 * fine.norm()


@pytest.mark.parametrize(
    "options",
    [
        {"boundary": "periodic", "norm": True, "pointwise": False, "residual_connection": True},
        {"boundary": "neumann", "bias": True, "norm": True, "growing": True, "head": "cycle"},
        {"residual": True, "post_smoothing": [1, 0], "prolongation": [3, 4]},
        {"dim": 3},
        {"dim": 1, "smoothing": [2, 2]},
        {"smoothing": [1]},
    ],
)
@pytest.mark.parametrize("side", [9, 12])
def test_variants(options, side):
    model = MgNO(c_in=3, c_out=2, **{"width": 3, "layers": 2, "smoothing": [1, 1, 2], **options})
    x = torch.randn(2, 3, *(side, side + 1, side)[: model.dim])
    y = model(x)
    assert y.shape == (2, 2, *x.shape[2:]) and y.isfinite().all()
    y.square().sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


def test_residual_connection_adds_the_latest_channels():
    model = MgNO(c_in=3, c_out=2, width=3, layers=1, smoothing=[1], residual_connection=True)
    torch.nn.init.zeros_(model.head.weight)
    x = torch.randn(1, 3, 4, 4)
    assert torch.equal(model(x), x[:, 1:])


def test_smallest_grid():
    model = MgNO(c_in=1, c_out=1, width=2, layers=1, smoothing=[1, 1, 1, 1], boundary="neumann")
    assert model.minimum_grid == 9
    assert model(torch.zeros(1, 1, 9, 9)).shape == (1, 1, 9, 9)
    with pytest.raises(ValueError, match="at least 9 points a side, got a grid of 9 × 8"):
        model(torch.zeros(1, 1, 9, 8))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"smoothing": []}, "at least one level"),
        ({"smoothing": [1, 0]}, "each of smoothing"),
        ({"post_smoothing": [1]}, "post_smoothing needs 3 numbers for 4 levels"),
        ({"prolongation": [3, 4]}, "prolongation needs 3 numbers"),
        ({"prolongation": 5}, "prolongation must be one of 3, 4"),
        ({"boundary": "zeros"}, "boundary must be one of 'dirichlet', 'periodic', 'neumann'"),
        ({"head": "mlp"}, "head must be one of"),
        ({"width": 0}, "width must be a whole number"),
        ({"c_out": 2, "residual_connection": True}, "last 2 channels of the input, but it has 1"),
        ({"dim": 4}, "1, 2 or 3 dimensions"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MgNO(**{"c_in": 1, "c_out": 1, **options})
