"""What a run writes down as it goes: a CSV file by default; any other recorder can be added."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any, Protocol

COLUMNS = ("epoch", "step", "lr", "train_loss", "valid_loss", "valid_metric", "gradient_norm", "seconds")


class Recorder(Protocol):
    """Takes one row an epoch; `position` and `cut` let a resumed run continue where its checkpoint stands."""

    def record(self, row: dict[str, Any]) -> None:
        """Take the figures of one epoch."""

    def position(self) -> int:
        """Return how far the record is, to be stored in a checkpoint."""

    def cut(self, position: int) -> None:
        """Forget what was recorded after `position`."""


class CSVRecorder:
    """Rows of a CSV file, each on disk before the next epoch begins.

    Parameters
    ----------
    path : path
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def record(self, row: dict[str, Any]) -> None:
        """Append one row; the first brings the names of the columns."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if self.position() == 0:
            writer.writerow(COLUMNS)
        writer.writerow([_text(row.get(name)) for name in COLUMNS])
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())

    def position(self) -> int:
        """Return the length of the file in bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, position: int) -> None:
        """Shorten the file to a length it once had."""
        if self.path.exists():
            os.truncate(self.path, min(position, self.position()))


class TensorBoardRecorder:
    """Scalars for TensorBoard; needs the package of that name."""

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoardRecorder needs tensorboard: pip install tensorboard") from error
        self.writer: Any = SummaryWriter(str(folder))

    def record(self, row: dict[str, Any]) -> None:
        """Write the figures of one epoch under the number of its last step."""
        for name in COLUMNS[2:]:
            if row.get(name) is not None:
                self.writer.add_scalar(name, row[name], row["step"])
        self.writer.flush()

    def position(self) -> int:
        """Return 0: TensorBoard shows the last value of a step, so nothing needs to be forgotten."""
        return 0

    def cut(self, position: int) -> None:
        """Keep everything."""


def _text(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def read_log(path: str | Path) -> dict[str, list[float]]:
    """Return the columns of a CSV log; a missing figure is NaN."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in COLUMNS}
