"""Export of trained models: a `torch.export` program, or ONNX."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import warnings
from pathlib import Path

import torch

from ..datasets.storage.durable import storage_errors, write_atomically
from ..operators.neural.spectral.frozen import real_copy
from .runs.checkpoint import load_trained


def export_trained(run: str | Path, path: str | Path, *, onnx: bool = False) -> tuple[int, ...]:
    """Write the model of a training run as a program, or as ONNX, on the grid that it was trained on.

    Parameters
    ----------
    run : path
        A checkpoint, or the folder of a run.
    path : path
        Where to write.
    onnx : bool

    Returns
    -------
    grid : tuple of int
        Points of each axis that the program takes; the number of samples stays free.
    """
    model, origin = load_trained(run)
    grid = origin.geometry.grid
    (export_onnx if onnx else export_program)(model, torch.zeros(2, model.inputs.channels, *grid), path)
    return grid


def export_program(model: torch.nn.Module, example: torch.Tensor, path: str | Path) -> None:
    """Write a model as a program that `torch.export.load` runs without its source.

    The number of samples stays free, the grid is that of the example.

    Parameters
    ----------
    model : Module
        It is exported in evaluation mode, from a copy.
    example : (B, c_in, *grid) tensor
        Input like those of later calls, on the device and in the precision of the model.
    path : path
        Where to write, usually ``….pt2``. A file that is there is replaced only once the new one is complete.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import FNO
    >>> from resolvent.training.export import export_program
    >>> model = FNO(c_in=1, c_out=1, n_modes=[4, 4], width=4, layers=1)
    >>> export_program(model, torch.zeros(2, 1, 9, 9), "fno.pt2")
    >>> torch.export.load("fno.pt2").module()(torch.zeros(5, 1, 9, 9)).shape
    torch.Size([5, 1, 9, 9])
    """
    content = io.BytesIO()
    torch.export.save(_program(copy.deepcopy(model).eval(), example), content)
    _write(path, content.getvalue())


def export_onnx(model: torch.nn.Module, example: torch.Tensor, path: str | Path) -> None:
    """Write a model as ONNX, with real arithmetic only.

    Fourier transforms are products with the real matrices of the retained modes, and spectral weights of any form
    become constant real matrices. The number of samples stays free, the grid is that of the example.

    Parameters
    ----------
    model : Module
        It is exported in evaluation mode, from a copy.
    example : (B, c_in, *grid) tensor
        Input like those of later calls.
    path : path
        Where to write, usually ``….onnx``. A file that is there is replaced only once the new one is complete.

    Raises
    ------
    ImportError
        Without the extra ``onnx``.
    ValueError
        If the model computes with complex numbers outside of its spectral weights, which ONNX cannot do.
    """
    for name in ("onnx", "onnxscript"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ImportError(f'export to ONNX needs {name}: pip install "resolvent[onnx]"') from error
    program = real_program(model, example)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # torch prints its progress
        warnings.simplefilter("ignore")  # about deprecations inside of torch and onnxscript
        exported = torch.onnx.export(program, dynamo=True)
    if exported is None:
        raise RuntimeError("torch.onnx.export returned no program")
    _write(path, exported.model_proto.SerializeToString())


def real_program(model: torch.nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    """Return the program of a model in real arithmetic; ValueError, naming the operations, if complex ones remain."""
    program = _program(real_copy(model), example)
    graphs = [m.graph for m in program.graph_module.modules() if isinstance(m, torch.fx.GraphModule)]
    nodes = [node for graph in graphs for node in graph.nodes]
    complex_nodes = sorted({str(node.target) for node in nodes if _is_complex(node.meta.get("val"))})
    if complex_nodes:
        raise ValueError(
            f"{type(model).__name__} computes with complex numbers outside of its spectral weights "
            f"({', '.join(complex_nodes)}), and ONNX has none: write that part with real and imaginary parts"
        )
    return program


def _program(model: torch.nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    # Sizes 0 and 1 would be taken for constants.
    example = example if example.shape[0] > 1 else example.expand(2, *example.shape[1:]).contiguous()
    with torch.no_grad():
        model(example)  # makes the matrices of this grid, which the trace then holds as constants
        return torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim("samples")},))


def _is_complex(value: object) -> bool:
    values = value if isinstance(value, tuple | list) else [value]
    return any(isinstance(v, torch.Tensor) and v.is_complex() for v in values)


def _write(path: str | Path, content: bytes) -> None:
    with storage_errors("write", Path(path)):
        write_atomically(Path(path), content)
