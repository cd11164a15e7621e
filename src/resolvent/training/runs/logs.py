"""What a run writes down as it goes: a CSV file by default; any other recorder can be added."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ...datasets.storage.durable import write_atomically

COLUMNS = ("epoch", "step", "lr", "train_loss", "valid_loss", "valid_metric", "gradient_norm", "seconds")


class Recorder(Protocol):
    """Takes one row an epoch; a resumed run begins with those of its checkpoint."""

    def record(self, row: dict[str, Any]) -> None:
        """Take the figures of one epoch."""

    def restart(self, rows: Sequence[dict[str, Any]]) -> None:
        """Forget all but these rows: what came after the checkpoint of a resumed run happens again."""


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
        lines = [] if self.path.exists() and self.path.stat().st_size else [_line(COLUMNS)]
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join([*lines, _line([_text(row.get(name)) for name in COLUMNS])]))
            file.flush()
            os.fsync(file.fileno())

    def restart(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write the file anew with the rows of a checkpoint, whatever has become of it."""
        lines = [_line(COLUMNS), *(_line([_text(row.get(name)) for name in COLUMNS]) for row in rows)]
        write_atomically(self.path, "".join(lines).encode())


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

    def restart(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep everything: TensorBoard shows the last value of a step."""


def _line(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def read_log(path: str | Path) -> dict[str, list[float]]:
    """Return the columns of a CSV log; a missing figure is NaN."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in COLUMNS}
