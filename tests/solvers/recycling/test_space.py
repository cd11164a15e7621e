"""The recycle space as a value: checks, files, storage, orthonormal bases."""

import numpy as np
import pytest

from resolvent.operators import Sparse
from resolvent.solvers import CG, GCRODR, RecycleSpace
from resolvent.solvers.recycling.orthonormal import orthonormalise
from resolvent.solvers.vectors import NumpyVectors

from ..conformance import convection, poisson


@pytest.fixture(scope="module")
def solved():
    A = Sparse(poisson(16))
    return A, GCRODR(restart=16, k=5).solve(A, np.ones(256))


def test_it_says_what_it_is(solved):
    assert repr(solved[1].space) == "RecycleSpace(5 vectors of length 256, float64)"


def test_saved_and_loaded_it_serves_again(solved, tmp_path):
    A, first = solved
    first.space.save(tmp_path / "space.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["space.npz"]
    loaded = RecycleSpace.load(tmp_path / "space.npz")
    assert np.array_equal(loaded.U, first.space.U)
    solver, b = GCRODR(restart=16, k=5), np.arange(256.0)
    fresh, again = (solver.solve(A, b, space=space).check() for space in (first.space, loaded))
    assert again.counts.setup == 5  # versions do not outlive the process
    assert abs(again.iterations - fresh.iterations) <= 1


def test_files_that_are_none(tmp_path):
    path = tmp_path / "space.npz"
    path.write_bytes(b"not a file of numpy")
    with pytest.raises(ValueError, match="does not hold a recycle space"):
        RecycleSpace.load(path)
    np.savez(path, U=np.ones((3, 1)))
    with pytest.raises(ValueError, match="does not hold a recycle space"):
        RecycleSpace.load(path)
    np.savez(path, U=np.array([{}], dtype=object), format=np.array(1), left=np.array(False))
    with pytest.raises(ValueError, match="does not hold a recycle space"):
        RecycleSpace.load(path)
    with pytest.raises(FileNotFoundError):
        RecycleSpace.load(tmp_path / "nothing.npz")


def test_a_space_of_another_size_or_kind_is_refused(solved):
    A, b = solved[0], np.ones(256)
    with pytest.raises(ValueError, match="length 10, but the system has 256"):
        GCRODR().solve(A, b, space=RecycleSpace(np.ones((10, 2))))
    with pytest.raises(TypeError, match="complex"):
        GCRODR().solve(A, b, space=RecycleSpace(np.ones((256, 2), dtype=complex)))
    with pytest.raises(TypeError, match="CG cannot use a recycle space"):
        CG().solve(A, b, space=solved[1].space)
    with pytest.raises(ValueError, match=r"\(n, k\) array"):
        RecycleSpace(np.ones(256))
    with pytest.raises(ValueError, match="shape of U"):
        RecycleSpace(np.ones((256, 2)), np.ones((256, 3)))


def test_a_space_of_the_other_precision_is_converted(solved):
    A, first = solved
    single = RecycleSpace(first.space.U.astype(np.float32), first.space.C.astype(np.float32))
    assert GCRODR(restart=16, k=5).solve(A, np.ones(256), space=single).converged
    narrow = Sparse(A.matrix.astype(np.float32))
    result = GCRODR(restart=16, k=5, rtol=1e-4).solve(narrow, np.ones(256, dtype=np.float32), space=first.space)
    assert result.converged
    assert result.space.U.dtype == np.float32


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_on_torch_storage():
    torch = pytest.importorskip("torch")
    A = Sparse(convection(16)).to_torch()
    b = torch.ones(256, dtype=torch.float64)
    solver = GCRODR(restart=16, k=5)
    first = solver.solve(A, b).check()
    assert isinstance(first.space.U, torch.Tensor)
    second = solver.solve(A, torch.arange(256, dtype=torch.float64), space=first.space).check()
    assert second.counts.setup == 0
    host = solver.solve(convection(16), np.arange(256.0), space=solver.solve(convection(16), np.ones(256)).space)
    assert abs(second.iterations - host.iterations) <= 1
    with pytest.raises(TypeError, match="do not mix"):
        solver.solve(convection(16), np.ones(256), space=first.space)
    with pytest.raises(TypeError, match="torch"):
        first.space.save("nowhere.npz")


@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32])
@pytest.mark.parametrize("condition", [1.0, 1e3, 1e9, 1e11])
def test_orthonormal_bases(dtype, condition, rng):
    k, n, v = 8, 200, NumpyVectors()
    Q0 = np.linalg.qr(rng.standard_normal((n, k)))[0]
    mixing = np.linalg.qr(rng.standard_normal((k, k)))[0]
    Y = np.ascontiguousarray((Q0 * np.geomspace(1.0, 1.0 / condition, k)) @ mixing).T.astype(dtype)
    Y = np.ascontiguousarray(Y)
    Q, W = orthonormalise(Y, v)
    eps = np.finfo(dtype).eps
    if condition < 0.01 / eps:
        assert len(Q) == k
    assert np.linalg.norm(Q.conj() @ Q.T - np.eye(len(Q))) <= 1e3 * eps
    assert np.linalg.norm(W.T @ Y - Q) <= 1e2 * eps * min(condition, 1.0 / eps)


def test_dependent_and_spoilt_vectors_are_left_out(rng):
    v = NumpyVectors()
    Y = rng.standard_normal((6, 50))
    Y[4] = Y[0] - 2.0 * Y[1]
    Y[5] = np.nan
    Q, W = orthonormalise(Y, v)
    assert Q.shape == (4, 50)
    assert not W[5].any()
    assert np.linalg.norm(Q @ Q.T - np.eye(4)) <= 1e-12
    for nothing in (np.zeros((3, 50)), np.full((2, 50), np.inf)):
        Q, W = orthonormalise(nothing, v)
        assert Q.shape == (0, 50)
        assert W.shape == (len(nothing), 0)


def test_sizes_of_the_vectors_do_not_matter(rng):
    Y = rng.standard_normal((5, 80)) * np.geomspace(1e-150, 1e150, 5)[:, None]
    Q, _ = orthonormalise(Y, NumpyVectors())
    assert len(Q) == 5
    assert np.linalg.norm(Q @ Q.T - np.eye(5)) <= 1e-12
