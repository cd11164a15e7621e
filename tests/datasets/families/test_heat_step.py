"""Heat: orders in space and time, exact decay, conservation, paths, the pipeline, bad input."""

import itertools

import numpy as np
import pytest

from resolvent.datasets import generate, verify
from resolvent.datasets.families import HeatStep2D, get
from resolvent.datasets.schemes.manufactured import observed_order
from resolvent.operators import Props, check_operator
from resolvent.solvers import CG, FastPoisson

SCHEMES = ("bdf1", "bdf2", "crank_nicolson")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_second_order_in_space(scheme):
    study = observed_order(HeatStep2D(scheme=scheme), (32, 64, 128))
    assert study.within(2.0, 0.1), study.table()


def decay(scheme, steps, lengths=lambda number: 1.0):
    """March the first cosine mode, an eigenvector of the scheme in space, over time 0.05 with a = 1."""
    family = HeatStep2D(resolution=8, scheme=scheme)
    x = family.axes()["x"]
    mode = np.cos(np.pi * x)[:, None] * np.ones(8)
    eigenvalue = 4.0 * 64.0 * np.sin(np.pi / 16.0) ** 2
    raw = np.array([lengths(i) for i in range(steps)])
    dts = 0.05 * raw / raw.sum()
    u_older, u_old, dt_old, time = mode * np.exp(eigenvalue * dts[0]), mode, dts[0], 0.0
    a = np.ones((8, 8))
    for dt in dts:
        inputs = {"a": a, "a_old": a, "u_old": u_old, "u_older": u_older, "dt": dt, "dt_old": dt_old}
        A, b = family.assemble(inputs)
        u = np.linalg.solve(A.to_sparse().toarray(), b).reshape(8, 8)
        u_older, u_old, dt_old, time = u_old, u, dt, time + dt
    return np.abs(u_old - mode * np.exp(-eigenvalue * time)).max()


@pytest.mark.parametrize(("scheme", "order"), [("bdf1", 1), ("bdf2", 2), ("crank_nicolson", 2)])
@pytest.mark.parametrize("lengths", [lambda i: 1.0, lambda i: 1.0 + 0.5 * (i % 2)], ids=["equal", "alternating"])
def test_order_in_time(scheme, order, lengths):
    errors = [decay(scheme, steps, lengths) for steps in (16, 32, 64)]
    orders = [np.log2(e / f) for e, f in itertools.pairwise(errors)]
    assert orders[-1] == pytest.approx(order, abs=0.12), orders


@pytest.mark.parametrize("scheme", SCHEMES)
def test_structure_and_claims(scheme, rng):
    family = HeatStep2D(resolution=10, scheme=scheme)
    inputs = family.draw(rng)
    system = family.assemble(inputs)
    assert all(check.passed for check in family.checks(inputs, system))
    check_operator(system.A).check()
    assert Props.POSITIVE_DEFINITE | Props.M_MATRIX in system.A.props
    declared = {name for name, spec in family.fields().items() if spec.role != "solution"}
    assert set(inputs) == declared


@pytest.mark.parametrize("scheme", SCHEMES)
def test_heat_is_conserved_and_the_maximum_falls(scheme):
    family = HeatStep2D(resolution=16, scheme=scheme)
    start = family.draw(np.random.default_rng(4))["u_old"]
    path = list(family.march(4, 10))
    for step in path:
        assert step.u.mean() == pytest.approx(start.mean(), abs=1e-12 * abs(start).max())
        assert step.rho < 1e-12
    if scheme == "bdf1":  # a discrete maximum principle
        largest = [np.abs(start).max(), *(np.abs(step.u).max() for step in path)]
        assert all(later <= earlier for earlier, later in itertools.pairwise(largest))


def test_a_path_is_a_stream_of_related_systems():
    family = HeatStep2D(resolution=32, scheme="bdf2")
    counts, prepared = [], None

    def solve(system):
        nonlocal prepared
        if prepared is None:
            prepared = CG(rtol=1e-10).prepare(system.A, FastPoisson())
        else:
            prepared.update(system.A)
        result = prepared.solve(system.b)
        counts.append(result.iterations)
        return result.x

    path = list(family.march(0, 6, solve=solve, dt=lambda number: 1e-3 * (1 + number)))
    assert [step.dt for step in path] == pytest.approx([1e-3 * (1 + i) for i in range(6)])
    assert path[-1].time == pytest.approx(21e-3)
    assert max(counts) <= 25 and max(step.rho for step in path) <= 1e-10
    reference = list(family.march(0, 6, dt=lambda number: 1e-3 * (1 + number)))
    np.testing.assert_allclose(path[-1].u, reference[-1].u, atol=1e-8 * abs(reference[-1].u).max())
    diagonals = [step.system.A.diagonal() for step in path]
    changes = [
        np.linalg.norm(later - earlier) / np.linalg.norm(earlier) for earlier, later in itertools.pairwise(diagonals)
    ]
    assert all(0.0 < change < 2.0 for change in changes)
    still = [s.system.A.diagonal() for s in HeatStep2D(resolution=8, drift=0.0).march(0, 3)]
    np.testing.assert_array_equal(still[0], still[2])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sets_are_certified(tmp_path, scheme):
    family = get("heat_step", resolution=16, scheme=scheme)
    ds = generate(family, 4, out=tmp_path / "set.h5", chunk=2, solver="cg+fft", rtol=1e-10)
    assert ds.certificates["certified"].all() and ds.certificates["iterations"].max() <= 25
    assert verify(ds.path).passed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 2}, "at least 4 points"),
        ({"scheme": "leapfrog"}, "needs scheme="),
        ({"dt": 0.0}, "positive step dt"),
        ({"drift": np.inf}, "finite drift"),
        ({"coefficient": "fno_twophase"}, "has two phases"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HeatStep2D(**options)


def test_bad_inputs_are_refused(rng):
    family = HeatStep2D(resolution=8, scheme="bdf2")
    inputs = family.draw(rng)
    for name in ("a", "u_old", "u_older"):
        with pytest.raises(ValueError, match=f"needs '{name}'"):
            family.assemble({key: value for key, value in inputs.items() if key != name})
    with pytest.raises(ValueError, match="must be positive"):
        family.assemble(inputs | {"a": 0.0 * inputs["a"]})
    with pytest.raises(ValueError, match="dt and dt_old must be positive"):
        family.assemble(inputs | {"dt": np.asarray(np.nan)})
    with pytest.raises(ValueError, match="u_older must be finite"):
        family.assemble(inputs | {"u_older": np.full((8, 8), np.nan)})
    with pytest.raises(ValueError, match="u must have the shape"):
        family.restrict({"u": np.zeros(3)})
