"""Entering a folder that other processes remove at the same time."""

import threading
from pathlib import Path

import pytest

from resolvent.datasets import StorageError
from resolvent.datasets.placing.sharding import JobShard
from resolvent.datasets.storage.workspace import Workspace


@pytest.mark.parametrize("error", [FileNotFoundError, FileExistsError])
def test_a_folder_that_vanishes_while_it_is_made_is_made_again(tmp_path, monkeypatch, error):
    out = tmp_path / "set.h5"
    folder = JobShard(0, 2).folder(out)
    inner, lost = Path.mkdir, []

    def mkdir(self, *arguments, **options):
        if self == folder and len(lost) < 3:
            lost.append(self)
            raise error(self)
        inner(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with Workspace(out, folder):
        assert folder.is_dir()
    assert len(lost) == 3 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [FileNotFoundError, FileExistsError])
def test_a_folder_that_cannot_be_made_is_an_error(tmp_path, monkeypatch, error):
    def mkdir(self, *arguments, **options):
        raise error(2, "cannot be made")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(StorageError), Workspace(tmp_path / "set.h5"):
        pass


def test_shards_that_come_and_go_at_the_same_time_do_not_disturb_one_another(tmp_path):
    out, faults = tmp_path / "set.h5", []

    def enter_and_leave(index):
        try:
            for _ in range(200):
                with Workspace(out, JobShard(index, 4).folder(out)):
                    pass
        except BaseException as fault:  # noqa: BLE001 - it is what is looked for
            faults.append(fault)

    threads = [threading.Thread(target=enter_and_leave, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert not list(tmp_path.iterdir())
