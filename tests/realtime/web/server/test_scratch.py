"""The temporary folder: private, locked while its owner lives, and never left behind for long."""

import os
import signal
import stat
import subprocess
import sys

import pytest
from stgt.realtime.web.scratch import Scratch


def test_it_is_for_its_owner_alone_and_goes_with_it(tmp_path):
    scratch = Scratch(tmp_path)
    assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o700
    folder = scratch.new_folder()
    (folder / "frame").write_bytes(b"1")
    with scratch.new_file() as file:
        file.write(b"2")
        file.flush()
        assert list(scratch.path.iterdir()) == [folder]  # the file has no name
    scratch.close()
    assert list(tmp_path.iterdir()) == []
    scratch.close()  # once more does no harm


def test_a_folder_in_it_can_be_removed_and_nothing_else(tmp_path):
    scratch = Scratch(tmp_path)
    folder = scratch.new_folder()
    scratch.remove(folder)
    scratch.remove(folder)
    assert not folder.exists()
    with pytest.raises(ValueError, match="no folder of"):
        scratch.remove(tmp_path)
    scratch.close()


def test_folders_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path):
    alive = Scratch(tmp_path)
    (alive.path / "mine").write_bytes(b"1")
    program = f"""
import pathlib, sys, time
from stgt.realtime.web.scratch import Scratch
scratch = Scratch(pathlib.Path({str(tmp_path)!r}))
(scratch.new_folder() / "left").write_bytes(b"1")
print(scratch.path, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as other:
        dead = other.stdout.readline().strip()
        assert os.path.isdir(dead)  # noqa: PTH112
        other.send_signal(signal.SIGKILL)
    assert os.path.isdir(dead)  # noqa: PTH112 - nobody could remove it
    new = Scratch(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {alive.path.name, new.path.name}
    assert (alive.path / "mine").exists()
    alive.close()
    new.close()


def test_what_only_looks_like_one_is_left_alone(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "precious").write_bytes(b"1")
    place = tmp_path / "place"
    place.mkdir()
    (place / "stgt-web-link").symlink_to(elsewhere)
    (place / "stgt-web-open").mkdir(mode=0o755)
    (place / "stgt-web-file").write_bytes(b"1")
    Scratch(place).close()
    assert (elsewhere / "precious").exists()
    assert {path.name for path in place.iterdir()} == {"stgt-web-link", "stgt-web-open", "stgt-web-file"}
