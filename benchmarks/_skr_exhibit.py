"""Exhibit, not a benchmark: the stencil as released, with its index error, and what certification says of it.

The released code reads the block at offset −s from entry s − 2 on, so that coefficients stand two columns off. The
matrix is then not that of any equation, and nearly singular; GMRES(40) runs into its cap on it, which is where large
ratios of iterations come from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from _report import show, spread, spread_text, true_residual
from _skr_cells import PETScGMRES, chained
from _streams import independent, published_skr, shifted_lower_block

from resolvent.datasets import families
from resolvent.datasets.evidence.structural_checks import structural_checks
from resolvent.datasets.family import System
from resolvent.operators import Sparse
from resolvent.solvers import GCRODR

RTOL = 1e-5


def spectrum_at_zero(matrix: Any) -> tuple[float, float]:
    """Return the smallest modulus of an eigenvalue, and the least real part of those near the origin."""
    matrix = sp.csc_array(matrix)
    options = {"k": 6, "return_eigenvectors": False, "v0": np.ones(matrix.shape[0])}
    left = -0.0125 * float(matrix.diagonal().mean())  # a little to the left of the spectrum of a correct matrix
    nearest, leftmost = (spla.eigs(matrix, sigma=shift, **options) for shift in (0.0, left))
    return float(np.abs(nearest).min()), float(leftmost.real.min())


def failed(checks: Any) -> list[str]:
    """Return the names of failed checks."""
    return [name for name, passed, _ in checks if not passed]


def exhibit(n: int, count: int, cap: int, petsc: bool) -> list[dict[str, Any]]:
    """Compare the released matrices with the corrected ones, and both with what is correct for the equation."""
    fields = independent("skr", n, count, grid="vertex")
    family = families.get("darcy2d", resolution=n, grid="vertex", coefficient="skr")
    kinds: dict[str, list[tuple[Any, np.ndarray, list[str]]]] = {}
    for a in fields:
        A, b = published_skr(a)
        faulty = Sparse(shifted_lower_block(A.to_sparse(), n - 2))
        grid = (n - 2, n - 2)
        kinds.setdefault("as released", []).append((faulty, b, failed(structural_checks(faulty, grid))))
        kinds.setdefault("corrected: −Δ(au)", []).append((A, b, failed(structural_checks(A, grid))))
        system = family.assemble({"a": a})
        wrong = Sparse(shifted_lower_block(system.A.to_sparse(), n - 2))
        checks = failed(family.checks({"a": a}, System(wrong, system.b)))
        kinds.setdefault("−∇·(a∇u), same error", []).append((wrong, system.b, checks))
        checks = failed(family.checks({"a": a}, system))
        kinds.setdefault("−∇·(a∇u)", []).append((system.A, system.b, checks))
    rows, cells = [], []
    for kind, systems in kinds.items():
        baseline: Any = PETScGMRES({"pc_type": "none"}, RTOL, cap) if petsc else None
        ours = chained(GCRODR(restart=40, k=20, rtol=RTOL, maxiter=cap), None)
        counts: dict[str, list[float]] = {"GMRES(40)": [], "GCRO-DR recycled": []}
        residuals: dict[str, list[float]] = {"GMRES(40)": [], "GCRO-DR recycled": []}
        for A, b, _ in systems:
            for name, step in (("GMRES(40)", baseline), ("GCRO-DR recycled", ours)):
                if step is not None:
                    x, iterations, _ = step(A, b)
                    counts[name].append(iterations)
                    residuals[name].append(true_residual(A.to_sparse(), b, x))
        if baseline is not None:
            baseline.destroy()
        eigenvalues = [spectrum_at_zero(A.to_sparse()) for A, _, _ in systems]
        checks = sorted({name for _, _, names in systems for name in names})
        row = {
            "matrix": kind,
            "n": systems[0][1].size,
            "smallest modulus": spread(modulus for modulus, _ in eigenvalues),
            "least real part": spread(real for _, real in eigenvalues),
            "iterations": {name: spread(found) for name, found in counts.items() if found},
            "worst residual": {name: max(found) for name, found in residuals.items() if found},
            "checks failed": checks,
            "checks failed by every one": sorted(set.intersection(*(set(names) for _, _, names in systems))),
            "cap": cap,
        }
        rows.append(row)
        texts = [spread_text(row["iterations"][name]) if name in row["iterations"] else "" for name in counts]
        worst = ", ".join(f"{rho:.0e}" for rho in row["worst residual"].values())
        low, high = row["least real part"]["min"], row["least real part"]["max"]
        cells.append([kind, f"{low:.1e} … {high:.1e}", *texts, worst, ", ".join(checks) or "none"])
    columns = ("matrix", "least Re λ", "GMRES(40)", "GCRO-DR, chain", "worst residuals", "structural checks that fail")
    title = f"Exhibit: the released index error, {count} coefficients, n = {rows[0]['n']}, rtol {RTOL:.0e}, cap {cap}"
    show(title, columns, cells)
    return rows
