"""`resolvent solve`: formats, methods, outputs, and what it says."""

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from resolvent import solvers
from resolvent.cli.registry import recipe_classes, solver_classes
from resolvent.datasets.schemes.diffusion import cell_transmissibilities
from resolvent.operators import Stencil

from .conftest import laplacian

A = laplacian(10)
n = A.shape[0]
b = np.arange(1.0, n + 1.0)


def lines_of(result):
    """The output as {label: text}."""
    return {line[:12].strip(): line[12:] for line in result.stdout.splitlines() if line[:12].strip()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["A.mtx"],
        ["A.mtx.gz"],
        ["A.npz"],
        ["dense.npz"],
        ["two.npz", "--key", "A"],
        ["A.h5"],
        ["both.h5", "--key", "systems/first"],
        ["both.h5", "--key", "dense"],
    ],
    ids=" ".join,
)
def test_every_matrix_format_gives_the_same_solution(run, matrices, tmp_path, arguments):
    name, *options = arguments
    result = run("solve", matrices / name, matrices / "b.npy", *options, "--rtol", 1e-10, "--out", tmp_path / "x.npy")
    assert result.exit_code == 0, result.output
    x = np.load(tmp_path / "x.npy")
    assert np.linalg.norm(b - A @ x) <= 1e-10 * np.linalg.norm(b)


@pytest.mark.parametrize("arguments", [["b.npy"], ["b.npz"], ["b.mtx"], ["both.h5", "--rhs-key", "b"]], ids=" ".join)
def test_every_right_hand_side_format(run, matrices, tmp_path, arguments):
    name, *options = arguments
    result = run("solve", matrices / "A.mtx", matrices / name, *options, "--out", tmp_path / "x.npy")
    assert result.exit_code == 0, result.output
    assert np.linalg.norm(b - A @ np.load(tmp_path / "x.npy")) <= 1e-8 * np.linalg.norm(b)


def test_prints_the_result_and_says_that_b_is_ones(run, matrices):
    result = run("solve", matrices / "A.mtx", "--solver", "cg")
    lines = result.stdout.splitlines()
    assert "100 x 100" in lines[0] and "460 entries" in lines[0]
    assert "ones" in lines[1]
    expected = str(solvers.CG().solve(A, np.ones(n))).splitlines()
    assert [line[:12] for line in lines[2:7]] == [line[:12] for line in expected]
    assert lines[2:6] == expected[:4], "all but the times are exactly Result.__str__"


@pytest.mark.parametrize("method", ["direct", "cg", "minres", "gmres", "bicgstab", "fgmres"])
def test_named_solvers(run, matrices, method):
    result = run("solve", matrices / "A.mtx", "-s", method.upper())
    assert result.exit_code == 0, result.output
    assert lines_of(result)["solver"].lower().startswith(method)


@pytest.mark.parametrize("preconditioner", ["none", "jacobi", "ssor", "ilu", "amg"])
def test_named_preconditioners(run, matrices, preconditioner):
    result = run("solve", matrices / "A.mtx", "-s", "gmres", "-p", preconditioner)
    assert result.exit_code == 0, result.output
    assert (preconditioner in lines_of(result)["solver"].lower()) == (preconditioner != "none")


def test_every_exported_solver_and_recipe_is_offered():
    assert {"direct", "cg", "minres", "gmres", "bicgstab", "fgmres"} <= set(solver_classes())
    assert {"jacobi", "ssor", "ilu", "amg"} <= set(recipe_classes())


def test_options_of_a_solver(run, matrices):
    result = run("solve", matrices / "nonsymmetric.mtx", "-s", "gmres", "--option", "restart=7")
    assert result.exit_code == 0 and "restart=7" in result.stdout


def test_explain_prints_choice_and_reasons(run, matrices):
    result = run("solve", matrices / "A.mtx", "--explain")
    text = result.stdout
    assert "choice      Direct" in text and "positive" in text and "estimated direct" in text and " ms a system" in text
    named = run("solve", matrices / "A.mtx", "--explain", "-s", "cg", "-p", "jacobi").stdout
    assert "choice      CG(rtol=1e-08) with Jacobi()" in named and "as asked" in named


def test_a_matrix_that_multigrid_finds_hard_is_solved_all_the_same(run, tmp_path):
    n = 64
    a = 10.0 ** np.random.default_rng(0).uniform(-3.0, 3.0, (n, n))
    A = Stencil.from_transmissibilities(cell_transmissibilities(a, 1.0 / n, 2)).to_sparse()
    sp.save_npz(tmp_path / "A.npz", A)
    result = run("solve", tmp_path / "A.npz", "--explain")
    assert result.exit_code == 0, result.output
    assert "choice      MultigridCG" in result.stdout and "after MultigridCG" in lines_of(result)["solver"]


def test_auto_keeps_to_a_preconditioner_that_was_asked_for(run, matrices):
    solver = lines_of(run("solve", matrices / "A.mtx", "-p", "ssor"))["solver"]
    assert solver.startswith("CG") and "SSOR" in solver


def test_many_right_hand_sides(run, matrices, tmp_path):
    out = tmp_path / "x.h5"
    result = run("solve", matrices / "A.mtx", matrices / "many.npy", "-s", "cg", "--out", out)
    assert "3 right-hand sides" in result.stdout
    with h5py.File(out) as file:
        assert file["x"].shape == (n, 3)
        assert file.attrs["status"] == "CONVERGED" and file.attrs["iterations"] > 0
        assert file.attrs["residual_norm"] <= file.attrs["tolerance"]
        assert len(file["history"]) == file.attrs["iterations"] + 1


def test_solution_in_matrix_market_keeps_all_digits(run, matrices, tmp_path):
    run("solve", matrices / "A.mtx", "-o", tmp_path / "x.npy")
    run("solve", matrices / "A.mtx", "-o", tmp_path / "x.mtx")
    assert np.array_equal(scipy.io.mmread(tmp_path / "x.mtx").ravel(), np.load(tmp_path / "x.npy"))


def test_complex_and_single_precision(run, tmp_path):
    sp.save_npz(tmp_path / "complex.npz", sp.csr_array(A + 1j * sp.eye_array(n)))
    sp.save_npz(tmp_path / "single.npz", A.astype(np.float32))
    assert "complex128" in run("solve", tmp_path / "complex.npz").stdout
    single = run("solve", tmp_path / "single.npz", "--rtol", 1e-4)
    assert single.exit_code == 0 and "float32" in single.stdout


def test_integers_are_converted(run, tmp_path):
    scipy.io.mmwrite(tmp_path / "A.mtx", A.astype(np.int64))
    assert run("solve", tmp_path / "A.mtx").exit_code == 0


def test_not_converged_is_1_with_status_and_advice(run, matrices, tmp_path):
    result = run("solve", matrices / "A.mtx", "-s", "cg", "--maxiter", 2, "--out", tmp_path / "x.npy")
    assert result.exit_code == 1
    assert "MAXITER" in result.stdout and "not converged" in lines_of(result)["solution"]
    assert result.stderr.startswith("hint: ") and "--maxiter" in result.stderr
    assert (tmp_path / "x.npy").exists()


def test_singular_matrix_is_1_and_names_the_empty_row(run, tmp_path):
    singular = A.tolil()
    singular[7, :] = 0.0
    scipy.io.mmwrite(tmp_path / "S.mtx", sp.csr_array(singular))
    result = run("solve", tmp_path / "S.mtx")
    assert result.exit_code == 1
    assert "singular" in result.stdout and "row 7" in result.stderr


def test_singular_matrix_without_an_empty_row(run, tmp_path):
    T = sp.lil_array(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(8, 8)))
    T[0, 0] = T[-1, -1] = 1.0
    scipy.io.mmwrite(tmp_path / "neumann.mtx", sp.csr_array(T))
    result = run("solve", tmp_path / "neumann.mtx")
    assert result.exit_code == 1 and "singular" in result.stderr and "--solver minres" in result.stderr


def test_an_older_file_survives_a_full_disk(run, matrices, tmp_path, monkeypatch, refused):
    import errno
    import os

    out = tmp_path / "x.npy"
    out.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused(2, "full|free some space", "solve", matrices / "A.mtx", "--out", out)
    assert out.read_bytes() == b"old" and list(tmp_path.iterdir()) == [out]
