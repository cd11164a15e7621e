"""Solvers that must satisfy `check_solver`, and preconditioners that must satisfy `check_operator`.

Add a line for every new method or recipe. Below them the systems that several test files share.
"""

import importlib.util

import numpy as np
import scipy.sparse as sp

from resolvent.operators import SPD, LinearOperator, Sparse
from resolvent.solvers import (
    AMG,
    CG,
    CGS,
    COCG,
    COCR,
    FGMRES,
    GCRODR,
    GCROT,
    GMRES,
    IDR,
    ILU,
    LGMRES,
    LSMR,
    LSQR,
    MINRES,
    MINRESQLP,
    QMR,
    RMINRES,
    SOR,
    SSOR,
    TFQMR,
    BiCG,
    BiCGStab,
    BlockCG,
    BlockGCRODR,
    BootstrapAMG,
    DeflatedCG,
    Direct,
    FastPoisson,
    FlexibleCG,
    GaussSouthwell,
    GeometricMultigrid,
    Jacobi,
    Richardson,
)
from resolvent.solvers.preconditioners import IC, ILU0, AdditiveSchwarz, BlockJacobi, Chebyshev, Deflation

SOLVERS = {
    "CG": CG(),
    "FlexibleCG": FlexibleCG(),
    "FlexibleCG(mmax=1)": FlexibleCG(mmax=1),
    "MINRES": MINRES(),
    "GMRES": GMRES(),
    "GMRES(restart=7)": GMRES(restart=7),
    "FGMRES": FGMRES(),
    "BiCGStab": BiCGStab(),
    "BiCG": BiCG(),
    "QMR": QMR(),
    "CGS": CGS(),
    "TFQMR": TFQMR(),
    "IDR": IDR(),
    "IDR(s=1)": IDR(s=1),
    "COCG": COCG(),
    "COCR": COCR(),
    "GCRODR": GCRODR(),
    "GCRODR(12, 4)": GCRODR(restart=12, k=4),
    "BlockGCRODR": BlockGCRODR(),
    "BlockGCRODR(12, 4)": BlockGCRODR(restart=12, k=4),
    "GCROT": GCROT(),
    "GCROT(5, 3)": GCROT(m=5, k=3),
    "LGMRES": LGMRES(),
    "LGMRES(left)": LGMRES(side="left"),
    "DeflatedCG": DeflatedCG(),
    "DeflatedCG(k=4)": DeflatedCG(k=4),
    "RMINRES": RMINRES(),
    "RMINRES(k=4)": RMINRES(k=4),
    "GCRODR(left)": GCRODR(restart=12, k=4, side="left"),
    "GCRODR(flexible)": GCRODR(restart=12, k=4, side="flexible"),
    "MINRESQLP": MINRESQLP(),
    "MINRESQLP(trancond=1)": MINRESQLP(trancond=1.0),
    "LSQR": LSQR(),
    "LSMR": LSMR(),
    "BlockCG": BlockCG(),
    "Direct": Direct(),
}
STATIONARY = {
    "SOR": SOR(),
    "SOR(1.5)": SOR(1.5),
    "SOR(backward)": SOR(1.2, sweep="backward"),
    "SOR(symmetric)": SOR(1.3, sweep="symmetric"),
    "SOR(red_black)": SOR(1.4, ordering="red_black"),
    "SOR(multicolour)": SOR(0.8, sweep="symmetric", ordering="multicolour"),
    "SOR(blocks)": SOR(blocks=5),
    "SOR(red_black blocks)": SOR(1.1, sweep="backward", ordering="red_black", blocks=8),
    "GaussSouthwell": GaussSouthwell(),
    "GaussSouthwell(blocks)": GaussSouthwell(1.2, blocks=6),
    "Richardson": Richardson(omega=0.2),
}
SOLVERS |= STATIONARY
HAS_PETSC = importlib.util.find_spec("petsc4py") is not None
if HAS_PETSC:
    SOLVERS |= {f"Direct({backend})": Direct(backend=backend) for backend in ("mumps", "cholmod", "umfpack")}
ITERATIVE = {name: s for name, s in SOLVERS.items() if name not in STATIONARY and not isinstance(s, Direct)}
"""Methods that converge for every solvable system, and take a preconditioner."""

RECIPES = {
    "Jacobi": Jacobi(),
    "SSOR": SSOR(),
    "SSOR(1.7)": SSOR(omega=1.7),
    "SSOR multicolour": SSOR(1.2, ordering="multicolour"),
    "SSOR blocks": SSOR(1.4, blocks=5),
    "SOR": SOR(1.3),
    "SOR backward": SOR(0.9, sweep="backward", ordering="multicolour"),
    "SOR blocks": SOR(1.2, blocks=5, ordering="multicolour"),
    "ILU": ILU(),
    "AMG": AMG(),
    "AMG W": AMG(cycle="W", sweeps=2),
    "AMG aggregation": AMG("smoothed_aggregation"),
    "AMG one-sided": AMG("smoothed_aggregation", smoother=SOR(1.1)),
    "AMG coloured": AMG(smoother=SOR(sweep="backward", ordering="multicolour")),
    "AMG root node": AMG("root_node"),
    "AMG reduction": AMG("air"),
    "AMG reduction W": AMG("air", strength=0.2, cycle="W", sweeps=2),
    "AMG interpolation kept": AMG(strength=0.3, reuse="interpolation"),
    "IC": IC(),
    "IC with fill": IC(drop_tol=1e-2, fill=5),
    "ILU0": ILU0(),
    "BlockJacobi": BlockJacobi(4),
    "BlockJacobi(7)": BlockJacobi(7),
    "Chebyshev": Chebyshev(),
    "Deflation": Deflation(4),
    "Deflation balancing": Deflation(4, SSOR(), "balancing"),
    "Deflation adef1": Deflation(4, variant="adef1"),
    "FastPoisson": FastPoisson(),
    "FastPoisson unscaled": FastPoisson(scaling="none"),
    "GeometricMultigrid": GeometricMultigrid(),
    "GeometricMultigrid W, lines": GeometricMultigrid("alternating_lines", cycle="W", interpolation="linear"),
    "GeometricMultigrid F": GeometricMultigrid("jacobi", cycle="F", coarsening="full"),
    "BootstrapAMG": BootstrapAMG(),
    "BootstrapAMG W, smooth": BootstrapAMG(smooth=True, cycle="W", coarse=4),
    "BootstrapAMG composed": BootstrapAMG("compose", relax=0, k_max=3, inner=6),
    "BootstrapAMG one-sided": BootstrapAMG("compose", relax=0, k_max=2, inner=4, target=0.0, composition="mult"),
    "Schwarz": AdditiveSchwarz(4),
    "Schwarz coarse": AdditiveSchwarz(4, local="incomplete", coarse=True),
    "Schwarz restricted": AdditiveSchwarz(4, restricted=True),
}

BOOTSTRAP = {name for name in RECIPES if name.startswith("BootstrapAMG")}

NEEDS_SELF_ADJOINT = {"IC", "IC with fill"} | BOOTSTRAP
"""Recipes that refuse a nonsymmetric A."""

if HAS_PETSC:
    from resolvent.solvers.petsc import PETScAMG

    RECIPES |= {
        "PETScAMG": PETScAMG(),
        "PETScAMG W": PETScAMG(strength=0.5, cycle="W", sweeps=2),
        "PETScAMG gamg": PETScAMG("gamg"),
        "PETScAMG gamg W": PETScAMG("gamg", strength=0.01, cycle="W", sweeps=2),
        "PETScAMG interpolation kept": PETScAMG("gamg", reuse="interpolation"),
    }

REAL_ONLY = {name for name in RECIPES if getattr(RECIPES[name], "method", "") in ("ruge_stuben", "air", "boomeramg")}
REAL_ONLY |= {name for name in RECIPES if name.startswith("GeometricMultigrid")} | BOOTSTRAP
"""Recipes that refuse a complex A."""

HERMITIAN_ONLY = {name for name in RECIPES if getattr(RECIPES[name], "method", "") == "gamg"}
"""Recipes that refuse a complex A that is not self-adjoint."""

KEEPS_INTERPOLATION = {name for name in RECIPES if not RECIPES[name].renews}
"""Recipes whose update is for a matrix of the same size."""

NOT_SELF_ADJOINT = {
    "ILU",
    "Deflation adef1",
    "Schwarz restricted",
    "AMG reduction",
    "AMG reduction W",
    "GeometricMultigrid F",
    "BootstrapAMG one-sided",
    "SOR",
    "SOR backward",
    "SOR blocks",
}
"""Recipes whose M is not self-adjoint even where A is: CG and MINRES refuse it."""


def second_difference(n: int) -> sp.csr_array:
    return sp.csr_array(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)))


def poisson(n: int) -> sp.csr_array:
    """The 5-point Laplacian on n × n unknowns, Dirichlet boundary, h = 1."""
    T, identity = second_difference(n), sp.eye_array(n)
    return sp.csr_array(sp.kron(T, identity) + sp.kron(identity, T))


def neumann(n: int) -> sp.csr_array:
    """The 1-D Laplacian with Neumann boundary: the constants are its null space."""
    T = second_difference(n).tolil()
    T[0, 0] = T[-1, -1] = 1.0
    return sp.csr_array(T)


def diffusion(n: int, contrast: float = 100.0) -> sp.csr_array:
    """−∇·(a∇u) on n × n cells, a smooth and between 1 and `contrast`, fluxes with harmonic means."""
    t = (np.arange(n) + 0.5) / n
    a = contrast ** (0.5 + 0.5 * np.sin(5.0 * t)[:, None] * np.cos(7.0 * t)[None, :])
    A = sp.lil_array((n * n, n * n))
    index = np.arange(n * n).reshape(n, n)
    for first, second in (
        (np.s_[:-1, :], np.s_[1:, :]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        face = 2.0 * a[first] * a[second] / (a[first] + a[second])
        for i, j, w in zip(index[first].ravel(), index[second].ravel(), face.ravel(), strict=True):
            A[i, i] += w
            A[j, j] += w
            A[i, j] -= w
            A[j, i] -= w
    edge = np.zeros((n, n))
    edge[0] += 1.0
    edge[-1] += 1.0
    edge[:, 0] += 1.0
    edge[:, -1] += 1.0
    return sp.csr_array(A + sp.diags_array((2.0 * a * edge).ravel()))


def convection(n: int, speed: float = 0.6) -> sp.csr_array:
    """Poisson with central differences of a constant wind: nonsymmetric, not normal."""
    D, identity = sp.diags_array([-speed, speed], offsets=[-1, 1], shape=(n, n)), sp.eye_array(n)
    return sp.csr_array(poisson(n) + sp.kron(identity, D) + 0.5 * sp.kron(D, identity))


def spd(matrix: sp.csr_array) -> LinearOperator:
    return Sparse(matrix, props=SPD)


def relative_residual(A, x, b) -> float:
    return float(np.linalg.norm(b - A @ x) / np.linalg.norm(b))
