"""Memory does not grow with the number of samples that are exported."""

import os

import pytest

CODE = """
import sys
from pathlib import Path
from tiny_family import TinyDiffusion, TinyLU
from resolvent.datasets import export, generate

def anonymous():
    '''Peak of memory that is not a mapped file, in KiB.'''
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

family, kind, n = TinyDiffusion(resolution=4096), sys.argv[2], int(sys.argv[3])
ds = generate(family, n, out=sys.argv[1] + ".h5", solver=TinyLU(), chunk=64, workers=1)
if kind == "neuraloperator":
    import torch
export(ds.select([0, 1, 2, 3, 4]), kind, sys.argv[1] + "-warm")
most = before = anonymous()
def look(progress):
    global most
    most = max(most, anonymous())
export(ds, kind, sys.argv[1], progress=look)
print(most - before)
"""


@pytest.mark.parametrize("kind", ["the_well", "neuraloperator"])
def test_peak_memory_of_exporting_is_flat(run_python, tmp_path, request, kind):
    if kind == "neuraloperator":
        pytest.importorskip("torch")
    path = os.pathsep.join([str(request.path.parents[1]), os.environ.get("PYTHONPATH", "")])
    grown = {}
    for n in (20, 400):
        done = run_python("-c", CODE, str(tmp_path / f"{n}"), kind, str(n), PYTHONPATH=path)
        assert done.returncode == 0, done.stderr
        grown[n] = int(done.stdout.splitlines()[-1]) / 1024
    # Exported, 400 samples are 19 MiB; the set itself has 38 MiB.
    assert grown[400] - grown[20] < 6.0, grown
