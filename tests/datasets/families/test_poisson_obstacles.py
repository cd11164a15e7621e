"""Obstacles: observed orders, known solutions, parts that are cut off, structure, sets, bad input."""

import numpy as np
import pytest
import scipy.ndimage

from resolvent.datasets import explain, generate, reproduce, verify
from resolvent.datasets.choosing.decision import decide
from resolvent.datasets.evidence.two_grid import two_grid_error
from resolvent.datasets.families import PoissonObstacles, get
from resolvent.datasets.family import System
from resolvent.datasets.plots import plot_dataset
from resolvent.datasets.schemes.manufactured import accurate_solution, observed_order
from resolvent.operators import Sparse, check_operator

WALLS = ("dirichlet", "neumann")


@pytest.mark.parametrize("walls", WALLS)
@pytest.mark.parametrize(("dim", "grids"), [(2, (32, 64, 128)), (3, (16, 32, 48))])
def test_second_order_around_a_box(dim, grids, walls):
    study = observed_order(PoissonObstacles(dim=dim, walls=walls), grids)
    assert study.within(2.0, 0.1), study.table()


@pytest.mark.parametrize("walls", WALLS)
@pytest.mark.parametrize("dim", [2, 3])
def test_structure_and_claims(dim, walls, rng):
    family = PoissonObstacles(resolution=12, dim=dim, walls=walls, fraction=(0.25, 0.3))
    inputs = family.draw(rng)
    system = family.assemble(inputs)
    assert 0.05 < 1.0 - inputs["mask"].mean() < 0.4
    assert all(check.passed for check in family.checks(inputs, system)), family.checks(inputs, system)
    check_operator(system.A).check()
    fluid, solid = (np.flatnonzero(inputs["mask"] == inside) for inside in (True, False))
    inner = next(i for i in fluid if i + 1 in fluid)
    # A missing coupling, one into an obstacle, and a shifted diagonal are seen.
    for row, column, value in ((inner, inner + 1, 144.0), (fluid[0], solid[0], -144.0), (inner, inner, 1.0)):
        matrix = system.A.to_sparse().tolil(copy=True)
        matrix[row, column] += value
        assert not all(check.passed for check in family.checks(inputs, System(Sparse(matrix.tocsr()), system.b)))
    other = {"dirichlet": "neumann", "neumann": "dirichlet"}[walls]
    faulty = PoissonObstacles(resolution=12, dim=dim, walls=other).checks(inputs, system)
    assert not all(check.passed for check in faulty)


def test_solid_cells_are_zero_and_parts_do_not_see_each_other():
    """A wall through the square: each half has the solution of a rectangle of its own."""
    family = PoissonObstacles(resolution=16)
    mask = np.ones((16, 16), dtype=bool)
    mask[7:9] = False
    f = np.random.default_rng(0).standard_normal((16, 16))
    u, other = (
        accurate_solution(family.assemble({"mask": mask, "f": source})).reshape(16, 16)
        for source in (f, np.where(np.arange(16)[:, None] < 8, f, 2.0 * f))
    )
    assert not u[7:9].any()
    np.testing.assert_allclose(other, np.where(np.arange(16)[:, None] < 8, u, 2.0 * u), atol=1e-13)


def test_an_enclosed_part_is_solved_or_refused():
    mask = np.ones((16, 16), dtype=bool)
    mask[4:10, 4:10] = False
    mask[6:8, 6:8] = True
    inputs = {"mask": mask, "f": np.ones((16, 16))}
    family = PoissonObstacles(resolution=16)
    system = family.assemble(inputs)
    assert all(check.passed for check in family.checks(inputs, system))
    # Four cells with walls half a cell away: each has 2 neighbours and 2 walls, (4 + 2)/h² · u − 2/h² · u = 1.
    np.testing.assert_allclose(accurate_solution(system).reshape(16, 16)[6:8, 6:8], 0.25 / 16**2, rtol=1e-12)
    with pytest.raises(ValueError, match="4 cells in 1 parts are cut off from the boundary"):
        PoissonObstacles(resolution=16, walls="neumann").assemble(inputs)


def test_draws_leave_no_enclosed_part_with_neumann_walls():
    """Among many crowded draws some have enclosed parts, which are filled with Neumann walls and kept with others."""
    kept = 0
    for seed in range(60):
        open_, filled = (
            PoissonObstacles(resolution=64, walls=walls, fraction=(0.5, 0.5)).draw(np.random.default_rng(seed))["mask"]
            for walls in WALLS
        )
        assert (filled <= open_).all()
        parts, _ = scipy.ndimage.label(filled)
        rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
        assert set(np.unique(parts)) - {0} <= set(rim)
        kept += int((open_ & ~filled).any())
    assert kept > 0


def test_solid_fractions_stay_below_their_number_and_draws_are_nested():
    coarse, fine = (
        PoissonObstacles(resolution=n, fraction=(0.3, 0.3)).draw(np.random.default_rng(8)) for n in (128, 256)
    )
    assert coarse["fraction"] == fine["fraction"] == 0.3
    assert 0.15 < 1.0 - fine["mask"].mean() <= 0.3
    majority = fine["mask"].reshape(128, 2, 128, 2).mean(axis=(1, 3))
    assert (majority[~coarse["mask"]] <= 0.5).mean() > 0.98 and (majority[coarse["mask"]] >= 0.5).mean() > 0.99
    empty = PoissonObstacles(resolution=16, fraction=(0.0, 0.0)).draw(np.random.default_rng(0))
    assert empty["mask"].all()


@pytest.mark.parametrize("walls", WALLS)
@pytest.mark.parametrize(("dim", "n"), [(2, 32), (3, 16)])
def test_sets_are_certified_verified_and_reproduced(tmp_path, dim, n, walls):
    family = PoissonObstacles(resolution=n, dim=dim, walls=walls)
    ds = generate(family, 5, out=tmp_path / "set.h5", chunk=3, two_grid=1)
    assert ds.certificates["certified"].all()
    assert verify(ds.path).passed
    assert reproduce(ds.path, 4).identical
    assert 1e-4 < ds.provenance["discretisation"]["two_grid_errors"][0] < 0.6
    for i in range(5):
        assert abs(ds[i]["u"][~ds[i]["mask"]]).max(initial=0.0) <= 1e-12 * abs(ds[i]["u"]).max()
    plot_dataset(ds)
    x, y = ds.torch()[0]
    assert x.shape == (2, *family.shape) and y.shape == (1, *family.shape)


def test_the_choice_says_why():
    for dim, n in ((2, 64), (3, 32)):
        decision = decide("auto", 1e-8, PoissonObstacles(dim=dim, resolution=n), 0)
        assert f"{dim}-D" in decision.why and "estimated" in decision.why


def test_the_estimate_falls_on_finer_grids():
    errors = [two_grid_error(PoissonObstacles(resolution=n), 1) for n in (32, 128)]
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 3}, "at least 4 cells"),
        ({"dim": 1}, "needs dim=2"),
        ({"walls": "robin"}, "needs walls="),
        ({"fraction": (0.2, 0.1)}, "needs fraction="),
        ({"fraction": (0.0, 0.9)}, "needs fraction="),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PoissonObstacles(**options)


def test_bad_input_is_refused(rng):
    family = PoissonObstacles(resolution=8)
    inputs = family.draw(rng)
    with pytest.raises(ValueError, match="needs 'f' among its inputs"):
        family.assemble({"mask": inputs["mask"]})
    with pytest.raises(ValueError, match="mask must be of bool"):
        family.assemble(inputs | {"mask": np.ones((8, 8))})
    with pytest.raises(ValueError, match="f must be finite"):
        family.assemble(inputs | {"f": np.full((8, 8), np.inf)})
    with pytest.raises(ValueError, match="nothing is left to solve"):
        family.assemble(inputs | {"mask": np.zeros((8, 8), dtype=bool)})
    with pytest.raises(ValueError, match="u must have the shape"):
        family.restrict({"u": np.zeros(3)})
    with pytest.raises(ValueError, match="that 4 divides"):
        PoissonObstacles(resolution=9).manufactured()


def test_many_iterations_are_no_reason_to_give_multigrid_up():
    """Obstacles finer than coarse grids cost iterations, but each is cheap: other families give up after 60."""
    obstacles, darcy = (explain(get(name, resolution=64)).method for name in ("poisson_obstacles", "darcy2d"))
    assert obstacles.method.solver.maxiter == 150 > darcy.method.solver.maxiter
    assert obstacles.method.members == darcy.method.members
