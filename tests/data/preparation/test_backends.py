"""Preparation by workers of a cluster: the same tracks and crops as by processes of this machine."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.backends import BACKENDS
from stgt.data.preparation.prepare import prepare_clips
from stgt.errors import MissingExtraError, StgtError

CLUSTERS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed"),
    )
    for name, package in (("dask", "distributed"), ("ray", "ray"))
]


@pytest.fixture(scope="module")
def clips(tmp_path_factory, rendered_face_clip) -> list[Clip]:
    folder = tmp_path_factory.mktemp("videos")
    clips = []
    for number in range(4):
        path = folder / f"{number}.mp4"
        path.write_bytes(rendered_face_clip.read_bytes() + (9).to_bytes(4, "big") + b"free" + bytes([number]))
        clips.append(Clip(str(number), path, "somebody", "happiness", end_s=0.4))
    (folder / "broken.mp4").write_bytes(b"no video")
    return [*clips, Clip("broken", folder / "broken.mp4", "somebody", "happiness")]


@pytest.fixture
def deadly(tmp_path, monkeypatch) -> Clip:
    """A clip that ends the worker that opens it at once, as a crash of a decoder does."""
    (tmp_path / "deadly.py").write_text(
        "import os, pathlib\n"
        "class Deadly(type(pathlib.Path())):\n"
        "    def is_file(self):\n"
        f"        return False if os.getpid() == {os.getpid()} else os._exit(3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Clip("deadly", importlib.import_module("deadly").Deadly("deadly.mp4"), "somebody", "happiness")


@pytest.mark.parametrize("backend", CLUSTERS)
def test_two_workers_of_a_cluster_give_what_one_process_gives(backend, clips, deadly, tmp_path, monkeypatch):
    for address in ("RAY_ADDRESS", "DASK_SCHEDULER_ADDRESS"):
        monkeypatch.delenv(address, raising=False)
    expected = prepare_clips(clips, tmp_path / "alone", workers=1, progress=False)
    told = [*clips, deadly] if backend == "dask" else clips  # Ray takes half a minute to get over a dead worker
    prepared = prepare_clips(told, tmp_path / "cluster", workers=2, progress=False, backend=backend)
    assert set(prepared) == {"0", "1", "2", "3"}
    if backend == "dask":
        assert "deadly.mp4 brings the video decoder down" in prepared.failures.pop("deadly")
    assert prepared.failures == expected.failures
    assert not any(f".{os.getpid()}." in entry.shard for entry in prepared.values()), "others have written them"
    for clip in clips[:-1]:
        assert prepared.content(clip.clip_id) == expected.content(clip.clip_id)
        for name in ("points", "times", "valid", "blendshapes", "transforms"):
            np.testing.assert_array_equal(
                getattr(prepared.track(clip), name), getattr(expected.track(clip), name), err_msg=name
            )
        np.testing.assert_array_equal(prepared.crops(clip).data, expected.crops(clip).data)


@pytest.mark.parametrize(("backend", "package"), [("ray", "ray"), ("dask", "dask")])
def test_missing_package_is_named_with_its_extra(backend, package, clips, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"backend {backend} .*pip install 'stgt\[{backend}\]'"):
        prepare_clips(clips[:2], tmp_path, workers=2, progress=False, backend=backend)


def test_unknown_backend_and_silent_cluster(clips, tmp_path, monkeypatch):
    with pytest.raises(StgtError, match=f"no backend 'slurm'; the backends are {', '.join(BACKENDS)}"):
        prepare_clips(clips, tmp_path, progress=False, backend="slurm")
    pytest.importorskip("distributed")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
    monkeypatch.setattr("stgt.data.preparation.backends.CONNECTING_S", 1)
    with pytest.raises(StgtError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        prepare_clips(clips[:2], Path(tmp_path), progress=False, backend="dask")
