"""Functions with scipy's names, arguments, defaults and codes, and `solve`, which chooses by itself.

Each takes what its namesake in `scipy.sparse.linalg` takes, refuses what that refuses, calls back as often and with the
same arguments, and returns a `Result` that unpacks and is indexed as the tuple of scipy. scipy's own tests are run
against them. The differences, all of them on purpose:

Truth
    ``info`` is 0 if and only if ‖b − A x‖ ≤ max(rtol ‖b‖, atol), recomputed from the x returned. scipy reports 0 from
    minres where the relative residual is 1 (an inconsistent system), and the iteration limit from cg, gcrotmk and
    lgmres where the last allowed iteration did solve the system. A limit of 0 iterations is a failure unless x0 is the
    solution.
    NaN and infinity end a solve at once, with a finite x and a negative code; gmres, gcrotmk and lgmres, which have
    no negative codes in scipy, return the number of cycles. cg stops, with a negative code, where A or M proves
    indefinite. Negative codes are those of `Status`.
    A shadow vector that fails is replaced by another one, so that bicg, bicgstab, cgs, qmr and tfqmr solve systems on
    which scipy's break down. Where the residual may rise on the way, a failure returns the best iterate, not the last.
    gcrotmk verifies with one product that the images given to it in `CU` are those of A.
Stopping
    minres stops on the residual, by rtol and an additional atol, scipy on an estimate of the backward error. Before
    the first iteration and after the last the residual is recomputed, for up to two products more than in scipy.
    The norms that lsqr and lsmr return are recomputed too, and computed in double precision whatever A is.
Preconditioning
    On the right in gmres, qmr and tfqmr, so that what is minimised, and what a callback is told, is the norm of
    b − A x; scipy's gmres minimises and reports that of M (b − A x). lgmres is preconditioned on the left as there.
More
    M may be a recipe such as `Jacobi()`; b may have k columns, and is then solved for all of them; tensors are solved
    where they lie. tfqmr takes ``x0="Mb"`` too. A callback must not write into what it is given.
"""

from __future__ import annotations

from .choosing import solve
from .cycles import gmres
from .least_squares import lsmr, lsqr
from .nonsymmetric import bicg, bicgstab, cgs, qmr, tfqmr
from .recycling import gcrotmk, lgmres
from .symmetric import cg, minres

__all__ = [
    "bicg",
    "bicgstab",
    "cg",
    "cgs",
    "gcrotmk",
    "gmres",
    "lgmres",
    "lsmr",
    "lsqr",
    "minres",
    "qmr",
    "solve",
    "tfqmr",
]
