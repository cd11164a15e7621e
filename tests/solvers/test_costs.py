"""The cost model: interpolation, the stored figures, calibrations that are damaged or foreign, and what is measured."""

import dataclasses
import itertools
import json
import logging
import math

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent import choose, solve
from resolvent.operators import SPD, Ensemble, Sparse, Stencil, check_operator, detect_props
from resolvent.solvers import CG, GCRODR, GMRES, MINRES, Direct, FastPoisson, MultigridCG
from resolvent.solvers.candidates import DIRECT_UNKNOWNS, candidates, estimate, ranked
from resolvent.solvers.costs import (
    CalibrationError,
    CostModel,
    Curve,
    Point,
    calibrated_model,
    calibration_path,
    ensemble_width,
    measure,
    packaged_model,
    read_calibration,
    remove_calibration,
    write_calibration,
)
from resolvent.solvers.costs.model import KINDS, PARTS
from resolvent.solvers.costs.problems import problem
from resolvent.solvers.costs.stored import this_machine
from resolvent.solvers.costs.ways import CACHED_UNKNOWNS, LONG_ROW, WIDEST
from resolvent.solvers.structure import Structure, structure_of

SIZES = np.unique(np.logspace(0, 9, 200).astype(int))


def point(n, seconds=1e-3):
    return Point(n, seconds, seconds, seconds, seconds)


@pytest.fixture
def calibration(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "costs.json"
    monkeypatch.setenv("RESOLVENT_CALIBRATION", str(path))
    return path


def model(seconds=1e-3, **machine):
    curve = Curve([point(256, seconds), point(4096, 20 * seconds)])
    return CostModel({"definite-2d": {"direct": curve}}, this_machine() | machine)


# The model ----------------------------------------------------------------------------------------------------------


def test_estimates_are_finite_and_never_fall_with_the_size():
    stored = packaged_model()
    for kind, ways in stored.curves.items():
        for way, curve in ways.items():
            for name in PARTS:
                values = np.array([curve.part(name, n) for n in SIZES])
                assert np.isfinite(values).all() and (values > 0.0).all(), (kind, way, name)
                assert (np.diff(values) >= -1e-15).all(), (kind, way, name)


def test_a_curve_goes_through_its_points_and_follows_power_laws():
    curve = Curve([point(100), point(10_000, 1e-1), point(1_000_000, 2e-1)])
    assert curve.part("solve", 100) == pytest.approx(1e-3)
    assert curve.part("solve", 1000) == pytest.approx(1e-2)
    assert curve.part("solve", 1) == pytest.approx(1e-3), "an overhead does not shrink with the size"
    assert curve.part("solve", 10**8) == pytest.approx(20.0), "no less than linear beyond the last point"
    noisy = Curve([point(100, 2e-3), point(1000, 1e-3)])
    assert noisy.part("first", 1000) == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("n_systems", "rhs", "expected"),
    [(1, 1, 11.0), (1, 5, 15.0), (2, 1, 8.0), (math.inf, 1, 5.0), (1, math.inf, 1.0), (4, 2, 7.5)],
)
def test_set_up_is_shared_among_what_reuses_it(n_systems, rhs, expected):
    curve = Curve([Point(100, first=9.0, again=3.0, solve=2.0, column=1.0)])
    assert curve.seconds(100, n_systems, rhs) == pytest.approx(expected)


@pytest.mark.parametrize(
    "values",
    [{"first": -1.0}, {"solve": math.nan}, {"again": math.inf}, {"column": "1"}, {"unknowns": 0}, {"unknowns": 1.5}],
)
def test_points_that_are_no_times_are_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        Point(**(dataclasses.asdict(point(100)) | values))


def test_curves_need_increasing_sizes():
    with pytest.raises(ValueError, match="increasing size"):
        Curve([point(100), point(100)])
    with pytest.raises(ValueError, match="increasing size"):
        Curve([])


def test_the_stored_model_covers_every_kind_and_names_its_machine():
    stored = packaged_model()
    assert set(stored.curves) == set(KINDS) == set(measure.PLAN)
    assert {kind: set(ways) for kind, ways in stored.curves.items()} == {k: set(w) for k, w in measure.PLAN.items()}
    assert stored.machine["cpu"] in stored.label
    again = CostModel.from_json(json.loads(json.dumps(stored.to_json())))
    assert again.to_json() == stored.to_json()


def test_a_calibration_scales_what_it_measured_and_the_rest_by_its_median():
    stored = packaged_model()
    direct = stored.curves["definite-2d"]["direct"]
    local = CostModel(
        {
            "definite-2d": {
                "direct": Curve([Point(p.unknowns, *(3 * getattr(p, k) for k in PARTS)) for p in direct.points[1:4]])
            }
        },
        this_machine(),
    )
    adjusted = stored.adjusted(local)
    for n in (100, 5000, 10**6):
        for kind, way in (("definite-2d", "direct"), ("nonsymmetric-3d", "bicgstab+ilu0")):
            ratio = adjusted.curves[kind][way].seconds(n) / stored.curves[kind][way].seconds(n)
            assert ratio == pytest.approx(3.0, rel=0.35), (kind, n)
    assert adjusted.label == local.label


# Calibrations on disk ----------------------------------------------------------------------------------------------


def test_calibrations_are_written_read_and_removed(calibration):
    assert calibration_path() == calibration and calibrated_model() is packaged_model()
    with pytest.raises(CalibrationError, match="no calibration"):
        read_calibration()
    assert write_calibration(model()) == calibration
    assert list(calibration.parent.iterdir()) == [calibration], "no temporary file is left"
    assert read_calibration().to_json() == model().to_json()
    assert calibrated_model() is not packaged_model() and calibrated_model() is calibrated_model()
    assert remove_calibration() and not remove_calibration()
    assert calibrated_model() is packaged_model()


def test_the_path_follows_the_rules_of_the_desktop(monkeypatch, tmp_path):
    monkeypatch.delenv("RESOLVENT_CALIBRATION")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert calibration_path() == tmp_path / "resolvent" / "costs.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert calibration_path() == tmp_path / ".cache" / "resolvent" / "costs.json"


def spoilt(change):
    data = model().to_json()
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cannot be used"),
        ("{}", "not a cost model"),
        ("[1, 2", "cannot be used"),
        ("[" * 100_000, "cannot be used"),
        ("\x80\x04\x95", "cannot be used"),
        (spoilt(lambda d: d.update(version=99)), "version 99"),
        (spoilt(lambda d: d.update(machine=3)), "machine"),
        (spoilt(lambda d: d.update(curves=[])), "no curves"),
        (spoilt(lambda d: d["curves"]["definite-2d"].update(direct=5)), "definite-2d, direct"),
        (spoilt(lambda d: d["curves"]["definite-2d"]["direct"][0].update(first=-1)), "damaged"),
        (spoilt(lambda d: d["curves"]["definite-2d"]["direct"][0].update(extra=1)), "damaged"),
        (spoilt(lambda d: d["curves"]["definite-2d"]["direct"].reverse()), "increasing"),
        (spoilt(lambda d: d["machine"].update(cpu="Z80")), "another machine"),
    ],
)
def test_damaged_and_foreign_calibrations_are_refused_when_read_and_ignored_when_choosing(
    calibration, caplog, content, said
):
    calibration.parent.mkdir()
    calibration.write_text(content, encoding="latin-1")
    with pytest.raises(CalibrationError, match=said) as caught:
        read_calibration()
    assert str(calibration) in str(caught.value) and "resolvent calibrate" in str(caught.value)
    with caplog.at_level(logging.WARNING, logger="resolvent"):
        assert calibrated_model() is packaged_model()
        assert choose(sp.eye_array(5, format="csr")).solver == Direct()
    assert [record.levelname for record in caplog.records] == ["WARNING"], "said once"


def test_a_write_that_fails_leaves_the_old_calibration(calibration, monkeypatch):
    write_calibration(model())
    monkeypatch.setattr("os.fsync", lambda file: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_calibration(model(2.0))
    assert read_calibration().to_json() == model().to_json()
    assert list(calibration.parent.iterdir()) == [calibration]


# Model problems and measurements -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_model_problems_are_of_their_kind(kind):
    A, b = problem(kind, 20 if kind == "narrow" else 9, 0)
    other, _ = problem(kind, 20 if kind == "narrow" else 9, 1)
    check_operator(A, rng=0)
    matrix = A.to_sparse()
    found = structure_of(A, A.props | detect_props(matrix), matrix)
    expected = kind.replace("constant", "definite")
    assert found.kind == expected and found.constant == kind.startswith("constant")
    assert b.shape == (A.shape[0],) and abs(other.to_sparse() - matrix).max() > 0.0
    assert solve(A, b).converged


def test_every_way_of_the_plan_is_measured():
    sizes = {"": (30,), "2d": (4,), "3d": (3,)}
    found = [m for m in measure.measurements(sizes, patience=0.0, repeats=1) if m is not None]
    assert len(found) == measure.steps(sizes) == sum(map(len, measure.PLAN.values()))
    fitted = measure.fitted(found, load="1.0")
    assert CostModel.from_json(fitted.to_json()).machine["load"] == "1.0"
    assert {(m.kind, m.way) for m in found} == {(k, w) for k, ways in measure.PLAN.items() for w in ways}


def test_sizes_that_would_take_too_long_are_left_out():
    sizes = {"": (30,), "2d": (4, 4000), "3d": (3, 3000)}
    assert sum(m is None for m in measure.measurements(sizes, patience=1e-3, repeats=1)) > 20


# Structures and what they lead to ----------------------------------------------------------------------------------


def test_structures_are_seen_in_matrices_too():
    A, _ = problem("definite-2d", 50, 0)
    shuffled = np.random.default_rng(0).permutation(2500)
    matrix = A.to_sparse()
    assert structure_of(A, A.props).box and structure_of(Sparse(matrix), A.props, matrix).box
    mixed = matrix[shuffled][:, shuffled]
    assert structure_of(Sparse(mixed), A.props, mixed) == Structure(2500, 2, "definite", stable=True)
    constant, _ = problem("constant-3d", 14, 0)
    matrix = constant.to_sparse()
    found = structure_of(Sparse(matrix), constant.props, matrix)
    assert found.constant and found.box and found.dimension == 3
    assert choose(matrix).solver == FastPoisson() and solve(matrix, np.ones(14**3)).converged


def test_circles_are_no_boxes_for_the_fused_multigrid():
    ring = sp.csr_array(sp.diags_array([-1.0, -1.0, 2.1, -1.0, -1.0], offsets=[-49, -1, 0, 1, 49], shape=(50, 50)))
    plane = sp.csr_array(sp.kronsum(ring, ring))
    found = choose(plane)
    assert not found.structure.box and not isinstance(found.solver, MultigridCG)
    assert solve(plane, np.ones(2500)).converged


def test_ensembles_and_stencils_are_chosen_for_without_assembling(monkeypatch):
    members = [problem("definite-2d", 40, number)[0] for number in range(8)]
    monkeypatch.setattr(Stencil, "to_sparse", lambda self: pytest.fail("assembled"))
    together = choose(Ensemble(members))
    assert isinstance(together.solver, MultigridCG) and together.structure.members == 8
    alone = choose(members[0], n_systems=1000)
    assert isinstance(alone.solver, MultigridCG) and "Ensemble" in str(alone)


def test_ensembles_of_matrices_are_solved_one_member_after_the_other():
    members = [Sparse(problem("definite-2d", 12, number)[0].to_sparse(), props=SPD) for number in range(3)]
    choice = choose(Ensemble(members))
    assert isinstance(choice.solver, Direct) and choice.structure.unknowns == 144 and choice.structure.members == 3
    b = np.random.default_rng(0).standard_normal((144, 3))
    x = solve(Ensemble(members), b).x
    for number, member in enumerate(members):
        np.testing.assert_allclose(member @ x[:, number], b[:, number], rtol=1e-6, atol=1e-6)


def test_more_right_hand_sides_favour_a_factorisation():
    A, _ = problem("nonsymmetric-3d", 12, 0)
    one, many = choose(A), choose(A, rhs=math.inf)
    assert type(one.solver) is not Direct and isinstance(many.solver, Direct)
    assert "right-hand sides of each: very many" in str(many)
    b = np.random.default_rng(0).standard_normal((A.shape[0], 2000))
    assert solve(A, b, rtol=1e-6).solver.startswith("Direct")


def test_the_reasons_hold_every_estimate_and_the_winner_is_marked():
    A, _ = problem("definite-3d", 64, 0)
    choice = choose(A)
    text = str(choice)
    assert text.index("estimated multigrid") < text.index("against") and "cg+amg" in text and "measured on" in text
    assert choice.estimates[0].way == "multigrid" and len(choice.estimates) == len({e.way for e in choice.estimates})
    assert choose(A) == choice, "nothing is timed"


def test_risky_methods_need_a_lead():
    structure = Structure(10_000, 3, "nonsymmetric", stable=True)
    curves = {"direct": Curve([point(100, 1.0)]), "bicgstab+ilu0": Curve([point(100, 0.9)])}
    assert ranked(structure, CostModel({"nonsymmetric-3d": curves}, {}))[0].way == "direct"
    curves["bicgstab+ilu0"] = Curve([point(100, 0.7)])
    assert ranked(structure, CostModel({"nonsymmetric-3d": curves}, {}))[0].way == "bicgstab+ilu0"


def test_fewer_digits_cost_iterations_less():
    structure, stored = Structure(10_000, 2, "definite"), packaged_model()
    loose, tight = (estimate(structure, "cg+amg", stored, rtol=rtol).seconds for rtol in (1e-3, 1e-12))
    assert loose < tight
    assert estimate(structure, "direct", stored, rtol=1e-3) == estimate(structure, "direct", stored, rtol=1e-12)


def test_what_does_not_fit_into_memory_is_not_factorised():
    for dimension, limit in DIRECT_UNKNOWNS.items():
        if not math.isinf(limit):
            assert "direct" in candidates(Structure(int(limit), dimension, "indefinite"))
            assert "direct" not in candidates(Structure(int(limit) + 1, dimension, "indefinite"))
    A, _ = problem("indefinite-3d", 38, 0)
    assert isinstance(choose(A).solver, MINRES)
    waves, _ = problem("complex-3d", 38, 0)
    assert type(choose(waves).solver).__name__ == "COCG"


def test_a_sequence_of_hard_nonsymmetric_systems_is_recycled():
    one = sp.diags_array([-9.0, 2.0, 7.0], offsets=[-1, 0, 1], shape=(38, 38))
    A = sp.csr_array(sp.kronsum(sp.kronsum(one, one), one))
    assert isinstance(choose(A).solver, GMRES) and isinstance(choose(A, n_systems=20).solver, GCRODR)


@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, True, "many"])
def test_counts_must_be_whole(value):
    A = sp.eye_array(4, format="csr")
    with pytest.raises(ValueError, match="n_systems must be"):
        choose(A, n_systems=value)
    with pytest.raises(ValueError, match="rhs must be"):
        choose(A, rhs=value)


def test_matrices_with_nan_get_no_preconditioner():
    A, _ = problem("definite-3d", 16, 0)
    matrix = A.to_sparse()
    matrix.data[5] = np.nan
    choice = choose(Sparse(matrix, props=SPD))
    assert choice.M is None and isinstance(choice.solver, CG | Direct)
    assert not solve(Sparse(matrix, props=SPD), np.ones(A.shape[0])).converged


def test_the_widest_ensemble_fits_the_caches_or_has_short_rows_and_fits_the_chunk():
    for n, dimension in itertools.product((100, 4096, 10_000, 10**6, 10**7), (1, 2, 3)):
        width = ensemble_width(n, dimension)
        assert width == 1 or width * n <= CACHED_UNKNOWNS or width * n ** (1 / dimension) <= LONG_ROW + 1
        assert width == WIDEST or 2 * width * n > CACHED_UNKNOWNS
        assert all(whole % ensemble_width(n, dimension, whole) == 0 for whole in range(1, 20))
    assert [ensemble_width(n**3, 3) for n in (32, 64, 128)] == [8, 4, 2]


# Where the first choice fails --------------------------------------------------------------------------------------
