"""The methods that come into question for a kind of problem, what each is estimated to take, and which one is best."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from .costs import WAYS, CostModel
from .costs.ways import TOGETHER, ensemble_width
from .structure import Structure

RISK = 1.15
"""A method whose iterations depend on the coefficients must be estimated faster by this factor than one whose
iterations do not: it was measured for coefficients of one law, and others may take more. What fails is solved by what
is surer (`rescue`), so that little is lost by a wrong guess."""

DIRECT_UNKNOWNS = {1: math.inf, 2: 500_000, 3: 50_000}
"""Largest systems to factorise, by dimension: SuperLU then holds about 1.5 GB of factors (0.5 GB at 512²)."""

TRUST = 60
"""Iterations after which multigrid, or fast transforms as a preconditioner, gives way to what is surer. Both take 10 to
30 where they are right; white noise of contrast 10⁶ and anisotropy whose direction changes take hundreds."""

DIGITS = 8.0
"""Digits that the model was measured for."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a way to solve is estimated to take.

    Attributes
    ----------
    way : str
        Name of the way.
    seconds : float
        A system with its right-hand sides; for infinitely many of these, each of them.
    """

    way: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.way} {duration(self.seconds)}"


def candidates(structure: Structure) -> tuple[str, ...]:
    """Return the names of the ways that can solve a problem of this structure.

    Where there is none, or only one that would not fit into memory, the problem is hard: see `choose`.
    """
    names = []
    if structure.character == "definite":
        if structure.constant:
            names.append("fft")
        if structure.box:
            names.append("multigrid")
        if structure.smooth:
            names.append("cg+fft")
        names.append("cg+amg")
        if structure.stable:
            names += ["cg+ic", "cg+ssor"]
    elif structure.character == "nonsymmetric":
        names += ["bicgstab+ilu0", "gmres+ilu0", "gmres+ilu", "gmres+amg"] if structure.stable else ["gmres+ilu"]
    if structure.unknowns <= DIRECT_UNKNOWNS[structure.dimension]:
        names.append("direct")
    return tuple(names)


def estimate(
    structure: Structure,
    way: str,
    model: CostModel,
    *,
    n_systems: float = 1,
    rhs: float = 1,
    rtol: float = 1e-8,
) -> Estimate | None:
    """Return what a way is estimated to take for one of a sequence of systems, or None where nothing is known."""
    kind, entry = structure.kind, way
    if way == "fft":
        kind = kind.replace("definite", "constant")
    elif way == "multigrid" and rhs == 1 and structure.dimension > 1:
        # From a handful of systems on they are solved together, as many at once as the caches hold.
        count = max(n_systems, structure.members)
        if count >= min(4, ensemble_width(structure.unknowns, structure.dimension)):
            entry = TOGETHER
    curve = model.curve(kind, entry)
    if curve is None:
        return None
    digits = 1.0
    if WAYS[way].iterative and 0.0 < rtol < 1.0:
        digits = max(-math.log10(rtol) / DIGITS, 0.1)
    return Estimate(way, curve.seconds(structure.unknowns, n_systems, rhs, digits))


def ranked(
    structure: Structure,
    model: CostModel,
    names: Sequence[str] | None = None,
    *,
    n_systems: float = 1,
    rhs: float = 1,
    rtol: float = 1e-8,
) -> tuple[Estimate, ...]:
    """Return the estimates of all candidates, the one to take first and the others by time."""
    names = candidates(structure) if names is None else names
    found = [estimate(structure, way, model, n_systems=n_systems, rhs=rhs, rtol=rtol) for way in names]
    known = sorted((e for e in found if e is not None), key=lambda e: e.seconds)
    if not known:
        return ()
    best = min(known, key=lambda e: e.seconds * (1.0 if WAYS[e.way].sure else RISK))
    return (best, *(e for e in known if e is not best))


def rescue(names: Sequence[str]) -> str | None:
    """Return what to take of some candidates, ordered by preference, where the first one fails.

    Examples
    --------
    >>> rescue(["multigrid", "cg+ic", "direct"]), rescue(["multigrid", "cg+amg"]), rescue(["direct", "cg+amg"])
    ('direct', 'cg+amg', None)
    """
    if not names or names[0] in ("direct", "fft"):
        return None
    return next((name for name in ("direct", "cg+amg") if name in names[1:]), None)


def told(estimates: Sequence[Estimate], model: CostModel, a: str = "a system") -> str:
    """Return estimates as a sentence."""
    best, *others = estimates
    text = f"estimated {best}"
    if others:
        text += f" {a}, against " + ", ".join(map(str, others))
        faster = others[0]
        if faster.seconds < best.seconds:
            text += f" ({faster.way} less surely)"
    else:
        text += f" {a}"
    return f"{text}; {model.label}"


def duration(seconds: float) -> str:
    """Return a time with two digits.

    Examples
    --------
    >>> duration(0.00234), duration(12.3), duration(0.000012)
    ('2.3 ms', '12 s', '0.012 ms')
    """
    value, unit = (seconds, "s") if seconds >= 1.0 else (1e3 * seconds, "ms")
    return f"{value:.0f} {unit}" if value >= 9.95 else f"{value:.2g} {unit}"
