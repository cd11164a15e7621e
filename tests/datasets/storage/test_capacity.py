import shutil
from collections import namedtuple

import pytest
from tiny_family import TinyChain, TinyDiffusion, TinyLU

from resolvent.datasets import GenerationInterrupted, StorageError, generate_shard, merge
from resolvent.datasets.storage import file_format
from resolvent.datasets.storage.capacity import bytes_text

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def disk(monkeypatch):
    """Pretend that so many bytes are free."""

    def pretend(free):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2 * free, free, free))

    return pretend


@pytest.mark.parametrize("workers", [1, 2])
def test_a_set_too_large_to_count_starts_at_once(make, disk, workers):
    disk(10**30)
    seen = []

    def stop(state):
        seen.append(state.done)
        if state.done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(GenerationInterrupted) as caught:
        make(10**17, progress=stop, workers=workers)
    assert caught.value.total == 10**17 and caught.value.done >= 8
    with pytest.raises(GenerationInterrupted):  # and so it does when resumed
        make(10**17, progress=stop, workers=workers)
    assert max(seen) < 1000


def test_a_set_larger_than_the_disk_is_refused_before_anything_is_written(make, disk, tmp_path):
    disk(10**6)
    with pytest.raises(StorageError, match=r"1000000 samples do not fit .* GiB needed .* 976.6 KiB free.*nothing was"):
        make(10**6, "new/set.h5")
    assert list(tmp_path.iterdir()) == []
    assert len(make(3)) == 3


def test_what_is_there_needs_no_room_again(make, disk):
    make(20).close()
    sample = file_format.Layout(TinyDiffusion(), "float64").record.itemsize
    disk(24 * sample)
    with pytest.raises(StorageError, match="do not fit"):
        make(30)
    make(21).close()
    assert len(make(21)) == 21


def test_chunks_of_shards_count_only_where_they_are_used(make, disk, tmp_path):
    out = tmp_path / "tiny.h5"
    generate_shard(TinyDiffusion(), 20, "0/1", out=out, solver=TinyChain(), chunk=8)
    disk(30 * file_format.Layout(TinyDiffusion(), "float64").record.itemsize)
    with pytest.raises(StorageError, match="20 samples do not fit"):
        make(20)
    assert len(merge(out, family=TinyDiffusion())) == 20


def test_a_system_that_does_not_say_what_is_free_is_not_asked(make, disk):
    disk(0)
    assert len(make(3)) == 3


def test_a_sample_too_large_for_an_array_element(make):
    with pytest.raises(ValueError, match=r"one sample would take 2235 GiB.* is 100000000000\), .*lower the resolution"):
        make(1, family=TinyDiffusion(resolution=10**11), solver=TinyLU())


@pytest.mark.parametrize("rtol", [-1.0, 0.0, 1.0, 1e300, float("nan"), "1e-8"])
def test_the_tolerance_is_checked_as_it_was_given(make, rtol, caplog):
    with pytest.raises(ValueError, match="rtol must be a number between 0 and 1, such as 1e-8, got") as caught:
        make(3, rtol=rtol, solver="auto")
    assert str(caught.value).endswith(f"got {rtol!r}")
    assert not caplog.records


def test_bytes():
    assert bytes_text(1023) == "1023 B" and bytes_text(1024) == "1.0 KiB"
    assert bytes_text(3 * 2**50) == "3.0 PiB" and bytes_text(10**30) == "8.9e+14 PiB"
