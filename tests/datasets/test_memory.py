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
    for n in (100, 10_000):
        done = run_python("-c", CODE, str(folder / f"{n}.h5"), str(n), PYTHONPATH=here)
        assert done.returncode == 0, done.stderr
        measured[n] = [int(kib) / 1024 for kib in done.stdout.split()]
    return measured


def test_peak_memory_of_generating_is_flat_from_100_to_10_000_samples(peaks):
    # 100 records of this family are 0.14 MiB, 10 000 are 14 MiB: they are copied in blocks of at most 4 MiB.
    assert peaks[10_000][0] - peaks[100][0] < 8.0


def test_peak_memory_of_verifying_is_flat_from_100_to_10_000_samples(peaks):
    # Two blocks of 4 MiB are there at a time, of the file and of what is read next; 40 000 samples add less than 2 MiB.
    assert peaks[10_000][1] - peaks[100][1] < 16.0


DARCY = """
import resource, sys
from resolvent.datasets import families, generate, verify
ds = generate(families.get("darcy3d", resolution=int(sys.argv[2])), int(sys.argv[3]), out=sys.argv[1])
worst = float(ds.certificates["rho_stored"].max())
assert len(ds) == int(sys.argv[3]) and bool(ds.certificates["certified"].all()) and worst <= 1e-8, worst
assert verify(sys.argv[1]).passed
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def darcy_peak(run_python, folder, resolution, n):
    done = run_python("-c", DARCY, str(folder / f"{resolution}-{n}.h5"), str(resolution), str(n), timeout=1800)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) / 1024


def test_peak_memory_of_3_d_darcy_does_not_grow_with_the_set(run_python, tmp_path):
    # Multigrid solves up to 8 samples of this size together, so both sets fill a window; a sample has 0.5 MiB.
    few, many = (darcy_peak(run_python, tmp_path, 32, n) for n in (16, 144))
    assert many - few < 16.0


@pytest.mark.acceptance
def test_a_thousand_certified_samples_of_3_d_darcy_at_64_cubed_fit_into_four_gibibytes(run_python, tmp_path):
    assert darcy_peak(run_python, tmp_path, 64, 1000) < 4096.0
