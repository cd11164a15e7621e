"""Export of trained models: a `torch.export` program, or ONNX."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from ..operators.neural.spectral.frozen import real_copy


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
        Where to write, by custom ``….pt2``. A file that is there is replaced only once the new one is complete.

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
    program = _program(copy.deepcopy(model).eval(), example)
    _replace(Path(path), ".pt2", lambda file: torch.export.save(program, file))


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
        Where to write, by custom ``….onnx``. A file that is there is replaced only once the new one is complete.

    Raises
    ------
    ImportError
        Without the extra ``onnx``.
    ValueError
        If the model computes with complex numbers outside of its spectral weights, which ONNX cannot do.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError('export to ONNX needs onnx and onnxscript: pip install "resolvent[onnx]"') from error
    program = real_program(model, example)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # torch prints its progress
        warnings.simplefilter("ignore")  # about deprecations inside of torch and onnxscript
        exported = torch.onnx.export(program, dynamo=True, external_data=False)
    if exported is None:
        raise RuntimeError("torch.onnx.export returned no program")
    _replace(Path(path), ".onnx", lambda file: exported.save(file, external_data=False))


def real_program(model: torch.nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    """Return the program of a model in real arithmetic; ValueError, naming the operations, if complex ones remain."""
    program = _program(real_copy(model), example)
    complex_nodes = sorted({str(node.target) for node in program.graph.nodes if _is_complex(node.meta.get("val"))})
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


def _replace(path: Path, suffix: str, write: Callable[[str], object]) -> None:
    """Write a temporary file beside the path, then put it there in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}{suffix}")
    try:
        write(str(temporary))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
