"""`solve`: the automatic choice, what it is told, and differentiation through a solve."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import resolvent
from resolvent import Props, choose, solve
from resolvent.operators import SPD, Dense, Function, Sparse, as_operator
from resolvent.solvers import AMG, CG, GMRES, ILU, MINRES, ConvergenceError, Direct, Jacobi, Status


def laplacian(n: int) -> sp.csr_array:
    return sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n), format="csr")


def test_a_chosen_direct_solver_gives_way_to_an_iterative_one_where_the_matrix_is_singular() -> None:
    A = laplacian(64)
    A.data[0] = A.data[-1] = 1.0  # Neumann: the constants are a null space
    b = A @ np.arange(64.0)
    # Upwind differences on a circle: singular and not symmetric.
    upwind = sp.diags_array([-1.0, 1.0, -1.0], offsets=[-1, 0, 63], shape=(64, 64), format="csr")
    for matrix, method in ((A, "MINRES"), (A.toarray(), "MINRES"), (upwind, "GMRES")):
        rhs = b if method == "MINRES" else matrix @ np.sin(np.arange(64.0))
        result = solve(matrix, rhs)
        assert result.converged and np.linalg.norm(matrix @ result.x - rhs) <= 1e-8 * np.linalg.norm(rhs)
        assert result.solver.startswith(method) and result.solver.endswith("after Direct(rtol=1e-08)")
        assert "singular" in str(result.extra["reason"])
    assert solve(A, b, solver=Direct()).status is Status.BREAKDOWN, "the caller's own method is kept"
    inconsistent = solve(A, np.ones(64))
    assert not inconsistent.converged and np.isfinite(inconsistent.x).all()
    many = solve(A, np.stack((b, 2 * b, 0 * b), axis=1))
    assert many.converged and len(many.columns) == 3


def test_what_the_entries_prove_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    prepare = Direct._analyse

    def analyse(self: Direct, A: object, matrix: object) -> object:
        analysis = prepare(self, A, matrix)  # type: ignore[arg-type]
        seen.append((A.props, A.grid, type(analysis).__name__))  # type: ignore[attr-defined]
        return analysis

    monkeypatch.setattr(Direct, "_analyse", analyse)
    own = Sparse(laplacian(12), grid=(3, 4))
    assert solve(own, np.ones((3, 4))).converged and own.props == Props.NONE
    assert solve(laplacian(12), np.ones(12)).converged
    assert [entry[1:] for entry in seen] == [((3, 4), "BandedCholesky"), (None, "BandedCholesky")]  # type: ignore[index]
    assert all(Props.POSITIVE_DEFINITE in entry[0] for entry in seen)  # type: ignore[index]


def test_not_a_number_in_the_matrix_is_a_status_with_and_without_a_recipe() -> None:
    A = laplacian(30)
    A.data[7] = np.nan
    for M in (None, Jacobi(), ILU(), AMG()):
        assert solve(A, np.ones(30), M=M).status is Status.NONFINITE
        assert solve(A.toarray(), np.ones(30), M=M).status is Status.NONFINITE


def test_choice_follows_structure_and_explains_itself() -> None:
    assert isinstance(choose(laplacian(10)).solver, Direct)
    matrix_free = Function((5, 5), lambda x: 2 * x, props=SPD)
    assert isinstance(choose(matrix_free).solver, CG)
    assert isinstance(choose(Function((5, 5), lambda x: -x, props=Props.SELF_ADJOINT)).solver, MINRES)
    assert isinstance(choose(Function((5, 5), lambda x: x)).solver, GMRES)
    assert isinstance(choose(laplacian(10), Jacobi()).solver, CG), "a preconditioner rules out the direct solver"
    plane = sp.csr_array(sp.kronsum(laplacian(450), laplacian(450)))
    shuffled = np.random.default_rng(0).permutation(plane.shape[0])
    large = choose(plane[shuffled][:, shuffled])
    assert isinstance(large.solver, CG) and isinstance(large.M, AMG)
    assert "proved by the entries" in str(large) and "202500 unknowns" in str(large)
    upwind = sp.diags_array([-1.0, 1.5], offsets=[-1, 0], shape=(20, 20), format="csr")
    swirl = sp.diags_array([-9.0, 2.0, 7.0], offsets=[-1, 0, 1], shape=(40, 40))
    space = sp.csr_array(sp.kronsum(sp.kronsum(swirl, swirl), swirl))
    assert isinstance(choose(space).solver, GMRES) and isinstance(choose(space).M, ILU)
    assert isinstance(choose(upwind).solver, Direct)
    assert isinstance(choose(laplacian(200_000)).solver, Direct), "a narrow band, however long"
    singular = Sparse(sp.csr_array(np.array([[1.0, -1.0], [-1.0, 1.0]])), props=SPD | Props.SINGULAR)
    assert isinstance(choose(singular).solver, CG), "LU of a singular matrix breaks down, CG does not"
    assert solve(singular, np.array([1.0, -1.0])).converged


def test_solve_uses_what_it_is_told() -> None:
    A, b = laplacian(30), np.ones(30)
    result = solve(A, b, solver=GMRES(rtol=1e-6, restart=40))
    assert result.solver.startswith("GMRES(rtol=1e-06, restart=40)") and result.converged
    result = solve(A, b, M=Jacobi(), rtol=1e-9)
    assert result.solver.startswith("CG(rtol=1e-09)") and "Jacobi" in result.solver
    field = Sparse(laplacian(6), props=SPD, grid=(2, 3))
    assert solve(field, np.ones((2, 3))).x.shape == (2, 3)


def test_options_given_to_solve_go_before_those_of_the_solver() -> None:
    A, b = laplacian(30), np.arange(30.0)
    loose = GMRES(rtol=1e-2, maxiter=100, restart=40)
    assert solve(A, b, solver=loose).solver == str(loose)
    assert "rtol=1e-10" in solve(A, b, solver=loose, rtol=1e-10).solver
    assert solve(A, b, solver=loose, rtol=1e-10).residual_norm <= 1e-10 * np.linalg.norm(b)
    assert solve(A, b, solver=loose, maxiter=3, rtol=1e-10).iterations == 3
    assert solve(A, b, solver=loose, atol=1e9).iterations == 0
    assert loose == GMRES(rtol=1e-2, maxiter=100, restart=40), "which is not changed"
    with pytest.raises(ValueError, match="rtol must be"):
        solve(A, b, solver=loose, rtol=-1.0)


def test_result_prints_five_aligned_lines_and_check_raises_with_it() -> None:
    result = solve(laplacian(5), np.ones(5))
    lines = str(result).splitlines()
    assert len(lines) == 5 and all(line[11] == " " and line[12] != " " for line in lines)
    assert [line.split()[0] for line in lines] == ["status", "solver", "iterations", "residual", "seconds"]
    assert result.check() is result
    failed = CG(maxiter=1).solve(laplacian(5), np.arange(5.0))
    with pytest.raises(ConvergenceError, match="maxiter") as caught:
        failed.check()
    assert caught.value.result is failed
    columns = CG().solve(laplacian(5), np.ones((5, 2)))
    assert "2 right-hand sides" in str(columns) and len(columns.columns) == 2


@pytest.mark.parametrize(
    ("b", "error", "fragment"),
    [
        (np.ones(4), ValueError, r"shape \(5,\) or \(5, k\)"),
        (np.ones((2, 5)), ValueError, r"shape \(5,\)"),
        (np.array(["a"] * 5), TypeError, "numeric"),
        (np.ones((5, 0)), ValueError, "shape"),
    ],
)
def test_wrong_right_hand_sides_are_refused(b: np.ndarray, error: type[Exception], fragment: str) -> None:
    with pytest.raises(error, match=fragment):
        solve(laplacian(5), b)


def test_wrong_options_are_refused() -> None:
    for options in ({"rtol": -1.0}, {"rtol": np.nan}, {"atol": np.inf}, {"maxiter": -1}, {"maxiter": 1.5}):
        with pytest.raises(ValueError, match="must be a"):
            CG(**options)
    with pytest.raises(ValueError, match="x0 must have the shape"):
        solve(laplacian(5), np.ones(5), np.ones(4))
    with pytest.raises(ValueError, match="shape of A"):
        CG().prepare(laplacian(5), M=np.eye(4))


class TestTorch:
    """Gradients through a solve, and solvers on torch storage."""

    torch = pytest.importorskip("torch", reason='needs the extra "learn"')
    pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")

    @pytest.mark.parametrize("solver", [Direct(rtol=1e-12), GMRES(rtol=1e-13), None])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_gradient_of_a_dense_system(self, solver: object, dtype: str) -> None:
        torch = self.torch
        torch.manual_seed(0)
        A = (3 * torch.eye(4) + torch.rand(4, 4)).to(getattr(torch, dtype)).requires_grad_()
        b = torch.rand(4, 2, dtype=getattr(torch, dtype), requires_grad=True)
        assert torch.autograd.gradcheck(lambda A, b: solve(A, b, solver=solver, rtol=1e-13).x, (A, b))

    @pytest.mark.parametrize("layout", ["csr", "coo"])
    def test_gradient_with_respect_to_sparse_entries(self, layout: str) -> None:
        torch = self.torch
        matrix = laplacian(8)
        crow, column = torch.as_tensor(matrix.indptr), torch.as_tensor(matrix.indices)
        values = torch.tensor(matrix.data, requires_grad=True)
        b = torch.rand(8, dtype=torch.float64, requires_grad=True)

        def solution(values: object, b: object) -> object:
            if layout == "csr":
                A = torch.sparse_csr_tensor(crow, column, values, size=(8, 8), check_invariants=False)
            else:
                row = torch.repeat_interleave(torch.arange(8), torch.diff(crow))
                A = torch.sparse_coo_tensor(
                    torch.stack((row, column.long())), values, size=(8, 8), is_coalesced=True, check_invariants=False
                )
            return solve(A, b, rtol=1e-13).x

        assert torch.autograd.gradcheck(solution, (values, b))

    def test_gradient_through_a_numpy_operator_reuses_its_factors(self) -> None:
        torch = self.torch
        A = Sparse(laplacian(10) + sp.diags_array([0.3], offsets=[1], shape=(10, 10)))
        b = torch.ones(10, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda b: solve(A, b, rtol=1e-13).x, (b,))

    def test_failed_backward_solve_raises_instead_of_lying(self) -> None:
        torch = self.torch
        b = torch.arange(10, dtype=torch.float64, requires_grad=True)
        result = solve(Sparse(laplacian(10), props=SPD), b, solver=CG(maxiter=2))
        assert result.status is Status.MAXITER
        with pytest.raises(ConvergenceError):
            result.x.sum().backward()

    @pytest.mark.parametrize("solver", [CG(), MINRES(), GMRES(), Direct()])
    @pytest.mark.parametrize("M", [None, Jacobi()])
    def test_torch_storage_gives_the_iterations_of_numpy(self, solver: object, M: object) -> None:
        torch = self.torch
        if isinstance(solver, Direct) and M is not None:
            return
        A = Sparse(laplacian(40), props=SPD)
        b = np.random.default_rng(0).standard_normal((40, 3))
        host = solver.solve(A, b, M=M)  # type: ignore[attr-defined]
        device = solver.solve(A.to_torch(), torch.as_tensor(b), M=M)  # type: ignore[attr-defined]
        assert device.converged and isinstance(device.x, torch.Tensor)
        assert [c.iterations for c in device.columns] == pytest.approx([c.iterations for c in host.columns], abs=1)
        assert np.allclose(device.x.numpy(), host.x, atol=1e-6)

    def test_devices_and_storages_are_not_mixed(self) -> None:
        torch = self.torch
        A = Sparse(laplacian(5), props=SPD)
        with pytest.raises(ValueError, match="meta"):
            solve(A, torch.ones(5, device="meta"))
        with pytest.raises(TypeError, match="needs b as a tensor"):
            CG().solve(A.to_torch(), np.ones(5))
        meta = as_operator(torch.eye(5, device="meta", dtype=torch.float64), props=SPD)
        with pytest.raises(resolvent.StructureError, match="host"):
            Direct().prepare(meta)

    def test_numpy_in_numpy_out_for_dense_operators(self) -> None:
        assert isinstance(solve(Dense(np.eye(3)), np.ones(3)).x, np.ndarray)

    def test_a_singular_factor_is_gone_round_and_the_gradient_is_of_the_second_method(self) -> None:
        torch = self.torch
        A = laplacian(40)
        A.data[0] = A.data[-1] = 1.0
        b = torch.as_tensor(A @ np.arange(40.0)).requires_grad_()
        weights = torch.linspace(-1.0, 1.0, 40, dtype=torch.float64)
        for system in (A, torch.as_tensor(A.toarray())):
            b.grad = None
            result = solve(system, b)
            assert result.converged and result.solver.startswith("MINRES") and "after Direct" in result.solver
            (weights * result.x).sum().backward()
            assert np.allclose(A @ b.grad.numpy(), weights.numpy(), atol=1e-6)
        assert solve(A, b.detach(), solver=Direct()).status is Status.BREAKDOWN
