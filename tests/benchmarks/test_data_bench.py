"""``stgt bench data``, small: it measures what it says, and leaves nothing behind."""

import contextlib
import io
import re
import sys
from types import SimpleNamespace

import pytest

from stgt import bench
from stgt.benchmarks import data
from stgt.errors import StgtError


def test_a_small_simulated_set_is_measured_and_deleted(tmp_path, capsys, monkeypatch):
    def measured_here(command: list[str], **_: object) -> SimpleNamespace:
        """What the measuring process runs, without waiting for its imports."""
        assert command[:3] == [sys.executable, "-m", data.__name__]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            data.measured_here(command[3:])
        return SimpleNamespace(returncode=0, stdout=said.getvalue())

    monkeypatch.setattr(data.subprocess, "run", measured_here)
    folder = tmp_path / "set"
    bench.main(["data", "--clips", "70", "--folder", str(folder), "--steps", "1"])
    shown = {
        match[1].strip(): float(match[2])
        for match in re.finditer(r"^  (.+?) +([\d.]+) (?:s|kB|MB|x|clips/s)$", capsys.readouterr().out, re.MULTILINE)
    }
    assert 90 < shown["storage per clip, track"] < 120
    assert shown["storage per clip, track"] < shown["storage per clip, with 128-pixel crops"] < 250
    assert 0 <= shown["opening"] < shown["opening and first batch"]
    assert shown["resident memory while training, at most"] > 100
    assert shown["loader over training"] > 0
    assert not folder.exists()


def test_a_folder_in_use_is_left_alone_and_a_small_disk_refused(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(StgtError, match="holds something"):
        bench.main(["data", "--folder", str(tmp_path)])
    assert (tmp_path / "mine").exists()
    with pytest.raises(StgtError, match="has room for"):
        bench.main(["data", "--folder", str(tmp_path / "new"), "--clips", "1000000000"])
