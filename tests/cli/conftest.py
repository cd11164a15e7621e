"""Files that the commands are tried on, made once a session, and ways to run a command."""

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from typer.testing import CliRunner

from resolvent import datasets
from resolvent.cli.app import app
from resolvent.datasets import families


def laplacian(n):
    """The 5-point matrix of an n × n grid."""
    T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    return sp.csr_array(sp.kronsum(T, T))


@pytest.fixture
def run():
    """Run a command in this process: `run("solve", path)` gives exit_code, stdout, stderr."""

    def call(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="resolvent")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def refused(run):
    """Run a command that must fail without a traceback: `refused(2, "square", "solve", path)` returns its messages.

    Keywords are separated by ``|`` and looked for in standard error, in any case.
    """

    def call(code, keywords, *arguments):
        result = run(*arguments)
        assert result.exit_code == code, result.output
        message = result.stderr
        assert "Traceback" not in message
        assert any(line.startswith("error: ") for line in message.splitlines()), message
        for keyword in keywords.split("|"):
            assert keyword.lower() in message.lower(), f"{keyword!r} is not in\n{message}"
        return message

    return call


@pytest.fixture(scope="session")
def matrices(tmp_path_factory):
    """A folder with one system in every format, and with matrices that cannot be solved."""
    folder = tmp_path_factory.mktemp("matrices")
    A = laplacian(10)
    n = A.shape[0]
    b = np.arange(1.0, n + 1.0)
    scipy.io.mmwrite(folder / "A.mtx", A)
    (folder / "A.mtx.gz").write_bytes(gzip.compress((folder / "A.mtx").read_bytes()))
    sp.save_npz(folder / "A.npz", A)
    np.savez(folder / "dense.npz", A=A.toarray())
    np.savez(folder / "two.npz", A=A.toarray(), other=np.eye(3))
    with h5py.File(folder / "A.h5", "w") as file:
        for name in ("data", "indices", "indptr"):
            file[name] = getattr(A, name)
        file["shape"] = A.shape
    with h5py.File(folder / "both.h5", "w") as file:
        group = file.create_group("systems/first")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(A, name)
        group.attrs["shape"] = A.shape
        file["dense"] = A.toarray()
        file["b"] = b
    np.save(folder / "b.npy", b)
    np.savez(folder / "b.npz", b)
    scipy.io.mmwrite(folder / "b.mtx", b[:, None])
    np.save(folder / "many.npy", np.column_stack([b, 2.0 * b, b**2]))
    nonsymmetric = sp.csr_array(A + sp.diags_array([0.5, -0.5], offsets=[-1, 1], shape=A.shape))
    scipy.io.mmwrite(folder / "nonsymmetric.mtx", nonsymmetric)
    return folder


@pytest.fixture(scope="session")
def dataset_path(tmp_path_factory):
    """A small dataset of Darcy problems. Do not change it: copy it."""
    path = tmp_path_factory.mktemp("datasets") / "darcy.h5"
    family = families.get("darcy", resolution=16)
    datasets.generate(family, 12, out=path, seed=1, chunk=4, solver="cg+ssor").close()
    return path


@pytest.fixture
def damaged(dataset_path, tmp_path):
    """A copy of the dataset with one number of one solution changed."""
    path = tmp_path / "damaged.h5"
    path.write_bytes(dataset_path.read_bytes())
    with h5py.File(path, "r+") as file:
        file["solution/u"][7, 3, 4] *= 1.01
    return path


@pytest.fixture
def start(repository) -> Callable[..., "subprocess.Popen[str]"]:
    """Start a command in a process of its own, in the folder given."""

    def call(*arguments, cwd: Path, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", "resolvent", *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {"PYTHONSAFEPATH": "1", "MPLBACKEND": "Agg"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A process group of its own, which a signal reaches as Ctrl-C does at a terminal.
            start_new_session=True,
        )

    return call


def interrupt_when(process, condition, timeout=60.0):
    """Send Ctrl-C to a process and its children as soon as a condition holds; return its code and output."""
    end = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    output, messages = process.communicate(timeout=timeout)
    return process.returncode, output, messages
