"""Loops over contiguous numbers: the innermost code of the fused multigrid.

Each takes flat arrays and where to begin in them, since a slice costs more than many rows do. Positions are unsigned,
so that numba adds no test for negative indices and the compiler vectorises, after checking that what is written does
not overlap with what is read.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import uint64


def _drop_stale_caches() -> None:
    """Remove compiled functions older than the newest of these files.

    Numba compiles called functions into their callers, but compares the cache of a function with its own file only.
    """
    here = Path(__file__).parent
    newest = max((source.stat().st_mtime for source in here.glob("checkerboard_*.py")), default=0.0)
    for index in (here / "__pycache__").glob("checkerboard_*.nbi"):
        with contextlib.suppress(OSError):  # another process was faster, or the folder is read-only
            if index.stat().st_mtime < newest:
                index.unlink()


_drop_stale_caches()

_njit: Any = numba.njit  # whose annotations do not know all of its options
_options = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}

compiled = _njit(**_options)
"""For what Python calls. Contraction lets a product and a sum become one instruction; no other freedom is given."""

TINY = 1e-30
"""Keeps 0/0 away; conductances are scaled to the order of one."""

helper = _njit(**_options, no_cpython_wrapper=True, no_cfunc_wrapper=True)
inlined = _njit(**_options, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)
"""For what only compiled functions call: without the entries from Python, which take half of the compilation."""


@inlined
def set_two(a, i, j, x, k, m, out, o, n):  # type: ignore[no-untyped-def]
    """out = a x + a x, two products."""
    i, j, k, m, o = uint64(i), uint64(j), uint64(k), uint64(m), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] = a[i + f] * x[k + f] + a[j + f] * x[m + f]


@inlined
def set_four(a, i, j, k, h, x, p, q, r, s, out, o, n):  # type: ignore[no-untyped-def]
    """out = the sum of four products a x."""
    i, j, k, h, o = uint64(i), uint64(j), uint64(k), uint64(h), uint64(o)
    p, q, r, s = uint64(p), uint64(q), uint64(r), uint64(s)
    for step in range(n):
        f = uint64(step)
        out[o + f] = (a[i + f] * x[p + f] + a[j + f] * x[q + f]) + (a[k + f] * x[r + f] + a[h + f] * x[s + f])


@inlined
def set_six(a, i, j, k, h, l, m, x, p, q, r, s, t, u, out, o, n):  # type: ignore[no-untyped-def]  # noqa: E741
    """out = the sum of six products a x."""
    i, j, k, h, l, m, o = uint64(i), uint64(j), uint64(k), uint64(h), uint64(l), uint64(m), uint64(o)  # noqa: E741
    p, q, r, s, t, u = uint64(p), uint64(q), uint64(r), uint64(s), uint64(t), uint64(u)
    for step in range(n):
        f = uint64(step)
        out[o + f] = ((a[i + f] * x[p + f] + a[j + f] * x[q + f]) + (a[k + f] * x[r + f] + a[h + f] * x[s + f])) + (
            a[l + f] * x[t + f] + a[m + f] * x[u + f]
        )


@inlined
def set_to_six(y, d, sign, a, i, j, k, h, l, m, x, p, q, r, s, t, u, out, o, n):  # type: ignore[no-untyped-def]  # noqa: E741
    """out = y + sign · the sum of six products a x."""
    i, j, k, h, l, m, o = uint64(i), uint64(j), uint64(k), uint64(h), uint64(l), uint64(m), uint64(o)  # noqa: E741
    p, q, r, s, t, u, d = uint64(p), uint64(q), uint64(r), uint64(s), uint64(t), uint64(u), uint64(d)
    for step in range(n):
        f = uint64(step)
        out[o + f] = y[d + f] + sign * (
            ((a[i + f] * x[p + f] + a[j + f] * x[q + f]) + (a[k + f] * x[r + f] + a[h + f] * x[s + f]))
            + (a[l + f] * x[t + f] + a[m + f] * x[u + f])
        )


@inlined
def set_to_four(y, m, sign, a, i, j, k, h, x, p, q, r, s, out, o, n):  # type: ignore[no-untyped-def]
    """out = y + sign · the sum of four products a x."""
    i, j, k, h, o, m = uint64(i), uint64(j), uint64(k), uint64(h), uint64(o), uint64(m)
    p, q, r, s = uint64(p), uint64(q), uint64(r), uint64(s)
    for step in range(n):
        f = uint64(step)
        out[o + f] = y[m + f] + sign * (
            (a[i + f] * x[p + f] + a[j + f] * x[q + f]) + (a[k + f] * x[r + f] + a[h + f] * x[s + f])
        )


@inlined
def add_product(x, i, y, j, out, n):  # type: ignore[no-untyped-def]
    """out += x y from the start of `out` on, in its precision."""
    i, j = uint64(i), uint64(j)
    for step in range(n):
        f = uint64(step)
        out[f] += x[i + f] * y[j + f]


@inlined
def add_square(weight, i, r, j, out, n):  # type: ignore[no-untyped-def]
    """out += (weight · r)² from the start of `out` on."""
    i, j = uint64(i), uint64(j)
    for step in range(n):
        f = uint64(step)
        t = weight[i + f] * r[j + f]
        out[f] += t * t


@inlined
def add_row(alpha, p, i, x, n):  # type: ignore[no-untyped-def]
    """x += α p, both at i; α from its start on."""
    i = uint64(i)
    for step in range(n):
        f = uint64(step)
        x[i + f] += alpha[f] * p[i + f]


@inlined
def subtract_row(alpha, q, i, r, y, m, n):  # type: ignore[no-untyped-def]
    """r −= α q, both at i, and y = r."""
    i, m = uint64(i), uint64(m)
    for step in range(n):
        f = uint64(step)
        t = r[i + f] - alpha[f] * q[i + f]
        r[i + f] = t
        y[m + f] = t


@inlined
def step_and_turn_row(z, m, alpha, beta, x, p, i, n):  # type: ignore[no-untyped-def]
    """x += α p, then p = z + β p."""
    i, m = uint64(i), uint64(m)
    for step in range(n):
        f = uint64(step)
        before = p[i + f]
        x[i + f] += alpha[f] * before
        p[i + f] = z[m + f] + beta[f] * before


@inlined
def add_fields(x, i, y, j, out, o, n):  # type: ignore[no-untyped-def]
    """out = x + y."""
    i, j, o = uint64(i), uint64(j), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] = x[i + f] + y[j + f]


@inlined
def share(w, i, h, j, target, k, m, n):  # type: ignore[no-untyped-def]
    """Give w h to one row of `target` and the rest of h to another."""
    i, j, k, m = uint64(i), uint64(j), uint64(k), uint64(m)
    for step in range(n):
        f = uint64(step)
        part = w[i + f] * h[j + f]
        target[k + f] += part
        target[m + f] += h[j + f] - part


@inlined
def between(w, i, source, k, m, out, o, n):  # type: ignore[no-untyped-def]
    """out = w of one row of `source` and 1 − w of another."""
    i, k, m, o = uint64(i), uint64(k), uint64(m), uint64(o)
    for step in range(n):
        f = uint64(step)
        farther = source[m + f]
        out[o + f] = farther + w[i + f] * (source[k + f] - farther)


@helper
def to_colour(natural, first, places, members, scale, i, colour, o):  # type: ignore[no-untyped-def]
    """colour = scale · every second point of `natural`, from position `first` on."""
    first, i, o, stride = uint64(first), uint64(i), uint64(o), uint64(2 * members)
    if members == 1:
        for step in range(places):
            f = uint64(step)
            colour[o + f] = scale[i + f] * natural[first + f + f]
        return
    for place in range(places):
        n, f = first + uint64(place) * stride, uint64(place * members)
        for member in range(members):
            b = uint64(member)
            colour[o + f + b] = scale[i + f + b] * natural[n + b]


@helper
def from_colour(colour, o, places, members, scale, i, natural, first):  # type: ignore[no-untyped-def]
    """Every second point of `natural`, from position `first` on, = scale · colour."""
    first, i, o, stride = uint64(first), uint64(i), uint64(o), uint64(2 * members)
    if members == 1:
        for step in range(places):
            f = uint64(step)
            natural[first + f + f] = scale[i + f] * colour[o + f]
        return
    for place in range(places):
        n, f = first + uint64(place) * stride, uint64(place * members)
        for member in range(members):
            b = uint64(member)
            natural[n + b] = scale[i + f + b] * colour[o + f + b]


@helper
def copy(x, i, out, o, n):  # type: ignore[no-untyped-def]
    """out = x."""
    i, o = uint64(i), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] = x[i + f]


@helper
def fill(x, i, n, value):  # type: ignore[no-untyped-def]
    """x = value."""
    i = uint64(i)
    for step in range(n):
        x[i + uint64(step)] = value


@helper
def accumulate(x, i, out, o, n):  # type: ignore[no-untyped-def]
    """out += x."""
    i, o = uint64(i), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] += x[i + f]


@helper
def scaled(t, i, s, j, k, out, o, n):  # type: ignore[no-untyped-def]
    """out = t s s, with s at two places."""
    i, j, k, o = uint64(i), uint64(j), uint64(k), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] = t[i + f] * s[j + f] * s[k + f]


@helper
def scaled_twice(t, i, s, j, k, out, small, o, n):  # type: ignore[no-untyped-def]
    """out = small = t s s, with s at two places, in their precisions."""
    i, j, k, o = uint64(i), uint64(j), uint64(k), uint64(o)
    for step in range(n):
        f = uint64(step)
        v = t[i + f] * s[j + f] * s[k + f]
        out[o + f] = v
        small[o + f] = v


@helper
def to_roots(s, i, out, o, n):  # type: ignore[no-untyped-def]
    """out = 1/s, 0 for 0."""
    i, o, one = uint64(i), uint64(o), s.dtype.type(1)
    for step in range(n):
        f = uint64(step)
        out[o + f] = one / s[i + f] if s[i + f] > 0 else 0 * one


@helper
def inverse_roots(d, i, out, o, n):  # type: ignore[no-untyped-def]
    """d = out = 1/√d, 0 where d is not positive."""
    i, o, one = uint64(i), uint64(o), d.dtype.type(1)
    for step in range(n):
        f = uint64(step)
        v = one / np.sqrt(d[i + f]) if d[i + f] > 0 else 0 * one
        d[i + f] = v
        out[o + f] = v


@helper
def both_roots(d, i, out, o, n):  # type: ignore[no-untyped-def]
    """out = √d and d = 1/√d, 0 where d is not positive."""
    i, o = uint64(i), uint64(o)
    for step in range(n):
        f = uint64(step)
        v = np.sqrt(d[i + f]) if d[i + f] > 0.0 else 0.0
        out[o + f] = v
        d[i + f] = 1.0 / v if v > 0.0 else 0.0


@helper
def far_conductance(face, i, half, j, out, o, n):  # type: ignore[no-untyped-def]
    """out = conductance of a face and of half a cell, twice `half`, one behind the other; `out` may be `face`."""
    i, j, o = uint64(i), uint64(j), uint64(o)
    two, tiny = face.dtype.type(2), face.dtype.type(TINY)
    for step in range(n):
        f = uint64(step)
        t, h = face[i + f], two * half[j + f]
        out[o + f] = t * (h / max(t + h, tiny))


@helper
def in_series(face, i, half, j, k, out, o, n):  # type: ignore[no-untyped-def]
    """out = conductance of half a coarse cell, a face and another half, one behind the other."""
    i, j, k, o = uint64(i), uint64(j), uint64(k), uint64(o)
    two, tiny = face.dtype.type(2), face.dtype.type(TINY)
    for step in range(n):
        f = uint64(step)
        t, a, b = face[i + f], two * half[j + f], two * half[k + f]
        t = t * (a / max(t + a, tiny))
        out[o + f] = t * (b / max(t + b, tiny))


@helper
def split_share(near, i, far, out, own, other, n):  # type: ignore[no-untyped-def]
    """Split what is in `own` as the conductances 2 · near and far demand: other = own · far/(2 near + far)."""
    i, own, other = uint64(i), uint64(own), uint64(other)
    two, tiny = near.dtype.type(2), near.dtype.type(TINY)
    for step in range(n):
        f = uint64(step)
        share = far[f] / max(two * near[i + f] + far[f], tiny)
        root = out[own + f]
        out[other + f] = root * share
        out[own + f] = root - root * share


@helper
def own_share(near, i, far, o, n):  # type: ignore[no-untyped-def]
    """far = 1 − far/(2 near + far)."""
    i, o = uint64(i), uint64(o)
    one, two, tiny = near.dtype.type(1), near.dtype.type(2), near.dtype.type(TINY)
    for step in range(n):
        f = uint64(step)
        v = far[o + f]
        far[o + f] = one - v / max(two * near[i + f] + v, tiny)
