"""`resolvent calibrate`: measuring, showing, resetting, and what a damaged file or Ctrl-C leave behind."""

import json

import pytest

from resolvent.solvers.costs import measure, read_calibration

TINY = {"": (30,), "2d": (4,), "3d": (3,)}


@pytest.fixture
def calibration(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "costs.json"
    monkeypatch.setenv("RESOLVENT_CALIBRATION", str(path))
    monkeypatch.setattr(measure, "SHORT", TINY)
    return path


def test_calibrating_stores_figures_and_prints_old_and_new(run, calibration):
    result = run("calibrate")
    assert result.exit_code == 0, result.output
    assert str(calibration) in result.stdout and "before" in result.stdout and "ratio" in result.stdout
    assert "multigrid, together" in result.stdout and "nonsymmetric-3d" in result.stdout
    assert set(read_calibration(calibration).curves) == set(measure.PLAN)
    assert isinstance(json.loads(calibration.read_text()), dict)
    shown = run("calibrate", "--show")
    assert shown.exit_code == 0 and "package" in shown.stdout and str(calibration) in shown.stdout
    removed = run("calibrate", "--reset")
    assert removed.exit_code == 0 and "removed" in removed.stdout and not calibration.exists()
    assert "there is no calibration" in run("calibrate", "--reset").stdout


def test_nothing_to_show_and_contradictions_are_errors(refused, calibration):
    refused(2, "no calibration|resolvent calibrate", "calibrate", "--show")
    refused(2, "exclude each other", "calibrate", "--show", "--reset")


def test_a_damaged_file_is_named_and_can_be_replaced(run, refused, calibration):
    calibration.parent.mkdir()
    calibration.write_text("{")
    refused(2, f"{calibration}|cannot be used|--reset", "calibrate", "--show")
    assert run("calibrate").exit_code == 0
    assert read_calibration(calibration).curves


def test_an_interruption_keeps_what_was_there(run, calibration, monkeypatch):
    assert run("calibrate").exit_code == 0
    before = calibration.read_bytes()

    def interrupted(*arguments, **options):
        yield None
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "measurements", interrupted)
    result = run("calibrate")
    assert result.exit_code == 130 and "interrupted" in result.stderr
    assert calibration.read_bytes() == before and list(calibration.parent.iterdir()) == [calibration]
