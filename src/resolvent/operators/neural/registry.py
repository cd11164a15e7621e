"""Neural operators by name."""

from __future__ import annotations

import difflib
import inspect
from typing import Any, NamedTuple

from .deeponet import DeepONet, PODDeepONet
from .fno import FNO
from .mgno import MgNO
from .model import NeuralOperator
from .monarch_operator import MonarchOperator
from .multigrid_fno import MultiGridFNO
from .quadrature_attention import AttentionOperator


class Entry(NamedTuple):
    """A model class, the options that its name stands for, and what it is for."""

    model: type[NeuralOperator]
    defaults: dict[str, Any]
    purpose: str


MODELS: dict[str, Entry] = {
    "fno": Entry(FNO, {}, "smooth solutions, periodic problems, any resolution"),
    "mgno": Entry(MgNO, {}, "elliptic problems with rough coefficients on one grid"),
    "attention": Entry(AttentionOperator, {}, "global dependence, scattered points"),
    "deeponet": Entry(DeepONet, {}, "baseline; outputs in a fixed linear space of learned functions"),
    "pod_deeponet": Entry(PODDeepONet, {}, "baseline; outputs in the space of the leading modes of the training set"),
    "tfno": Entry(FNO, {"weights": "tucker", "rank": 0.1}, "as fno, with about a tenth of the parameters"),
    "mgtfno": Entry(MultiGridFNO, {}, "as tfno on patches, for grids too large for one sample in memory"),
    "monarch": Entry(MonarchOperator, {}, "as fno with learned transforms, for data on one grid that is not periodic"),
}


def build(name: str, **options: Any) -> NeuralOperator:
    """Return a model by name.

    Parameters
    ----------
    name : str
        One of `MODELS`.
    **options
        Of its class; numbers, strings, booleans and lists, as JSON has them.

    Raises
    ------
    ValueError
        For an unknown name or option, with what there is.

    Examples
    --------
    >>> from resolvent.operators.neural import build
    >>> build("fno", c_in=1, c_out=1, width=16).options["n_modes"]
    [16, 16]
    """
    entry = entry_of(name)
    known = inspect.signature(entry.model.__init__).parameters
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(
            f"{name} has no option {', '.join(unknown)}: expected some of {', '.join(k for k in known if k != 'self')}"
        )
    return entry.model(**{**entry.defaults, **options})


def entry_of(name: str) -> Entry:
    """Return the entry of a name; ValueError for an unknown one, with the nearest and all there are."""
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"there is no model {name!r}{hint}: expected one of {', '.join(MODELS)}")
    return MODELS[name]
