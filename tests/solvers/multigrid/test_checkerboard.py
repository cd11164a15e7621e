"""The fused hierarchy does what the array-generic one does, on every grid, with every wall and for every member."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Sparse, Stencil, StructureError
from resolvent.solvers.multigrid.checkerboard import CheckerboardHierarchy, natural_entries, plan
from resolvent.solvers.multigrid.checkerboard_coarsen import part
from resolvent.solvers.multigrid.checkerboard_cycle import visit
from resolvent.solvers.multigrid.checkerboard_fields import (
    FACES_I,
    FACES_J,
    FACES_K,
    GROUND,
    NATURAL,
    NATURAL_RHS,
    ROOTS,
    SCALE_RED,
)
from resolvent.solvers.multigrid.cycles import Cycles
from resolvent.solvers.multigrid.extraction import network_of
from resolvent.solvers.multigrid.level import Level
from resolvent.solvers.multigrid.levels import Levels
from resolvent.solvers.multigrid.network import Network, coarsen_axis
from resolvent.solvers.multigrid.smoothers import SMOOTHERS
from resolvent.solvers.multigrid.transfer import Transfer
from resolvent.solvers.separable.couplings import along

from .boxes import CLOSURES, NUMPY, dense, random_network


def in_space(values, filler=1):
    """Three values, for the axes i, j and k."""
    return (filler,) * (3 - len(values)) + tuple(values)


def operators(network):
    """The members as matrices on their grid."""
    return [Sparse(sp.csr_array(dense(network, b)), grid=network.grid) for b in range(network.members)]


def filled(members, **options):
    """The fused hierarchy of some operators, and what it found: couplings, row sums away from walls, deficits.

    Loaded as a reduced one; its network then makes one that has the finest level as well.
    """
    found = [natural_entries(A) for A in members]
    grid, _, periodic = found[0]
    entries = [arrays for _, arrays, _ in found]
    addresses = np.array([[array.ctypes.data for array in arrays] for arrays in entries], dtype=np.int64)
    for grounded in (False, True):
        options |= {"precision": np.float64, "grounded": grounded}
        loaded = CheckerboardHierarchy(grid, len(members), periodic, **options)
        watched = loaded.load(addresses, 1e-10, np.ones(len(members)))
        if not (watched[1] > 0.0).any():
            break
    hierarchy = CheckerboardHierarchy(grid, len(members), periodic, reduced=False, **options)
    for field in (FACES_K, FACES_J, FACES_I, GROUND):
        hierarchy.part(field)[...] = loaded.part(field)
    diagonals = np.stack([arrays[0].reshape(-1, grid[2]) for arrays in entries], axis=-1)
    target = hierarchy.part(ROOTS)
    part(diagonals.reshape(-1), len(target[0]), grid[2], len(members), target.shape[2], target.reshape(-1))
    hierarchy.refill()
    check_finest(loaded, hierarchy)
    return hierarchy, watched


def check_finest(loaded, hierarchy):
    """What `load` made of the finest level is what `refill` makes of its network."""
    loaded.refill()
    ends = hierarchy.fields.at[0, SCALE_RED], loaded.fields.at[0, SCALE_RED]
    np.testing.assert_allclose(loaded.constants[: ends[1]], hierarchy.constants[: ends[0]], rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(loaded._scale, hierarchy.part(ROOTS).ravel(), rtol=1e-14)


def natural(values, parts, points):
    """An array parted by the parity of k, put in order: (rows, points, members)."""
    rows = values.shape[1]
    halves = values.reshape(2, rows, -1, parts)
    out = np.empty((rows, points, parts))
    out[:, 0::2] = halves[0, :, : (points + 1) // 2]
    out[:, 1::2] = halves[1, :, : points // 2]
    return out


def network_of_finest(hierarchy):
    """Faces along i, j and k, and the shift: (n_i, n_j, n_k, B) arrays, one longer along the axis of the faces."""
    ni, nj, nk = hierarchy.levels[0].grid
    B, ground = hierarchy.members, hierarchy.part(GROUND)
    shift = natural(ground, B, nk).reshape(-1, nj, nk, B) if ground.size else np.zeros((ni, nj, nk, B))
    along_i = natural(hierarchy.part(FACES_I), B, nk).reshape(-1, nj, nk, B) if ni > 1 else np.zeros((2, nj, nk, B))
    along_j = natural(hierarchy.part(FACES_J), B, nk).reshape(ni, nj + 1, nk, B)
    return (along_i, along_j, natural(hierarchy.part(FACES_K), B, nk + 1).reshape(ni, nj, nk + 1, B)), shift


def reference(network, diagonal, levels):
    """The array-generic V(1, 1)-cycle with red-black smoothing on levels that are coarsened alike."""
    dim = len(network.grid)
    made, transfers = [Level(network, NUMPY, diagonal)], []
    for level in levels:
        if max(network.grid) == 1:
            break
        weights, fine = [], network.grid
        for axis in reversed(range(dim)):
            if level.coarsened[3 - dim + axis]:
                network, w = coarsen_axis(network, axis, NUMPY)
                weights.append(w)
        transfers.append(Transfer(tuple(weights), fine, NUMPY))
        made.append(Level(network, NUMPY))
    together = Levels(tuple(made), tuple(transfers), NUMPY, np.dtype(float))
    return Cycles(together, lambda level: SMOOTHERS["red_black"](level, sweeps=1), "V")


def fused_cycle(hierarchy, b, sweeps=1):
    """One cycle for a (*grid, B) right-hand side."""
    fields, work = hierarchy.fields, hierarchy.work
    start = fields.at[0, NATURAL_RHS]
    work[start : start + b.size] = b.ravel()
    visit(hierarchy.constants, work, fields.at, fields.sizes, fields.rows, fields.planes, 0, sweeps)
    start = fields.at[0, NATURAL]
    return work[start : start + b.size].reshape(b.shape).copy()


def together(members):
    """The networks that extraction finds, as one, and their diagonals."""
    networks, diagonals = zip(*(network_of(A) for A in members), strict=True)
    faces = tuple(np.concatenate(t, axis=-1) for t in zip(*(n.faces for n in networks), strict=True))
    shift = np.concatenate([n.shift for n in networks], axis=-1)
    return Network(faces, shift, networks[0].periodic), np.concatenate(diagonals, axis=-1)


def compare(network, rng, strengths=(1.0, 1.0, 1.0)):
    members = operators(network)
    hierarchy, _ = filled(members, strengths=strengths)
    ours, diagonal = together(members)
    dim = len(network.grid)
    faces, shift = network_of_finest(hierarchy)
    size = 1e-12 * diagonal.max()
    closed = in_space(ours.periodic, filler=True)
    if all(n > 2 or ring for n, ring in zip(hierarchy.levels[0].grid, closed, strict=True)):
        # Where some cells touch no wall, the network that was loaded is the one that extraction finds.
        np.testing.assert_allclose(shift.reshape(ours.shift.shape), ours.shift, rtol=0, atol=size)
        for found, expected in zip(faces[3 - dim :], ours.faces, strict=True):
            np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=0, atol=size)
    loaded = Network(
        tuple(found.reshape(t.shape) for found, t in zip(faces[3 - dim :], ours.faces, strict=True)),
        shift.reshape(ours.shift.shape),
        ours.periodic,
    )
    np.testing.assert_allclose(loaded.diagonal(), diagonal, rtol=0, atol=size)
    for axis, (found, expected) in enumerate(zip(loaded.faces, network.faces, strict=True)):
        inner = along(axis, slice(1, -1))
        np.testing.assert_allclose(found[inner], expected[inner], rtol=0, atol=size)
    b = rng.standard_normal((*network.grid, network.members))
    expected = np.empty_like(b)
    reference(loaded, diagonal, hierarchy.levels).apply(b, expected)
    result = fused_cycle(hierarchy, b)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12 * abs(expected).max())
    return hierarchy


def fitting(grid, closed):
    """Without rings other than of four, eight, … points: two points cannot tell one coupling from the sum of two."""
    return all(c != "periodic" or (n >= 4 and n & (n - 1) == 0) for n, c in zip(grid, closed, strict=True))


@pytest.mark.parametrize("members", [1, 3, 8])
@pytest.mark.parametrize("closure", CLOSURES)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 16, 33])
def test_lines(n, closure, members, rng):
    if not fitting((n,), (closure,)) or (n == 1 and closure == "neumann"):
        return
    for shift in (0.0, 0.3):
        compare(random_network((n,), (closure,), rng, members=members, shift=shift), rng)


@pytest.mark.parametrize("members", [1, 3, 8])
@pytest.mark.parametrize(
    "grid",
    [(1, 1), (1, 2), (2, 1), (1, 5), (5, 1), (1, 8), (8, 1), (2, 2), (2, 3), (3, 3), (4, 4), (5, 8), (8, 5), (9, 16)],
)
def test_planes(grid, members, rng):
    done = 0
    for closed in itertools.product(CLOSURES, repeat=2):
        if not fitting(grid, closed) or (max(grid) == 1 and "neumann" in closed and closed[0] == closed[1]):
            continue
        shift = 0.2 * (done % 2)
        compare(random_network(grid, closed, rng, members=members, shift=shift), rng)
        done += 1
    assert done >= 8


@pytest.mark.parametrize("members", [1, 3, 8])
@pytest.mark.parametrize(
    "grid",
    [(1, 1, 1), (1, 1, 4), (1, 4, 1), (4, 1, 1), (1, 3, 2), (2, 1, 3), (3, 2, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4),
     (4, 5, 8), (8, 4, 3), (5, 3, 4)],
)  # fmt: skip
def test_space(grid, members, rng):
    every = [closed for closed in itertools.product(CLOSURES, repeat=3) if fitting(grid, closed)]
    every = [closed for closed in every if max(grid) > 1 or "dirichlet" in closed]
    for number in rng.permutation(len(every))[:8]:
        shift = 0.2 * (number % 2)
        compare(random_network(grid, every[number], rng, members=members, shift=shift), rng)


@pytest.mark.parametrize("weak", [(2,), (1,), (0,), (2, 1), (0, 2), (0, 1)])
@pytest.mark.parametrize("grid", [(8, 8, 8), (5, 6, 7)])
def test_semicoarsening(grid, weak, rng):
    for closed in (("dirichlet",) * 3, ("neumann", "mixed", "dirichlet")):
        network = random_network(grid, closed, rng, members=3)
        strengths = [1.0, 1.0, 1.0]
        for axis in weak:
            network.faces[axis][...] *= 1e-2
            strengths[axis] = 1e-2
        hierarchy = compare(network, rng, tuple(strengths))
        coarsened = hierarchy.levels[0].coarsened
        assert [axis for axis in range(3) if not coarsened[axis]] == sorted(weak)


@pytest.mark.parametrize("weak", [0, 1])
def test_semicoarsening_with_a_ring(weak, rng):
    for closed in (("periodic", "neumann"), ("dirichlet", "periodic"), ("periodic", "periodic")):
        network = random_network((8, 16), closed, rng, members=3, shift=0.1)
        network.faces[weak][...] *= 1e-2
        compare(network, rng, (1.0, *(1e-2 if axis == weak else 1.0 for axis in (0, 1))))


@pytest.mark.parametrize("grid", [(64,), (32, 32), (8, 64), (16, 4, 8)])
@pytest.mark.parametrize("strength", [(1.0, 1.0, 1.0), (1.0, 1e-2, 1.0), (1e-3, 1.0, 3.0), (1.0, 0.1, 0.02)])
def test_the_levels_are_those_of_the_generic_hierarchy(grid, strength):
    """Where it is decided by the means of the finest level what those of coarser ones will be."""
    dim = len(grid)
    shape = [tuple(n + (b == a) for b, n in enumerate(grid)) for a in range(dim)]
    faces = tuple(np.full((*shape[a], 1), strength[a]) for a in range(dim))
    generic = Levels.of(Network(faces, np.zeros((*grid, 1)), (False,) * dim), NUMPY)
    ours = plan(in_space(grid), 1, (False,) * 3, in_space(strength[:dim], 1.0))
    assert [level.grid for level in ours] == [in_space(level.network.grid) for level in generic.levels]


@pytest.mark.parametrize("sweeps", [2, 3])
def test_more_sweeps_are_those_of_the_smoother(sweeps, rng):
    network = random_network((6, 9), ("dirichlet", "mixed"), rng, members=3)
    members = operators(network)
    hierarchy, _ = filled(members)
    ours, diagonal = together(members)
    b, expected = rng.standard_normal((6, 9, 3)), np.empty((6, 9, 3))
    cycles = reference(ours, diagonal, hierarchy.levels)
    Cycles(cycles.levels, lambda level: SMOOTHERS["red_black"](level, sweeps=sweeps), "V").apply(b, expected)
    np.testing.assert_allclose(fused_cycle(hierarchy, b, sweeps), expected, atol=1e-12 * abs(expected).max())


def test_the_cycle_is_symmetric_and_definite(rng):
    for grid, closed in [((7,), ("dirichlet",)), ((5, 4), ("mixed", "periodic")), ((3, 4, 2), ("dirichlet",) * 3)]:
        hierarchy, _ = filled(operators(random_network(grid, closed, rng, spread=2.0)))
        n = int(np.prod(grid))
        M = np.stack([fused_cycle(hierarchy, e.reshape(*grid, 1)).ravel() for e in np.eye(n)], axis=1)
        np.testing.assert_allclose(M, M.T, rtol=0, atol=1e-13 * abs(M).max())
        assert np.linalg.eigvalsh(M).min() > 0.0


def test_a_hierarchy_that_is_filled_again_is_as_good_as_new(rng):
    members = [operators(random_network((6, 7), ("dirichlet", "mixed"), rng, members=2, shift=0.1)) for _ in range(2)]
    b, factors = rng.standard_normal((2, 42)), np.ones(2)
    found = []
    for order in ([0, 1], [1]):
        hierarchy = CheckerboardHierarchy((1, 6, 7), 2, precision=np.float64, grounded=True)
        for number in order:
            entries = [natural_entries(A)[1] for A in members[number]]
            addresses = np.array([[array.ctypes.data for array in arrays] for arrays in entries], dtype=np.int64)
            hierarchy.load(addresses, 1e-10, factors)
            hierarchy.refill()
            x = np.zeros_like(b)
            hierarchy.solve(b, factors, factors, x, np.full(2, 1e-10), 50)
            found.append(x)
    np.testing.assert_array_equal(found[1], found[2])
    assert abs(found[0] - found[1]).max() > 1e-3


def test_what_is_wrong_with_a_member_is_seen(rng):
    network = random_network((5, 6), ("dirichlet",) * 2, rng, members=4)
    members = operators(network)
    entries = [A.to_dense() for A in members]
    entries[1][8, 9] = entries[1][9, 8] = 0.5  # repels
    entries[2][14, 14] *= 0.5  # lacks
    entries[3][14, 14] += 0.5  # grounded inside
    _, (coupling, grounding, lack) = filled([Sparse(sp.csr_array(E), grid=(5, 6)) for E in entries])
    assert (coupling > 0.0).tolist() == [False, True, False, False]
    assert (lack > 0.0).tolist() == [False, False, True, False]
    assert grounding[0] <= 0.0 < grounding[3]


def test_rings_that_become_odd_are_refused():
    with pytest.raises(StructureError, match=r"gets to 3: it needs a power of two"):
        plan((1, 12, 8), 1, (False, True, False), (1.0, 1.0, 1.0))
    assert plan((1, 16, 7), 1, (False, True, False), (1.0, 1.0, 1.0))[-1].grid == (1, 1, 1)


def test_a_stencil_and_its_matrix_are_read_alike(rng):
    faces = [rng.uniform(0.5, 2.0, shape) for shape in ((4, 3, 5), (3, 4, 5), (3, 3, 6))]
    A = Stencil.from_transmissibilities(faces, shift=0.3)
    expanded = A.expand()
    for B in (A, expanded, Sparse(A.to_sparse(), grid=A.grid)):
        grid, arrays, periodic = natural_entries(B)
        assert grid == (3, 3, 5) and not any(periodic)
        for found, expected in zip(arrays, natural_entries(A)[1], strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-13)
