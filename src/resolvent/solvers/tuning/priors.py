"""What a tuner has learned, on file: by kind and size of systems, for the next run."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...operators import LinearOperator, StructureError, detect_props
from ..structure import structure_of
from .arm import Arm
from .pruning import Probe

if TYPE_CHECKING:
    from .online import OnlineTuner
    from .strategy import Strategy

FORMAT = "resolvent priors of tuners"
VERSION = 1

CONTEXTS = 200
"""Contexts that are kept on file."""


@dataclasses.dataclass(frozen=True)
class Prior:
    """What was learned about systems of one kind and size.

    Attributes
    ----------
    arms : tuple of str
        Names, in order.
    systems : int
        That it was learned from.
    ratios : tuple of float or None
        Cost of each arm in units of the safe one, None for those that failed or were not probed.
    notes : tuple of str
        Why arms failed.
    contexts : list
        Of some systems, by which the range of contexts is known.
    kept : tuple of int
        Arms that the learner chooses from.
    learner : dict or None
        Its state.
    """

    arms: tuple[str, ...]
    systems: int
    ratios: tuple[float | None, ...]
    notes: tuple[str, ...]
    contexts: list[list[float]]
    kept: tuple[int, ...]
    learner: dict[str, Any] | None


def signature_of(A: LinearOperator, family: str, cost: str) -> str:
    """Return the key of systems like A: family, kind, size class (powers of four unknowns), unit of cost.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import as_operator
    >>> signature_of(as_operator(np.eye(100)), "mine", "work")
    'mine narrow float64 4^3 work'
    """
    kind = type(A).__name__
    if not A._holds_torch():
        try:
            matrix = A.to_sparse()
            found = structure_of(A, A.props | detect_props(matrix), matrix)
            kind = found.kind if found is not None else kind
        except StructureError:
            pass
    size = round(math.log(max(A.shape[0], 1), 4))
    return " ".join(part for part in (family, kind, A.dtype.name, f"4^{size}", cost) if part)


def write_priors(tuner: OnlineTuner, path: Path) -> None:
    """Add what a tuner has learned to a file, which a crash leaves as it was or complete."""
    if tuner.key is None or not tuner.history:
        raise ValueError("nothing was learned yet: solve some systems first")
    entries = _entries(path) if path.exists() else {}
    strategy = tuner.strategy
    probes, learner = strategy.pruning.probes, strategy.learner
    contexts = [z.tolist() for z in strategy.contexts[-CONTEXTS:] if z.size]
    entry = Prior(
        arms=tuple(arm.name for arm in tuner.arms),
        systems=len(tuner.history),
        ratios=tuple(float(probe.ratio) if math.isfinite(probe.ratio) else None for probe in probes),
        notes=tuple(probe.note for probe in probes),
        contexts=contexts,
        kept=tuple(strategy.kept),
        learner=None if learner is None else {k: _plain(v) for k, v in learner.state().items()},
    )
    entries[tuner.key] = dataclasses.asdict(entry)
    text = json.dumps({"format": FORMAT, "version": VERSION, "entries": entries}, indent=1, ensure_ascii=False)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_priors(path: Path, arms: Sequence[Arm]) -> dict[str, Prior]:
    """Return the priors of a file by key."""
    names = tuple(arm.name for arm in arms)
    found = {}
    for key, entry in _entries(path).items():
        try:
            prior = Prior(**{**entry, **{k: tuple(entry[k]) for k in ("arms", "ratios", "notes", "kept")}})
            whole = len(prior.arms) == len(prior.ratios) == len(prior.notes)
        except (TypeError, KeyError) as error:
            raise ValueError(f"the priors {path} are damaged at {key!r}: {error}") from error
        if not whole or not all(0 <= arm < len(prior.arms) for arm in prior.kept):
            raise ValueError(f"the priors {path} are damaged at {key!r}: numbers of arms do not agree")
        if prior.arms != names:
            other = next((a for a in prior.arms if a not in names), f"{len(prior.arms)} in another order")
            raise ValueError(
                f"the priors {path} were made for other arms at {key!r} ({other}): give the same arms in the same "
                "order, or save to another file"
            )
        found[key] = prior
    return found


def adopt(strategy: Strategy, prior: Prior) -> None:
    """Begin with what was learned before."""
    for arm, (ratio, note) in enumerate(zip(prior.ratios, prior.notes, strict=True)):
        if arm != strategy.safe and (ratio is not None or note):
            strategy.pruning.probes[arm] = Probe(0, math.inf if ratio is None else ratio, note)
    if prior.learner is None or not prior.kept:
        return
    strategy.learner = strategy.made(len(prior.kept), [np.array(z) for z in prior.contexts])
    strategy.learner.inherit(prior.learner)
    strategy.kept = list(prior.kept)


def _entries(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there are no priors at {path}: OnlineTuner.save makes them") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"the priors {path} cannot be read ({error})") from error
    if not isinstance(data, Mapping) or data.get("format") != FORMAT or not isinstance(data.get("entries"), dict):
        raise ValueError(f"{path} does not hold priors of a tuner")
    if data.get("version") != VERSION:
        raise ValueError(f"the priors {path} are of version {data.get('version')!r}, this program reads {VERSION}")
    return dict(data["entries"])


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist() if not isinstance(value, str) else value
