"""The training loop: what it does to a model, what it writes, and what it refuses."""

import logging

import numpy as np
import pytest
import torch

from resolvent.operators.neural import build
from resolvent.training import NonFiniteError, Trainer, TrainingConfig, read_log, train

from .small_runs import fitted, smooth, tiny


def test_three_lines_train_on_arrays():
    x, y = smooth(60)
    trained = train(x, y, epochs=30, lr=1e-2, loss="relative_l2", options={"width": 12, "n_modes": [8, 8], "layers": 2})
    rows = trained.history
    assert trained.best < 0.5 * rows[0]["valid_metric"]
    assert trained.best == min(row["valid_metric"] for row in rows)
    prediction = trained.predict(x)
    assert isinstance(prediction, np.ndarray) and prediction.shape == y.shape
    assert np.linalg.norm(prediction - y) < 0.35 * np.linalg.norm(y)


def test_a_run_leaves_log_card_and_both_checkpoints(pairs, tmp_path):
    trained = fitted(pairs, tmp_path / "run")
    log = read_log(tmp_path / "run" / "log.csv")
    assert log["epoch"] == [1, 2, 3, 4] and log["step"] == [3, 6, 9, 12]
    assert log["valid_metric"] == [row["valid_metric"] for row in trained.history]
    assert all(np.isfinite(log["gradient_norm"])) and min(log["gradient_norm"]) > 0
    card = (tmp_path / "run" / "card.md").read_text(encoding="utf-8")
    assert "| epochs | 4 of 4 |" in card and "relative_l2" in card
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"last.pt", "best.pt", "log.csv", "card.md"}


def test_same_seed_same_run_and_other_seed_another(pairs):
    first, again, other = fitted(pairs), fitted(pairs), fitted(pairs, seed=1)
    for a, b in zip(first.model.state_dict().values(), again.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert first.history[0]["train_loss"] != other.history[0]["train_loss"]


def test_training_leaves_random_numbers_of_others_alone(pairs):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    train(*pairs, epochs=1, options={"width": 4, "n_modes": [4, 4], "layers": 1})
    assert torch.equal(torch.rand(3), expected)


def test_learning_rate_is_that_of_the_schedule(pairs):
    seen = []
    fitted(
        pairs,
        epochs=3,
        lr=0.1,
        schedule={"name": "step", "period": 2, "gamma": 0.1},
        progress=lambda state: seen.append(state.lr),
    )
    assert seen[:3] == pytest.approx([0.1] * 3) and seen[-1] == pytest.approx(0.01)
    by_epoch = []
    fitted(
        pairs,
        epochs=3,
        lr=0.1,
        schedule={"name": "onecycle", "per": "epoch"},
        progress=lambda state: by_epoch.append(state.lr) if not state.epoch_ends else None,
    )
    assert len(set(by_epoch)) == 3  # one rate an epoch


def test_accumulated_parts_give_the_same_update(pairs):
    whole, parts = (fitted(pairs, epochs=1, accumulate=k) for k in (1, 3))
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert float((a - b).detach().abs().max()) <= 1e-5
    assert whole.history[0]["step"] == parts.history[0]["step"] == 3


def test_clipping_bounds_the_update(pairs):
    free, clipped = (fitted(pairs, epochs=1, weight_decay=0.0, clip=clip) for clip in (None, 1e-9))
    start = tiny().state_dict()
    moved = [
        sum(float((run.model.net.state_dict()[name] - value).abs().sum()) for name, value in start.items())
        for run in (free, clipped)
    ]
    assert moved[1] < 0.2 * moved[0]  # Adam divides by the size of the gradient, but its eps is 1e-8


def test_the_average_is_what_is_evaluated_and_kept(pairs, tmp_path):
    plain, averaged = fitted(pairs, epochs=3), fitted(pairs, tmp_path, epochs=3, ema=0.99)
    assert plain.history[0]["train_loss"] == averaged.history[0]["train_loss"]
    assert plain.history[0]["valid_metric"] != averaged.history[0]["valid_metric"]
    content = torch.load(tmp_path / "best.pt", weights_only=True)
    name = "net.lift.expand.weight"
    assert not torch.equal(content["average"][name], content["parameters"][name])
    assert torch.equal(averaged.model.state_dict()[name], content["average"][name])


def test_early_stopping(pairs):
    trained = fitted(pairs, epochs=50, lr=1e-12, schedule="constant", patience=2, min_delta=0.5)
    assert len(trained.history) == 3  # the first is the best, then two that are not better by half


def test_plateau_reduces_the_rate(pairs):
    schedule = {"name": "plateau", "patience": 1, "gamma": 0.1}
    trained = fitted(pairs, epochs=6, lr=1e-9, schedule=schedule, min_delta=0.5)
    rates = [row["lr"] for row in trained.history]
    assert rates == pytest.approx([1e-9, 1e-9, 1e-9, 1e-10, 1e-10, 1e-11])


def test_stages_take_coarser_grids_and_larger_batches_first():
    data = smooth(24, (17, 17))
    seen = []
    model = tiny()
    handle = model.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    fitted(
        data,
        model=model,
        epochs=3,
        stages=[{"stride": 4, "epochs": 1, "batch_size": 22}, {"stride": 2, "epochs": 1}],
    )
    handle.remove()
    training = [shape for shape in seen if shape[0] > 2]  # validation has two samples
    assert training[0] == (22, 1, 5, 5)
    assert training[1][2:] == (9, 9) and training[-1][2:] == (17, 17)
    assert [shape[2:] for shape in seen if shape[0] == 2] == [(17, 17)] * 3


@pytest.mark.parametrize("where", ["x", "y"])
def test_data_that_are_not_finite_name_the_sample(pairs, where):
    x, y = (values.copy() for values in pairs)
    {"x": x, "y": y}[where][5, 0, 3, 3] = np.nan
    with pytest.raises(NonFiniteError, match=f"the {'input' if where == 'x' else 'target'} of sample 5 of arrays"):
        fitted((x, y))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_model(pairs, tmp_path):
    class Fragile(torch.nn.Module):
        """Multiplies what the model gives by NaN from the fourth call of training on."""

        calls = 0

        def forward(self, x):
            if self.training:
                Fragile.calls += 1
            return x * (float("nan") if Fragile.calls > 4 else 1.0)

    model = tiny()
    model.project = torch.nn.Sequential(model.project, Fragile())
    with pytest.raises(NonFiniteError, match=r"the loss is not finite for sample \d+ of arrays in epoch 2, update 5"):
        fitted(pairs, tmp_path, model=model)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["state"]["epoch"] == 1


def test_what_is_kept_is_named_where_it_is(pairs, tmp_path):
    class Late(torch.nn.Module):
        """Multiplies what the model gives by NaN from a call of training on."""

        def __init__(self, good):
            super().__init__()
            self.left = good

        def forward(self, x):
            self.left -= self.training
            return x * (float("nan") if self.left < 0 else 1.0)

    for good, kept in ((4, True), (0, False)):
        model = tiny()
        model.project = torch.nn.Sequential(model.project, Late(good))
        with pytest.raises(NonFiniteError) as caught:
            fitted(pairs, tmp_path / str(good), model=model)
        assert ("best.pt keeps" in str(caught.value)) == (tmp_path / str(good) / "best.pt").exists() == kept


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"correction": 3}, "correction is a mapping with family"),
        ({"correction": {"steps": 2}}, "correction is a mapping with family"),
        ({"correction": {"family": "darcy2d", "stepps": 2}}, "perhaps steps, inputs, constants"),
        ({"correction": {"family": 3}}, "family of a correction is a name"),
        ({"correction": {"family": "darcy2d", "inputs": 3}}, "inputs of a correction"),
        ({"correction": {"family": "darcy2d", "constants": 3}}, "constants of a correction"),
        ({"loss": 3}, "a loss is a name"),
        ({"metric": None}, "a loss is a name"),
        ({"schedule": {"name": "cosine", "warmup": "long"}}, "warmup is a part"),
        ({"stages": 3}, "stages is a list of mappings"),
        ({"stages": {"stride": 2, "epochs": 1}}, "into a list"),
        ({"stages": ["coarse"]}, "stages is a list of mappings"),
        ({"schedule": 3}, "a schedule is a name"),
        ({"clip": "small"}, "clip is the largest norm"),
        ({"ema": "long"}, "ema is the decay"),
    ],
)
def test_settings_of_the_wrong_kind_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        TrainingConfig(**options)


def test_model_and_data_that_do_not_fit(pairs):
    with pytest.raises(ValueError, match="built for 2 input channels, and arrays has 1: build it with c_in=1"):
        fitted(pairs, model=tiny(c_in=2))
    with pytest.raises(ValueError, match="built for 3 target channels, and arrays has 1"):
        fitted(pairs, model=tiny(c_out=3))
    with pytest.raises(ValueError, match="built for 1-D grids, and arrays has one of 2 axes"):
        fitted(pairs, model=tiny(n_modes=[4]))


def test_mixed_precision_runs_on_a_cpu(pairs):
    plain, mixed = fitted(pairs, epochs=2), fitted(pairs, epochs=2, amp="bfloat16")
    assert mixed.best == pytest.approx(plain.best, rel=0.1)
    assert mixed.history[0]["train_loss"] != plain.history[0]["train_loss"]
    assert all(p.dtype == torch.float32 for p in mixed.model.parameters())


def test_flags_that_cannot_be_honoured_warn_once_and_train(pairs, caplog, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", broken)
    with caplog.at_level(logging.WARNING, logger="resolvent"):
        trained = fitted(pairs, epochs=1, compile=True, ddp=True)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["ddp", "compile"]
    assert len(trained.history) == 1


def test_encoded_loss_and_metric():
    x, y = smooth()
    encoded = fitted((x, 1e6 * y), epochs=1, loss="absolute_l2", loss_space="encoded")
    physical = fitted((x, 1e6 * y), epochs=1, loss="absolute_l2")
    assert encoded.history[0]["train_loss"] < 10 < physical.history[0]["train_loss"]
    assert encoded.history[0]["valid_metric"] < 10


def test_boundary_values_that_all_targets_share_are_kept():
    x, y = smooth(24, (9, 9))
    y = y.copy()
    y[:, :, 0] = y[:, :, -1] = y[:, :, :, 0] = y[:, :, :, -1] = 0.0
    trained = fitted((x, y), epochs=1)
    p = trained.predict(x)
    assert not p[:, :, 0].any() and not p[:, :, :, -1].any() and p[:, :, 1:-1, 1:-1].any()
    free = fitted((x, y), epochs=1, boundary="none").predict(x)
    assert free[:, :, 0].any()


def test_progress_counts_every_update(pairs):
    seen = []
    fitted(pairs, epochs=2, progress=seen.append)
    assert [state.step for state in seen] == [1, 2, 3, 3, 4, 5, 6, 6]
    assert [state.epoch for state in seen if state.epoch_ends] == [1, 2]
    assert seen[-1].remaining == 0.0 and all(np.isfinite(state.loss) for state in seen)


def test_bad_configurations():
    for options, message in (
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"lr": float("nan")}, "lr must be a finite number above 0, got nan"),
        ({"loss": "l3"}, "there is no loss 'l3'"),
        ({"amp": "float8"}, "amp must be one of None, 'bfloat16', 'float16'"),
        ({"ema": 1.0}, "between 0 and 1, got 1.0"),
        ({"stages": [{"stride": 2}]}, "a stage has stride, epochs"),
        ({"epochs": 2, "stages": [{"stride": 2, "epochs": 3}]}, "stages take 3 epochs, and there are 2"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"schedule": {"name": "step", "period": 0}}, "period must be a whole number of at least 1"),
        ({"schedule": {"name": "onecycle", "div": 0}}, "div of a schedule must be a number above 0"),
        ({"schedule": {"name": "onecycle", "momentum": 0.9}}, "momentum is two numbers"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainingConfig(**options)
    with pytest.raises(ValueError, match="training has no option learning_rate: expected some of epochs, batch_size"):
        TrainingConfig.of({"learning_rate": 1.0})


def test_no_update_is_wasted_on_a_rate_of_zero(pairs):
    for per in ("step", "epoch"):
        for epochs in (1, 3):
            rates = []
            schedule = {"name": "cosine", "warmup": 0.3, "per": per}
            fitted(pairs, epochs=epochs, schedule=schedule, progress=lambda state, rates=rates: rates.append(state.lr))
            assert min(rates) > 0.0


def test_mixed_precision_keeps_the_digits_of_targets_far_from_zero():
    x, y = smooth()
    far = 1000.0 + y
    plain, mixed = (fitted((x, far), epochs=2, amp=amp, boundary="none") for amp in (None, "bfloat16"))
    assert mixed.best == pytest.approx(plain.best, rel=0.1)


def test_stages_too_coarse_are_refused_before_training():
    seen = []
    data = smooth(24, (17, 17))
    with pytest.raises(ValueError, match=r"an axis of 17 points .* cannot be subsampled by 5"):
        fitted(data, stages=[{"stride": 1, "epochs": 1}, {"stride": 5, "epochs": 1}], progress=seen.append)
    with torch.random.fork_rng():
        deep = build("mgno", c_in=1, c_out=1, width=4, layers=1, smoothing=[1, 1, 1])
    with pytest.raises(
        ValueError, match=r"the stage of stride 8 has 3 × 3 points, and MgNO .* needs at least 5 a side"
    ):
        fitted(data, model=deep, stages=[{"stride": 8, "epochs": 1}], progress=seen.append)
    with pytest.raises(ValueError, match="normalisers per point know one grid only"):
        fitted(data, y_normaliser="per_point", stages=[{"stride": 2, "epochs": 1}], progress=seen.append)
    assert not seen


def test_losses_and_schedules_as_objects_are_stored_by_name(pairs):
    from resolvent.training import Schedule, build_loss

    config = TrainingConfig(loss=build_loss("relative_l2"), schedule=Schedule(name="cosine"))
    assert config.as_dict()["loss"]["loss"] == "relative_l2" and config.as_dict()["schedule"]["name"] == "cosine"
    assert TrainingConfig.of(config.as_dict()).as_dict() == config.as_dict()


def test_min_delta_of_negative_errors(pairs):
    from resolvent.training.runs.run_state import RunState

    trained = fitted(pairs, epochs=3, min_delta=0.0)
    assert trained.best == min(row["valid_metric"] for row in trained.history)
    assert RunState().best == float("inf")
    with pytest.raises(ValueError, match="min_delta is a part of the error, below 1, got 1"):
        TrainingConfig(min_delta=1.0)


def test_a_device_that_is_not_there(pairs):
    for name in ("gpu", "cuda:93"):
        with pytest.raises(ValueError, match=f"there is no device '{name}' here: expected cpu"):
            fitted(pairs, device=name)


def test_a_trainer_says_what_it_was_given():
    trainer = Trainer(tiny(), TrainingConfig(epochs=1))
    assert trainer.config.epochs == 1
