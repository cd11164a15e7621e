import numpy as np
import pytest
import torch

from resolvent.training.data.geometry import Geometry
from resolvent.training.evaluation.accuracy import sweep
from resolvent.training.evaluation.plots import (
    plot_fields,
    plot_learning_curves,
    plot_rollout,
    plot_spectra,
    plot_sweep,
)
from resolvent.training.evaluation.rollout import rollout
from resolvent.training.evaluation.spectra import error_spectrum

LOG = """epoch,step,lr,train_loss,val_relative_l2,gradient_norm,seconds
1,10,1e-3,0.5,0.4,1.0,2.0
2,20,1e-3,0.3,,1.0,2.0
3,30,1e-3,0.2,0.1,nan,2.0
"""


def drawn(figure, tmp_path):
    figure.savefig(tmp_path / "picture.png", dpi=40)
    assert (tmp_path / "picture.png").stat().st_size > 1000


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("with_input", [False, True])
def test_fields_are_drawn(dim, with_input, tmp_path, rng):
    geometry = Geometry.unit([6, 5, 7][:dim], "centres")
    y = torch.tensor(rng.normal(size=(2, 2, *geometry.grid)))
    p = 1.1 * y
    p[1, 1].flatten()[0] = torch.nan
    figure = plot_fields(p, y, geometry, y if with_input else None, channel=1)
    drawn(figure, tmp_path)
    if dim > 1:
        images = [ax.collections[0] for ax in figure.axes if ax.collections][:4]
        error = images[3 if with_input else 2]
        at = (slice(None), slice(None)) if dim == 2 else (slice(None), slice(None), 3)
        np.testing.assert_allclose(error.get_array(), (p - y)[0, 1].numpy()[at].T, atol=1e-12)
        assert error.norm.vmin == -error.norm.vmax
        truth, prediction = images[1:3] if with_input else images[:2]
        assert truth.norm.vmax == prediction.norm.vmax  # one scale


def test_constant_and_perfect_fields_are_drawn(tmp_path):
    geometry = Geometry([np.linspace(0, 2, 5) ** 2, np.linspace(0, 1, 4)])
    drawn(plot_fields(np.zeros((1, 1, 5, 4)), np.zeros((1, 1, 5, 4)), geometry), tmp_path)


def test_curves_of_a_log_are_drawn(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    ax = plot_learning_curves(tmp_path / "log.csv")
    drawn(ax.figure, tmp_path)
    curves = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert curves["train_loss"] == [[1, 0.5], [2, 0.3], [3, 0.2]]
    assert curves["val_relative_l2"] == [[1, 0.4], [3, 0.1]]
    assert curves["best val_relative_l2"] == [[3, 0.1]] and len(curves) == 3


@pytest.mark.parametrize(
    "text, message", [("", "at least one row"), ("step\n1\n", "column epoch"), ("epoch,lr\n1,1\n", "no losses")]
)
def test_logs_without_curves_are_refused(text, message, tmp_path):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        plot_learning_curves(tmp_path / "log.csv")


def test_spectra_sweeps_and_rollouts_are_drawn(tmp_path, rng):
    geometry = Geometry.unit([16], "periodic")
    y = rng.normal(size=(2, 1, 16))
    spectrum = error_spectrum(0.9 * y, y, geometry)
    drawn(plot_spectra(spectrum).figure, tmp_path)
    assert [line.get_label() for line in plot_spectra({"a": spectrum, "b": spectrum}).lines] == ["target", "a", "b"]
    with pytest.raises(ValueError, match="no spectra"):
        plot_spectra({})

    def samples(n):
        on = Geometry.unit([n])
        return 1.0 + on.axes[0][None, None], 2.0 + on.axes[0][None, None], on

    sets = {"9": samples(9), "17": samples(17)}
    figure = plot_sweep(sweep(lambda x: x + 0.9, sets, "9"))
    drawn(figure, tmp_path)
    assert len(figure.axes[0].lines) == 4
    assert len(plot_sweep(sweep(lambda x: x + 0.9, sets)).axes[0].lines) == 2

    truth = 1.0 + rng.uniform(size=(3, 5, 1, 16))
    result = rollout(lambda u: np.where(u > 1.9, np.nan, u + 0.1), truth, geometry)
    drawn(plot_rollout(result).figure, tmp_path)


def test_fields_that_do_not_fit_are_refused():
    geometry = Geometry.unit([4])
    with pytest.raises(ValueError, match="1 to 6 samples"):
        plot_fields(np.zeros((7, 1, 4)), np.zeros((7, 1, 4)), geometry)
    with pytest.raises(ValueError, match="channels 0 to 0, not 1"):
        plot_fields(np.zeros((1, 1, 4)), np.zeros((1, 1, 4)), geometry, channel=1)
