"""Elasticity: observed order, known solutions, structure, rigid body modes, sets, bad input."""

import numpy as np
import pytest

from resolvent.datasets import explain, generate, reproduce, verify
from resolvent.datasets.choosing.decision import decide
from resolvent.datasets.evidence.two_grid import refined, two_grid_error
from resolvent.datasets.families import Elasticity2D, get
from resolvent.datasets.family import System
from resolvent.datasets.plots import plot_dataset
from resolvent.datasets.schemes.manufactured import accurate_solution, observed_order
from resolvent.operators import Sparse, check_operator
from resolvent.solvers import AMG, CG


def test_second_order_against_a_manufactured_solution():
    study = observed_order(Elasticity2D(), (33, 65, 129))
    assert study.l2_order == pytest.approx(2.0, abs=0.1), study.table()
    # In the maximum norm h²|log h|, the logarithm from the corners between free edges.
    logarithm = np.log2(np.log(study.spacings[-1]) / np.log(study.spacings[-2]))
    assert study.max_order + logarithm == pytest.approx(2.0, abs=0.1), study.table()


def test_simple_shear_of_a_uniform_material_is_exact():
    """u = (0, γx) has the stress σ_xy = μγ everywhere: shear tractions on all free edges."""
    family = Elasticity2D(resolution=9)
    x = np.repeat(family.axes()["x"][:, None], 9, axis=1)
    shear = 0.25 / 1.3 * 2.0  # μ = E/(2(1 + ν)) with γ = 1
    sideways = np.repeat([[shear, 0.0]], 9, axis=0)
    inputs = {"E": np.ones((9, 9)), "traction_x": np.asarray(0.0), "traction_y": np.asarray(shear)}
    inputs |= {"top": sideways, "bottom": -sideways}
    u = family.expand(accurate_solution(family.assemble(inputs)), inputs)
    np.testing.assert_allclose(u["u_x"], 0.0, atol=1e-13)
    np.testing.assert_allclose(u["u_y"], x, atol=1e-12)


def test_the_clamp_takes_up_the_traction():
    """Twice the work of the traction is the energy, and the forces at the clamp are opposite to those at the load."""
    family = Elasticity2D(resolution=17)
    inputs = family.draw(np.random.default_rng(5))
    A, b = family.assemble(inputs)
    loads = b.reshape(16, 17, 2)
    np.testing.assert_allclose(loads.sum(axis=(0, 1)), [inputs["traction_x"], inputs["traction_y"]], rtol=1e-13)
    assert not loads[:-1].any()
    x = accurate_solution(System(A, b))
    # A translation of the free nodes strains the first column of cells only: its force is the one on the clamp.
    forces = family.rigid_body_modes()[:, :2].T @ A.matvec(x)
    np.testing.assert_allclose(forces, loads.sum(axis=(0, 1)), rtol=1e-10)
    softer = accurate_solution(family.assemble(inputs | {"E": 0.5 * inputs["E"]}))
    np.testing.assert_allclose(softer, 2.0 * x, rtol=1e-9, atol=1e-12)


def test_structure_and_claims(rng):
    family = Elasticity2D(resolution=9)
    inputs = family.draw(rng)
    system = family.assemble(inputs)
    assert all(check.passed for check in family.checks(inputs, system)), family.checks(inputs, system)
    check_operator(system.A).check()
    assert np.linalg.eigvalsh(system.A.to_dense()).min() > 0
    matrix = system.A.to_sparse()
    shifted, swapped, skew = matrix.copy(), matrix.copy(), matrix.tolil(copy=True)
    shifted.setdiag(matrix.diagonal() * 1.001)
    swapped.data = np.roll(matrix.data, 2)
    skew[20, 21] += 0.1
    for faulty, least in ((shifted, 2), (swapped, 2), (skew.tocsr(), 2)):
        failed = [c.name for c in family.checks(inputs, System(Sparse(faulty), system.b)) if not c.passed]
        assert len(failed) >= least, failed
    stiffer = inputs | {"E": inputs["E"] * 1.01}
    assert [c.name for c in family.checks(stiffer, system) if not c.passed] == ["strain energy"]


def test_rigid_body_modes_help_multigrid():
    family = Elasticity2D(resolution=48)
    A, b = family.assemble(family.draw(np.random.default_rng(0)))
    modes = family.rigid_body_modes()
    told, untold = (
        CG().solve(A, b, M=AMG(method="smoothed_aggregation", near_null_space=B)).iterations for B in (modes, None)
    )
    assert 3 * told < untold


def test_systems_of_several_fields_are_factorised():
    decision = decide("auto", 1e-8, Elasticity2D(resolution=65), 0)
    assert decision.chosen == "direct"
    assert "several fields coupled" in decision.why and "2-D" in decision.why


def test_sets_are_certified_verified_and_reproduced(tmp_path):
    ds = generate(get("elasticity", resolution=12), 5, out=tmp_path / "set.h5", chunk=3)
    assert ds.certificates["certified"].all() and ds.certificates["rho_float64"].max() < 1e-11
    assert verify(ds.path).passed
    assert reproduce(ds.path, 4).identical
    assert 1e-4 < min(ds.provenance["discretisation"]["two_grid_errors"]) < 0.2
    plot_dataset(ds)
    x, y = ds.torch()[0]
    assert x.shape == (3, 12, 12) and y.shape == (2, 12, 12)


def test_draws_are_nested_and_estimates_fall():
    coarse, fine = (Elasticity2D(resolution=n).draw(np.random.default_rng(3)) for n in (33, 65))
    assert coarse["traction_x"] == fine["traction_x"] and np.hypot(*(fine[f"traction_{a}"] for a in "xy")) == 1.0
    assert abs(fine["E"][::2, ::2] / coarse["E"] - 1.0).max() < 0.05
    family = Elasticity2D(resolution=17)
    errors = [two_grid_error(member, 0) for member in (family, refined(family))]
    assert 2.0 < errors[0] / errors[1] < 4.5


def test_bad_input_is_refused(rng):
    with pytest.raises(ValueError, match="at least 4 points"):
        Elasticity2D(resolution=3)
    with pytest.raises(ValueError, match="known are skr"):
        Elasticity2D(coefficient="zzz")
    family = Elasticity2D(resolution=8)
    inputs = family.draw(rng)
    with pytest.raises(ValueError, match="needs 'traction_y' among its inputs"):
        family.assemble({name: inputs[name] for name in ("E", "traction_x")})
    with pytest.raises(ValueError, match="coefficient E must be positive"):
        family.assemble(inputs | {"E": -inputs["E"]})
    with pytest.raises(ValueError, match="traction_x must be finite"):
        family.assemble(inputs | {"traction_x": np.asarray(np.nan)})
    with pytest.raises(ValueError, match="top must have the shape"):
        family.assemble(inputs | {"top": np.zeros((8, 3))})
    with pytest.raises(ValueError, match="u_y must have the shape"):
        family.restrict({"u_x": np.zeros((8, 8)), "u_y": np.zeros(3)})


@pytest.mark.parametrize(("n", "chosen"), [(64, "direct"), (129, "cg+amg:aggregation")])
def test_large_systems_are_aggregated_with_their_rigid_body_modes(n, chosen):
    decision = explain(Elasticity2D(resolution=n))
    assert decision.chosen == chosen and "several fields coupled" in decision.why
    assert ("FamilyAggregation" in repr(decision.method)) == (chosen != "direct")


def test_aggregation_keeps_its_interpolation_and_is_certified(tmp_path):
    family = Elasticity2D(resolution=20)
    ds = generate(family, 4, out=tmp_path / "set.h5", solver="cg+amg:aggregation", chunk=2)
    assert ds.certificates["certified"].all() and 5 < ds.certificates["iterations"].max() < 40
    assert verify(ds.path).passed and reproduce(ds.path, 3).identical
    again = generate(family, 4, out=tmp_path / "two.h5", solver="cg+amg:aggregation", chunk=2, workers=2)
    assert again.content_sha256 == ds.content_sha256
    blind = generate(family, 2, out=tmp_path / "blind.h5", solver="cg+amg", chunk=2)
    assert ds.certificates["iterations"].max() < blind.certificates["iterations"].max()
