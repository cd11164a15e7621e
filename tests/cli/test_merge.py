"""`generate --shard` and `merge`: one set by several jobs, from the command line."""

import re
import time
from types import SimpleNamespace

import pytest

from resolvent import datasets
from resolvent.cli import generate as command
from resolvent.datasets.placing import placement


def shard(run, out, which, *options):
    return run("generate", "darcy", "-n", 10, "-r", 8, "--chunk", 2, "--out", out, "--shard", which, *options)


def test_shards_are_made_and_merged(run, tmp_path):
    out = tmp_path / "d.h5"
    first = shard(run, out, "0/2")
    assert first.exit_code == 0, first.output
    text = " ".join(first.stdout.split())
    assert "shard 0/2 is complete, 6 samples in 3 chunks, 6 of them made now" in text
    assert f"`resolvent merge {out}` puts the shards together" in text
    assert shard(run, out, "1/2", "--workers", 2).exit_code == 0
    merged = run("merge", out)
    assert merged.exit_code == 0, merged.output
    assert "10 samples of darcy2d, merged" in merged.stdout and "10 of 10, 0 failed" in merged.stdout
    one = run("generate", "darcy", "-n", 10, "-r", 8, "--chunk", 2, "--out", tmp_path / "one.h5")
    checksum = re.compile(r"SHA-256 ([0-9a-f]{64})")
    assert checksum.findall(one.stdout) == checksum.findall(merged.stdout) != []
    again = run("merge", out)
    assert again.exit_code == 0 and checksum.findall(again.stdout) == checksum.findall(merged.stdout)


def test_what_is_missing_is_said(run, refused, tmp_path, monkeypatch):
    out = tmp_path / "d.h5"
    monkeypatch.setattr("sys.argv", ["resolvent", "generate", "darcy", "-n", "10", "--shard", "0/3"])
    shard(run, out, "0/3")
    refused(2, r"3 chunks (1, 2, 4) are missing|resolvent generate darcy -n 10 --shard 1/3|--shard 2/3", "merge", out)
    assert not out.exists()
    refused(2, "there are no shards of", "merge", tmp_path / "other.h5")


@pytest.mark.parametrize("which", ["2/2", "1", "auto", "x/y"])
def test_a_wrong_shard_is_refused(refused, tmp_path, which, monkeypatch):
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    refused(2, "shard", "generate", "darcy", "-n", 4, "-r", 8, "--shard", which, "--out", tmp_path / "d.h5")
    assert not list(tmp_path.iterdir())


def test_shards_of_a_tuned_set_and_overwriting_are_refused(refused, tmp_path):
    options = ("generate", "darcy", "-n", 4, "-r", 8, "--shard", "0/2", "--out", tmp_path / "d.h5")
    refused(2, "a tuned set decides about a chunk by all chunks before it", *options, "--solver", "tuned")
    refused(2, "--overwrite discards what other shards may need", *options, "--overwrite")


def test_an_executor_by_name(run, refused, tmp_path):
    out = tmp_path / "d.h5"
    result = run("generate", "darcy", "-n", 4, "-r", 8, "--executor", "local", "--out", out)
    assert result.exit_code == 0, result.output
    refused(2, "executor must be 'local', 'dask'", "generate", "darcy", "-n", 6, "--executor", "slurm", "--out", out)
    with datasets.open(out) as ds:
        assert ds.provenance["sessions"][0]["executor"] == "none"


def test_explain_says_what_a_set_will_take(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("generate", "darcy", "-n", 100_000, "--explain", "--workers", 2)
    text = " ".join(result.stdout.split())
    assert result.exit_code == 0, result.output
    assert re.search(r"time about \d+ (s|min) for 100000 samples, 2 workers, .* a sample \(draw .*solve", text)
    assert re.search(r"file 6\.1 GiB, 12\.3 GiB until it is complete, .* free", text)
    assert re.search(r"memory about [0-9.]+ [MG]iB a worker", text)
    assert not list(tmp_path.iterdir())


def test_a_long_run_is_announced_and_a_short_one_is_not(run, tmp_path, monkeypatch):
    short = run("generate", "darcy", "-n", 4, "-r", 8, "--out", tmp_path / "short.h5")
    assert "a worker" not in short.stderr
    monkeypatch.setattr(command, "_LONG", 0.0)
    few = run("generate", "darcy", "-n", 31, "-r", 8, "--out", tmp_path / "few.h5")
    assert few.exit_code == 0 and "a worker" not in few.stderr
    long = run("generate", "darcy", "-n", 32, "-r", 8, "--out", tmp_path / "long.h5")
    assert re.search(r"time: about 1 s for 32 samples", long.stderr)
    assert "memory: about" in long.stderr and "file: " in long.stderr


def test_what_is_announced_is_that_of_this_run_and_costs_it_no_speed(run, tmp_path, monkeypatch):
    clock, asked = [0.0], []

    def estimate(family, n, **options):
        asked.append((n, *(options[name] for name in ("made", "workers", "shard"))))
        clock[0] += 7200.0  # finding this out took two hours
        return inner(family, n, **options)

    inner = datasets.estimate
    monkeypatch.setattr(datasets, "estimate", estimate)
    monkeypatch.setattr(command, "_LONG", 0.0)
    monkeypatch.setattr(command, "time", SimpleNamespace(perf_counter=lambda: clock[0] + time.perf_counter()))
    monkeypatch.setattr(placement.Local, "at_once", lambda self: 3)
    set_of = ("generate", "darcy", "-r", 8, "--chunk", 16, "--solver", "direct", "--out")
    first, more = (run(*set_of, tmp_path / "d.h5", "-n", n) for n in (32, 64))
    part = run(*set_of, tmp_path / "s.h5", "-n", 128, "--shard", "1/2")
    assert asked == [(32, 0, 3, False), (64, 32, 3, False), (64, 0, 3, True)]
    for result, new in ((first, 32), (more, 32)):
        assert re.search(rf"time: about \d+ s for {new} samples, 2 workers", result.stderr)
        assert re.search(rf"{new} made in [0-9.]+ s", result.stdout)
    sizes = [float(re.search(r"file: ([0-9.]+) KiB", result.stderr)[1]) for result in (first, more)]
    assert 1.7 * sizes[0] < sizes[1] < 2.0 * sizes[0]
    assert re.search(r"chunks: [0-9.]+ KiB, .* free", part.stderr) and "file: " not in part.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--shard", "7/2"), "shard must be i/N"),
        (("--executor", "foo"), "executor must be 'local', 'dask'"),
        (("--replay", "nonexistent"), "nothing to replay"),
        (("--workers", 0), "workers must be"),
        (("-n", 0), "n must be"),
        (("--on-failure", "ignore"), "on_failure must be"),
        (("--out", "d.txt"), "ends in .h5"),
    ],
)
def test_explain_refuses_what_cannot_be_made(refused, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    refused(2, words, "generate", "darcy", "-r", 8, "--explain", *options)
    assert not list(tmp_path.iterdir())


def test_explain_says_what_a_shard_will_take(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = [
        run("generate", "darcy", "-r", 8, "-n", 70, "--explain", "--shard", which).stdout for which in ("0/2", "1/2")
    ]
    assert [re.search(r"for (\d+) samples", text)[1] for text in texts] == ["64", "6"]
    assert all("chunks " in text and "file " not in text for text in texts)
    empty = run("generate", "darcy", "-r", 8, "-n", 70, "--explain", "--shard", "2/3")
    assert empty.exit_code == 0 and "method" in empty.stdout and "samples" not in empty.stdout
