"""Operators on torch storage, products of host operators with tensors, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch", reason='needs the extra "learn"')

from resolvent.operators import SPD, Dense, Diagonal, Props, Sparse, as_operator  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")


def random_sparse(dtype: type = np.float64) -> sp.csr_array:
    rng = np.random.default_rng(3)
    matrix = sp.random_array((7, 7), density=0.4, rng=rng, format="csr")
    if np.dtype(dtype).kind == "c":
        matrix = matrix + 1j * sp.random_array((7, 7), density=0.4, rng=rng, format="csr")
    return sp.csr_array(matrix.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("layout", ["csr", "coo", "dense"])
def test_tensor_operator_equals_the_matrix(dtype: type, layout: str) -> None:
    matrix = random_sparse(dtype)
    tensor = torch.as_tensor(matrix.toarray())
    tensor = {"csr": tensor.to_sparse_csr, "coo": tensor.to_sparse_coo, "dense": tensor.clone}[layout]()
    A = as_operator(tensor)
    x = torch.as_tensor(np.random.default_rng(0).standard_normal((7, 2)).astype(dtype))
    assert A.dtype == np.dtype(dtype) and A.device == "cpu"
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert np.allclose((A @ x).numpy(), matrix @ x.numpy(), atol=tolerance)
    assert np.allclose(A.rmatmat(x).numpy(), matrix.conj().T @ x.numpy(), atol=tolerance)
    assert np.allclose(A.diagonal().numpy(), matrix.diagonal())
    assert np.allclose(A.to_dense().numpy(), matrix.toarray())
    assert np.allclose(A.to_sparse().toarray(), matrix.toarray())
    assert np.allclose((2 * A + A.H @ A).to_sparse().toarray(), (2 * matrix + matrix.conj().T @ matrix).toarray())


def test_round_trip_through_torch_keeps_claims() -> None:
    A = Diagonal([1.0, 2.0])
    T = A.to_torch(dtype=torch.float32)
    assert T.props == A.props and T.dtype == np.float32
    assert torch.equal(T @ torch.ones(2), torch.tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="needs a torch tensor"):
        T @ np.ones(2)


def test_host_operators_take_tensors_and_differentiate() -> None:
    rng = np.random.default_rng(1)
    B = Dense(rng.standard_normal((4, 4)) + 1j * rng.standard_normal((4, 4)))
    x = torch.ones(4, dtype=torch.float64, requires_grad=True)
    assert isinstance(B @ x, torch.Tensor)
    assert torch.autograd.gradcheck(lambda v: B @ v, (x,))
    assert torch.autograd.gradcheck(lambda v: B.rmatvec(v), (x,))
    X = torch.ones(4, 3, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: (B + Diagonal(np.ones(4))) @ v, (X,))
    A = Sparse(random_sparse())
    plain = torch.ones(7, dtype=torch.float64)
    assert np.array_equal((A @ plain).numpy(), A @ np.ones(7))


def test_devices_are_never_mixed_silently() -> None:
    A = Sparse(random_sparse(), props=Props.NONE)
    with pytest.raises(ValueError, match="operator is on cpu and the vector on meta"):
        A @ torch.ones(7, dtype=torch.float64, device="meta")
    T = as_operator(torch.eye(7, device="meta", dtype=torch.float64), props=SPD)
    with pytest.raises(ValueError, match="meta"):
        T + A
    with pytest.raises(ValueError, match="one device can be composed"):
        T @ A
