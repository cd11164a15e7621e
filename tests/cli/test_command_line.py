"""The command line as a whole: help, versions, errors, what is loaded, what is said and where."""

import errno
import io
import os
import re

import pytest
from rich.console import Console

import resolvent
from resolvent import datasets
from resolvent.cli import compilation, console, errors, progress
from resolvent.cli.registry import parse_options
from resolvent.datasets.progress import Progress as DatasetProgress
from resolvent.solvers import Progress as SolveProgress

COMMANDS = ("solve", "calibrate", "families", "generate", "gp", "verify", "describe", "reproduce", "plot", "version")


def test_help_names_every_command_and_the_exit_status(run):
    for arguments in (["--help"], ["-h"], []):
        result = run(*arguments)
        assert result.exit_code == 0
        for command in COMMANDS:
            assert re.search(rf"\b{command}\b", result.stdout)
    assert "130 interrupted" in re.sub(r"\s+", " ", run("--help").stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "--debug" in result.stdout and "Parameters" not in result.stdout


def test_version(run):
    assert run("--version").stdout == f"resolvent {resolvent.__version__}\n"
    text = run("version").stdout
    for name in ("resolvent", "python", "numpy", "scipy", "numba", "learn", "petsc", "cluster"):
        assert re.search(rf"^{name} +\S", text, re.MULTILINE)


def test_missing_extra_is_named_with_its_install_line(run, monkeypatch):
    from resolvent.cli import version

    monkeypatch.setattr(version, "_installed", lambda name: None)
    assert 'pip install "resolvent[learn]"' in run("version").stdout


def test_help_loads_nothing_heavy(run_python):
    code = """
import sys
sys.argv = ["resolvent", "generate", "--help"]
from resolvent.cli import main
try:
    main()
except SystemExit as exit:
    assert exit.code == 0
heavy = ("numba", "torch", "pyamg", "matplotlib", "petsc4py", "mpi4py", "dask")
print([name for name in heavy if name in sys.modules])
"""
    outcome = run_python("-c", code)
    assert outcome.returncode == 0 and outcome.stdout.splitlines()[-1] == "[]", outcome.stdout + outcome.stderr


def test_module_and_script_are_the_same(run_python):
    outcome = run_python("-m", "resolvent", "solve", "nothing.mtx")
    assert outcome.returncode == 2 and "nothing.mtx: no such file" in outcome.stderr and outcome.stdout == ""


def test_output_cut_short_by_its_reader_is_no_error(start, tmp_path):
    process = start("families", cwd=tmp_path)
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)


# Errors -------------------------------------------------------------------------------------------------------------


def test_debug_shows_the_traceback(run, monkeypatch, tmp_path):
    for arguments in (["--debug", "solve"], ["solve", "--debug"]):
        result = run(*arguments, tmp_path / "no.mtx")
        assert result.exit_code == 2 and "Traceback" in result.stderr and "error: " in result.stderr
    monkeypatch.setenv("RESOLVENT_DEBUG", "1")
    assert "Traceback" in run("solve", tmp_path / "no.mtx").stderr
    monkeypatch.setenv("RESOLVENT_DEBUG", "0")
    assert "Traceback" not in run("solve", tmp_path / "no.mtx").stderr


@pytest.mark.parametrize(
    ("error", "code", "keywords"),
    [
        (ImportError('this needs torch: pip install "resolvent[learn]"'), 2, 'pip install "resolvent[learn]"'),
        (ImportError("No module named 'h5py'"), 2, "h5py|install what is missing"),
        (resolvent.StructureError("needs an adjoint"), 2, "needs an adjoint|--help"),
        (MemoryError("unable to allocate 2 TiB"), 2, "not enough memory|2 TiB|smaller"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x: permission denied|permissions"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 2, "/x|free some space"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), 2, "read-only"),
        (KeyError("no field 'v'"), 2, "error: no field 'v'"),
        (datasets.WorkerLostError("a worker process died"), 1, "died|--workers"),
        (datasets.SampleError("darcy2d gave too much"), 2, "too much"),
        (KeyboardInterrupt(), 130, "interrupted: "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_errors_become_messages(run, monkeypatch, tmp_path, error, code, keywords):
    from resolvent.cli import reading

    def fail(*arguments):
        raise error

    monkeypatch.setattr(reading, "read_matrix", fail)
    result = run("solve", tmp_path / "A.mtx")
    assert result.exit_code == code
    for keyword in keywords.split("|"):
        assert keyword in result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""


def test_faults_of_the_program_are_not_hidden(run, monkeypatch, tmp_path):
    from resolvent.cli import reading

    def fail(*arguments):
        raise AssertionError("a fault")

    monkeypatch.setattr(reading, "read_matrix", fail)
    with pytest.raises(AssertionError, match="a fault"):
        run("solve", tmp_path / "A.mtx")


def test_no_handler_is_bare():
    assert Exception not in errors.expected_errors() and BaseException not in errors.expected_errors()


def test_warnings_of_the_library_are_shown_once(run, capsys):
    import logging

    run("--version")
    run("families")
    run("families")
    handlers = [h for h in logging.getLogger("resolvent").handlers if isinstance(h, console._Warnings)]
    assert len(handlers) == 1
    logging.getLogger("resolvent.solvers").warning("take [care] of %s", "this")
    assert capsys.readouterr().err == "warning: take [care] of this\n"


# Progress -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns; its text is `terminal.file.getvalue()`."""
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(progress, "messages", lambda: screen)
    monkeypatch.setattr(console, "messages", lambda: screen)
    return screen


def test_residual_is_shown_on_a_terminal(terminal):
    import numpy as np

    with progress.residual_shown("CG(rtol=1e-08)") as show:
        for iteration, residual in enumerate((1.0, 1e-3, 1e-6), start=1):
            show(SolveProgress(iteration, np.array([residual]), np.array([1e-6]), None))
    text = terminal.file.getvalue()
    assert "CG" in text and "iteration 3" in text and "1.0e+00 × tolerance" in text
    assert progress._fraction(1e6, 1e3) == pytest.approx(0.5)
    assert progress._fraction(1e6, 1e-3) == 1.0
    assert progress._fraction(1e6, float("nan")) == 0.0


def test_samples_rate_and_time_left_are_shown_on_a_terminal(terminal):
    with progress.samples_shown() as show:
        show(DatasetProgress("generate", 250, 1000, 0, 50.0, 5.0, 3e-9, 0))
    assert (
        "generating" in terminal.file.getvalue() and "250/1000, 50 samples/s, 15.0 s left" in terminal.file.getvalue()
    )
    with progress.samples_shown() as show:
        show(DatasetProgress("generate", 1000, 1000, 0, 50.0, 5.0, 3e-9, 2))
        show(DatasetProgress("publish", 500, 1000, 0, 5000.0, 0.1, 3e-9, 2))
    text = terminal.file.getvalue()
    assert "writing" in text and "500/1000, 5000 samples/s, 0.1 s left, 2 failed" in text


def test_nothing_is_drawn_without_a_terminal(capsys):
    with progress.residual_shown("CG") as show:
        assert show is None
    with progress.samples_shown() as show:
        show(DatasetProgress("generate", 1, 2, 0, 1.0, 1.0, 0.0, 0))
    assert capsys.readouterr() == ("", "")


def test_a_long_job_logs_lines_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LOG_EVERY", 0.0)
    with progress.samples_shown() as show:
        show(DatasetProgress("generate", 250, 1000, 0, 50.0, 5.0, 3e-9, 0))
    line = "generating 250/1000, 50 samples/s, 15.0 s left, worst residual 3.0e-09\n"
    assert capsys.readouterr().err == line


def test_compilation_is_announced_once_and_only_when_it_happens(start, matrices, tmp_path):
    for expected in (1, 0):
        process = start("solve", matrices / "A.mtx", "-s", "cg", cwd=tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
        _, messages = process.communicate(timeout=120)
        assert process.returncode == 0 and messages.count(compilation.MESSAGE) == expected


def test_cache_of_workers_is_looked_at(tmp_path, monkeypatch):
    from resolvent.solvers import vector_kernels

    assert isinstance(compilation._has_cache("solvers.vector_kernels"), bool)
    folder = tmp_path / "cache"
    folder.mkdir()
    kernel = type("Kernel", (), {"py_func": None, "stats": type("Stats", (), {"cache_path": str(folder)})})
    monkeypatch.setattr(vector_kernels, "vars_for_test", kernel, raising=False)
    for name, value in list(vars(vector_kernels).items()):
        if hasattr(value, "py_func"):
            monkeypatch.setattr(vector_kernels, name, kernel)
    assert not compilation._has_cache("solvers.vector_kernels")
    (folder / "vector_kernels.dot_one-15.py311.nbi").touch()
    assert compilation._has_cache("solvers.vector_kernels")
    os.utime(folder / "vector_kernels.dot_one-15.py311.nbi", (0, 0))
    assert not compilation._has_cache("solvers.vector_kernels")


def test_option_values():
    pairs = ["a=1", "b=1e-3", "c=word", "d=true", "e=(0.5, 2)", "f-g=none", "h="]
    assert parse_options(pairs) == {"a": 1, "b": 1e-3, "c": "word", "d": True, "e": (0.5, 2), "f_g": None, "h": ""}


def test_a_terminal_without_mathematical_signs_is_no_error(start, matrices, tmp_path):
    process = start("solve", matrices / "A.mtx", cwd=tmp_path, PYTHONIOENCODING="ascii")
    output, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    assert "residual" in output and "?b?" in output
