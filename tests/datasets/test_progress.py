"""Progress as it is reported: rates of the work, and of nothing else."""

from types import SimpleNamespace

from resolvent.datasets import progress
from resolvent.datasets.progress import Meter


def test_what_a_callback_does_before_the_work_begins_lowers_no_rate(monkeypatch):
    clock, seen = [0.0], []

    def callback(state):
        clock[0] += 10.0 if not seen else 0.0
        seen.append(state)

    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    meter = Meter(callback, "generate", 3, 7)
    meter.report()
    clock[0] += 2.0
    meter.sample()
    clock[0] += 2.0
    meter.sample()
    assert [state.rate for state in seen] == [0.0, 0.5, 0.5]
    assert [state.done for state in seen] == [3, 4, 5]
    assert meter.seconds == 4.0
