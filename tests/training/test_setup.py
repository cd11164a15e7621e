"""What is done before the first update: how often data are read, what is fitted, and what is refused."""

import dataclasses

import pytest
import torch

from resolvent.operators.neural import build
from resolvent.training import Geometry, Trainer, TrainingConfig, TrainingInterrupted, as_pairs, train
from resolvent.training.data.normalisers import Normaliser

from .small_runs import fitted, smooth, tiny


def counted(pairs):
    """The pairs, and a list of how many samples each reading took."""
    read = []

    def reading(rows):
        read.append(len(rows))
        return pairs.read(rows)

    return dataclasses.replace(pairs, read=reading), read


@pytest.mark.parametrize("name", ["fno", "pod_deeponet"])
def test_the_training_split_is_read_once_before_training(name):
    x, y = smooth(160)
    y = y.copy()
    y[:, :, [0, -1]] = y[..., [0, -1]] = 0.0
    pairs, read = counted(as_pairs(x, y))
    pod = {"grid": [12, 11], "modes": 5, "width": 8, "layers": 1, "sensors": 5}
    model = tiny() if name == "fno" else build(name, c_in=1, c_out=1, **pod)
    seen = []
    Trainer(model, TrainingConfig(epochs=1, batch_size=144, loss="relative_l2")).fit(
        pairs, progress=lambda state: seen.append(list(read))
    )
    assert seen[0] == [64, 64, 16, 144]  # one pass, then the only batch


def test_nothing_is_read_where_nothing_has_to_be_known():
    pairs, read = counted(as_pairs(*smooth(24)))
    seen = []
    options = {"x_normaliser": "none", "y_normaliser": "none", "boundary": "none"}
    fitted(pairs, epochs=1, batch_size=22, progress=lambda state: seen.append(list(read)), **options)
    assert seen[0] == [22]


def test_a_resumed_run_takes_its_normalisers_from_the_checkpoint(pairs, tmp_path, monkeypatch):
    def stop(state):
        if state.step == 4:
            raise TrainingInterrupted(1, 4, str(tmp_path))

    whole = fitted(pairs)
    with pytest.raises(TrainingInterrupted):
        fitted(pairs, tmp_path, progress=stop)
    made, read = counted(as_pairs(*pairs))
    monkeypatch.setattr(Normaliser, "take", lambda self, moments: pytest.fail("fitted again"))
    resumed = fitted(made, tmp_path)
    assert read[0] == 8  # the first batch
    for a, b in zip(resumed.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_gradients_are_left_alone_where_nothing_is_clipped(pairs, monkeypatch):
    clipped = []
    clip = torch.nn.utils.clip_grads_with_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grads_with_norm_", lambda *given: clipped.append(given) or clip(*given))
    fitted(pairs, epochs=1)
    assert not clipped
    fitted(pairs, epochs=1, clip=1.0)
    assert len(clipped) == 3


def test_boundary_values_need_points_on_the_boundary():
    x, y = smooth(24, (8, 8))
    cells = as_pairs(x, y, geometry=Geometry.unit((8, 8), "centres"))
    with pytest.raises(ValueError, match=r"boundary='zero' holds points on the boundary.* \(centres, centres\): leave"):
        fitted(cells, boundary="zero")


def test_options_of_a_model_that_is_built_already(pairs):
    with pytest.raises(ValueError, match="FNO is built already: leave out width"):
        train(*pairs, model=tiny(), options={"width": 8})
    with pytest.raises(ValueError, match=r"fractions divides arrays, .* the data are pairs that are made"):
        train(as_pairs(*pairs), epochs=1, fractions=(0.2, 0.0))
