"""What PETSc's objects keep between solves, and what they must not."""

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Sparse
from resolvent.solvers import CG, SSOR, Jacobi
from resolvent.solvers.petsc import PETScKSP

from ..conformance import diffusion, poisson, relative_residual, spd
from .systems import SIDE, N, petsc

PETSc = pytest.importorskip("petsc4py.PETSc", reason="petsc4py is not installed: scripts/petsc.sh builds it")


def test_symbolic_factorisation_is_kept_for_the_same_pattern(b):
    PETSc.Log.begin()
    symbolic = PETSc.Log.Event("MatLUFactorSym")

    def analyses():
        return symbolic.getPerfInfo()["count"]

    A, other = poisson(SIDE), sp.csr_array(poisson(SIDE) + sp.eye_array(N))
    prepared = petsc("preonly", "lu").prepare(A)
    start = analyses()
    for matrix in (other, A, other):
        prepared.update(matrix)
        assert relative_residual(matrix, prepared.solve(b).check().x, b) < 1e-12
    assert analyses() == start
    prepared.update(sp.csr_array(A + sp.eye_array(N, k=N - 1) * 1e-3))
    assert prepared.solve(b).converged
    assert analyses() == start + 1


def test_preconditioner_is_refreshed_or_kept_as_told(b):
    A = diffusion(SIDE, 1e4)
    other = sp.csr_array(A + 1000.0 * sp.diags_array(np.linspace(0.0, 1.0, N)))
    fresh = petsc("cg", "icc").solve(other, b).iterations
    renewed = petsc("cg", "icc").prepare(A)
    renewed.update(other)
    assert renewed.solve(b).check().iterations == fresh
    kept = PETScKSP(options={"ksp_type": "cg", "pc_type": "icc"}, reuse_preconditioner=True).prepare(A)
    kept.update(other)
    assert kept.solve(b).check().iterations > 2 * fresh
    assert relative_residual(other, kept.solve(b).x, b) <= 1e-8


def test_a_matrix_changed_in_place_is_noticed(b):
    A = poisson(SIDE)
    prepared = petsc("preonly", "lu").prepare(A)
    A.data *= 2.0
    assert relative_residual(A, prepared.solve(b).check().x, b) < 1e-12


def test_petsc_matrices_changed_in_place_are_noticed(b):
    from resolvent.operators.petsc import from_petsc

    mat = Sparse(poisson(SIDE)).to_petsc()
    A = from_petsc(mat, props=SPD)
    prepared = petsc("preonly", "lu").prepare(A)
    jacobi = CG().prepare(A, Jacobi())
    assert jacobi.solve(b).converged
    mat.scale(2.0)
    assert np.allclose(2.0 * poisson(SIDE) @ prepared.solve(b).check().x, b)
    assert np.allclose(2.0 * poisson(SIDE) @ jacobi.solve(b).check().x, b, atol=1e-6)
    mat.destroy()


@pytest.mark.skipif(sys.platform != "linux", reason="counts the memory of the process")
def test_nothing_grows_over_many_solves():
    """PETSc's objects go with what owns them: memory of the process, and reference counts, after 300 solves."""
    A, b = spd(poisson(40)), np.ones(1600)
    mat = A.to_petsc()
    from resolvent.operators.petsc import from_petsc

    def once():
        petsc("cg", "ilu").solve(A, b).check()
        petsc("gmres").solve(from_petsc(mat), b, M=SSOR()).check()

    def resident():
        gc.collect()
        return 4096 * int(Path("/proc/self/statm").read_text().split()[1])

    for _ in range(30):
        once()
    before = resident()
    for _ in range(150):
        once()
    # One leaked matrix a solve would be 150 × 100 kB.
    assert resident() - before < 3e6
    assert mat.refcount == 1
    mat.destroy()


def test_a_kept_preconditioner_of_a_petsc_matrix(b):
    from resolvent.operators.petsc import from_petsc

    mat = Sparse(diffusion(SIDE, 1e4)).to_petsc()
    other = Sparse(diffusion(SIDE, 1e4) + 1000.0 * sp.diags_array(np.linspace(0.0, 1.0, N))).to_petsc()
    counts = {}
    for keep in (False, True):
        options = {"ksp_type": "cg", "pc_type": "icc"}
        A = from_petsc(mat.copy(), props=SPD)
        prepared = PETScKSP(options=options, reuse_preconditioner=keep).prepare(A)
        prepared.solve(b).check()
        other.copy(A.mat, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        counts[keep] = prepared.solve(b).check().iterations
    assert counts[True] > 2 * counts[False]
    mat.destroy()
    other.destroy()


def test_without_petsc4py_the_error_names_the_extra(monkeypatch, b):
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    solver = petsc("cg")
    with pytest.raises(ImportError, match=r'pip install "resolvent\[petsc\]"'):
        solver.prepare(spd(poisson(SIDE)))


def test_a_process_may_end_with_everything_alive():
    """petsc4py 3.18 crashes where objects with Python callbacks outlive PETSc: ours are destroyed before."""
    code = """
import numpy as np, scipy.sparse as sp
from resolvent.operators import Sparse
from resolvent.solvers.petsc import PETScKSP, PETScPC
A = Sparse(sp.eye_array(9, format="csr"))
shell = A.to_petsc(form="shell")
prepared = PETScKSP(options={"ksp_type": "cg", "pc_type": "icc"}).prepare(A)
M = PETScPC({"pc_type": "ilu"})(A)
print(prepared.solve(np.ones(9)).status.name)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "CONVERGED"), run.stderr
