"""Counting parameters, also in the convention of published tables."""

from __future__ import annotations

import torch


class ComplexPair(torch.nn.Parameter):
    """Complex weights as a real parameter with a trailing axis (real, imaginary).

    A class and not a mark on a parameter, because copies of a parameter keep only their class.
    """


def complex_pair(values: torch.Tensor) -> ComplexPair:
    """Return a parameter for complex weights: stored real, with a trailing axis (real, imaginary).

    Gradients of complex parameters lose their imaginary part under distributed data parallelism (pytorch #158753),
    and ONNX has no complex type.
    """
    return ComplexPair(torch.view_as_real(values.resolve_conj()).clone() if values.is_complex() else values)


def count_params(model: torch.nn.Module, *, complex_as_one: bool = False) -> int:
    """Return the number of trainable parameters.

    Parameters
    ----------
    model : Module
    complex_as_one : bool
        Count a complex weight once, as published tables do, instead of its two real numbers.

    Examples
    --------
    >>> from resolvent.operators.neural import FNO, count_params
    >>> model = FNO(c_in=1, c_out=1, n_modes=[16, 16], width=32, layers=4)
    >>> count_params(model), count_params(model, complex_as_one=True)
    (1192801, 602977)
    """
    counted = 0
    for parameter in model.parameters():
        if parameter.requires_grad:
            pair = complex_as_one and isinstance(parameter, ComplexPair)
            counted += parameter.numel() // 2 if pair else parameter.numel()
    return counted
