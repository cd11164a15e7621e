"""Harvested data, the loop, and what a small training gives."""

import dataclasses

import numpy as np
import pytest
import torch

from resolvent.datasets.families import PoissonObstacles
from resolvent.operators import SPD, Sparse, Stencil
from resolvent.solvers import CG, SSOR, DeflatedCG, FlexibleCG
from resolvent.solvers.learned import DCDM, DeflationNetwork, Learned, LearnedSpaces, SPDCycle
from resolvent.training import CheckpointError, NonFiniteError, TrainingError, read_log
from resolvent.training.preconditioners import (
    PreconditionerTraining,
    Samples,
    harvest,
    harvest_family,
    lanczos,
    ritz_mixtures,
    samples_of,
    train_deflation,
    train_preconditioner,
)


def family(n=16, **options):
    return PoissonObstacles(resolution=n, **{"fraction": (0.0, 0.3), **options})


@pytest.fixture(scope="module")
def samples():
    return harvest_family(family(), 6, krylov=20)


def system(n=16, seed=100, **options):
    f = family(n, **options)
    return f.assemble(f.draw(np.random.default_rng(seed)))


def test_harvested_residuals_are_those_of_the_solve():
    A, b = system()
    r, e = harvest(A, b, at=(0, 1, 3))
    assert np.allclose(r[0], b, rtol=1e-6, atol=1e-7 * np.abs(b).max())
    history = CG(rtol=1e-6, maxiter=3).solve(A, b).history
    assert np.allclose(np.linalg.norm(r, axis=1), np.asarray(history)[[0, 1, 3]], rtol=1e-6)
    assert np.allclose(A @ e.T, r.T)
    few, _ = harvest(A, b, at=(0, 10_000))
    assert len(few) == 2


def test_a_network_in_training_makes_its_own_residuals():
    A, b = system()
    torch.manual_seed(0)
    for network in (SPDCycle(dim=2), DCDM(dim=2, width=2)):
        r, e = harvest(A, b, at=(0, 2), M=Learned(network, "any", (8, 64), descent=0.0))
        assert np.allclose(A @ e.T, r.T) and not np.allclose(r[1], harvest(A, b, at=(2,))[0][0], rtol=1e-2)


def test_lanczos_keeps_its_basis_orthogonal_and_finds_the_spectrum():
    A, b = system(12)
    V, alpha, beta = lanczos(A, np.random.default_rng(0).standard_normal(144), 144)
    assert np.abs(V @ V.T - np.eye(len(V))).max() <= 1e-12
    T = np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)
    exact = np.unique(np.round(np.linalg.eigvalsh(A.to_dense()), 6))
    found = np.linalg.eigvalsh(T)
    assert abs(found[0] - exact[0]) <= 1e-8 * exact[-1] and abs(found[-1] - exact[-1]) <= 1e-8 * exact[-1]
    with pytest.raises(ValueError, match="not zero"):
        lanczos(A, 0.0 * b, 3)


def test_ritz_mixtures_are_exact_pairs_with_the_low_ones_emphasised():
    A, b = system(12)
    rng = np.random.default_rng(0)
    r, e = ritz_mixtures(A, b, count=400, steps=40, rng=rng)
    assert np.allclose((A @ e.T).T, r)
    V, alpha, beta = lanczos(A, b, 40)
    theta, Z = np.linalg.eigh(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1))
    size = np.sqrt(((e @ V.T @ Z) ** 2).mean(axis=0)) * theta
    low = round(0.6 * len(theta))
    assert np.allclose(size[:low], 9.0, rtol=0.25) and np.allclose(size[low:], 1.0, rtol=0.25)


def test_the_null_space_is_left_out():
    A = Stencil.from_transmissibilities([np.r_[0.0, np.ones(15), 0.0]])
    rng = np.random.default_rng(0)
    _, e = ritz_mixtures(A, rng.standard_normal(16), count=2, steps=16, rng=rng)
    assert np.abs(e).max() <= 1e4


def test_samples_are_normalised_and_say_where_they_come_from(samples, tmp_path):
    assert samples.b.shape == (6, 9, 16, 16) and samples.grid == (16, 16)
    assert np.allclose(samples.b.flatten(2).norm(dim=2), 1.0, atol=1e-5)
    assert torch.allclose(samples.level.multiply(samples.e), samples.b, atol=1e-4)
    assert samples.about["family"] == "poisson_obstacles" and samples.about["seconds"] > 0.0
    samples.save(tmp_path / "r.h5")
    again = Samples.load(tmp_path / "r.h5")
    assert torch.equal(again.b, samples.b) and torch.equal(again.level.faces, samples.level.faces)
    assert again.hashes == samples.hashes and again.about == samples.about
    (tmp_path / "bad.h5").write_bytes(b"no file of HDF5")
    for name, error in (("bad.h5", TrainingError), ("none.h5", FileNotFoundError)):
        with pytest.raises(error):
            Samples.load(tmp_path / name)


def test_training_and_validation_share_no_operator(samples):
    doubled = samples.joined(samples)
    assert doubled.about["seconds"] == 2 * samples.about["seconds"]
    for seed in range(5):
        train, held = doubled.split(0.3, seed)
        assert not set(train.hashes) & set(held.hashes) and len(train) + len(held) == 12
    with pytest.raises(ValueError, match="two different"):
        samples.take([0]).split()
    with pytest.raises(ValueError, match="equal shapes"):
        samples.joined(harvest_family(family(8), 1, krylov=10))
    with pytest.raises(ValueError, match="one grid"):
        samples_of([(*(system(n)[0],), np.ones((1, n * n)), np.ones((1, n * n))) for n in (8, 12)])


def test_hashes_tell_operators_apart():
    A, _ = system()
    other, _ = system(seed=101)
    ones = np.ones((1, 256))
    assembled = Sparse(A.to_sparse(), props=SPD, grid=A.grid)
    hashes = samples_of([(op, ones, ones) for op in (A, other, assembled)]).hashes
    assert hashes[0] == hashes[2] != hashes[1]


def test_a_resumed_run_is_the_run(samples, tmp_path):
    config = PreconditionerTraining(loss="reduction", steps=2, epochs=3, batch_size=2, residuals=2)
    whole = train_preconditioner(SPDCycle(dim=2), samples, config)

    def stop(progress):
        if progress.epoch == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_preconditioner(SPDCycle(dim=2), samples, config, out=tmp_path, progress=stop)
    assert len(read_log(tmp_path / "log.csv")["epoch"]) == 1
    resumed = train_preconditioner(SPDCycle(dim=2), samples, config, out=tmp_path)
    assert len(read_log(tmp_path / "log.csv")["epoch"]) == 3
    for a, b in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [r["valid_loss"] for r in whole.history] == [r["valid_loss"] for r in resumed.history]
    assert set(whole.validation) == {"residual", "energy", "plain", "reduction"}
    with pytest.raises(CheckpointError, match="another run"):
        train_preconditioner(SPDCycle(dim=2), samples, dataclasses.replace(config, lr=1e-2), out=tmp_path)
    with pytest.raises(CheckpointError, match="another run"):
        train_preconditioner(SPDCycle(dim=2), dataclasses.replace(samples, b=-samples.b), config, out=tmp_path)
    train_preconditioner(SPDCycle(dim=2), samples, dataclasses.replace(config, epochs=1), out=tmp_path, resume=False)


def test_what_cannot_be_trained_is_refused(samples):
    with pytest.raises(ValueError, match="loss='residual'"):
        train_preconditioner(DCDM(dim=2, width=2), samples, PreconditionerTraining(loss="reduction"))
    with pytest.raises(ValueError, match="dimension 3"):
        train_preconditioner(SPDCycle(dim=3), samples)
    for bad in ({"loss": "unknown"}, {"epochs": 0}, {"lr": 0.0}, {"schedule": "unknown"}, {"residuals": 0}):
        with pytest.raises(ValueError, match=r"loss|epochs|lr|schedule|residuals"):
            PreconditionerTraining(**bad)
    spoilt = dataclasses.replace(samples, b=samples.b * torch.nan)
    with pytest.raises(NonFiniteError, match="not finite"):
        train_preconditioner(SPDCycle(dim=2), spoilt, PreconditionerTraining(epochs=1))


def test_published_settings():
    config = PreconditionerTraining.dcdm_published(64)
    assert (config.lr, config.residuals, config.epochs, config.schedule) == (1e-4, 10, 13, "constant")


def test_dcdm_learns(samples):
    torch.manual_seed(0)
    config = PreconditionerTraining(loss="residual", epochs=20, batch_size=1, lr=1e-2)
    trained = train_preconditioner(DCDM(dim=2, width=8), samples, config)
    assert trained.validation["residual"] < 0.6 and set(trained.validation) == {"residual", "energy", "plain"}
    A, b = system()
    M = Learned(trained.network, "poisson_obstacles", (16, 16))
    assert FlexibleCG(rtol=1e-4, maxiter=200).solve(A, b, M=M).converged


def test_the_energy_that_is_left_trains_dcdm_where_the_published_loss_does_not():
    members = family(24)
    mixtures = harvest_family(members, 8, at=(0,), ritz=19, krylov=150, noise=0)
    counts = {}
    for loss in ("residual", "energy"):
        torch.manual_seed(0)
        config = PreconditionerTraining(epochs=25, batch_size=1, residuals=10, lr=4e-3)
        network = train_preconditioner(DCDM(dim=2, width=8), mixtures, config).network
        M = Learned(network, "poisson_obstacles", (8, 64))
        own = harvest_family(members, 8, at=tuple(range(20)), ritz=0, noise=0, seed=1, M=M)
        config = dataclasses.replace(config, loss=loss, epochs=15, lr=3e-3)
        train_preconditioner(network, mixtures.joined(own), config)
        A, b = system(24, seed=7)
        counts[loss] = FlexibleCG(rtol=1e-6, maxiter=300).solve(A, b, M=M).iterations
    # 22 and 113 when this was written.
    assert counts["energy"] <= 0.75 * CG(rtol=1e-6).solve(A, b).iterations, counts
    assert counts["residual"] > 2 * counts["energy"], counts


def test_a_short_training_lowers_iterations_on_new_members_and_other_grids(samples):
    config = PreconditionerTraining(loss="reduction", steps=3, epochs=25, batch_size=3, residuals=3, lr=1e-2)
    torch.manual_seed(0)
    trained = train_preconditioner(SPDCycle(dim=2, smoothing=(1, 1)), samples, config)
    counts = {}
    for n in (16, 32, 64):
        A, b = system(n)
        counts[n] = [
            CG().solve(A, b, M=Learned(network, "any", (8, 64))).check().iterations
            for network in (SPDCycle(dim=2, smoothing=(1, 1)), trained.network)
        ]
    assert all(after <= 0.85 * before for before, after in counts.values()), counts
    A, b = system(64)
    # Better than what the target asks for: 100 iterations where CG took 199 and SSOR 77.
    assert FlexibleCG().solve(A, b, M=Learned(trained.network, "any", (8, 64))).iterations <= 25
    assert CG().solve(A, b, M=SSOR()).iterations > 40


def test_a_deflation_network_learns():
    samples = harvest_family(family(), 24, at=(0,), ritz=6, krylov=30, noise=0)
    torch.manual_seed(0)
    network = DeflationNetwork(dim=2, k=6, width=8, depth=2)
    trained = train_deflation(network, samples, epochs=15, batch_size=4, lr=5e-3)
    assert min(trained.history) < trained.history[0] - 0.01, trained.history
    assert not set(trained.hashes["train"]) & set(trained.hashes["validation"])
    A, b = system()
    space = LearnedSpaces(trained.network).space(A)
    assert DeflatedCG(k=6, update=False).solve(A, b, space=space).iterations < 0.85 * CG().solve(A, b).iterations
    with pytest.raises(NonFiniteError):
        train_deflation(network, dataclasses.replace(samples, e=samples.e * torch.nan), epochs=1)


@pytest.mark.acceptance
def test_published_form_of_the_small_training():
    """NPSD-like losses and sizes on 64²: FCG(2) needs at most 100 iterations where CG takes about 200."""
    harvested = harvest_family(family(64), 24)
    torch.manual_seed(0)
    config = PreconditionerTraining(loss="reduction", steps=6, epochs=12, batch_size=4, residuals=3, lr=3e-3)
    trained = train_preconditioner(SPDCycle(dim=2, smoothing=(2, 2)), harvested, config)
    for n in (64, 128, 256):
        A, b = system(n)
        assert FlexibleCG().solve(A, b, M=Learned(trained.network, "any", (8, 256))).check().iterations <= 16
