"""The functions with scipy's names: arguments, shapes, dtypes, errors, callbacks and codes as there.

scipy's own tests are run against them in test_scipy_suite.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import resolvent
from resolvent.operators import SPD, Sparse, as_operator
from resolvent.solvers import ILU, Jacobi

SYMMETRIC = ["cg", "minres"]
SHADOWED = ["bicg", "bicgstab", "cgs", "qmr", "tfqmr"]
CYCLIC = ["gcrotmk", "gmres", "lgmres"]
EVERY = [*SYMMETRIC, *SHADOWED, *CYCLIC]


def laplacian(n: int) -> sp.csr_array:
    return sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n), format="csr")


def wind(n: int) -> sp.csr_array:
    return sp.diags_array([-1.6, 2.2, -0.6], offsets=[-1, 0, 1], shape=(n, n), format="csr")


def outcome(function: object, *arguments: object, **options: object) -> object:
    """Dtype, shape and code, or the type of the exception."""
    try:
        x, info = function(*arguments, **options)  # type: ignore[operator]
    except (ValueError, TypeError) as error:
        return type(error)
    return x.dtype, x.shape, info


@pytest.mark.parametrize("name", EVERY)
def test_unpacks_like_scipy_and_keeps_its_defaults(name: str) -> None:
    function = getattr(resolvent, name)
    A = laplacian(60) + 0.1 * sp.eye_array(60)
    b = A @ np.linspace(0.0, 1.0, 60)
    x, info = result = function(A, b)
    assert info == 0 == result[1] and result[0] is x and len(result) == 2
    assert np.linalg.norm(A @ x - b) <= 1e-5 * np.linalg.norm(b)
    x0 = np.ones(60)
    x, info = function(A, b, x0, rtol=1e-10, atol=1e-12)
    assert info == 0 and (x0 == 1.0).all()
    with pytest.raises(TypeError):
        function(A, b, None, 1e-5)
    with pytest.raises(ValueError, match="Mb"):
        function(A, b, "guess")


@pytest.mark.parametrize("name", EVERY)
def test_dtype_and_shape_of_the_solution_are_those_of_scipy(name: str) -> None:
    ours, theirs = getattr(resolvent, name), getattr(spla, name)
    kinds = "fdi" if name == "minres" else "fdFDi"
    for a in kinds:
        for c in kinds:
            A, b = (10 * laplacian(12)).astype(a), np.arange(1, 13).astype(c)
            if name == "minres" and a == c == "f":  # scipy's is in double precision by an accident of promotion
                continue
            for rhs, x0 in ((b, None), (b[:, None], None), (b[:, None], 0 * b), (b, 0 * b[:, None])):
                assert outcome(ours, A, rhs, x0, rtol=1e-4) == outcome(theirs, A, rhs, x0, rtol=1e-4)


@pytest.mark.parametrize("name", ["cg", "gmres", "lgmres", "bicgstab"])
def test_the_preconditioner_has_no_say_in_the_precision(name: str) -> None:
    A, b = laplacian(12).astype("f"), np.ones(12, dtype="f")
    for M in (sp.eye_array(12), np.eye(12), spla.aslinearoperator(np.eye(12)), Jacobi()):
        x, info = getattr(resolvent, name)(A, b, M=M, rtol=1e-4)
        assert x.dtype == np.float32 and info == 0
    field = Sparse(A, grid=(3, 4))
    assert getattr(resolvent, name)(field, b.reshape(3, 4), M=np.eye(12), rtol=1e-4).x.dtype == np.float32
    assert getattr(resolvent, name)(A, np.ones(12, dtype="e"), rtol=1e-4).x.dtype == np.float64
    assert getattr(resolvent, name)(A, b, M=1j * np.eye(12), rtol=1e-4).x.dtype == np.complex128


@pytest.mark.parametrize("name", EVERY)
def test_refuses_what_scipy_refuses(name: str) -> None:
    ours, theirs = getattr(resolvent, name), getattr(spla, name)
    A, b = laplacian(5), np.ones(5)
    M = {"M1": np.eye(4), "M2": np.eye(4)} if name == "qmr" else {"M": np.eye(4)}
    cases: list[tuple[tuple[object, ...], dict[str, object]]] = [
        ((A, np.ones(4)), {}),
        ((A, np.ones((1, 5))), {}),
        ((A[:, :4], b), {}),
        ((A, b, np.ones(4)), {}),
        ((A, b, np.ones((1, 5))), {}),
        ((A, b), {"tol": 1e-3}),
        ((A, b), {"atol": "legacy"}),
        ((A, b), {"atol": None}),
        ((A, b), {"atol": -1.0}),
    ]
    if name in ("gcrotmk", "lgmres"):
        cases += [((A, np.array([1.0, np.nan, 1.0, 1.0, 1.0])), {}), ((A, np.full(5, np.inf)), {})]
    if name == "gcrotmk":
        cases.append(((A, b), {"truncate": "newest"}))
    if name == "gmres":
        cases.append(((A, b), {"callback_type": "norm"}))
    if name in ("minres", "tfqmr"):
        cases = [case for case in cases if "atol" not in case[1]]
    for arguments, options in cases:
        refusal = outcome(theirs, *arguments, **options)
        assert refusal in (ValueError, TypeError)
        assert outcome(ours, *arguments, **options) == refusal, (arguments[1:], options)
    with pytest.raises(ValueError, match="shape"):
        ours(A, b, **M)


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("name", EVERY)
def test_calls_back_as_often_and_with_the_iterates_of_scipy(name: str, preconditioned: bool) -> None:
    n, rng = 200, np.random.default_rng(0)
    A, b = (laplacian if name in SYMMETRIC else wind)(n), rng.standard_normal(n)
    M = spla.aslinearoperator(sp.diags_array(rng.uniform(0.5, 2.0, n)))
    options: dict[str, object] = {"rtol": 1e-12, "maxiter": 5}
    if preconditioned:
        options |= {"M1": M, "M2": spla.aslinearoperator(sp.eye_array(n))} if name == "qmr" else {"M": M}
    options |= {"gmres": {"callback_type": "x", "restart": 6}, "gcrotmk": {"m": 5, "k": 3}}.get(name, {})
    options |= {"inner_m": 5} if name == "lgmres" else {}
    seen: list[list[np.ndarray]] = [[], []]
    codes = []
    for function, iterates in zip((getattr(resolvent, name), getattr(spla, name)), seen, strict=True):
        codes.append(function(A, b, callback=lambda x, to=iterates: to.append(np.array(x)), **options)[1])
    assert codes == [5, 5]
    assert len(seen[0]) == len(seen[1]) == 5
    if preconditioned and name in ("gmres", "qmr", "tfqmr"):  # on the other side than scipy's
        return
    for x, y in zip(*seen, strict=True):
        assert np.linalg.norm(x - y) <= 1e-12 * np.linalg.norm(y)


@pytest.mark.parametrize("name", ["gcrotmk", "lgmres"])
def test_cycles_call_back_before_the_one_that_finds_the_solution(name: str) -> None:
    A, b = wind(300), np.ones(300)
    for options in ({}, {"x0": spla.spsolve(A.tocsc(), b)}):
        counts = []
        for package in (resolvent, spla):
            calls: list[object] = []
            assert getattr(package, name)(A, b, rtol=1e-8, callback=calls.append, **options)[1] == 0
            counts.append(len(calls))
        assert counts[0] == counts[1]


@pytest.mark.parametrize("name", EVERY)
def test_guess_from_the_preconditioner(name: str) -> None:
    A = Sparse(laplacian(12), props=SPD, grid=(3, 4))
    for M in (sp.diags_array(0.5 * np.ones(12)), Jacobi(), None):
        for shape in ((12,), (3, 4), (12, 2)):
            options = {} if name == "qmr" else {"M": M}
            result = getattr(resolvent, name)(A, np.ones(shape), "Mb", rtol=1e-10, **options)
            assert result.converged and result.x.shape == shape
    assert getattr(resolvent, name)(np.eye(3), np.ones(3), "Mb").iterations == 0, "b itself is the guess without M"


@pytest.mark.parametrize("name", EVERY)
def test_no_iterations_are_a_failure_unless_the_guess_is_the_solution(name: str) -> None:
    function = getattr(resolvent, name)
    assert function(laplacian(5), np.ones(5), maxiter=0)[1] == 1
    assert function(np.eye(5), np.ones(5), np.ones(5), maxiter=0)[1] == 0


def test_codes_are_true_where_those_of_scipy_are_not() -> None:
    A, b = laplacian(8), np.arange(8.0)
    assert resolvent.cg(A, b, rtol=1e-12, maxiter=8).info == 0, "the last iteration counts"
    assert spla.cg(A, b, rtol=1e-12, maxiter=8)[1] == 8
    neumann = laplacian(20)
    neumann.data[0] = neumann.data[-1] = 1.0
    ones = np.ones(20)
    x, info = spla.minres(neumann, ones, rtol=1e-8)
    assert info == 0 and np.linalg.norm(neumann @ x - ones) > 0.9 * np.linalg.norm(ones), "scipy"
    assert resolvent.minres(neumann, ones, rtol=1e-8).info != 0
    b[3] = np.nan
    for name in ("cg", "minres", "gmres", "bicgstab", "cgs", "bicg", "qmr", "tfqmr"):
        x, info = getattr(resolvent, name)(A, b)
        assert info != 0 and np.isfinite(x).all()
    assert resolvent.cg(-A, np.ones(8)).info < 0


def test_minres_shifts_and_checks_as_scipy_does(capsys: pytest.CaptureFixture[str]) -> None:
    A, b = laplacian(20), np.arange(20.0)
    x, info = resolvent.minres(A, b, shift=1.1, rtol=1e-10, show=True, check=True)
    assert "CONVERGED" in capsys.readouterr().out
    assert info == 0 and np.allclose((A - 1.1 * sp.eye_array(20)) @ x, b, atol=1e-7)
    assert np.allclose(x, spla.minres(A, b, shift=1.1, rtol=1e-12)[0], atol=1e-6)
    with pytest.raises(ValueError, match="A is not self-adjoint"):
        resolvent.minres(sp.triu(A).tocsr(), b, check=True)
    with pytest.raises(ValueError, match="M is not self-adjoint"):
        resolvent.minres(A, b, M=ILU(drop_tol=0.3, fill_factor=1.0)(as_operator(A + sp.eye_array(20, k=1))), check=True)
    assert resolvent.minres(A, b, M=Jacobi(), check=True).converged
    for package in (resolvent, spla):
        with pytest.raises(ValueError, match="preconditioner"):
            package.minres(A, b, M=sp.diags_array(np.where(np.arange(20) < 19, 1.0, -9.0)))


def test_minres_gives_every_callback_an_array_of_its_own() -> None:
    iterates: list[np.ndarray] = []
    resolvent.minres(laplacian(20), np.arange(20.0), callback=iterates.append)
    assert len({x.ctypes.data for x in iterates}) == len(iterates) > 5


def test_qmr_uses_both_sides_and_what_the_matrix_brings_along() -> None:
    A, b = wind(50), np.ones(50)
    lower, upper = spla.splu(sp.tril(A).tocsc()), spla.splu(sp.triu(A).tocsc() / 2.0)
    sides = [
        spla.LinearOperator(A.shape, factor.solve, rmatvec=lambda r, f=factor: f.solve(r, "T"), dtype=float)
        for factor in (lower, upper)
    ]
    plain = resolvent.qmr(A, b, rtol=1e-10)
    both = resolvent.qmr(A, b, M1=sides[0], M2=sides[1], rtol=1e-10)
    assert plain.converged and both.converged and both.iterations < plain.iterations
    assert resolvent.qmr(A, b, M1=sides[0], rtol=1e-10).converged and resolvent.qmr(A, b, M2=sides[1]).converged

    carrier = spla.aslinearoperator(A)
    carrier.psolve = lambda r, side: sides[side == "right"].matvec(r)
    carrier.rpsolve = lambda r, side: sides[side == "right"].rmatvec(r)
    assert resolvent.qmr(carrier, b, rtol=1e-10).iterations == both.iterations
    carrier.psolve = sides[0].matvec
    assert resolvent.gmres(carrier, b).iterations == resolvent.gmres(A, b, M=sides[0]).iterations


def test_infinite_tolerances_accept_anything() -> None:
    for name in EVERY:
        for options in ({"rtol": np.inf}, {"atol": np.inf}, {"rtol": np.inf, "atol": np.inf}):
            result = getattr(resolvent, name)(laplacian(5), 1e3 * np.ones(5), **options)
            assert result.info == 0 and result.iterations == 0


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
@pytest.mark.parametrize("name", EVERY)
def test_tensors_are_solved_where_they_lie(name: str) -> None:
    torch = pytest.importorskip("torch", reason='needs the extra "learn"')
    A, b = as_operator(laplacian(20)).to_torch(), torch.arange(20.0, dtype=torch.float64)
    calls: list[object] = []
    options = {"callback_type": "x"} if name == "gmres" else {}
    host = getattr(resolvent, name)(laplacian(20), b.numpy(), rtol=1e-10)
    for rhs in (b, b[:, None]):
        x, info = getattr(resolvent, name)(A, rhs, rtol=1e-10, callback=calls.append, **options)
        assert info == 0 and x.shape == (20,) and np.allclose(x.numpy(), host.x)
    assert calls and all(isinstance(x, torch.Tensor) for x in calls)
