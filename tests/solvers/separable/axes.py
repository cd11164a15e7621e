"""Axes with every pair of ends, and their dense matrices."""

import numpy as np

ENDS = {
    "vertex": (1.0, 1.0, "walls"),
    "cell": (2.0, 2.0, "walls"),
    "insulated": (0.0, 0.0, "walls"),
    "cell, insulated": (2.0, 0.0, "walls"),
    "insulated, cell": (0.0, 2.0, "walls"),
    "Robin": (1.0, 0.3, "walls"),
    "periodic": (1.0, 1.0, "periodic"),
    "reflecting": (1.0, 1.0, "reflecting"),
}


def second_difference(axis):
    """The matrix of an axis from its definition."""
    n = axis.n
    T = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    if axis.closure == "walls":
        T[0, 0] += axis.left - 1.0
        T[-1, -1] += axis.right - 1.0
    elif axis.closure == "periodic":
        T[0, -1] -= 1.0
        T[-1, 0] -= 1.0
    else:
        T[0, 1] = T[-1, -2] = -2.0
    return T


def kron_sum(axes, scales, shift):
    sizes = [axis.n for axis in axes]
    A = shift * np.eye(int(np.prod(sizes)))
    for a, (axis, c) in enumerate(zip(axes, scales, strict=True)):
        before, after = int(np.prod(sizes[:a])), int(np.prod(sizes[a + 1 :]))
        A = A + c * np.kron(np.kron(np.eye(before), second_difference(axis)), np.eye(after))
    return A


def transmissibilities(grid, scales, wall):
    faces = []
    for a, c in enumerate(scales):
        t = np.full(tuple(n + (b == a) for b, n in enumerate(grid)), float(c))
        for end in (0, -1):
            t[(slice(None),) * a + (end,)] = wall * c
        faces.append(t)
    return faces
