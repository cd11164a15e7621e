"""Comparing printed output with what documentation shows: words exactly, numbers as far as they can repeat."""

from __future__ import annotations

import math
import re

_TOKEN = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|[^\s\d]+|\d+")
_VOLATILE = re.compile(r"^\s*(seconds|estimated|written|host|date|python|samples per second|rate)\b")
SMALL = 1e-5
"""Below this, numbers are rounding errors or residuals: their order of magnitude must agree to a factor of 100."""


def differences(shown: str, printed: str) -> list[str]:
    """Return the lines that disagree, as ``shown | printed``; lines that hold times are left out."""
    found = []
    left, right = _lines(shown), _lines(printed)
    if len(left) != len(right):
        return [f"{len(left)} lines shown, {len(right)} printed:\n{printed}"]
    for a, b in zip(left, right, strict=True):
        if not _agree(a, b):
            found.append(f"shown   {a}\nprinted {b}")
    return found


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines() if line.strip() and not _VOLATILE.match(line)]


def _agree(shown: str, printed: str) -> bool:
    a, b = _TOKEN.findall(shown), _TOKEN.findall(printed)
    return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))


def _same(x: str, y: str) -> bool:
    if x == y:
        return True
    try:
        u, v = float(x), float(y)
    except ValueError:
        return False
    if max(abs(u), abs(v)) < SMALL:
        return u == v or (u != 0.0 and v != 0.0 and abs(math.log10(abs(u / v))) <= 2.0)
    return math.isclose(u, v, rel_tol=0.03)
