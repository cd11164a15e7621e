"""Run by `mpiexec` for test_mpi.py: the same systems alone and spread over ranks; rank 0 prints what came out as JSON.

Every entry of ``cases`` is [outcomes of all ranks, outcome alone], an outcome being (status, iterations, relative true
residual of the gathered solution).
"""

import json
import sys

import numpy as np
import scipy.sparse as sp
from mpi4py import MPI
from petsc4py import PETSc

from resolvent.operators import SPD, Diagonal, Props, Sparse, StructureError
from resolvent.operators.petsc import distribute
from resolvent.solvers import (
    CG,
    FGMRES,
    GMRES,
    MINRES,
    SSOR,
    BiCGStab,
    Chebyshev,
    Direct,
    FlexibleCG,
    Jacobi,
    Richardson,
)
from resolvent.solvers._mpi import MPIVectors
from resolvent.solvers.petsc import PETScAMG, PETScKSP, PETScPC, RecipePC, SolverKSP
from resolvent.solvers.preconditioners.local_blocks import LocalBlocks
from resolvent.solvers.vectors import NumpyVectors

comm = MPI.COMM_WORLD
SIDE = 16
N = SIDE * SIDE

second = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(SIDE, SIDE))
wind = sp.diags_array([-0.6, 0.6], offsets=[-1, 1], shape=(SIDE, SIDE))
identity = sp.eye_array(SIDE)
scale = sp.diags_array(np.linspace(1.0, 2.0, N))  # so that a Jacobi preconditioner has something to do
POISSON = sp.csr_array(scale @ (sp.kron(second, identity) + sp.kron(identity, second)) @ scale)
WIND = sp.csr_array(POISSON + sp.kron(identity, wind))
INDEFINITE = sp.csr_array(POISSON - 0.3 * sp.eye_array(N))
b = np.random.default_rng(0).standard_normal(N)

# Uneven, with few rows on the last rank: fewer than a cycle of GMRES is long.
cuts = np.minimum(np.arange(comm.size + 1) * (N // comm.size + 3), N)
cuts[-1] = N
here = slice(int(cuts[comm.rank]), int(cuts[comm.rank + 1]))

cases = {}
facts = {}


def gathered(x):
    return np.concatenate(comm.allgather(np.asarray(x)))


def outcome(result, matrix, rhs, x):
    residual = np.linalg.norm(rhs - matrix @ x) / np.linalg.norm(rhs)
    return [result.status.name, result.iterations, float(residual)]


def compare(name, solver, matrix, props, M=None, rhs=b, alone=None, **arguments):
    """Solve on all ranks and, with the rows all here, on each alone."""
    A = distribute(matrix[here], props=props)
    result = solver.solve(A, np.ascontiguousarray(rhs[here]), M=M, **arguments)
    everywhere = comm.allgather(outcome(result, matrix, rhs, gathered(result.x)))
    single = solver.solve(Sparse(matrix, props=props), rhs, M=M if alone is None else alone, **arguments)
    cases[name] = [everywhere, outcome(single, matrix, rhs, single.x)]
    A.close()
    return result


# Our methods ---------------------------------------------------------------------------------------------------------
RECIPES = {"none": None, "Jacobi": Jacobi(), "Chebyshev": Chebyshev(3)}
for name, M in RECIPES.items():
    compare(f"CG {name}", CG(), POISSON, SPD, M)
    compare(f"FlexibleCG {name}", FlexibleCG(), POISSON, SPD, M)
    compare(f"MINRES {name}", MINRES(), POISSON, SPD, M)
    compare(f"GMRES {name}", GMRES(restart=50), WIND, Props.NONE, M)
    compare(f"FGMRES {name}", FGMRES(), WIND, Props.NONE, M)
    compare(f"BiCGStab {name}", BiCGStab(), WIND, Props.NONE, M)
compare("MINRES indefinite", MINRES(), INDEFINITE, Props.SELF_ADJOINT)
compare("Richardson", Richardson(), sp.csr_array(POISSON + 4.0 * sp.eye_array(N)), SPD, Jacobi())
compare("CG complex", CG(), POISSON, SPD, Jacobi(), rhs=b + 1j * b[::-1])
compare("CG columns", CG(), POISSON, SPD, Jacobi(), rhs=np.stack((b, b[::-1], 0.0 * b), axis=1))
compare("GMRES columns", GMRES(), WIND, Props.NONE, rhs=np.stack((b, b[::-1]), axis=1))
compare("CG hypre", CG(), POISSON, SPD, PETScPC({"pc_type": "hypre"}))
compare("CG PETScAMG", CG(), POISSON, SPD, PETScAMG())
compare("CG PETScAMG gamg", CG(), POISSON, SPD, PETScAMG("gamg"))
keeps = PETScAMG("gamg", reuse="interpolation")
A = distribute(POISSON[here], props=SPD)
coarsened = keeps(A)
scaled = distribute(3.0 * POISSON[here], props=SPD)
compare("CG PETScAMG kept", CG(), POISSON, SPD, keeps.update(coarsened, A), alone=keeps(Sparse(POISSON, props=SPD)))
facts["kept interpolation"] = comm.allgather(
    float(abs(3.0 * (keeps.update(coarsened, scaled) @ b[here]) - coarsened @ b[here]).max())
)
facts["claims over ranks"] = comm.allgather(str(coarsened.props))
spoiled = POISSON[here].copy()
if comm.rank == 0:
    spoiled.data[:] = 0.0
try:
    keeps(distribute(spoiled, props=SPD))
    fault = "none"
except ValueError as error:
    fault = str(error)
facts["zeros on rank 0"] = comm.allgather(fault)

# Ends other than convergence -----------------------------------------------------------------------------------------
compare("CG indefinite", CG(), INDEFINITE, Props.NONE)
compare("CG maxiter", CG(maxiter=7), POISSON, SPD)
compare("CG rounding", CG(rtol=1e-18), POISSON, SPD)
spoilt = b.copy()
spoilt[-1] = np.nan  # on the last rank only
A = distribute(POISSON[here], props=SPD)
facts["NaN"] = comm.allgather(CG().solve(A, spoilt[here]).status.name)
asked = CG().solve(A, b[here], callback=lambda p: p.iteration == 5 if comm.rank == comm.size - 1 else None)
facts["stopped by one rank"] = comm.allgather([asked.status.name, asked.iterations])
watched = []
CG(maxiter=4).solve(A, b[here], callback=watched.append if comm.rank == 0 else None)
facts["callback of one rank"] = len(watched)
try:
    CG().solve(A, b[here] if comm.rank else b[: here.stop + 1])
    fault = "none"
except (ValueError, RuntimeError) as error:
    fault = type(error).__name__
facts["b of another length on rank 0"] = comm.allgather(fault)
try:
    Direct().prepare(A)
except StructureError as error:
    facts["Direct"] = str(error)
try:
    CG().prepare(A, SSOR())
except StructureError as error:
    facts["SSOR"] = str(error)
try:
    A.to_sparse()
except StructureError as error:
    facts["entries"] = str(error)
facts["repr"] = repr(A)

# The operator --------------------------------------------------------------------------------------------------------
x = np.arange(1.0, N + 1)
W = distribute(WIND[here])
facts["product"] = float(abs(gathered(W @ x[here]) - WIND @ x).max())
facts["adjoint"] = float(abs(gathered(W.H @ x[here]) - WIND.T @ x).max())
shifted = A + 2.0 * Diagonal(np.ones(A.shape[0]))
facts["sum"] = float(abs(gathered(shifted @ x[here]) - POISSON @ x - 2.0 * x).max())
facts["shifted"] = comm.allgather(CG().solve(shifted, b[here]).status.name)
facts["diagonal"] = bool((gathered(A.diagonal()) == POISSON.diagonal()).all())
facts["block"] = comm.allgather(bool(abs(A.block().to_dense() - POISSON[here, here].toarray()).max() == 0.0))
prepared = CG().prepare(A, Jacobi())
before = prepared.solve(b[here]).x
A.mat.scale(2.0)
facts["follows"] = float(np.linalg.norm(gathered(2.0 * prepared.solve(b[here]).x - before)))
empty = distribute(POISSON if comm.rank == 0 else POISSON[:0], props=SPD)
rhs = b if comm.rank == 0 else b[:0]
found = [CG().solve(empty, rhs), GMRES().solve(empty, rhs), CG().solve(empty, rhs, M=Chebyshev(2))]
facts["ranks without rows"] = comm.allgather([r.status.name for r in found])

v, local = MPIVectors(comm), NumpyVectors()
Y = np.stack((b, np.cos(b)), axis=1) * (1.0 + 2.0j)
basis = np.stack((b, b**2, np.sin(b)))
part = np.ascontiguousarray(Y[here])
facts["vectors"] = [
    float(abs(v.dot(part, part * 1j) - local.dot(Y, Y * 1j)).max()),
    float(max(abs(p - q).max() for p, q in zip(v.dot_norms(part, part * 1j), local.dot_norms(Y, Y * 1j), strict=True))),
    float(abs(v.norm(part) - local.norm(Y)).max()),
    float(abs(v.largest(part) - local.largest(Y)).max()),
    float(abs(v.project(basis[:, here].copy(), b[here, None].copy()) - local.project(basis, b[:, None])).max()),
    float(abs(v.gram(basis[:, here].copy(), basis[:, here].copy()) - local.gram(basis, basis)).max()),
    float(v.total(here.stop - here.start) - N),
    float(v.before(here.stop - here.start) - here.start),
]

# PETSc's methods on our monitor --------------------------------------------------------------------------------------
for kind, matrix, props in (("cg", POISSON, SPD), ("gmres", WIND, Props.NONE), ("bcgs", WIND, Props.NONE)):
    for name, M in RECIPES.items():
        compare(f"PETSc {kind} {name}", PETScKSP(options={"ksp_type": kind}), matrix, props, M)
compare("PETSc cg hypre", PETScKSP(options={"ksp_type": "cg", "pc_type": "hypre"}), POISSON, SPD)
mumps = {"ksp_type": "preonly", "pc_type": "lu", "pc_factor_mat_solver_type": "mumps"}
compare("PETSc mumps", PETScKSP(options=mumps), WIND, Props.NONE)
compare("PETSc cg complex", PETScKSP(options={"ksp_type": "cg"}), POISSON, SPD, Jacobi(), rhs=b + 1j * b[::-1])

# What is only as good as the blocks of the ranks: the same on one rank with the blocks of all ------------------------
blocks = sp.block_diag([POISSON[cuts[r] : cuts[r + 1], cuts[r] : cuts[r + 1]] for r in range(comm.size)], format="csr")
alone = SSOR(omega=1.3)(Sparse(sp.csr_array(blocks), props=SPD))
compare("CG blocks", CG(), POISSON, SPD, LocalBlocks(SSOR(omega=1.3)), alone=alone)
compare(
    "PETSc cg blocks", PETScKSP(options={"ksp_type": "cg"}), POISSON, SPD, LocalBlocks(SSOR(omega=1.3)), alone=alone
)

# Ours inside PETSc, from the options database alone and from contexts ------------------------------------------------
database = PETSc.Options()
FROM_DATABASE = {
    "blocks": {
        "ksp_type": "cg",
        "pc_type": "python",
        "pc_python_type": "resolvent.solvers.petsc.RecipePC",
        "pc_resolvent_recipe": "SSOR",
        "pc_resolvent_omega": 1.3,
    },
    "Chebyshev": {
        "ksp_type": "cg",
        "pc_type": "python",
        "pc_python_type": "resolvent.solvers.petsc.RecipePC",
        "pc_resolvent_recipe": "Chebyshev",
        "pc_resolvent_claims": "positive_definite",
    },
    "CG": {
        "ksp_type": "python",
        "ksp_python_type": "resolvent.solvers.petsc.SolverKSP",
        "ksp_resolvent_method": "CG",
        "pc_type": "jacobi",
    },
}


def hosted(name, configure=lambda ksp: None, **options):
    prefix = f"{name}_"
    for key, value in options.items():
        database[prefix + key] = value
    operator = distribute(POISSON[here])
    ksp = PETSc.KSP().create(comm=comm)
    ksp.setOptionsPrefix(prefix)
    ksp.setOperators(operator.mat)
    configure(ksp)
    ksp.setTolerances(rtol=1e-8, max_it=500)
    if "cg" in options.get("ksp_type", ""):
        ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    ksp.setFromOptions()
    y, rhs = operator.mat.createVecs()
    rhs.setArray(b[here])
    ksp.solve(rhs, y)
    residual = np.linalg.norm(b - POISSON @ gathered(y.getArray().copy())) / np.linalg.norm(b)
    entry = [int(ksp.getConvergedReason()), ksp.getIterationNumber(), float(residual)]
    facts[f"hosted {name}"] = comm.allgather(entry)
    for thing in (ksp, y, rhs):
        thing.destroy()
    operator.close()


for name, options in FROM_DATABASE.items():
    hosted(name, **options)


def ours(ksp):
    ksp.setType("python")
    ksp.setPythonContext(SolverKSP(CG()))
    ksp.getPC().setType("python")
    ksp.getPC().setPythonContext(RecipePC(SSOR(omega=1.3), claims=SPD))


hosted("both", ours)
facts["Jacobi alone"] = cases["CG Jacobi"][1][1]
facts["blocks alone"] = cases["CG blocks"][1][1]
facts["Chebyshev alone"] = cases["CG Chebyshev"][1][1]
PETSc.garbage_cleanup()

if comm.rank == 0:
    sys.stdout.write("RESULT " + json.dumps({"cases": cases, "facts": facts}) + "\n")
