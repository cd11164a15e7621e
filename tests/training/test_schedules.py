"""Learning rates."""

import pytest
import torch

from resolvent.training.schedules import Schedule, build_schedule


def test_onecycle_is_that_of_torch():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=1.0, betas=(0.9, 0.999))
    steps = 37
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=2e-3, total_steps=steps, pct_start=0.3, div_factor=25.0, final_div_factor=1e4
    )
    ours = Schedule(name="onecycle")
    for step in range(steps):
        # Theirs rises for pct · steps − 1 updates, ours for pct of the way.
        ours_at = Schedule(name="onecycle", warmup=(0.3 * steps - 1) / (steps - 1))
        done = step / (steps - 1)
        assert 2e-3 * ours_at.factor(done) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-12)
        assert ours_at.beta(done) == pytest.approx(optimiser.param_groups[0]["betas"][0], rel=1e-12)
        optimiser.step()
        if step < steps - 1:
            theirs.step()
    assert ours.factor(0.0) == pytest.approx(1 / 25) and ours.factor(1.0) == pytest.approx(1 / 25e4)


def test_cosine_step_plateau_constant():
    cosine = Schedule(name="cosine", warmup=0.2)
    assert [cosine.factor(d) for d in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])
    step = Schedule(name="step", period=3, gamma=0.5)
    assert [step.factor(0.0, epoch) for epoch in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert Schedule(name="plateau", gamma=0.1).factor(0.3, reductions=2) == pytest.approx(0.01)
    assert Schedule(name="constant").factor(0.7, 5) == 1.0
    assert cosine.beta(0.5) is None


def test_bad_schedules():
    with pytest.raises(ValueError, match="schedule must be one of 'constant', 'onecycle'"):
        build_schedule("linear")
    with pytest.raises(ValueError, match="a schedule has no option maximum: expected some of"):
        build_schedule({"name": "onecycle", "maximum": 1})
    with pytest.raises(ValueError, match="warmup is a part of the run"):
        build_schedule({"name": "cosine", "warmup": 1.0})
