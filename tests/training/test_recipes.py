"""How good trained models are: in a short form always, at the published size in `make acceptance`."""

import statistics

import pytest

from resolvent import datasets
from resolvent.training import as_pairs, relative_errors, train


def darcy(folder, resolution, samples):
    """Two-phase Darcy flow on a vertex-centred grid, at every second point."""
    out = folder / f"darcy{resolution}.h5"
    family = datasets.families.get("darcy", resolution=resolution, grid="vertex", coefficient="fno_twophase")
    datasets.generate(family, samples, out=out, splits=(10 / 12, 1 / 12, 1 / 12)).close()
    return as_pairs(out).strided(2)


def judged(pairs, **settings):
    """The relative L2 error on samples that training never saw."""
    trained = train(pairs, **settings)
    x, y = pairs.batch(pairs.splits["test"])
    return relative_errors(trained.predict(x), y, pairs.geometry).mean()["relative_l2"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return darcy(tmp_path_factory.mktemp("small"), 33, 240)


@pytest.mark.parametrize(
    "model, options, bar", [("fno", {"width": 16, "n_modes": [12, 12]}, 0.1), ("mgno", {"width": 12}, 0.07)]
)
def test_models_learn_darcy_flow_in_seconds(small, model, options, bar):
    """200 samples at 17², 20 epochs: measured 0.072 and 0.052."""
    assert judged(small, model=model, options=options, epochs=20) <= bar


@pytest.mark.acceptance
@pytest.mark.parametrize("model, bar", [("fno", 0.025), ("mgno", 0.016)])
def test_accuracy_of_the_recipes(tmp_path_factory, model, bar):
    """1000 samples at 33², 25 epochs; median of three seeds."""
    pairs = darcy(tmp_path_factory.mktemp("whole"), 65, 1200)
    assert statistics.median(judged(pairs, model=model, epochs=25, seed=seed) for seed in range(3)) <= bar
