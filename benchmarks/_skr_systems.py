"""The systems of the published comparison, from the correct matrices of the families; all from one seed."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import scipy.sparse as sp

from resolvent.datasets import families, order
from resolvent.datasets.seeding import sample_rng
from resolvent.operators import Sparse

PRECONDITIONERS: dict[str, dict[str, Any]] = {
    "none": {"pc_type": "none"},
    "Jacobi": {"pc_type": "jacobi"},
    "block Jacobi": {"pc_type": "bjacobi", "pc_bjacobi_blocks": 16},
    "SOR": {"pc_type": "sor"},
    "ASM": {"pc_type": "asm", "pc_asm_blocks": 16},
    "ICC": {"pc_type": "icc"},
    "ILU": {"pc_type": "ilu"},
}
"""PETSc's, as in the paper; blocks and subdomains are 16 here, where the paper had one a rank."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """One family at one size.

    Attributes
    ----------
    fields : tuple of str
        Inputs that enter the matrix, by which samples are sorted; none where the matrix is one for all.
    tolerances : tuple of float
        Of the published range.
    cap : int
        Most iterations, as published unless stated.
    """

    title: str
    family: Any
    fields: tuple[str, ...]
    tolerances: tuple[float, ...]
    cap: int = 10_000

    def inputs(self, index: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Return the inputs of one sample."""
        found: dict[str, np.ndarray] = self.family.draw(sample_rng(seed, self.family.family_id, index))
        return found

    def systems(self, count: int, seed: int = 0, *, real: bool = True) -> list[tuple[Any, np.ndarray]]:
        """Return the first systems of a seed, complex ones in real form if `real`."""
        made = [self.family.assemble(self.inputs(index, seed)) for index in range(count)]
        return [real_form(A, b) if real and np.iscomplexobj(b) else (A, b) for A, b in made]

    def sorted(self, count: int, method: str, seed: int = 0, solve: Any = None) -> tuple[list[int], float]:
        """Return the order of the first samples, and the seconds that sorting took."""
        if not self.fields:
            return list(range(count)), 0.0
        inputs = [self.inputs(index, seed) for index in range(count)]
        fields = {name: np.stack([each[name] for each in inputs]) for name in self.fields}
        start = time.process_time()
        found = order(fields, method, solve=solve)
        return found.tolist(), time.process_time() - start


def real_form(A: Any, b: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return a complex system with each number as a pair: what a real PETSc can solve, for all alike."""
    matrix = sp.csr_array(A.to_sparse())
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    pairs = sp.kron(matrix.real, np.eye(2)) + sp.kron(matrix.imag, turn)
    return Sparse(sp.csr_array(pairs)), np.ascontiguousarray(b.astype(complex)).view(np.float64)


def problems(quick: bool = False, resolution: int | None = None) -> list[Problem]:
    """Return the four families at published sizes; tiny ones for a quick form."""
    if quick:
        n = resolution or 24
        return [
            Problem("Darcy", families.get("darcy2d", resolution=n, coefficient="skr"), ("a",), (1e-5,), 500),
            Problem("Thermal", families.get("thermal", resolution=21), (), (1e-5,), 500),
            Problem("Poisson", families.get("poisson_chebyshev", resolution=n), (), (1e-5,), 500),
            Problem("Helmholtz", families.get("helmholtz2d", resolution=16), ("m",), (1e-3,), 200),
        ]
    slow_waves = families.get("helmholtz2d", resolution=50, wavenumber=10.0)
    return [
        Problem("Darcy", families.get("darcy2d", resolution=50, coefficient="skr"), ("a",), (1e-5,)),
        Problem("Darcy", families.get("darcy2d", resolution=100, coefficient="skr"), ("a",), (1e-2, 1e-5, 1e-8)),
        Problem("Thermal", families.get("thermal", resolution=41), (), (1e-8,)),
        Problem("Thermal", families.get("thermal", resolution=81), (), (1e-5, 1e-11)),
        Problem("Poisson", families.get("poisson_chebyshev", resolution=87), (), (1e-5, 1e-11)),
        Problem("Helmholtz, k = 10", slow_waves, ("m",), (1e-5,), 2_000),
        Problem("Helmholtz", families.get("helmholtz2d", resolution=50), ("m",), (1e-2,), 2_000),
    ]
