"""Which device a run or a prediction uses."""

from __future__ import annotations

import os

import torch


def device_of(name: str | torch.device, *, shared: bool = False) -> torch.device:
    """Return the device of a name; ``auto`` is a GPU where there is one.

    Parameters
    ----------
    name : str
    shared : bool
        Whether several processes train together: each then takes the GPU of its number (LOCAL_RANK).

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device == torch.device("cuda") and shared:  # which one is not said
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"there is no device {str(name)!r} here: expected cpu, or cuda on a machine with a GPU"
        ) from error
    if device.type == "cuda" and shared:
        torch.cuda.set_device(device)
    return device
