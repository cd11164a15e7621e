"""Values of states, as they come back from JSON or an .npz file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

FORMAT = 1


def like(present: Any, value: Any, name: str) -> Any:
    """Return a value of a state in the type and shape of the present one."""
    try:
        array = np.asarray(value, dtype=np.asarray(present).dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} of the state is not numeric: {error}") from error
    # The context has the length of the last one; all else keeps its shape.
    if name == "context" and array.ndim == 1:
        present = np.empty(array.shape)
    if array.shape != np.shape(present):
        raise ValueError(f"{name} of the state has shape {array.shape}, expected {np.shape(present)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} of the state is not finite")
    return np.array(array) if isinstance(present, np.ndarray) else array.item()


def generator_text(rng: np.random.Generator) -> str:
    """Return the state of a generator as text."""
    # Text, because the integers of a generator have 128 bits, which neither arrays nor every reader of JSON can hold.
    return json.dumps(rng.bit_generator.state, default=lambda array: array.tolist())


def generator_state(rng: np.random.Generator, text: str) -> dict[str, Any]:
    """Return what `generator_text` wrote, for a generator of the kind of `rng`; raises ValueError if it is none."""
    try:
        found = json.loads(text)
        trial = type(rng.bit_generator)()
        trial.state = found
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"the state holds no state of a {type(rng.bit_generator).__name__} generator ({error}): pass a "
            "generator of the kind that was saved"
        ) from error
    return dict(found)
