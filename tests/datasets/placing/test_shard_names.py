"""Which shard a job makes, and by which command."""

import pytest

from resolvent.datasets.placing.sharding import JobShard, as_shard, command_for


@pytest.mark.parametrize("wrong", ["", "1", "2/2", "-1/2", "1/0", "1/2/3", "a/b", (1,), (1.0, 2), None, 3, "1.5/2"])
def test_invalid_shards_are_refused(out, shard, wrong):
    with pytest.raises(ValueError, match="shard must be i/N with 0 ≤ i < N"):
        shard(wrong)
    assert not list(out.parent.iterdir())


def array(task, count, first, step=1):
    names = ("TASK_ID", "TASK_COUNT", "TASK_MIN", "TASK_STEP")
    return {f"SLURM_ARRAY_{name}": str(value) for name, value in zip(names, (task, count, first, step), strict=True)}


def test_auto_takes_the_shard_from_the_array():
    assert [as_shard("auto", array(t, 4, 0)) for t in range(4)] == [JobShard(i, 4) for i in range(4)]
    assert [as_shard("auto", array(t, 3, 5)) for t in (5, 6, 7)] == [JobShard(i, 3) for i in range(3)]
    assert [as_shard("auto", array(t, 3, 2, 4)) for t in (2, 6, 10)] == [JobShard(i, 3) for i in range(3)]


@pytest.mark.parametrize("environment", [{}, {"SLURM_ARRAY_TASK_ID": "x", "SLURM_ARRAY_TASK_COUNT": "2"}])
def test_auto_outside_of_an_array_is_refused(environment):
    with pytest.raises(ValueError, match="which a SLURM job array sets"):
        as_shard("auto", environment)


def test_auto_in_an_uneven_array_is_refused():
    with pytest.raises(ValueError, match=r"task 7 is none of 3 from 1 on.*--shard \$SLURM_ARRAY_TASK_ID/N"):
        as_shard("auto", array(7, 3, 1))


def test_auto_reads_the_environment(shard, monkeypatch):
    for name, value in array(1, 2, 0).items():
        monkeypatch.setenv(name, value)
    assert shard("auto").shard == JobShard(1, 2)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/x/resolvent/__main__.py generate d --shard=auto -n 4", "python -m resolvent generate d -n 4 --shard 1/2"),
        ("resolvent generate d --shard 0/2", "resolvent generate d --shard 1/2"),
        ("make.py 3", "the call that made the others, with shard '1/2'"),
        ("", "the call that made the others, with shard '1/2'"),
    ],
)
def test_commands(command, expected):
    assert command_for(JobShard(1, 2), {"sessions": [{"command": command}]}) == expected


def test_the_command_for_a_shard_made_on_mpi_ranks_runs_without_them():
    command = "/x/resolvent/__main__.py generate d --executor mpi --n=4 -w 1 --shard 0/2"
    manifest = {"n": 4, "sessions": [{"command": command, "executor": "mpi"}]}
    assert command_for(JobShard(1, 2), manifest) == "python -m resolvent generate d --n=4 -w 1 --shard 1/2"
    assert command_for(JobShard(1, 2), manifest, 4) == "python -m resolvent generate d --n=4 -w 1 --shard 1/2"
    assert command_for(JobShard(1, 2), manifest, 9) == "python -m resolvent generate d -w 1 -n 9 --shard 1/2"


@pytest.mark.parametrize("given", ["-n 4", "-n4", "--n 4", "--n=4"])
def test_the_number_of_samples_in_a_command_is_replaced(given):
    manifest = {"n": 4, "sessions": [{"command": f"resolvent generate d {given} --shard auto"}]}
    assert command_for(JobShard(1, 2), manifest, 9) == "resolvent generate d -n 9 --shard 1/2"
    assert command_for(JobShard(1, 2), {"n": 4}, 9) == "the call that made the others, with n=9 and shard '1/2'"
