"""Kills, full disks, damaged parts and competing runs: what is on disk stays right, and a rerun completes it."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_family import TinyChain, TinyDiffusion, TinyLU

from resolvent.datasets import Dataset, OutputLockedError, StorageError, WorkerLostError, generate, run
from resolvent.datasets.storage.shards import ShardWriter
from resolvent.datasets.storage.workspace import Workspace

HERE = Path(__file__).parent

SCRIPT = """
import sys
from tiny_family import TinyChain, TinyDiffusion
from resolvent.datasets import GenerationInterrupted, generate
if __name__ == "__main__":
    try:
        family, workers = TinyDiffusion(pause=0.01), int(sys.argv[2])
        generate(family, 120, out=sys.argv[1], solver=TinyChain(), chunk=4, workers=workers)
    except GenerationInterrupted as interrupt:
        print(interrupt.done, interrupt.total, interrupt)
        sys.exit(130)
"""


@pytest.fixture
def start(tmp_path):
    """Start the script above in a process group of its own."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    started = []

    def start(out, workers):
        process = subprocess.Popen(
            [sys.executable, str(script), str(out), str(workers)],
            env=os.environ | {"PYTHONPATH": str(HERE)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """Content digest of the script's set, made without interruption."""
    out = tmp_path_factory.mktemp("reference") / "set.h5"
    return generate(TinyDiffusion(pause=0.01), 120, out=out, solver=TinyChain(), chunk=4).content_sha256


def wait_for_chunks(out: Path, chunks: int) -> None:
    journal = out.with_name(out.name + ".parts") / "journal.jsonl"
    deadline = time.monotonic() + 120.0
    while not journal.exists() or journal.read_bytes().count(b"\n") < chunks:
        if out.exists() or time.monotonic() > deadline:
            raise AssertionError(f"{chunks} unfinished chunks were never seen")
        time.sleep(0.005)


def descendants(pid: int) -> set[int]:
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def alive(pids):
    """Those of some processes that run, zombies aside."""
    running = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            running.add(pid)
    return running


def wait_until(condition) -> bool:
    deadline = time.monotonic() + 30.0
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


# Kills ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0])
def test_twenty_kills_at_random_moments_do_not_change_the_content(run_python, tmp_path, seed):
    done = run_python(str(HERE / "killed_runs.py"), str(tmp_path), "20", str(seed), PYTHONPATH=str(HERE))
    assert done.returncode == 0, done.stderr
    digests = done.stdout.split()
    assert len(digests) >= 2
    assert len(set(digests)) == 1


def test_kills_of_a_run_with_workers_do_not_change_the_content(start, tmp_path, digest):
    out = tmp_path / "set.h5"
    for chunks in (1, 9, 16):
        process = start(out, 2)
        wait_for_chunks(out, chunks)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    seen = []
    ds = generate(TinyDiffusion(pause=0.01), 120, out=out, solver=TinyChain(), chunk=4, progress=seen.append)
    assert seen[0].resumed >= 60
    assert ds.content_sha256 == digest
    assert {path.name for path in tmp_path.iterdir()} == {"script.py", "set.h5"}


def test_workers_end_when_the_main_process_is_killed(start, tmp_path):
    out = tmp_path / "set.h5"
    process = start(out, 2)
    wait_for_chunks(out, 1)
    workers = descendants(process.pid)
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)  # the main process alone
    assert wait_until(lambda: not alive(workers))


def test_a_killed_worker_is_a_clear_error_and_the_run_resumes(start, tmp_path, digest):
    out = tmp_path / "set.h5"
    process = start(out, 2)
    wait_for_chunks(out, 2)
    workers = [pid for pid in descendants(process.pid) if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(workers[0], signal.SIGKILL)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "WorkerLostError: a worker process died" in stderr
    assert "run the same call again to resume" in stderr
    ds = generate(TinyDiffusion(pause=0.01), 120, out=out, solver=TinyChain(), chunk=4)
    assert ds.content_sha256 == digest


def test_a_script_without_main_guard_is_told_so(run_python, tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    done = run_python(str(script), str(tmp_path / "set.h5"), "2", PYTHONPATH=str(HERE))
    assert done.returncode == 1
    assert WorkerLostError.__name__ in done.stderr
    assert 'lacks `if __name__ == "__main__":`' in done.stderr


# Ctrl-C --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_at_once_keeps_finished_chunks_and_resumes(start, tmp_path, digest, workers):
    out = tmp_path / "set.h5"
    process = start(out, workers)
    wait_for_chunks(out, 3)
    children = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the group
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    done, total = map(int, stdout.split()[:2])
    assert 12 <= done < 120
    assert total == 120
    assert "the same call resumes" in stdout
    assert wait_until(lambda: not alive(children))
    seen = []
    ds = generate(TinyDiffusion(pause=0.01), 120, out=out, solver=TinyChain(), chunk=4, progress=seen.append)
    assert seen[0].resumed == done
    assert ds.content_sha256 == digest


# Damaged parts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def unfinished(make, tmp_path):
    """A set of 40 samples in chunks of 8, interrupted after three chunks; and its parts folder."""

    def progress(state):
        if state.done >= 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(40, progress=progress)
    return tmp_path / "tiny.h5.parts"


@pytest.fixture
def finish(make, caplog):
    """Complete the set; return the number of samples it found and what was logged."""

    def finish():
        seen = []
        with caplog.at_level(logging.INFO):
            ds = make(40, progress=seen.append)
        assert ds.content_sha256 == make(40, "reference.h5").content_sha256
        return seen[0].resumed, caplog.text

    return finish


def test_a_torn_journal_line_is_made_again(unfinished, finish):
    journal = unfinished / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    resumed, log = finish()
    assert resumed == 16
    assert "was torn by a crash" in log


def test_a_damaged_journal_line_is_made_again(unfinished, finish):
    journal = unfinished / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + b"\x00" * len(lines[1][:-1]) + b"\n" + lines[2])
    resumed, log = finish()
    assert resumed == 16
    assert "line 2" in log


def test_a_journal_grows_after_a_torn_line_without_mixing_with_it(unfinished, make):
    journal = unfinished / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])

    def progress(state):
        if state.done >= 33:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(40, progress=progress)
    assert [json.loads(line)["chunk"] for line in journal.read_text().splitlines()] == [0, 1, 2, 3]


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_damaged_shard_is_named_and_made_again(unfinished, finish, damage):
    shard = sorted(unfinished.glob("shard-*.npy"))[1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    {
        "flipped": lambda: shard.write_bytes(content),
        "cut": lambda: shard.write_bytes(content[:-1]),
        "missing": shard.unlink,
    }[damage]()
    resumed, log = finish()
    assert resumed == 16
    assert f"{shard} is missing or damaged: chunk 1 is made again" in log


def test_temporary_files_of_a_dead_run_are_removed(unfinished, finish):
    for name in ("shard-0000003-24-32.npy.17.tmp", "tiny.h5.tmp", "manifest.json.17.tmp"):
        (unfinished / name).write_bytes(b"half of it")
    resumed, log = finish()
    assert resumed == 24
    assert log.count("which an interrupted run left unfinished") == 3
    assert not unfinished.exists()


def test_a_shard_without_journal_line_is_made_again(unfinished, finish):
    journal = unfinished / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    assert finish()[0] == 16


def test_parts_left_beside_a_finished_file_are_removed(make, unfinished):
    make(40, "other.h5").path.rename(unfinished.with_name("tiny.h5"))
    assert len(make(40)) == 40
    assert not unfinished.exists()


def test_an_unfinished_set_is_pointed_out_when_it_is_opened(unfinished):
    with pytest.raises(FileNotFoundError, match="holds an unfinished set"):
        Dataset(unfinished.with_name("tiny.h5"))


# Competition ---------------------------------------------------------------------------------------------------------


def test_a_second_run_on_the_same_output_is_refused(make, tmp_path):
    with Workspace(tmp_path / "tiny.h5"):
        with pytest.raises(OutputLockedError, match=f"another process \\(process {os.getpid()} on"):
            make(4)
        assert (tmp_path / "tiny.h5.parts").exists()
    assert len(make(4)) == 4


HOLD = """
import sys, time
from pathlib import Path
from resolvent.datasets.storage.workspace import Workspace
with Workspace(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(120)
"""


def test_a_kill_releases_the_lock(make, tmp_path):
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "tiny.h5")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(OutputLockedError, match=f"process {process.pid} on"):
            make(4)
        process.kill()
        process.wait()
        assert len(make(4)) == 4


# Full disks ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("n", [300, 80])
def test_a_full_disk_is_a_clear_error_and_the_run_resumes_with_space(small_disk, n, monkeypatch):
    """300 samples of 17 kB do not fit as shards; 80 do, but not a second time in the published file.

    The run is refused at once when the disk is too small at its start; here it fills up later.
    """
    monkeypatch.setattr(run, "refuse_full_disk", lambda *arguments: None)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(512 * 1024))
    options = {"out": small_disk / "set.h5", "solver": TinyLU(), "chunk": 8}
    family = TinyDiffusion(resolution=700)
    with pytest.raises(StorageError, match=r"disk is full.*finished chunks are kept") as caught:
        generate(family, n, **options)
    assert caught.value.errno == errno.ENOSPC
    parts = small_disk / "set.h5.parts"
    assert not (small_disk / "set.h5").exists()
    assert not list(parts.glob("*.tmp"))
    kept = len(list(parts.glob("shard-*.npy")))
    assert kept >= 9
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
    seen = []
    assert len(generate(family, n, progress=seen.append, **options)) == n
    assert seen[0].resumed >= 8 * (kept - 1)


def test_an_error_while_writing_leaves_no_temporary_file(make, tmp_path, monkeypatch):
    write, calls = ShardWriter._write, []

    def failing(self, content):
        calls.append(1)
        if len(calls) == 30:
            raise StorageError("cannot write: disk is full")
        write(self, content)

    monkeypatch.setattr(ShardWriter, "_write", failing)
    with pytest.raises(StorageError):
        make(40)
    assert [path.suffix for path in (tmp_path / "tiny.h5.parts").glob("shard*")] == [".npy"]
    monkeypatch.undo()
    assert len(make(40)) == 40
