"""Files in PDEBench's Darcy layout with labels that were marched in time, or are steady."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

CFL = 0.25


def centres(n: int) -> np.ndarray:
    """Cell centres of the unit interval."""
    return (np.arange(n) + 0.5) / n


def coefficients(rng: np.random.Generator, samples: int, n: int) -> np.ndarray:
    """Two phases, 1 and 0.1: five Gaussian bumps of random place and width, cut at their mean."""
    x = centres(n)
    place, width = rng.uniform(size=(2, samples, 5, 1, 1)), 0.5 * rng.uniform(size=(samples, 5, 1, 1))
    distance = (x[:, None] - place[0]) ** 2 + (x - place[1]) ** 2
    bumps = np.exp(-distance / width).sum(axis=1)
    return np.where(bumps > bumps.mean(), 1.0, 0.1)


def beginnings(rng: np.random.Generator, samples: int, n: int) -> np.ndarray:
    """Random sums of sines, shifted and scaled to a range from 0 to at most 10."""
    x = centres(n)
    u = np.zeros((samples, n, n))
    for _ in range(2):
        amplitude, phase = rng.uniform(size=(2, samples, 1, 1))
        k = rng.integers(1, 5, size=(2, samples, 1, 1))
        u += amplitude * np.sin(2 * np.pi * (k[0] * x[:, None] + k[1] * x + phase))
    u -= u.min(axis=(1, 2), keepdims=True)
    return u * 10.0 * rng.uniform(size=(samples, 1, 1)) / u.max(axis=(1, 2), keepdims=True)


def rate(u: np.ndarray, a: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
    """∇·(a∇u) + β: arithmetic face means, u = 0 in ghost cells, whose coefficient is that of the cell beside them."""
    h = 1.0 / u.shape[-1]
    out = np.zeros(u.shape) + beta
    for axis in (1, 2):
        v, b = np.moveaxis(u, axis, 0), np.moveaxis(a, axis, 0)
        zero = np.zeros_like(v[:1])
        means = 0.5 * np.concatenate([2 * b[:1], b[1:] + b[:-1], 2 * b[-1:]])
        flux = means * np.diff(np.concatenate([zero, v, zero]), axis=0) / h
        out += np.moveaxis(np.diff(flux, axis=0) / h, 0, axis)
    return out


def march(u: np.ndarray, a: np.ndarray, beta: float | np.ndarray, time: float) -> np.ndarray:
    """March u_t = ∇·(a∇u) + β by the explicit midpoint rule, with the step that keeps it stable."""
    h = 1.0 / u.shape[-1]
    steps = int(np.ceil(time / (CFL * 0.5 * h**2 / a.max())))
    dt = time / steps
    for _ in range(steps):
        u = u + dt * rate(u + 0.5 * dt * rate(u, a, beta), a, beta)
    return u


def states(u0: np.ndarray, a: np.ndarray, beta: float, time: float) -> np.ndarray:
    """The solution of the same equations at a time, exact in time: by the eigenvectors of ∇·(a∇·)."""
    n, found = u0.shape[-1] ** 2, np.empty_like(u0)
    for i in range(len(u0)):
        basis = np.eye(n).reshape(n, *u0.shape[1:])
        A = -rate(basis, np.broadcast_to(a[i], basis.shape), 0.0).reshape(n, n)
        decay, Q = np.linalg.eigh(A)
        left = np.exp(-decay * time)
        coefficients = left * (Q.T @ u0[i].ravel()) + beta * (1.0 - left) / decay * Q.sum(axis=0)
        found[i] = (Q @ coefficients).reshape(u0.shape[1:])
    return found


def write_darcy(path: Path, a: np.ndarray, u: np.ndarray, beta: float | None) -> Path:
    """Write a file as PDEBench's loaders take it."""
    with h5py.File(path, "w") as file:
        file["tensor"] = u[:, None].astype(np.float32)
        file["nu"] = a.astype(np.float32)
        for axis in "xy":
            file[f"{axis}-coordinate"] = centres(u.shape[-1]).astype(np.float32)
        if beta is not None:
            file.attrs["beta"] = beta
    return path
