"""Dask, MPI and local processes make the same bits; what is lost with a cluster is made by the next run."""

import contextlib
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
from tiny_family import TinyChain, TinyDiffusion, TinyFailing

from resolvent import datasets
from resolvent.datasets import CertificationError, GenerationInterrupted, StorageError, WorkerLostError, run
from resolvent.datasets.placing import cluster_dask, executors, placement
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
        self.folder, self.processes, self.workers, self.scheduler = folder, [], [], None

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

    def worker(self, address):
        """Start a worker of any scheduler."""
        return self._start("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")

    def with_workers(self, count):
        """Start what is missing to a scheduler with so many workers, and return its address."""
        import distributed

        if self.scheduler is None or self.scheduler.poll() is not None:
            self.scheduler = self._start("scheduler", "--port", "0", "--dashboard-address", ":0", "--host", "127.0.0.1")
            self.address, self.workers = self._address(self.scheduler), []
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        self.workers += [self.worker(self.address) for _ in range(count - len(self.workers))]
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=180.0)
        return self.address

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()
            process.log.close()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A Dask scheduler for all tests here: starts cost seconds. `with_workers` replaces what a test has killed."""
    found = Scheduler(tmp_path_factory.mktemp("dask"))
    yield found
    found.close()


@contextlib.contextmanager
def scheduler_here(workers, threads=1):
    """Give the address of a scheduler in this process, with workers that are threads."""
    import distributed

    options = {"protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(n_workers=workers, threads_per_worker=threads, processes=False, **options) as cluster:
        yield cluster.scheduler_address


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


def test_local_processes(tmp_path, digest):
    ds = make(tmp_path / "set.h5", executor="local", workers=2)
    assert ds.content_sha256 == digest
    assert len(set(ds.chunks["pid"])) == 2


@needs_dask
def test_a_dask_cluster_of_its_own(tmp_path, digest, capfd):
    ds = make(tmp_path / "set.h5", executor="dask", workers=2)
    assert ds.content_sha256 == digest
    assert len(set(ds.chunks["pid"])) == 2
    assert capfd.readouterr().err == ""


@needs_dask
def test_a_dask_scheduler_that_is_running_by_its_address_and_by_an_executor(tmp_path, digest, scheduler, caplog):
    import distributed

    address = scheduler.with_workers(2).replace("tcp://", "dask://")
    with caplog.at_level(logging.WARNING):
        ds = make(tmp_path / "set.h5", executor=address)
    assert ds.content_sha256 == digest
    assert ds.provenance["sessions"][0]["executor"] == address
    assert set(ds.chunks["pid"]) <= {worker.pid for worker in scheduler.workers}
    assert placed(address, 1).at_once() == 2
    with distributed.Client(scheduler.address, set_as_default=False) as client:
        executor = client.get_executor()
        assert make(tmp_path / "other.h5", executor=executor, workers=2).content_sha256 == digest
        assert executor.submit(len, "open").result() == 4
    assert "differs from this process" not in caplog.text


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
    wall, setup = seconds.pop("wall"), seconds.pop("setup")
    assert (setup <= seconds["solve"]).all()  # it is a part of it
    assert abs(sum(seconds.values()) - wall).max() <= 0.05 * wall.max()


# What is lost --------------------------------------------------------------------------------------------------------


@needs_dask
def test_a_killed_dask_worker_is_made_up_for_by_another(tmp_path, digest, scheduler):
    address = scheduler.with_workers(2)
    out = tmp_path / "set.h5"
    thread = after(out, 3, scheduler.workers[0].kill)
    ds = make(out, executor=address)
    thread.join()
    assert ds.content_sha256 == digest
    assert not out.with_name("set.h5.parts").exists()


@needs_dask
def test_a_lost_scheduler_is_an_error_that_resumes(tmp_path, digest, scheduler, monkeypatch, capfd):
    monkeypatch.setattr(cluster_dask, "_CONNECT", 3.0)
    address = scheduler.with_workers(1)
    out = tmp_path / "set.h5"
    thread = after(out, 3, scheduler.scheduler.kill)
    with pytest.raises(WorkerLostError, match=r"the Dask cluster was lost.*run the same call again to resume"):
        make(out, executor=address)
    thread.join()
    assert capfd.readouterr().err == ""
    seen = []
    assert make(out, progress=seen.append).content_sha256 == digest
    assert seen[0].resumed >= 12


@needs_dask
def test_workers_that_all_die_are_waited_for_and_then_given_up(tmp_path, digest, scheduler, monkeypatch):
    monkeypatch.setattr(cluster_dask, "_WORKERLESS", 1.0)
    out = tmp_path / "set.h5"
    with scheduler_here(workers=0) as address:
        with pytest.raises(WorkerLostError, match="has had no workers for 1 s"):
            make(out, executor=address)
        assert not list(tmp_path.glob("set.h5*"))
        assert placed(address, 1).at_once() == 1
        monkeypatch.setattr(cluster_dask, "_WORKERLESS", 20.0)
        worker = scheduler.worker(address)

        def kill():
            monkeypatch.setattr(cluster_dask, "_WORKERLESS", 3.0)
            worker.kill()

        thread = after(out, 2, kill)
        with pytest.raises(WorkerLostError, match="the Dask cluster was lost"):
            make(out, executor=address)
        thread.join()
    assert make(out).content_sha256 == digest


@needs_dask
def test_no_scheduler_is_named_and_none_is_needed_to_publish_what_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_dask, "_CONNECT", 1.0)
    options = {"out": tmp_path / "set.h5", "solver": TinyChain(), "chunk": 4}
    with pytest.raises(WorkerLostError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1\b"):
        datasets.generate(TinyDiffusion(), 8, executor="dask://127.0.0.1:1", **options)
    assert not list(tmp_path.glob("set.h5*"))

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "complete", interrupted)
        with pytest.raises(GenerationInterrupted):
            datasets.generate(TinyDiffusion(), 8, **options)
    assert chunks_of(tmp_path / "set.h5") == 2
    assert len(datasets.generate(TinyDiffusion(), 8, executor="dask://127.0.0.1:1", **options)) == 8


@needs_dask
def test_workers_with_several_threads_are_refused(tmp_path):
    refusal = r"one thread each.* has 2: start them with `--nthreads 1"
    with scheduler_here(workers=1, threads=2) as address, pytest.raises(ValueError, match=refusal):
        make(tmp_path / "set.h5", executor=address)


@needs_dask
def test_a_sample_that_fails_on_dask_is_an_error_and_no_traceback_of_a_worker(tmp_path, capfd):
    options = {"out": tmp_path / "set.h5", "solver": TinyFailing(2), "chunk": 4}
    with pytest.raises(CertificationError, match="sample 2 of seed 0"):
        datasets.generate(TinyDiffusion(), 4, executor="dask", **options)
    assert capfd.readouterr().err == ""


@needs_dask
def test_ctrl_c_ends_a_run_on_dask_and_the_same_call_resumes(tmp_path, digest):
    out = tmp_path / "set.h5"
    command = [sys.executable, str(SCRIPT), str(out), "dask", "2"]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True) as job:
        after(out, 3, lambda: os.killpg(job.pid, signal.SIGINT)).join()  # as a terminal does
        _, messages = job.communicate(timeout=180)
    assert job.returncode == 1
    assert re.fullmatch(rf"interrupted: \d+ of 120 samples of {re.escape(str(out))} are on disk.*\n", messages)
    seen = []
    assert make(out, progress=seen.append).content_sha256 == digest
    assert seen[0].resumed >= 12


@needs_mpi
def test_mpi_ranks_of_which_one_is_killed_end_all_and_the_same_command_resumes(tmp_path, digest):
    out = tmp_path / "set.h5"
    command = ["mpiexec", "--oversubscribe", "-n", "3", sys.executable, "-m", "mpi4py.futures", str(SCRIPT), str(out)]
    with subprocess.Popen([*command, "mpi", "1"], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as job:

        def kill():
            children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
            os.kill(int(children[-1]), signal.SIGKILL)

        after(out, 3, kill).join()
        job.communicate(timeout=180)
    assert job.returncode != 0
    made = chunks_of(out)
    assert 3 <= made < SAMPLES // 4
    done = mpiexec(3, "-m", "mpi4py.futures", SCRIPT, out, "mpi", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == digest
    with datasets.open(out) as ds:
        assert [session["executor"] for session in ds.provenance["sessions"]] == ["mpi", "mpi"]
        workers = set(ds.chunks["pid"].tolist())
    assert len(workers) >= 3  # both workers of the second run, and one of the first at least


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
