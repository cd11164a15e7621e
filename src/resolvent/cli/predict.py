"""`resolvent predict`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import DebugOption, InputError
from .models import DeviceOption, ModelArgument, opened

if TYPE_CHECKING:
    import numpy as np

EXAMPLE = "Example: resolvent predict darcy-mgno new.npy --out predictions.npy"

PREDICTIONS = (".npy", ".h5")


def predict(
    model: ModelArgument,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="A dataset, or a .npy array (samples, channels, *grid).", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A .npy or .h5 file.", show_default=False)],
    batch_size: Annotated[int, typer.Option(help="Samples at a time.")] = 16,
    device: DeviceOption = "cpu",
    debug: DebugOption = False,
) -> None:
    """Write what a model predicts for the inputs of a dataset, or for an array.

    A prediction carries no certificate: `resolvent verify` is for solutions.
    """
    import numpy as np

    from ..training import load_model
    from .console import counted, write
    from .writing import check_target, put

    check_target(out, PREDICTIONS, [data])
    if data.suffix == ".npy":
        operator = load_model(model, device)
        x = _array(data)
    else:
        operator, _, pairs = opened(model, data, device)
        x = pairs.batch(np.sort(np.concatenate(list(pairs.splits.values()))))[0].numpy()
    y = operator.predict(x, batch_size)
    content = io.BytesIO()
    if out.suffix.lower() == ".npy":
        np.save(content, y, allow_pickle=False)
    else:
        content.write(_hdf5(y, str(model), str(data)))
    put(out, content.getvalue())
    write(f"{out}: {counted(len(y), 'prediction')} of shape {' × '.join(map(str, y.shape[1:]))}")


def _array(path: Path) -> np.ndarray:
    import numpy as np

    try:
        x = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is no array of numbers: {error}", "write it with numpy.save") from error
    if x.dtype.kind not in "fiu" or x.ndim < 3:
        raise InputError(
            f"{path}: expected real numbers of shape (samples, channels, *grid), found {x.dtype} of shape {x.shape}",
            "x[:, None] adds an axis of channels",
        )
    if not np.isfinite(x).all():
        bad = int(np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(axis=1))[0])
        raise InputError(f"{path}: sample {bad} is not finite", "leave it out")
    single: np.ndarray = x.astype(np.float32)
    return single


def _hdf5(y: np.ndarray, model: str, data: str) -> bytes:
    import h5py

    with h5py.File("predictions", "w", driver="core", backing_store=False) as file:
        file["y"] = y
        file.attrs.update({"model": model, "data": data, "certified": False})
        file.flush()
        image: bytes = file.id.get_file_image()
    return image
