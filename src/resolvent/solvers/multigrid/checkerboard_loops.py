"""Loops over contiguous numbers: the innermost code of the fused multigrid.

Each takes flat arrays and where to begin in them, since a slice costs 30 ns and most rows are done in less. Positions are
unsigned, so that numba adds no test for negative indices and the compiler vectorises, after checking that what is
written does not overlap with what is read.
"""

from __future__ import annotations

import numba
from numba import uint64

compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
"""Contraction lets a product and a sum become one instruction; no other freedom is given to the compiler."""


@compiled
def set_two(a, i, j, x, k, l, out, o, n):  # type: ignore[no-untyped-def]
    """out = a x + a x, two products."""
    i, j, k, l, o = uint64(i), uint64(j), uint64(k), uint64(l), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] = a[i + f] * x[k + f] + a[j + f] * x[l + f]


@compiled
def add_two(a, i, j, x, k, l, sign, out, o, n):  # type: ignore[no-untyped-def]
    """out += sign (a x + a x)."""
    i, j, k, l, o = uint64(i), uint64(j), uint64(k), uint64(l), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] += sign * (a[i + f] * x[k + f] + a[j + f] * x[l + f])


@compiled
def set_four(a, i, j, k, l, x, p, q, r, s, out, o, n):  # type: ignore[no-untyped-def]
    """out = the sum of four products a x."""
    i, j, k, l, o = uint64(i), uint64(j), uint64(k), uint64(l), uint64(o)
    p, q, r, s = uint64(p), uint64(q), uint64(r), uint64(s)
    for step in range(n):
        f = uint64(step)
        out[o + f] = (a[i + f] * x[p + f] + a[j + f] * x[q + f]) + (a[k + f] * x[r + f] + a[l + f] * x[s + f])


@compiled
def set_to_four(y, m, sign, a, i, j, k, l, x, p, q, r, s, out, o, n):  # type: ignore[no-untyped-def]
    """out = y + sign · the sum of four products a x."""
    i, j, k, l, o, m = uint64(i), uint64(j), uint64(k), uint64(l), uint64(o), uint64(m)
    p, q, r, s = uint64(p), uint64(q), uint64(r), uint64(s)
    for step in range(n):
        f = uint64(step)
        out[o + f] = y[m + f] + sign * (
            (a[i + f] * x[p + f] + a[j + f] * x[q + f]) + (a[k + f] * x[r + f] + a[l + f] * x[s + f])
        )


@compiled
def add_product(x, i, y, j, out, n):  # type: ignore[no-untyped-def]
    """out += x y from the start of `out` on, in its precision."""
    i, j = uint64(i), uint64(j)
    for step in range(n):
        f = uint64(step)
        out[f] += x[i + f] * y[j + f]


@compiled
def add_square(weight, i, r, j, out, n):  # type: ignore[no-untyped-def]
    """out += (weight · r)² from the start of `out` on."""
    i, j = uint64(i), uint64(j)
    for step in range(n):
        f = uint64(step)
        t = weight[i + f] * r[j + f]
        out[f] += t * t


@compiled
def add_row(alpha, p, i, x, n):  # type: ignore[no-untyped-def]
    """x += α p, both at i; α from its start on."""
    i = uint64(i)
    for step in range(n):
        f = uint64(step)
        x[i + f] += alpha[f] * p[i + f]


@compiled
def subtract_row(alpha, q, i, r, y, m, n):  # type: ignore[no-untyped-def]
    """r −= α q, both at i, and y = r."""
    i, m = uint64(i), uint64(m)
    for step in range(n):
        f = uint64(step)
        t = r[i + f] - alpha[f] * q[i + f]
        r[i + f] = t
        y[m + f] = t


@compiled
def turn_row(z, m, beta, p, i, n):  # type: ignore[no-untyped-def]
    """p = z + β p."""
    i, m = uint64(i), uint64(m)
    for step in range(n):
        f = uint64(step)
        p[i + f] = z[m + f] + beta[f] * p[i + f]


@compiled
def add_fields(x, i, y, j, out, o, n):  # type: ignore[no-untyped-def]
    """out = x + y."""
    i, j, o = uint64(i), uint64(j), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] = x[i + f] + y[j + f]


@compiled
def share(w, i, h, j, target, k, l, n):  # type: ignore[no-untyped-def]
    """Give w h to one row of `target` and the rest of h to another."""
    i, j, k, l = uint64(i), uint64(j), uint64(k), uint64(l)
    for step in range(n):
        f = uint64(step)
        part = w[i + f] * h[j + f]
        target[k + f] += part
        target[l + f] += h[j + f] - part


@compiled
def between(w, i, source, k, l, out, o, n):  # type: ignore[no-untyped-def]
    """out = w of one row of `source` and 1 − w of another."""
    i, k, l, o = uint64(i), uint64(k), uint64(l), uint64(o)
    for step in range(n):
        f = uint64(step)
        farther = source[l + f]
        out[o + f] = farther + w[i + f] * (source[k + f] - farther)


@compiled
def clear(x, i, n):  # type: ignore[no-untyped-def]
    """x = 0."""
    i = uint64(i)
    for step in range(n):
        x[i + uint64(step)] = 0


@compiled
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


@compiled
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
