"""Two processes do what one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ..small_runs import fitted, smooth

# Of 22 samples in batches of 10 the last has two; in batches of 7 it has one, so that one process has nothing of it.
RUNS = {"shared": {"batch_size": 10, "ema": 0.9}, "uneven": {"batch_size": 7, "accumulate": 2}}
SCRIPT = """
import sys, json, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[2])
from small_runs import fitted, smooth
torch.distributed.init_process_group("gloo")
for name, options in json.loads(sys.argv[3]).items():
    fitted(smooth(24), f"{sys.argv[1]}/{name}", epochs=3, ddp=True, **options)
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    import json

    folder = tmp_path_factory.mktemp("two")
    script = folder / "run.py"
    script.write_text(SCRIPT, encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    outcome = subprocess.run(
        [*launcher, str(folder), str(Path(__file__).parents[1]), json.dumps(RUNS)],
        env=os.environ | {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return {name: torch.load(folder / name / "last.pt", weights_only=True) for name in RUNS}


@pytest.mark.parametrize("name", list(RUNS))
def test_two_processes_train_as_one(two, name, tmp_path):
    fitted(smooth(24), tmp_path, epochs=3, **RUNS[name])
    one, two = torch.load(tmp_path / "last.pt", weights_only=True), two[name]
    for kind in ("parameters", "average"):
        for key, value in (one[kind] or {}).items():
            assert float((value - two[kind][key]).abs().max()) <= 1e-6, key
    moments = [content["optimiser"]["state"] for content in (one, two)]
    for a, b in zip(*(list(states.values()) for states in moments), strict=True):
        assert float((a["exp_avg"] - b["exp_avg"]).abs().max()) <= 1e-6  # the gradients themselves
    names = list(one["parameters"])
    spectral = [key for key in names if "weights.entries" in key]
    assert spectral and all(float(one["parameters"][key][..., 1].abs().max()) > 0 for key in spectral)
    for a, b in zip(one["state"]["history"], two["state"]["history"], strict=True):
        assert all(abs(a[key] - b[key]) <= 1e-6 * max(abs(a[key]), 1) for key in a if key != "seconds")
