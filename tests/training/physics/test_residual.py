"""Losses by the discrete equations, steps of a solver after a network, and samples without labels."""

import copy
import pickle

import numpy as np
import pytest
import torch

from resolvent.datasets import families
from resolvent.operators import StructureError
from resolvent.operators.neural import build
from resolvent.solvers import Direct
from resolvent.training import Correction, Geometry, NonFiniteError, Trainer, TrainingConfig, as_pairs, load_model
from resolvent.training.losses import Residual, build_loss
from resolvent.training.physics.discrete_systems import DiscreteSystems

VERTEX = {"family": "darcy2d", "grid": "vertex", "coefficient": "fno_twophase"}


def samples(family, count=2, seed=0):
    """Inputs and exact discrete solutions as channels, in double precision."""
    rng, x, y = np.random.default_rng(seed), [], []
    for _ in range(count):
        inputs = family.draw(rng)
        u = family.expand(Direct(rtol=1e-13).solve(*family.assemble(inputs)).x, inputs)
        specs, grid = family.fields(), tuple(len(axis) for axis in family.axes().values())
        given = [inputs[name] for name, spec in specs.items() if spec.role == "input"]
        x.append(np.stack([np.broadcast_to(np.asarray(v, dtype=float), grid) for v in given]))
        fields = [u[name] for name, spec in specs.items() if spec.role == "solution"]
        y.append(np.stack([part for f in fields for part in ([f.real, f.imag] if np.iscomplexobj(f) else [f])]))
    return torch.tensor(np.stack(x)), torch.tensor(np.stack(y)), inputs


CASES = [
    ("darcy2d", {"resolution": 12}, {}),
    ("darcy2d", {"resolution": 13, "grid": "vertex", "source": "grf"}, {}),
    ("darcy3d", {"resolution": 6}, {}),
    ("convdiff2d", {"resolution": 13}, ("peclet",)),
    ("poisson_chebyshev", {"resolution": 12}, ()),
    ("elasticity2d", {"resolution": 9}, ()),
    ("helmholtz2d", {"resolution": 16, "wavenumber": 10.0}, ("source",)),
    ("poisson_obstacles", {"resolution": 16, "dim": 2}, ()),
    ("thermal", {"resolution": 21}, ()),
]


def case(name, options, constants):
    family = families.get(name, **options)
    x, y, inputs = samples(family, count=1 if constants else 2)
    shared = {key: np.asarray(inputs[key]).tolist() for key in constants}
    return family, x, y, shared


@pytest.mark.parametrize("name, options, constants", CASES)
def test_the_discrete_solution_has_no_residual(name, options, constants):
    family, x, y, shared = case(name, options, constants)
    loss = Residual(family=family, norm="euclidean", constants=shared)
    geometry = Geometry(tuple(family.axes().values()))
    assert loss(y, y, geometry, x).max() <= 1e-11
    # And as the package's own operators see it.
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    systems = DiscreteSystems(family, constants=shared).of(x)
    u, first = systems.unknowns(noise), {}
    specs, at = family.fields(), 0
    for key, spec in specs.items():
        if spec.role == "solution":
            parts = 2 if spec.kind == "complex" else 1
            values = noise[0, at : at + parts].numpy()
            first[key], at = (values[0] if parts == 1 else values[0] + 1j * values[1]), at + parts
    inputs = {
        **shared,
        **{key: x[0, i].numpy() for i, key in enumerate(k for k, s in specs.items() if s.role == "input")},
    }
    inputs = {key: np.asarray(v).flat[0] if specs[key].shape == () else np.asarray(v) for key, v in inputs.items()}
    inputs = {key: v > 0.5 if specs[key].kind == "boolean" else v for key, v in inputs.items()}
    A, b = family.assemble(inputs)
    wanted = A @ family.restrict(first)
    assert np.allclose(systems.apply(u)[0].numpy(), wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())
    assert np.allclose(systems.b[0].numpy(), b)
    assert torch.allclose(systems.fields(systems.unknowns(y)), y, atol=1e-14)


@pytest.mark.parametrize("norm", ["dual", "euclidean", "energy"])
def test_gradients_agree_with_differences(norm):
    family = families.get("darcy2d", resolution=7, grid="vertex")
    x, y, _ = samples(family)
    loss, geometry = Residual(family=VERTEX, norm=norm), Geometry.unit([7, 7])
    u = 1.1 * y + 1e-3 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: loss(v, y, geometry, x), u.requires_grad_(), eps=1e-7, atol=1e-5)


def test_gradients_agree_with_differences_where_the_matrix_is_sparse_and_complex():
    family, x, y, shared = case("helmholtz2d", {"resolution": 16, "wavenumber": 10.0}, ("source",))
    loss = Residual(family=family, norm="euclidean", constants=shared)
    geometry = Geometry(tuple(family.axes().values()))
    u, d = torch.randn(2, *y.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(loss(u.requires_grad_(), y, geometry, x).sum(), u)
    with torch.no_grad():
        ends = [loss(u + t * d, y, geometry, x).sum() for t in (1e-5, -1e-5)]
    assert torch.isclose((gradient * d).sum(), (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


def test_dual_norm_is_about_the_energy_norm_of_the_error_on_every_grid():
    ratios = {"dual": [], "euclidean": []}
    for n in (9, 17, 33):
        family = families.get("darcy2d", resolution=n, grid="vertex", coefficient="fno_twophase")
        x, y, inputs = samples(family, count=1)
        A, b = family.assemble(inputs)
        e = np.random.default_rng(0).standard_normal(len(b))
        e *= np.linalg.norm(family.restrict({"u": y[0, 0].numpy()})) / np.linalg.norm(e)
        energy = np.sqrt(e @ (A @ e) / (b @ Direct().solve(A, b).x))
        u = y.clone()
        u[0, 0, 1:-1, 1:-1] += torch.tensor(e.reshape(n - 2, n - 2))
        for norm, found in ratios.items():
            found.append(float(Residual(family=VERTEX, norm=norm)(u, y, Geometry.unit([n, n]), x)) / energy)
    assert max(ratios["dual"]) <= 2.0 * min(ratios["dual"]) and 0.5 <= min(ratios["dual"]) <= 2.0
    assert ratios["euclidean"][-1] >= 3.0 * ratios["euclidean"][0]


def test_the_solution_minimises_the_energy():
    x, y, _ = samples(families.get("darcy2d", resolution=9, grid="vertex"), count=1)
    loss, geometry = Residual(family=VERTEX, norm="energy"), Geometry.unit([9, 9])
    least = loss(y, y, geometry, x)
    for seed in range(5):
        d = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * y.std()
        assert loss(y + 1e-3 * d, y, geometry, x) > least


def test_entries_are_kept_from_one_epoch_to_the_next(monkeypatch):
    family = families.get("darcy2d", resolution=9)
    x, _, _ = samples(family, count=3)
    systems, calls = DiscreteSystems("darcy2d"), []
    assemble = type(family).assemble
    monkeypatch.setattr(type(family), "assemble", lambda self, inputs: calls.append(1) or assemble(self, inputs))
    for rows in ([0, 1], [2, 0], [1, 2]):
        systems.of(x[rows])
    assert len(calls) == 3
    systems.of(x[:1], dtype=torch.float32)
    assert len(calls) == 4, "other precision, other tensors"
    monkeypatch.setattr("resolvent.training.physics.discrete_systems.CACHE", 1)
    systems.of(2.0 * x[:2])
    assert len(systems._kept) == 1
    for again in (copy.deepcopy(systems), pickle.loads(pickle.dumps(systems))):
        assert not again._kept and again.options == systems.options


def test_specifications_build_the_same_loss():
    loss = build_loss([{"loss": "residual", "family": VERTEX, "norm": "energy", "weight": 0.1}, "h1"])
    assert build_loss(loss.spec()) == loss and loss.needs_inputs
    assert TrainingConfig(loss=loss.spec()).as_dict()["loss"]["terms"][0]["weight"] == 0.1


def test_what_does_not_fit_is_named():
    geometry = Geometry.unit([9, 9])
    x, u = torch.ones(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)
    with pytest.raises(ValueError, match="needs the family"):
        build_loss("residual")
    with pytest.raises(ValueError, match="has trajectories"):
        Residual(family="burgers1d")
    with pytest.raises(ValueError, match="did you mean 'darcy2d'"):
        Residual(family="darcy2")
    with pytest.raises(ValueError, match="norm must be one of 'dual'"):
        Residual(family="darcy2d", norm="l2")
    loss = Residual(family=VERTEX)
    with pytest.raises(ValueError, match="inputs="):
        loss(u, u, geometry)
    with pytest.raises(ValueError, match="points along x are not those of darcy2d"):
        Residual(family="darcy2d")(u, u, geometry, x)
    with pytest.raises(ValueError, match=r"take 1 channels, got 2.*inputs=\["):
        loss(u, u, geometry, torch.ones(1, 2, 9, 9))
    with pytest.raises(ValueError, match="takes 1 channels, got 2"):
        loss(torch.zeros(1, 2, 9, 9), torch.zeros(1, 2, 9, 9), geometry, x)
    with pytest.raises(ValueError, match="must be positive"):
        loss(u, u, geometry, -x)
    with pytest.raises(ValueError, match="no field c"):
        Residual(family=VERTEX, inputs=["c"])(u, u, geometry, x)
    with pytest.raises(ValueError, match="give its resolution"):
        DiscreteSystems("thermal").of(torch.ones(1, 3, 9, 9))
    with pytest.raises(ValueError, match="loss_space='physical'"):
        TrainingConfig(loss={"loss": "residual", "family": VERTEX}, loss_space="encoded")
    with pytest.raises(ValueError, match="loss_space='physical'"):
        TrainingConfig(correction={"family": VERTEX}, loss_space="encoded")
    family, x, y, shared = case("convdiff2d", {"resolution": 9}, ("peclet",))
    with pytest.raises(StructureError, match="minimise no energy"):
        Residual(family=family, constants=shared, norm="energy")(y, y, Geometry(tuple(family.axes().values())), x)
    with pytest.raises(StructureError, match="positive definite"):
        Correction(family, constants=shared)(y, x)


def test_a_zero_right_side_gives_an_absolute_norm():
    family = families.get("darcy2d", resolution=9, grid="vertex", source="grf")
    x, y, _ = samples(family, count=1)
    x[:, 1] = 0.0
    loss = Residual(family=family)
    zero = torch.zeros_like(y).requires_grad_()
    value = loss(zero, y, Geometry.unit([9, 9]), x)
    value.sum().backward()
    assert float(value.detach()) == 0.0 and float(zero.grad.abs().max()) == 0.0
    assert float(loss(y, y, Geometry.unit([9, 9]), x)) > 0.0


# Training ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def darcy():
    x, y, _ = samples(families.get("darcy2d", resolution=13, grid="vertex", coefficient="fno_twophase"), count=40)
    return x.float(), y.float()


def model(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build("fno", c_in=1, c_out=1, n_modes=[8, 8], width=12, layers=2)


def fitted(data, out=None, **config):
    settings = {"epochs": 12, "batch_size": 8, "lr": 5e-3, **config}
    return Trainer(model(), TrainingConfig(**settings)).fit(data, out=out)


def test_training_without_labels_reduces_the_error(darcy, tmp_path):
    x, y = darcy
    hidden = y.clone()
    hidden[:34] = torch.nan
    pairs = as_pairs(x, hidden, unlabelled=True, fractions=(0.1, 0.0))
    assert (
        not np.isin(pairs.splits["valid"], np.arange(34)).any() and np.isin(np.arange(34), pairs.splits["train"]).all()
    )
    trained = fitted(pairs, tmp_path, loss={"loss": "residual", "family": VERTEX}, epochs=25)
    errors = [row["valid_metric"] for row in trained.history]
    assert errors[-1] <= 0.2 and errors[-1] <= 0.3 * errors[0]
    prediction = trained.predict(x[:34])
    true = ((prediction - y[:34]).flatten(1).norm(dim=1) / y[:34].flatten(1).norm(dim=1)).mean()
    assert true <= 0.2, "also on those whose labels nobody saw"
    assert torch.equal(load_model(tmp_path).predict(x[:3]), trained.predict(x[:3]))


def test_no_label_at_all(darcy):
    x, y = darcy
    spec = {"loss": "residual", "family": VERTEX}
    pairs = as_pairs(x, torch.full_like(y, torch.nan), unlabelled=True)
    with pytest.raises(ValueError, match="split 'train' has a label"):
        fitted(pairs, loss="h1")
    with pytest.raises(ValueError, match="split 'valid' has a label"):
        fitted(pairs, loss=spec)
    with pytest.raises(ValueError, match="y_normaliser='none'"):
        fitted(pairs, loss=spec, metric=spec)
    trained = fitted(pairs, loss=spec, metric=spec, y_normaliser="none", boundary="zero")
    assert trained.history[-1]["valid_metric"] < 0.6 * trained.history[0]["valid_metric"]


def test_labels_that_are_missing_without_being_announced_are_an_error(darcy):
    x, y = darcy
    hidden = y.clone()
    hidden[3] = torch.nan
    with pytest.raises(NonFiniteError, match="target of sample 3"):
        fitted((x, hidden))
    hidden[4, 0, 2, 2] = torch.nan  # in part, which is no missing label
    with pytest.raises(NonFiniteError, match="target of sample 4"):
        fitted(as_pairs(x, hidden, unlabelled=True))


def test_samples_without_labels_do_not_touch_losses_of_labels(darcy):
    _, y = darcy
    geometry, u = Geometry.unit([13, 13]), (1.2 * y[:3]).requires_grad_()
    hidden = y[:3].clone()
    hidden[1] = torch.nan
    for spec in ("relative_l2", "h1", "vrmse", "helmholtz", "relative_derivative"):
        loss = build_loss(spec)
        value = loss(u, hidden, geometry)
        (gradient,) = torch.autograd.grad(value.sum(), u)
        assert torch.equal(value[[0, 2]], loss(u, y[:3], geometry)[[0, 2]]) and float(value[1].detach()) == 0.0
        assert torch.isfinite(gradient).all() and float(gradient[1].abs().max()) == 0.0


def test_steps_of_the_solver_are_conjugate_gradients(darcy):
    x, y = samples(families.get("darcy2d", resolution=13, grid="vertex", coefficient="fno_twophase"))[:2]
    errors = [float((Correction(VERTEX, steps=k)(0.5 * y, x) - y).norm() / y.norm()) for k in (1, 2, 4, 8, 60)]
    assert sorted(errors, reverse=True) == errors and errors[2] <= 0.02 and errors[-1] <= 1e-12
    there = y.clone().requires_grad_()
    kept = Correction(VERTEX, steps=3)(there, x)
    kept.sum().backward()
    assert torch.allclose(kept, y, atol=1e-13) and torch.isfinite(there.grad).all()


def test_correction_puts_given_boundary_values_in_place():
    family = families.get("poisson_chebyshev", resolution=12)
    x, y, _ = samples(family)
    corrected = Correction(family, steps=3)(torch.zeros_like(y), x)
    assert torch.allclose(corrected, y, atol=1e-10), "constant coefficients: the preconditioner is the inverse"


def test_gradients_through_the_steps_agree_with_differences():
    x, y, _ = samples(families.get("darcy2d", resolution=7))
    u = 0.5 * y + 1e-3 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layer = Correction("darcy2d", steps=3)
    assert torch.autograd.gradcheck(lambda v: layer(v, x), u.requires_grad_(), eps=1e-7, atol=1e-5)


def test_training_through_the_steps(darcy, tmp_path):
    plain = fitted(darcy, loss="relative_l2", epochs=4)
    through = fitted(darcy, tmp_path, loss="relative_l2", epochs=4, correction={"family": VERTEX, "steps": 2})
    assert through.best <= 0.3 * plain.best
    x = darcy[0][:3]
    loaded = load_model(tmp_path)
    assert torch.equal(loaded.predict(x), through.predict(x)) and loaded.correction.steps == 2
    after = plain.model.corrected(VERTEX, steps=2)
    assert not torch.allclose(after.predict(x), plain.predict(x)) and plain.model.correction is None
    error = lambda y: float((y - darcy[1][:3]).norm() / darcy[1][:3].norm())  # noqa: E731
    assert error(after.predict(x)) <= 0.5 * error(plain.predict(x))
    with pytest.raises(ValueError, match="points along x are not those of darcy2d"):
        fitted(darcy, correction={"family": "darcy2d"})
    with pytest.raises(ValueError, match="needs the inputs too"):
        loaded.decoded(torch.zeros(1, 1, 13, 13))


def test_averages_and_resumed_runs_keep_the_correction(darcy, tmp_path):
    options = {"loss": "relative_l2", "ema": 0.9, "correction": {"family": VERTEX, "steps": 1}}
    whole = fitted(darcy, epochs=2, **options)
    again = fitted(darcy, tmp_path, epochs=2, **options)
    assert fitted(darcy, tmp_path, epochs=2, **options).best == again.best == whole.best
