"""Atomic writes."""

import errno

import pytest
from safetensors import SafetensorError

from stgt.files import atomic_path, read_json, write_json


def test_a_value_comes_back(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"é": [1, None]})
    assert read_json(tmp_path / "new" / "a.json") == {"é": [1, None]}
    assert (tmp_path / "new" / "a.json").stat().st_mode & 0o444 == 0o444


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_json(tmp_path / "a.json", "old")

    def fail():
        with atomic_path(tmp_path / "a.json") as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(tmp_path / "a.json") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_told_as_what_it_is(tmp_path):
    def fail():
        with atomic_path(tmp_path / "weights.safetensors"):
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(OSError, match="No space left") as caught:
        fail()
    assert caught.value.errno == errno.ENOSPC
