"""Dask, MPI and local processes make the same bits; what is lost with a cluster is made by the next run."""

import importlib.util
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster_run import SAMPLES, make
from tiny_family import TinyChain, TinyDiffusion

from resolvent import datasets
from resolvent.datasets import StorageError, WorkerLostError
from resolvent.datasets.placing import executors, placement
from resolvent.datasets.placing.placement import placed

HERE = Path(__file__).parent
SCRIPT = HERE / "cluster_run.py"
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="dask is not installed")
needs_mpi = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or shutil.which("mpiexec") is None, reason="mpi4py or mpiexec is missing"
)
ENVIRONMENT = os.environ | {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
}


def mpiexec(ranks, *arguments):
    """Run Python on MPI ranks."""
    command = ["mpiexec", "--oversubscribe", "-n", str(ranks), sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """Content digest of the set, made in this process."""
    return make(tmp_path_factory.mktemp("reference") / "set.h5").content_sha256


class Scheduler:
    """A Dask scheduler and its workers, as processes of their own."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.scheduler = self._start("scheduler", "--port", "0", "--dashboard-address", ":0", "--host", "127.0.0.1")
        self.address = self._address(self.scheduler)

    def _start(self, *arguments):
        command = [sys.executable, "-m", "dask", *arguments]
        log = (self.folder / f"dask-{len(self.processes)}.log").open("w+")
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log, cwd=self.folder)
        process.log = log
        self.processes.append(process)
        return process

    def _address(self, process):
        deadline = time.monotonic() + 180.0
        while time.monotonic() < deadline:
            found = re.search(r"Scheduler at: +(tcp://[0-9.:]+)", Path(process.log.name).read_text())
            if found:
                return found[1]
            time.sleep(0.1)
        raise AssertionError(Path(process.log.name).read_text())

    def worker(self, threads=1):
        return self._start("worker", self.address, "--nthreads", str(threads), "--no-nanny", "--no-dashboard")

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()
            process.log.close()


@pytest.fixture
def scheduler(tmp_path):
    """A Dask scheduler without workers."""
    found = Scheduler(tmp_path)
    yield found
    found.close()


def chunks_of(out):
    journal = out.with_name(out.name + ".parts") / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def after(out, chunks, action):
    """Do something in a thread as soon as so many chunks are finished."""

    def watch():
        deadline = time.monotonic() + 180.0
        while chunks_of(out) < chunks and time.monotonic() < deadline:
            time.sleep(0.005)
        action()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


# The same bits everywhere --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_local_processes(tmp_path, digest, workers):
    ds = make(tmp_path / "set.h5", executor="local", workers=workers)
    assert ds.content_sha256 == digest
    assert len(set(ds.chunks["pid"])) == workers


@needs_dask
def test_a_dask_cluster_of_its_own(tmp_path, digest):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "set.h5"), "dask", "2"],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [digest, "2"]
    assert done.stderr == ""


@needs_dask
def test_a_dask_scheduler_that_is_running_by_its_address_and_by_an_executor(tmp_path, digest, scheduler, caplog):
    import distributed

    scheduler.worker()
    scheduler.worker()
    address = scheduler.address.replace("tcp://", "dask://")
    with caplog.at_level(logging.WARNING):
        ds = make(tmp_path / "set.h5", executor=address)
    assert ds.content_sha256 == digest
    assert ds.provenance["sessions"][0]["executor"] == address
    assert set(ds.chunks["pid"]) <= {process.pid for process in scheduler.processes[1:]}
    with distributed.Client(scheduler.address, set_as_default=False) as client:
        executor = client.get_executor()
        assert make(tmp_path / "other.h5", executor=executor, workers=2).content_sha256 == digest
        assert executor.submit(len, "open").result() == 4
    assert "differs from this process" not in caplog.text


@needs_mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_mpi_ranks(tmp_path, digest, ranks):
    done = mpiexec(ranks, "-m", "mpi4py.futures", SCRIPT, tmp_path / "set.h5", "mpi", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [digest, str(ranks - 1)]


def test_threads_of_one_process_wait_for_one_another(tmp_path, digest, monkeypatch):
    at_work, most = [], []
    inner = placement.run_chunk

    def watched(task):
        at_work.append(task)
        most.append(len(at_work))
        record = inner(task)
        at_work.remove(task)
        return record

    monkeypatch.setattr(placement, "run_chunk", watched)
    with ThreadPoolExecutor(3) as pool:
        assert make(tmp_path / "set.h5", executor=pool, workers=3).content_sha256 == digest
    assert set(most) == {1}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_stages_of_chunks_sum_to_their_wall_time(tmp_path, workers):
    ds = datasets.generate("darcy", 64, out=tmp_path / "set.h5", chunk=32, workers=workers)
    seconds = {name.removeprefix("seconds_"): v for name, v in ds.chunks.items() if name.startswith("seconds_")}
    wall = seconds.pop("wall")
    assert abs(sum(seconds.values()) - wall).max() <= 0.05 * wall.max()


# What is lost --------------------------------------------------------------------------------------------------------


@needs_dask
def test_a_killed_dask_worker_is_made_up_for_by_another(tmp_path, digest, scheduler):
    first, _ = scheduler.worker(), scheduler.worker()
    out = tmp_path / "set.h5"
    thread = after(out, 3, first.kill)
    ds = make(out, executor=scheduler.address)
    thread.join()
    assert ds.content_sha256 == digest
    assert not out.with_name("set.h5.parts").exists()


@needs_dask
def test_a_lost_scheduler_is_an_error_that_resumes(tmp_path, digest, scheduler, monkeypatch):
    from resolvent.datasets.placing import cluster_dask

    monkeypatch.setattr(cluster_dask, "_CONNECT", 3.0)
    scheduler.worker()
    out = tmp_path / "set.h5"
    thread = after(out, 3, scheduler.scheduler.kill)
    with pytest.raises(WorkerLostError, match=r"the Dask cluster was lost.*run the same call again to resume"):
        make(out, executor=scheduler.address)
    thread.join()
    seen = []
    assert make(out, progress=seen.append).content_sha256 == digest
    assert seen[0].resumed >= 12


@needs_dask
def test_workers_that_all_die_are_waited_for_and_then_given_up(tmp_path, digest, scheduler, monkeypatch):
    from resolvent.datasets.placing import cluster_dask

    monkeypatch.setattr(cluster_dask, "_WORKERLESS", 1.0)
    out = tmp_path / "set.h5"
    with pytest.raises(WorkerLostError, match="has had no workers for 1 s"):
        make(out, executor=scheduler.address)
    assert not list(tmp_path.glob("set.h5*"))
    monkeypatch.setattr(cluster_dask, "_WORKERLESS", 20.0)
    worker = scheduler.worker()

    def kill():
        monkeypatch.setattr(cluster_dask, "_WORKERLESS", 3.0)
        worker.kill()

    thread = after(out, 2, kill)
    with pytest.raises(WorkerLostError, match="the Dask cluster was lost"):
        make(out, executor=scheduler.address)
    thread.join()
    assert make(out).content_sha256 == digest


@needs_dask
def test_no_scheduler_is_named(tmp_path, monkeypatch):
    from resolvent.datasets.placing import cluster_dask

    monkeypatch.setattr(cluster_dask, "_CONNECT", 1.0)
    with pytest.raises(WorkerLostError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1\b"):
        make(tmp_path / "set.h5", executor="dask://127.0.0.1:1")
    assert not list(tmp_path.glob("set.h5*"))


@needs_dask
def test_workers_with_several_threads_are_refused(tmp_path, scheduler):
    scheduler.worker(threads=2)
    with pytest.raises(ValueError, match=r"one thread each.* has 2: start them with `--nthreads 1"):
        make(tmp_path / "set.h5", executor=scheduler.address)


@needs_dask
def test_ctrl_c_ends_a_run_on_dask_and_the_same_call_resumes(tmp_path, digest):
    out = tmp_path / "set.h5"
    command = [sys.executable, str(SCRIPT), str(out), "dask", "2"]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        after(out, 3, lambda: os.killpg(run.pid, signal.SIGINT)).join()  # as a terminal does
        _, messages = run.communicate(timeout=180)
    assert run.returncode != 0
    assert "GenerationInterrupted" in messages
    seen = []
    assert make(out, progress=seen.append).content_sha256 == digest
    assert seen[0].resumed >= 12


@needs_mpi
def test_a_killed_rank_ends_all_and_the_same_command_resumes(tmp_path, digest):
    out = tmp_path / "set.h5"
    command = ["mpiexec", "--oversubscribe", "-n", "3", sys.executable, "-m", "mpi4py.futures", str(SCRIPT), str(out)]
    with subprocess.Popen([*command, "mpi", "1"], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as run:

        def kill():
            children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
            os.kill(int(children[-1]), signal.SIGKILL)

        after(out, 3, kill).join()
        run.communicate(timeout=180)
    assert run.returncode != 0
    assert chunks_of(out) >= 3
    done = mpiexec(2, "-m", "mpi4py.futures", SCRIPT, out, "mpi", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == digest


# What cannot work ----------------------------------------------------------------------------------------------------


def test_a_shard_that_is_not_seen_here_is_named(tmp_path, monkeypatch):
    class Elsewhere(ThreadPoolExecutor):
        """Workers whose folder of this name is another one."""

        def submit(self, call, task):
            def there(task):
                record = call(task)
                (task.folder / record.shard).unlink()
                return record

            return super().submit(there, task)

    monkeypatch.setattr(placement, "_VISIBLE_AFTER", 0.2)
    with Elsewhere(1) as pool, pytest.raises(StorageError, match=r"wrote shard-.*on a file system that all"):
        make(tmp_path / "set.h5", executor=pool)


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path):
    task = executors.ChunkTask(TinyDiffusion(), None, 0, 0, 4, tmp_path / "none")
    with pytest.raises(StorageError, match=r"does not see .*none: the output must lie on a file system that all"):
        placement.run_alone(task)


@pytest.mark.parametrize("name", ["", "mpl", "dask:", "dask://", "http://host:1", "local://"])
def test_unknown_names_are_refused_and_leave_nothing(tmp_path, name):
    with pytest.raises(ValueError, match="executor must be 'local', 'dask'"):
        make(tmp_path / "set.h5", executor=name)
    assert not list(tmp_path.iterdir())


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="executor must be a name or"):
        placed(3, 1)


@pytest.mark.parametrize("name", ["dask", "dask://host:1", "mpi"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, name):
    for package in ("distributed", "mpi4py"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r'pip install "resolvent\[cluster\]"'):
        placed(name, 1)


@needs_mpi
def test_mpi_with_one_rank_or_without_its_launcher_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs two MPI ranks at least, there is one: start the program as `mpiexec"):
        placed("mpi", 1)
    done = mpiexec(2, SCRIPT, tmp_path / "set.h5", "mpi", 1)
    assert done.returncode != 0
    assert "2 ranks that all run the same program: start the program as" in done.stderr
    assert not list(tmp_path.iterdir())


def test_samples_are_as_many_as_the_tests_believe(digest, tmp_path):
    ds = datasets.generate(TinyDiffusion(), SAMPLES, out=tmp_path / "set.h5", solver=TinyChain(), chunk=4)
    assert len(ds.chunks["chunk"]) == SAMPLES // 4
