"""The hint that `resolvent solve` gives for a result that did not converge."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.cli import registry, solve

from .conftest import laplacian

A = laplacian(7)
n = A.shape[0]


def hint(run, folder, matrix, *options, b=None):
    sp.save_npz(folder / "A.npz", sp.csr_array(matrix))
    inputs = [folder / "A.npz"]
    if b is not None:
        np.save(folder / "b.npy", b)
        inputs.append(folder / "b.npy")
    result = run("solve", *inputs, *options)
    assert result.exit_code == 1, result.output
    return result.stderr


@pytest.mark.parametrize("solver", ["cg", "minres"])
def test_a_matrix_that_is_not_symmetric(run, tmp_path, solver):
    nonsymmetric = A + sp.diags_array([3.0], offsets=[1], shape=A.shape)
    message = hint(run, tmp_path, nonsymmetric, "-s", solver, "--maxiter", 20)
    assert "A is not symmetric" in message and "gmres or --solver bicgstab" in message


def test_a_complex_matrix_must_be_hermitian(run, tmp_path):
    message = hint(run, tmp_path, A + 0.5j * sp.eye_array(n), "-s", "minres", "--maxiter", 3)
    assert "A is not Hermitian" in message


@pytest.mark.parametrize("solver", ["cg", "minres"])
def test_ilu_is_not_for_symmetric_methods(run, tmp_path, solver):
    message = hint(run, tmp_path, A, "-s", solver, "--maxiter", 2)
    assert "amg" in message and "ilu" not in message
    assert "ilu" in hint(run, tmp_path, A, "-s", "gmres", "--maxiter", 2)


def test_direct_does_not_recommend_itself(run, tmp_path):
    message = hint(run, tmp_path, A, "-s", "direct", "--rtol", 1e-18, b=np.arange(1.0, n + 1.0) / 3.0)
    assert "--rtol" in message and "--solver direct" not in message and "--preconditioner" not in message


def test_overflow_and_underflow_are_told_apart(run, tmp_path):
    assert "overflow" in hint(run, tmp_path, A * 1e-300, b=np.full(n, 1e300))
    assert "underflow" in hint(run, tmp_path, A * 1e300, b=np.full(n, 1e-300))


def test_the_help_names_all_methods():
    assert set(solve.SOLVERS) == set(registry.solver_classes())
    assert set(solve.PRECONDITIONERS) == set(registry.recipe_classes())
