"""Fields of a learned cycle from the couplings of a level, compiled.

Fields have the layout of ``cycle_kernels``. The image of a plane is made when the plane before it is worked on, in a
ring of three, so that it is never written to memory.
"""

from __future__ import annotations

import math

import numpy as np
from numba import uint64

from .cycle_kernels import compiled, helper

TAPS = 7
"""Numbers of the image that are taken in at once, for three fields: what the registers hold weights for."""


@helper
def three_fields(w, i, image, at, j, start, out, o, m, n):  # type: ignore[no-untyped-def]
    """Add Σ w image to three fields, m apart, over seven numbers of the image, from `at` + `start` on."""
    i, o1, o2, o3, one = uint64(i), uint64(o), uint64(o + m), uint64(o + 2 * m), uint64(1)
    p0, p1, p2, p3 = (
        uint64(at[j] + start),
        uint64(at[j + 1] + start),
        uint64(at[j + 2] + start),
        uint64(at[j + 3] + start),
    )
    p4, p5, p6 = uint64(at[j + 4] + start), uint64(at[j + 5] + start), uint64(at[j + 6] + start)
    u0, u1, u2, u3, u4 = w[i], w[i + one], w[i + uint64(2)], w[i + uint64(3)], w[i + uint64(4)]
    u5, u6, v0, v1, v2 = w[i + uint64(5)], w[i + uint64(6)], w[i + uint64(7)], w[i + uint64(8)], w[i + uint64(9)]
    v3, v4, v5, v6 = w[i + uint64(10)], w[i + uint64(11)], w[i + uint64(12)], w[i + uint64(13)]
    t0, t1, t2, t3 = w[i + uint64(14)], w[i + uint64(15)], w[i + uint64(16)], w[i + uint64(17)]
    t4, t5, t6 = w[i + uint64(18)], w[i + uint64(19)], w[i + uint64(20)]
    for step in range(n):
        f = uint64(step)
        a0, a1, a2, a3 = image[p0 + f], image[p1 + f], image[p2 + f], image[p3 + f]
        a4, a5, a6 = image[p4 + f], image[p5 + f], image[p6 + f]
        out[o1 + f] = out[o1 + f] + u0 * a0 + u1 * a1 + u2 * a2 + u3 * a3 + u4 * a4 + u5 * a5 + u6 * a6
        out[o2 + f] = out[o2 + f] + v0 * a0 + v1 * a1 + v2 * a2 + v3 * a3 + v4 * a4 + v5 * a5 + v6 * a6
        out[o3 + f] = out[o3 + f] + t0 * a0 + t1 * a1 + t2 * a2 + t3 * a3 + t4 * a4 + t5 * a5 + t6 * a6


@helper
def softplus(x, o, bits, powers, parts, n):  # type: ignore[no-untyped-def]
    """Replace x by log(1 + eˣ), n numbers from position o on; `powers` are the floating point numbers of `bits`.

    In single precision by polynomials, which are vectorised: e^−|x| = 2^k e^f with |f| ≤ log(2)/2, and
    log(1 + w) = 2 artanh(w/(2 + w)).
    """
    o, real = uint64(o), x.dtype.type
    if x.itemsize == 8:
        for step in range(n):
            v = x[o + uint64(step)]
            x[o + uint64(step)] = max(v, 0.0) + math.log1p(math.exp(-abs(v)))
        return
    high, low = real(0.693359375), real(-2.12194440e-4)  # their sum is log 2
    for step in range(n):
        f = uint64(step)
        y = -min(abs(x[o + f]), real(80.0))
        k = np.rint(y * real(1.44269504))
        y = (y - k * high) - k * low
        e = real(1 / 120) + y * (real(1 / 720) + y * real(1 / 5040))
        parts[f] = real(1.0) + y * (real(1.0) + y * (real(0.5) + y * (real(1 / 6) + y * (real(1 / 24) + y * e))))
        bits[f] = (np.int32(k) + np.int32(127)) << np.int32(23)
    for step in range(n):
        f = uint64(step)
        w = parts[f] * powers[f]
        u = w / (real(2.0) + w)
        s = u * u
        t = real(2 / 7) + s * (real(2 / 9) + s * (real(2 / 11) + s * (real(2 / 13) + s * real(2 / 15))))
        v = x[o + f]
        x[o + f] = max(v, real(0.0)) + u * (real(2.0) + s * (real(2 / 3) + s * (real(2 / 5) + s * t)))


@helper
def image_plane(D, T, fluid, roots, k, stride, halo, image, channel, slot, fine, o, factor, sums):  # type: ignore[no-untyped-def]
    """Write plane k of the image to position `slot` of each channel, which are `channel` apart, and factor · D^½.

    `roots` holds D^−½ of planes k and k + 1, alternating.
    """
    planes, rows, cells = D.shape
    dim = len(T)
    here, there = (k % 2) * rows * cells, ((k + 1) % 2) * rows * cells
    size = rows * cells
    d, t, inside = D.reshape(-1), T.reshape(-1), fluid.reshape(-1)
    far = D.size
    for j in range(rows):
        i = uint64(k * size + j * cells)
        root, beyond = uint64(here + j * cells), uint64(there + j * cells)
        p, step_to, z = uint64(slot + (j + halo) * stride + 1), uint64(channel), uint64(o + j * stride)
        x_face, y_face = uint64((dim - 1) * far) + i, uint64(far) + i
        wide, tall = uint64(cells), uint64(size)
        a = p
        for step in range(cells):
            f = uint64(step)
            sums[f] = d[i + f] - t[i + f] - t[x_face + f]
            fine[z + f] = factor * (d[i + f] * roots[root + f]) * inside[i + f]
        for step in range(cells - 1):
            f = uint64(step)
            sums[f + uint64(1)] -= t[x_face + f]
        if k > 0:
            for step in range(cells):
                f = uint64(step)
                sums[f] -= t[i - tall + f]
        if k < planes - 1:
            for step in range(cells):
                f = uint64(step)
                image[a + f] = t[i + f] * roots[root + f] * roots[beyond + f]
        else:
            for step in range(cells):
                image[a + uint64(step)] = 0
        if dim == 3:
            a += step_to
            for step in range(cells):
                f = uint64(step)
                sums[f] -= t[y_face + f]
                image[a + f] = 0
            if j > 0:
                for step in range(cells):
                    f = uint64(step)
                    sums[f] -= t[y_face - wide + f]
            if j < rows - 1:
                for step in range(cells):
                    f = uint64(step)
                    image[a + f] = t[y_face + f] * roots[root + f] * roots[root + wide + f]
        a += step_to
        for step in range(cells - 1):
            f = uint64(step)
            image[a + f] = t[x_face + f] * roots[root + f] * roots[root + f + uint64(1)]
        image[a + uint64(cells - 1)] = 0
        a += step_to
        for step in range(cells):
            f = uint64(step)
            leak = sums[f] * roots[root + f] * roots[root + f]
            image[a + f] = min(max(leak, 0.0), 1.0) * inside[i + f]
            image[a + step_to + f] = inside[i + f]


@helper
def empty_plane(image, channel, channels, slot, n):  # type: ignore[no-untyped-def]
    """Write zeros to a plane of each channel."""
    for c in range(channels):
        o = uint64(slot + c * channel)
        for step in range(n):
            image[o + uint64(step)] = 0


@helper
def entries(values, o, fluid, p, q, factor, whole, K, i, n):  # type: ignore[no-untyped-def]
    """K = factor · values where both the cell and the one reached belong to the domain, rounded if `whole`."""
    o, p, q, i, factor = uint64(o), uint64(p), uint64(q), uint64(i), values.dtype.type(factor)
    for step in range(n):
        f = uint64(step)
        v = factor * values[o + f] * (fluid[p + f] * fluid[q + f])
        K[i + f] = np.rint(v) if whole else v


@compiled
def level_fields(  # type: ignore[no-untyped-def]
    D,
    T,
    fluid,
    size,
    floor,
    W,
    bias,
    taps,
    blocks,
    offsets,
    first,
    units,
    whole,
    K,
    stencils,
    F,
    fields,
    coarse,
    correction,
):
    """Write stencils and fields of a level.

    Parameters
    ----------
    D, T, fluid : (planes, rows, cells), (dim, …) and (…) arrays
        Diagonal, couplings and mask, one row a plane in two dimensions.
    size, floor : float
        Scale of the diagonals, and least entry of E.
    W, bias : (rows/3 · groups · 21,) and (rows,) arrays
        Weights by threes of fields, groups of seven numbers of the image, and fields; blocks' diagonals C₀ and E, then
        their stencils, come from row `first` on.
    taps : (7 groups, 4) array
        Numbers of the image: channel, and offset by planes, rows and cells.
    blocks : int
    offsets : (offsets, 3) array
        By planes, rows and cells.
    units : (blocks,) array
        Of the numbers that entries are stored as, rounded if `whole`.
    K, stencils, F, fields : array, int, array, int
        Where to write, and from where on.
    coarse : int
        Where to write D^−½ g, −1 for nowhere: a level that is not the finest.
    correction : int
        Row of the weights of g.
    """
    planes, rows, cells = D.shape
    dim, real = len(T), F.dtype.type
    halo, stride = dim - 2, cells + 2
    line, plane = rows * stride, (rows + 2 * halo) * stride
    channels = dim + 2
    at, groups = np.empty(len(taps), np.int64), len(taps) // TAPS
    here = 2 * blocks + first + blocks * len(offsets) if blocks else first
    count = (here + 2) // 3 * 3
    channel = 3 * plane + 2
    image = np.zeros(channels * channel + 2, F.dtype)
    roots, sums = np.empty(2 * rows * cells), np.empty(cells)
    together = min(rows, max(1, 512 // stride))
    m = together * stride
    values = np.empty(count * m, F.dtype)
    bits, parts = np.empty(m, np.int32), np.empty(m, F.dtype)
    powers = bits.view(np.float32)
    spare = np.empty(line, F.dtype)
    d = D.reshape(-1)
    root_size = math.sqrt(size)
    for k in range(-1, planes):
        # The image of the plane behind, for which roots of the one behind that are needed.
        if k == -1:
            empty_plane(image, channel, channels, 2 * plane, plane)
            for i in range(rows * cells):
                roots[i] = 1.0 / math.sqrt(d[uint64(i)])
        if k + 2 < planes:
            o, i = uint64((k % 2) * rows * cells), uint64((k + 2) * rows * cells)
            for step in range(rows * cells):
                f = uint64(step)
                roots[o + f] = 1.0 / math.sqrt(d[i + f])
        slot = ((k + 1) % 3) * plane
        if k + 1 < planes:
            target, o = (F, fields + ((blocks + 1) * planes + k + 1) * line) if blocks else (spare, 0)
            image_plane(D, T, fluid, roots, k + 1, stride, halo, image, channel, slot, target, o, 1.0 / root_size, sums)
        else:
            empty_plane(image, channel, channels, slot, plane)
        if k < 0:
            continue
        first_cell, middle = halo * stride + 1, (k % 3) * plane
        for tap in range(len(taps)):
            c, a, b = taps[tap, 0], taps[tap, 1], taps[tap, 2]
            at[tap] = c * channel + ((k + a + 3) % 3) * plane + first_cell + b * stride + taps[tap, 3]
        for begin in range(0, rows, together):
            start = begin * stride
            n = min(together * stride, line - 2 - start)  # all of a line but the zeros behind its last row
            for row in range(count):
                o, b = uint64(row * m), bias[row]
                for step in range(n):
                    values[o + uint64(step)] = b
            for three in range(count // 3):
                for group in range(groups):
                    i = 3 * TAPS * (three * groups + group)
                    three_fields(W, i, image, at, TAPS * group, start, values, three * 3 * m, m, n)
            if coarse >= 0:
                softplus(values, correction * m, bits, powers, parts, n)
                for j in range(begin, min(begin + together, rows)):
                    g, q = uint64(correction * m + (j - begin) * stride), uint64(coarse + k * line + j * stride)
                    i, inside = uint64((k * rows + j) * cells), fluid.reshape(-1)
                    for step in range(cells):
                        f = uint64(step)
                        F[q + f] = values[g + f] * (root_size / math.sqrt(d[i + f]) * inside[i + f])
            if blocks == 0:
                continue
            # Vectors of a level take C₀ of the block before them and E of the one behind.
            for block in range(blocks):
                for diagonal in range(2):
                    softplus(values, (first + 2 * block + diagonal) * m, bits, powers, parts, n)
            for block in range(blocks + 1):
                c, e = uint64((first + 2 * block - 2) * m), uint64((first + 2 * block + 1) * m)
                o = uint64(fields + (block * planes + k) * line + start)
                if block == 0:
                    for step in range(n):
                        F[o + uint64(step)] = values[e + uint64(step)] + real(floor)
                elif block < blocks:
                    for step in range(n):
                        f = uint64(step)
                        F[o + f] = values[c + f] + (values[e + f] + real(floor))
                else:
                    for step in range(n):
                        F[o + uint64(step)] = values[c + uint64(step)]
            mask = (channels - 1) * channel + start + first_cell
            for block in range(blocks):
                row = first + 2 * blocks + block * len(offsets)
                factor = 1.0 / units[block]
                for offset in range(len(offsets)):
                    a, b, c = offsets[offset, 0], offsets[offset, 1], offsets[offset, 2]
                    reached = mask + ((k + a + 3) % 3) * plane + b * stride + c
                    o = stencils + ((block * planes + k) * len(offsets) + offset) * line + start
                    entries(values, (row + offset) * m, image, mask + middle, reached, factor, whole, K, o, n)
