"""Memory does not grow with the number of samples that are exported."""

import os

import pytest
from tiny_family import TinyDiffusion, TinyLU

from resolvent.datasets import generate

CODE = """
import sys
from pathlib import Path
from resolvent.datasets import export, open

def anonymous():
    '''Memory that is not a mapped file, in KiB.'''
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

ours, kind, out = open(sys.argv[1]), sys.argv[2], sys.argv[3]
export(ours.select([0, 1, 2, 3, 4]), kind, out + "-warm")
for count in (20, 400):
    before, most = anonymous(), 0
    def look(progress):
        global most
        most = max(most, anonymous() - before)
    export(ours.select(slice(count)), kind, f"{out}-{count}", progress=look)
    print(most)
"""


@pytest.fixture(scope="module")
def long_lines(tmp_path_factory):
    """400 samples of 4096 points: 38 MiB, exported 19 MiB."""
    path = tmp_path_factory.mktemp("memory") / "lines.h5"
    generate(TinyDiffusion(resolution=4096), 400, out=path, solver=TinyLU()).close()
    return path


@pytest.mark.parametrize("kind", ["the_well", "neuraloperator"])
def test_peak_memory_of_exporting_is_flat(run_python, long_lines, tmp_path, kind):
    if kind == "neuraloperator":
        pytest.importorskip("torch")
    path = os.environ.get("PYTHONPATH", "")
    done = run_python("-c", CODE, str(long_lines), kind, str(tmp_path / "out"), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    few, many = (int(kib) / 1024 for kib in done.stdout.split())
    assert many - few < 6.0, (few, many)
