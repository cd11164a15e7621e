"""The symmetric cycle: exact transposes, definiteness, compiled code, counts that do not grow."""

import itertools

import numpy as np
import pytest
import torch

from resolvent.operators import SPD, Function, Sparse, Stencil, StructureError, check_operator
from resolvent.solvers import CG
from resolvent.solvers.learned import DCDM, Learned, LearnedOperator, SPDCycle
from resolvent.solvers.learned import compiled as compiled_module
from resolvent.solvers.learned.compiled import compiled_cycle
from resolvent.solvers.learned.cycle import FLOOR
from resolvent.solvers.learned.levels import Level, hierarchy, level_of
from resolvent.solvers.learned.stencils import ImageField, apply_stencil, apply_transposed_stencil, cube, star
from resolvent.solvers.learned.transfers import gather, interpolate, interpolate_transposed, spread


def dot(x, y):
    return float((x * y).sum())


@pytest.mark.parametrize("grid", [(6, 8), (4, 6, 8)])
def test_transposes_are_exact(grid):
    generator = torch.Generator().manual_seed(0)
    for offsets in (cube(len(grid)), star(len(grid))):
        K = torch.randn(2, len(offsets), *grid, generator=generator, dtype=torch.float64)
        x, y = torch.randn(2, 2, 3, *grid, generator=generator, dtype=torch.float64)
        assert dot(apply_stencil(K, x, offsets), y) == pytest.approx(
            dot(x, apply_transposed_stencil(K, y, offsets)), rel=1e-12
        )
    coarse = torch.randn(2, 3, *(n // 2 for n in grid), generator=generator, dtype=torch.float64)
    for up, down in ((spread, gather), (interpolate, interpolate_transposed)):
        assert dot(up(coarse), y) == pytest.approx(dot(coarse, down(y)), rel=1e-12)
    assert torch.equal(spread(torch.ones(1, 1, 2, 2)), torch.ones(1, 1, 4, 4))
    assert interpolate(torch.ones(1, 1, 3, 3))[0, 0, 1:-1, 1:-1].sub(1.0).abs().max() < 1e-6


def test_a_stencil_of_the_image_has_the_published_number_of_parameters():
    assert sum(p.numel() for p in ImageField(3, 27, 3).parameters()) == 2214
    assert sum(p.numel() for p in ImageField(3, 1, 3).parameters()) == 82


def test_a_star_sees_what_is_in_the_star_only():
    generator = torch.Generator().manual_seed(0)
    field, image = ImageField(2, 3, 2, "star"), torch.rand(1, 2, 5, 5, generator=generator)
    with torch.no_grad():
        field.weight.normal_(generator=generator)
        moved = image.clone()
        moved[:, :, 1, 1] += 1.0
        changed = (field(moved) - field(image)).abs().sum((0, 1)) > 1e-6
    assert sorted(map(tuple, changed.nonzero().tolist())) == [(0, 1), (1, 0), (1, 1), (1, 2), (2, 1)]


@pytest.mark.parametrize("transfer", ["constant", "linear"])
@pytest.mark.parametrize("seed", range(10))
def test_dense_map_is_symmetric_and_definite_for_any_weights(seed, transfer, make, shake):
    A, _ = make(16, seed=seed)
    cycle = shake(SPDCycle(dim=2, transfer=transfer).double(), seed)
    B = LearnedOperator(cycle, level_of(A), compiled=False) @ np.eye(256)
    assert np.abs(B - B.T).max() <= 1e-12 * np.abs(B).max()
    root = np.sqrt(A.diagonal())
    least = np.linalg.eigvalsh(root[:, None] * (0.5 * (B + B.T)) * root)[0]
    assert least >= FLOOR * (1.0 - 1e-8) - 1e-13 * np.abs(B).max() * A.diagonal().max()


def test_floor_is_what_keeps_it_definite(make, shake):
    A, _ = make(16)
    cycle = shake(SPDCycle(dim=2).double(), 3)
    for blocks in (cycle.finest, cycle.coarser):
        for block in blocks:
            for p in block.stencil.parameters():
                torch.nn.init.zeros_(p)
            torch.nn.init.zeros_(block.diagonals.weight)
            torch.nn.init.constant_(block.diagonals.bias, -40.0)
    B = LearnedOperator(cycle, level_of(A), compiled=False) @ np.eye(256)
    assert np.allclose(B * A.diagonal(), FLOOR * np.eye(256), rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("walls", ["dirichlet", "neumann"])
def test_level_is_the_operator(walls, make):
    A, _ = make(16, walls=walls)
    x = np.random.default_rng(0).standard_normal((16, 16))
    image = level_of(A).multiply(torch.from_numpy(x)[None, None])
    assert np.allclose(image.numpy().ravel(), A @ x.ravel(), rtol=1e-13)
    dense = level_of(A).to_dense()[0].numpy()
    root = np.sqrt(A.diagonal())
    assert np.allclose(dense, A.to_dense() / root[:, None] / root, atol=1e-13)


def test_coarse_level_is_half_the_galerkin_operator(make):
    A, _ = make(16, seed=2)
    fine = level_of(A)
    coarse = fine.coarser()
    P = np.zeros((256, 64))
    for cell in range(256):
        P[cell, (cell // 16 // 2) * 8 + cell % 16 // 2] = float(fine.fluid.flatten()[cell])
    wanted = 0.5 * P.T @ A.to_dense() @ P
    inside = coarse.fluid.flatten().numpy() > 0
    found = coarse.multiply(torch.eye(64, dtype=torch.float64).reshape(1, 64, 8, 8))[0].reshape(64, 64).numpy()
    assert np.allclose(found[np.ix_(inside, inside)], wanted[np.ix_(inside, inside)], rtol=1e-12)
    assert [level.grid for level in hierarchy(fine, 4)] == [(16, 16), (8, 8), (4, 4)]


def jumps(grid, contrast):
    """Conductances that jump from face to face, walls included, on a box of unequal sides."""
    rng = np.random.default_rng(0)
    faces = [np.array(grid) + np.eye(len(grid), dtype=int)[a] for a in range(len(grid))]
    return Stencil.from_transmissibilities([contrast ** rng.uniform(-0.5, 0.5, shape) for shape in faces])


OPERATORS = {
    "obstacles": lambda make: make(16)[0],
    "odd": lambda make: make(13, walls="neumann")[0],
    "space": lambda make: make(8, 3)[0],
    "odd space": lambda make: make(7, 3, walls="neumann")[0],
    "jumps": lambda _: jumps((11, 30), 1e6),
    "jumps in space": lambda _: jumps((5, 9, 12), 1e6),
    "a plane of several pieces": lambda _: jumps((6, 60, 30), 10.0),
    "no more than the coarsest": lambda make: make(4)[0],
}
OPTIONS = [
    {"smoothing": (1, 1), "reach": "star"},
    {"smoothing": (1, 2), "reach": "cube"},
    {"smoothing": (2, 2), "reach": "star", "coarsest": 3},
    {"smoothing": (3, 1), "reach": "cube"},
]


@pytest.fixture
def spoilt(monkeypatch):
    """Memory that holds NaN, or −1, before anything is written to it."""
    pieces = compiled_module._pieces

    def filled(*wanted):
        found = pieces(*wanted)
        for piece in found:
            piece.view(np.uint8)[...] = 255
        return found

    monkeypatch.setattr(compiled_module, "_pieces", filled)


@pytest.mark.usefixtures("spoilt")
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("options", OPTIONS)
def test_compiled_code_does_what_torch_does(operator, options, make, shake):
    A = OPERATORS[operator](make)
    b = np.random.default_rng(1).standard_normal(A.shape[0])
    cycle = shake(SPDCycle(dim=len(A.grid), **options).double(), 1, 0.02)
    level = level_of(A)
    with torch.no_grad():
        fields = cycle.prepare(level)
    compiled = compiled_cycle(cycle, level)
    out = np.empty_like(b)
    for right in (b, 1e-30 * b):
        compiled.product_into(right, out)
        wanted = cycle.correct(fields, torch.from_numpy(right.reshape(1, 1, *A.grid))).detach().numpy().ravel()
        assert np.abs(out - wanted).max() <= 1e-12 * np.abs(wanted).max()
    compiled.product_into(np.zeros_like(b), out)
    assert not out.any()
    for bad in (np.nan, -np.inf):
        compiled.product_into(np.where(np.arange(b.size) == 3, bad, b), out)
        assert np.isnan(out).all()


@pytest.mark.usefixtures("spoilt")
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("options", OPTIONS)
def test_compiled_fields_are_those_of_torch_to_single_precision(operator, options, make, shake):
    A = OPERATORS[operator](make)
    cycle = shake(SPDCycle(dim=len(A.grid), **options), 2, 0.1)
    level = level_of(A)
    with torch.no_grad():
        fields = cycle.prepare(level)
    compiled = compiled_cycle(cycle, level)
    assert compiled.K.dtype == np.int16
    for depth, wanted in enumerate(fields.levels):
        found, blocks = compiled.fields(depth), wanted.blocks
        for i, block in enumerate(blocks):
            K, unit = block.K[0].numpy(), compiled.units[depth, i]
            assert np.abs(found.K[i] - K).max() <= 0.5 * unit + 2e-6 * np.abs(K).max()
        expected = [blocks[0].e, *(a.c + b.e for a, b in itertools.pairwise(blocks)), blocks[-1].c, wanted.fine]
        for field, value in zip(found.diagonals, expected, strict=True):
            assert np.allclose(field, value[0, 0].numpy(), rtol=2e-5, atol=2e-7)
        half = tuple(slice(n) for n in wanted.coarse.shape[2:])
        assert np.allclose(compiled.fields(depth + 1).coarse[half], wanted.coarse[0, 0].numpy(), rtol=2e-5, atol=2e-7)
    assert np.allclose(compiled.inverse, fields.inverse[0].numpy(), rtol=1e-5)
    b = np.random.default_rng(1).standard_normal(A.shape[0])
    out = np.empty_like(b)
    compiled.product_into(b, out)
    with torch.no_grad():
        wanted = cycle.correct(fields, torch.from_numpy(b.reshape(1, 1, *A.grid))).numpy().ravel()
    assert np.linalg.norm(out - wanted) <= 2e-3 * np.linalg.norm(wanted)


@pytest.mark.parametrize("size", [0.3, 3.0])
def test_rounded_entries_keep_the_map_symmetric_and_definite(size, make, shake):
    A, _ = make(16, seed=4)
    cycle = shake(SPDCycle(dim=2, smoothing=(2, 2)), 5, size)
    B = LearnedOperator(cycle, level_of(A)) @ np.eye(256)
    assert np.abs(B - B.T).max() <= 3e-6 * np.abs(B).max()
    root = np.sqrt(A.diagonal())
    B = root[:, None] * B * root
    assert np.linalg.eigvalsh(0.5 * (B + B.T))[0] >= FLOOR - 3e-6 * np.abs(B).max()


def test_what_has_no_compiled_code_runs_in_torch(make):
    level = level_of(make(8)[0])
    assert compiled_cycle(SPDCycle(dim=2, transfer="linear"), level) is None
    assert compiled_cycle(SPDCycle(dim=2).to(torch.bfloat16), level) is None
    assert compiled_cycle(DCDM(dim=2, width=4), level) is None


@pytest.mark.parametrize("n, dim", [(16, 2), (7, 3)])
def test_operator_keeps_its_claims_in_single_precision(n, dim, make, shake):
    A, _ = make(n, dim)
    for compiled in (True, False):
        M = LearnedOperator(shake(SPDCycle(dim=dim), 0, 0.02), level_of(A), compiled=compiled)
        assert SPD in M.props
        check_operator(M).check()


def test_scale_of_the_operator_is_taken_out(make):
    A, b = make(16)
    M = Learned(SPDCycle(dim=2).double(), "any", (4, 64))
    scaled = Stencil(1e40 * A.coefficients, A.offsets, props=SPD, mirrored=True)
    assert np.allclose(1e40 * (M(scaled) @ b), M(A) @ b, rtol=1e-12)


@pytest.mark.parametrize("walls", ["dirichlet", "neumann"])
def test_iterations_grow_little_with_the_grid_before_any_training(walls, make):
    counts = []
    for n in (32, 64, 128):
        A, b = make(n, walls=walls)
        counts.append(CG().solve(A, b, M=Learned(SPDCycle(dim=2), "any", (8, 256))).check().iterations)
    assert counts[1] <= 1.3 * counts[0] and counts[2] <= 1.3 * counts[1] and counts[2] <= 30


def test_float32_inside_reaches_double_precision_outside(make):
    A, b = make(32)
    r = CG(rtol=1e-12).solve(A, b, M=Learned(SPDCycle(dim=2), "any", (8, 256))).check()
    assert np.linalg.norm(b - A @ r.x) <= 1e-12 * np.linalg.norm(b) and r.iterations <= 30


def test_assembled_matrices_and_many_columns_are_taken(make):
    A, _b = make(16)
    matrix = Sparse(A.to_sparse(), props=SPD, grid=A.grid)
    M, same = (Learned(SPDCycle(dim=2), "any", (4, 64))(op) for op in (A, matrix))
    B = np.random.default_rng(0).standard_normal((256, 3))
    assert np.array_equal(M @ B, same @ B)
    assert np.allclose((M @ B)[:, 1], M @ B[:, 1], rtol=1e-6)
    assert np.allclose(M @ (B[:, 0] + 1j * B[:, 1]), M @ B[:, 0] + 1j * (M @ B[:, 1]), rtol=1e-5)


def nonsymmetric():
    c = np.zeros((5, 8, 8))
    c[0], c[1, 1:], c[2, :-1], c[3, :, 1:], c[4, :, :-1] = 4.0, -1.5, -0.5, -1.0, -1.0
    return Stencil(c)


def with_diagonal(value):
    c = np.zeros((3, 8, 8), type(value))
    c[0], c[1, :-1], c[2, :, :-1] = value, -1.0, -1.0
    return Stencil(c, mirrored=True)


@pytest.mark.parametrize(
    "A, words",
    [
        (nonsymmetric(), "FGMRES"),
        (with_diagonal(-4.0), "MINRES"),
        (with_diagonal(3.0), "FGMRES if A is"),
        (with_diagonal(4.0 + 1j), "GMRES"),
        (Function((64, 64), lambda x: x, props=SPD, grid=(8, 8)), "AMG"),
        (Stencil(-with_diagonal(-9.0).coefficients, mirrored=True), "positive"),
    ],
)
def test_what_is_not_definite_is_refused_with_an_alternative(A, words):
    with pytest.raises(StructureError, match=words):
        Learned(SPDCycle(dim=2), "any", (4, 64))(A)


def test_other_dimensions_are_refused():
    with pytest.raises(ValueError, match="two or three dimensions"):
        level_of(Stencil.from_transmissibilities([np.ones(17)]))


def test_zeros_of_a_level_are_positive(make):
    assert not np.signbit(level_of(make(16)[0]).faces.numpy()).any()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"dim": 1}, "dim"),
        ({"dim": 2, "reach": "far"}, "reach"),
        ({"dim": 2, "coarsest": 16}, "at most 8"),
        ({"dim": 2, "smoothing": (1,)}, "two numbers"),
        ({"dim": 2, "smoothing": (0, 1)}, "smoothing"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        SPDCycle(**options)


def test_a_level_without_couplings_is_solved_by_its_diagonal():
    ones = torch.ones(1, 16, 16, dtype=torch.float64)
    level = Level(4.0 * ones, torch.zeros(1, 2, 16, 16, dtype=torch.float64), 0.0 * ones)
    with torch.no_grad():
        z = SPDCycle(dim=2).double()(level, ones[:, None])
    assert bool(torch.isfinite(z).all()) and float(z.min()) > 0.0
