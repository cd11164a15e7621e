"""Where cost models lie: the one of this package, and a user's own, made by ``resolvent calibrate``."""

from __future__ import annotations

import functools
import json
import logging
import os
import platform
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from .model import CostModel

logger = logging.getLogger(__name__)

_PACKAGED = "packaged.json"


class CalibrationError(ValueError):
    """A calibration file that cannot be used; the message says which, why, and what to do."""


@functools.cache
def packaged_model() -> CostModel:
    """Return the model stored with the package, the same on every machine."""
    text = resources.files(__package__).joinpath(_PACKAGED).read_text(encoding="utf-8")
    return CostModel.from_json(json.loads(text))


def calibration_path() -> Path:
    """Return where a calibration of this user lies: ``$RESOLVENT_CALIBRATION``, or below ``$XDG_CACHE_HOME``.

    The latter is ``~/.cache`` by default.
    """
    named = os.environ.get("RESOLVENT_CALIBRATION", "")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return folder / "resolvent" / "costs.json"


def this_machine() -> dict[str, str]:
    """Return what a calibration holds for: a home folder may be shared by different machines."""
    return {"cpu": _processor(), "architecture": platform.machine()}


def calibrated_model() -> CostModel:
    """Return the packaged model adjusted to this machine, where it was calibrated; else the packaged one.

    A file that is damaged, of another version or of another machine is left alone and logged once: an automatic choice
    must not fail for it.
    """
    path = calibration_path()
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return packaged_model()
    return _calibrated(path, changed)


@functools.lru_cache(maxsize=4)
def _calibrated(path: Path, changed: int) -> CostModel:
    try:
        return packaged_model().adjusted(read_calibration(path))
    except CalibrationError as error:
        logger.warning("%s; the figures of the package are used", error)
    return packaged_model()


def read_calibration(path: Path | None = None) -> CostModel:
    """Return what was measured on this machine.

    Raises
    ------
    CalibrationError
        If the file is missing, damaged, of another version or of another machine.
    """
    path = calibration_path() if path is None else path
    again = "run `resolvent calibrate` to replace it, or `resolvent calibrate --reset` to remove it"
    try:
        model = CostModel.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CalibrationError(f"there is no calibration at {path}: `resolvent calibrate` makes one") from None
    except OSError as error:
        raise CalibrationError(f"the calibration {path} cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:  # JSON and Unicode errors are of the first class
        raise CalibrationError(f"the calibration {path} cannot be used ({error}): {again}") from error
    here = this_machine()
    there = {name: model.machine.get(name) for name in here}
    if there != here:
        raise CalibrationError(
            f"the calibration {path} is of another machine ({there['cpu']}, this one is {here['cpu']}): {again}"
        )
    return model


def write_calibration(model: CostModel, path: Path | None = None) -> Path:
    """Store a calibration so that a crash leaves the old one or the new one, and return where it is."""
    path = calibration_path() if path is None else path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps(model.to_json(), indent=1, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def remove_calibration(path: Path | None = None) -> bool:
    """Remove a calibration; return whether there was one."""
    path = calibration_path() if path is None else path
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine() or "unknown")


def describe_machine(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the machine and the versions that a measurement depends on."""
    import numpy
    import scipy

    versions = {"python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__}
    return this_machine() | {"system": platform.system()} | versions | dict(extra or {})
