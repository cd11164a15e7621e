"""Memory does not grow with the number of samples."""

import pytest

CODE = """
import resource, sys
from tiny_family import TinyDiffusion, TinyLU
from resolvent.datasets import describe, generate, verify
family, n = TinyDiffusion(), int(sys.argv[2])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def states(progress):
    pass
ds = generate(family, n, out=sys.argv[1], solver=TinyLU(), chunk=64, progress=states)
assert len(ds) == n
made = peak()
assert verify(sys.argv[1], family=family).passed
print(made, peak())
"""


@pytest.fixture(scope="module")
def peaks(run_python, tmp_path_factory, request):
    here = str(request.path.parent)
    folder = tmp_path_factory.mktemp("memory")
    measured = {}
    for n in (100, 5000):
        done = run_python("-c", CODE, str(folder / f"{n}.h5"), str(n), PYTHONPATH=here)
        assert done.returncode == 0, done.stderr
        measured[n] = [int(kib) / 1024 for kib in done.stdout.split()]
    return measured


def test_peak_memory_of_generating_is_flat_from_100_to_5000_samples(peaks):
    # 100 records of this family are 0.14 MiB, 5000 are 7 MiB: they are copied in blocks of at most 4 MiB.
    assert peaks[5000][0] - peaks[100][0] < 8.0


def test_peak_memory_of_verifying_is_flat_from_100_to_5000_samples(peaks):
    assert peaks[5000][1] - peaks[100][1] < 8.0
