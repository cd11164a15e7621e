"""Darcy families: exact discrete solutions, observed orders, the contract with the pipeline, refused input."""

import itertools
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from resolvent.datasets.families import Darcy2D, Darcy3D
from resolvent.datasets.families.coefficients import PRESETS, coefficient_law
from resolvent.datasets.schemes.diffusion import (
    cell_transmissibilities,
    manufactured_diffusion,
    vertex_transmissibilities,
)
from resolvent.datasets.schemes.manufactured import observed_order
from resolvent.operators import Props

FAMILIES = [
    cls(resolution=n, grid=grid) for cls, n in ((Darcy2D, 9), (Darcy3D, 6)) for grid in ("cell", "vertex")
]  # fmt: skip
NAMES = [f"{f.name}-{f.grid}" for f in FAMILIES]


@pytest.fixture(params=FAMILIES, ids=NAMES)
def family(request):
    return request.param


def reference_matrix(family, a):
    """The operator from its definition, unknown by unknown: fluxes through the faces of every control volume."""
    h, shape = family.h, family.unknowns
    offset = 0 if family.grid == "cell" else 1
    A = np.zeros((np.prod(shape),) * 2)
    for i in itertools.product(*(range(m) for m in shape)):
        row = np.ravel_multi_index(i, shape)
        here = a[tuple(np.add(i, offset))]
        for axis, step in itertools.product(range(family.dim), (-1, 1)):
            j = list(i)
            j[axis] += step
            inside = 0 <= j[axis] < shape[axis]
            if family.grid == "cell" and not inside:
                t = here / (h / 2) / h
            else:
                there = a[tuple(np.add(j, offset))]
                t = 1 / (0.5 / here + 0.5 / there) / h**2
            A[row, row] += t
            if inside:
                A[row, np.ravel_multi_index(j, shape)] -= t
    return A


@pytest.mark.parametrize("coefficient", ["skr", "fno_twophase", "lognormal_unit"])
def test_the_operator_is_the_flux_balance(family, coefficient, rng):
    family = type(family)(resolution=family.resolution, grid=family.grid, coefficient=coefficient)
    inputs = family.draw(rng)
    A, b = family.assemble(inputs)
    expected = reference_matrix(family, inputs["a"])
    np.testing.assert_allclose(A.to_sparse().toarray(), expected, rtol=1e-13, atol=1e-13 * expected.max())
    np.testing.assert_allclose(A.matvec(b), expected @ b, rtol=1e-11, atol=1e-12 * expected.max())
    np.testing.assert_array_equal(b, 1.0)
    assert A.grid == family.unknowns
    assert Props.POSITIVE_DEFINITE | Props.M_MATRIX in A.props


def test_eigenvectors_of_the_constant_coefficient(family):
    x = list(family.axes().values())
    A, _ = family.assemble({"a": np.full(family.shape, 2.5)})
    for k in ((1, 1, 1), (2, 1, 3)):
        # sin(πkx) is an eigenvector of both schemes, with eigenvalue 4/h² sin²(πkh/2) in each direction.
        sines = [np.sin(np.pi * k[j] * x[j]) for j in range(family.dim)]
        v = family.restrict({"u": np.multiply.outer(np.multiply.outer(sines[0], sines[1]), sines[2])
                             if family.dim == 3 else np.multiply.outer(*sines)})  # fmt: skip
        eigenvalue = 2.5 * sum(4 / family.h**2 * np.sin(np.pi * k[j] * family.h / 2) ** 2 for j in range(family.dim))
        np.testing.assert_allclose(A.matvec(v), eigenvalue * v, atol=1e-11 * eigenvalue)


@pytest.mark.parametrize("resolution,grid", [(64, "cell"), (65, "vertex")])
def test_a_sample_equals_an_independent_solution(resolution, grid):
    # −Δu = 1 by the Kronecker sum of second differences, solved by sparse LU.
    family = Darcy2D(resolution=resolution, grid=grid)
    A, b = family.assemble({"a": np.ones(family.shape)})
    m = family.unknowns[0]
    line = sp.diags_array([-np.ones(m - 1), 2 * np.ones(m), -np.ones(m - 1)], offsets=[-1, 0, 1]).tolil()
    if grid == "cell":
        line[0, 0] = line[-1, -1] = 3.0
    expected = spla.spsolve(sp.csc_array(sp.kronsum(line, line)) / family.h**2, np.ones(m * m))
    u = spla.spsolve(sp.csc_array(A.to_sparse()), b)
    np.testing.assert_allclose(u, expected, rtol=1e-11)
    # The centre of the square, by the double sine series of −Δu = 1.
    centre = 0.07367135328
    field = family.expand(u, {})["u"]
    middle = field[32, 32] if grid == "vertex" else field[31:33, 31:33].mean()
    assert middle == pytest.approx(centre, abs=0.5 / resolution**2)


def test_the_centre_value_by_its_series():
    odd = np.arange(1, 4001, 2)
    # One of the two sums of the double sine series done in closed form: it converges like exp(−πk/2).
    sign = (-1.0) ** ((odd - 1) // 2)
    decay = 1 / np.cosh(np.minimum(np.pi * odd / 2, 700.0))
    series = 1 / 8 - 4 / np.pi**3 * np.sum(sign * decay / odd**3)
    assert series == pytest.approx(0.07367135328, abs=1e-10)


@pytest.mark.parametrize(
    "cls,resolutions", [(Darcy2D, (32, 64, 128)), (Darcy3D, (8, 16, 24))], ids=["darcy2d", "darcy3d"]
)
@pytest.mark.parametrize("grid", ["cell", "vertex"])
def test_second_order_against_a_manufactured_solution(cls, resolutions, grid):
    study = observed_order(cls(grid=grid), [n + (grid == "vertex") for n in resolutions])
    assert study.within(2.0, 0.1), study.table()


def test_the_manufactured_source_belongs_to_the_solution():
    # The flux balance by sixth-order differences on a fine grid away from the boundary.
    h = 1e-2
    x, y, z = (0.3 + h * np.arange(-6, 7) for _ in range(3))
    a, f, u = manufactured_diffusion((x, y + 0.2, z - 0.1))
    weights = np.array([-1, 9, -45, 0, 45, -9, 1]) / (60 * h)

    def derivative(g, axis):
        return np.apply_along_axis(lambda line: np.convolve(line, weights[::-1], mode="valid"), axis, g)

    inner = slice(3, -3)
    total = 0.0
    for axis in range(3):
        flux = a[_along(axis, inner)] * derivative(u, axis)
        others = tuple(slice(None) if other == axis else slice(6, 7) for other in range(3))
        total = total - derivative(flux[others], axis).ravel()[0]
    assert total == pytest.approx(f[6, 6, 6], rel=1e-7)


def _along(axis, part):
    return tuple(part if other == axis else slice(None) for other in range(3))


def test_expand_and_restrict_are_inverse(family, rng):
    inputs = family.draw(rng)
    x = rng.standard_normal(int(np.prod(family.unknowns)))
    solution = family.expand(x, inputs)
    assert solution["u"].shape == family.shape == family.fields()["u"].shape
    np.testing.assert_array_equal(family.restrict(solution), x)
    if family.grid == "vertex":
        assert all(not face.any() for axis in range(family.dim) for face in (
            solution["u"].take(0, axis=axis), solution["u"].take(-1, axis=axis)))  # fmt: skip
    with pytest.raises(ValueError, match=r"u must have the shape"):
        family.restrict({"u": np.zeros(3)})


@pytest.mark.parametrize("coefficient", PRESETS)
@pytest.mark.parametrize("source", ["one", "grf"])
def test_draws_match_the_declared_fields_and_are_admissible(family, coefficient, source, rng):
    family = type(family)(resolution=family.resolution, grid=family.grid, coefficient=coefficient, source=source)
    inputs = family.draw(rng)
    declared = {name: spec for name, spec in family.fields().items() if spec.role == "input"}
    assert {name: value.shape for name, value in inputs.items()} == {n: s.shape for n, s in declared.items()}
    assert all(value.dtype == np.float64 for value in inputs.values())
    system = family.assemble(inputs)
    assert all(check.passed for check in family.checks(inputs, system))
    if source == "grf":
        np.testing.assert_array_equal(system.b, family.restrict({"u": inputs["f"]}))


@pytest.mark.parametrize("coefficient", PRESETS)
def test_presets_have_the_documented_law(coefficient):
    law = coefficient_law(coefficient, 2)
    a = law.draw(0, 64)
    if law.phases is None:
        np.testing.assert_allclose(np.log(a), law.field.sample(0, 64), atol=1e-14)
    else:
        np.testing.assert_array_equal(a == 12.0, law.field.sample(0, 64) >= 0)
        assert set(np.unique(a)) == set(law.phases)
    deviation = law.field.mean_variance() ** 0.5
    expected = {"skr": 0.1852, "lognormal_unit": 1.0}.get(coefficient, 0.2921)
    assert deviation == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("coefficient", ["skr", "lognormal_unit"])
def test_one_stream_is_one_problem_on_every_grid(coefficient):
    # Truncation of the coarse grid's series is the only difference, and it shrinks with the resolution.
    def inputs(n):
        family = Darcy2D(resolution=n, grid="vertex", coefficient=coefficient, source="grf")
        return family.draw(np.random.default_rng(11))

    finest = inputs(257)
    for name in ("a", "f"):
        errors = []
        for n in (33, 65, 129):
            every = 256 // (n - 1)
            reference = finest[name][::every, ::every]
            errors.append(np.abs(inputs(n)[name] - reference).mean() / np.abs(reference).mean())
        assert errors[0] > 1.5 * errors[1] > 2.25 * errors[2]
        assert errors[2] < 0.02


def test_transmissibilities_of_an_ensemble_are_those_of_its_members(rng):
    members = np.exp(rng.standard_normal((5, 6, 3)))
    for function in (cell_transmissibilities, vertex_transmissibilities):
        together = function(members, 0.1, 2)
        for k in range(3):
            for t, single in zip(together, function(members[..., k], 0.1, 2), strict=True):
                np.testing.assert_array_equal(t[..., k], single)


def test_insulated_walls_have_no_flux(rng):
    t_x, t_y = cell_transmissibilities(np.exp(rng.standard_normal((5, 6))), 0.1, 2, wall="insulated")
    assert (t_x.shape, t_y.shape) == ((6, 6), (5, 7))
    assert not t_x[[0, -1]].any()
    assert not t_y[:, [0, -1]].any()
    assert t_x[1:-1].min() > 0


def test_axes_are_the_points_of_the_grid():
    np.testing.assert_allclose(Darcy2D(resolution=4).axes()["x"], [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(Darcy3D(resolution=5, grid="vertex").axes()["z"], [0, 0.25, 0.5, 0.75, 1])


def test_families_are_values():
    family = Darcy2D(resolution=10, coefficient="skr")
    assert pickle.loads(pickle.dumps(family)) == family
    assert family.config() == {
        "family": "darcy2d", "resolution": 10, "grid": "cell", "coefficient": "skr", "source": "one"
    }  # fmt: skip
    assert "343·(−Δ + 7²)^(−2.5)" in family.law()


@pytest.mark.parametrize(
    "options,message",
    [
        ({"resolution": 3}, "at least 4 points per side, got 3"),
        ({"resolution": 16.0}, "at least 4 points per side, got 16.0"),
        ({"grid": "node"}, "grid='cell' or grid='vertex', got 'node'"),
        ({"source": "two"}, "source='one'"),
        ({"coefficient": "fno_lognorm"}, "did you mean 'fno_lognormal'"),
        ({"coefficient": "zzz"}, "known are skr, fno_lognormal"),
    ],
)
@pytest.mark.parametrize("cls", [Darcy2D, Darcy3D])
def test_bad_options_are_refused(cls, options, message):
    with pytest.raises(ValueError, match=message):
        cls(**options)


def test_bad_inputs_are_refused_with_the_first_offender(family):
    def with_entry(index, value):
        a = np.ones(family.shape)
        a[index] = value
        return {"a": a}

    where = (2, 1, 3)[: family.dim]
    later = (4, 0, 0)[: family.dim]
    for value in (0.0, -1.0, np.nan, np.inf):
        inputs = with_entry(where, value)
        inputs["a"][later] = value
        with pytest.raises(ValueError, match=rf"index {str(where)[:-1]}\)".replace("(", r"\(")):
            family.assemble(inputs)
    with pytest.raises(ValueError, match="shape"):
        family.assemble({"a": np.ones((3, 3))})
    with pytest.raises(ValueError, match="needs the coefficient 'a'"):
        family.assemble({})
    with pytest.raises(ValueError, match="f must be finite"):
        family.assemble({"a": np.ones(family.shape), "f": np.full(family.shape, np.nan)})


def test_a_random_source_must_be_given():
    family = Darcy2D(resolution=8, source="grf")
    with pytest.raises(ValueError, match="needs the source 'f'"):
        family.assemble({"a": np.ones((8, 8))})
