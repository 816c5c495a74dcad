"""Preparation: parallel, resumable, keyed by content, and never stopped by a broken clip."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.extraction import CacheEntry, Job
from stgt.data.preparation.prepare import cache_folder, prepare_clips, run_jobs
from stgt.errors import DatasetError, StgtError
from stgt.faces.tracks import LandmarkTrack


@pytest.fixture(scope="module")
def videos(tmp_path_factory, rendered_face_clip) -> list[Path]:
    """Copies of the face clip that differ in a box that players skip: other content, the same frames."""
    folder = tmp_path_factory.mktemp("videos")
    paths = []
    for number in range(3):
        path = folder / f"{number}.mp4"
        path.write_bytes(rendered_face_clip.read_bytes() + (9).to_bytes(4, "big") + b"free" + bytes([number]))
        paths.append(path)
    return paths


def clip_of(path: Path, **settings: object) -> Clip:
    return Clip(path.stem, path, "somebody", "happiness", **settings)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def prepared(videos, cache, tmp_path_factory):
    """Good clips and every kind of broken one, in two processes."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "noise.mp4").write_bytes(os.urandom(5000))
    (folder / "pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (folder / "cut.mp4").write_bytes(videos[0].read_bytes()[:3000])
    broken = [clip_of(folder / f"{name}.mp4") for name in ("empty", "noise", "pointer", "cut", "absent")]
    clips = [*map(clip_of, videos), *broken]
    return prepare_clips(clips, cache=cache, workers=2, progress=False)


def test_broken_clips_are_named_and_the_others_prepared(prepared):
    assert set(prepared) == {"0", "1", "2"}
    assert set(prepared.failures) == {"empty", "noise", "pointer", "cut", "absent"}
    assert "0 bytes" in prepared.failures["empty"]
    assert "git lfs pull" in prepared.failures["pointer"]
    for name, sentence in prepared.failures.items():
        assert f"{name}.mp4" in sentence
        assert "\n" not in sentence


def test_tracks_are_those_of_a_single_process(prepared, videos, tmp_path):
    alone = prepare_clips([clip_of(videos[2])], cache=tmp_path, workers=1, progress=False)
    for path in videos:
        track, crops = prepared.load(clip_of(path))
        assert len(track) == len(crops) == 24
        assert track.valid.all()
        expected, expected_crops = alone.load(clip_of(videos[2]))
        # A landmarker that is used again must not remember the clip before.
        np.testing.assert_array_equal(track.points, expected.points)
        np.testing.assert_array_equal(crops.data, expected_crops.data)
    assert prepared.valid_share("1") == 1.0


def records(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache.rglob("clip.json")}


def test_nothing_is_done_twice(prepared, videos, cache, tmp_path):
    before = records(cache)
    assert len(before) == 3
    moved = shutil.copy(videos[0], tmp_path / "renamed.mp4")
    again = prepare_clips([clip_of(Path(moved)), clip_of(videos[1])], cache=cache, workers=1, progress=False)
    assert set(again) == {"renamed", "1"}
    assert records(cache) == before


def test_another_range_or_content_is_another_entry(prepared, videos, cache, tmp_path):
    before = set(records(cache))
    part = clip_of(videos[0], start_s=0.5, end_s=1.0)
    changed = tmp_path / "0.mp4"
    changed.write_bytes(videos[0].read_bytes() + (9).to_bytes(4, "big") + b"freeX")
    track = prepare_clips([part], cache=cache, workers=1, progress=False).track(part)
    assert track.times[0] == pytest.approx(0.5)
    assert track.times[-1] == pytest.approx(1.0)
    prepare_clips([clip_of(changed)], cache=cache, workers=1, progress=False)
    assert len(set(records(cache)) - before) == 2


def test_damaged_cache_is_made_again(videos, prepared, tmp_path):
    clip = clip_of(videos[0])
    own = tmp_path / "cache"
    path = prepare_clips([clip], cache=own, workers=1, progress=False)["0"].track
    size = path.stat().st_size

    path.write_bytes(path.read_bytes()[:1000])  # cut short: seen before anything is read
    prepare_clips([clip], cache=own, workers=1, progress=False)
    np.testing.assert_array_equal(LandmarkTrack.load(path).points, prepared.track(clip).points)

    path.write_bytes(bytes(size))  # damaged in place: seen when it is read
    again = prepare_clips([clip], cache=own, workers=1, progress=False)
    np.testing.assert_array_equal(again.track(clip).points, prepared.track(clip).points)
    assert LandmarkTrack.load(path).valid.all()


def test_images_and_clips_of_equal_content(tmp_path, rendered_face_clip):
    capture = cv2.VideoCapture(str(rendered_face_clip))
    for copy in ("a", "b"):
        (tmp_path / copy).mkdir()
    for number in range(4):
        _, frame = capture.read()
        for copy in ("a", "b"):
            cv2.imwrite(str(tmp_path / copy / f"{number}.png"), frame)
    clips = [clip_of(tmp_path / copy, frame_rate=10.0) for copy in ("a", "b")]
    prepared = prepare_clips(clips, cache=tmp_path / "cache", workers=2, progress=False)
    assert len(records(tmp_path / "cache")) == 1, "equal clips are extracted once"
    np.testing.assert_allclose(prepared.track(clips[1]).times, np.arange(4) / 10)


def test_nothing_readable(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"none of the 1 clips.*a\.mp4 is empty"):
        prepare_clips([clip_of(tmp_path / "a.mp4")], cache=tmp_path, workers=1, progress=False)


def test_full_disk_stops_the_run(videos, tmp_path, monkeypatch):
    def full(self, path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(LandmarkTrack, "save", full)
    with pytest.raises(OSError, match="No space left") as caught:
        prepare_clips([clip_of(videos[0])], cache=tmp_path, workers=1, progress=False)
    assert caught.value.errno == errno.ENOSPC
    assert not records(tmp_path)


def test_cache_that_cannot_be_made(videos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StgtError, match="cannot be made"):
        prepare_clips([clip_of(videos[0])], cache=tmp_path / "file", workers=1, progress=False)
    with pytest.raises(StgtError, match="workers is 0"):
        prepare_clips([clip_of(videos[0])], cache=tmp_path, workers=0, progress=False)


class Deadly(type(Path())):
    """A source whose arrival ends the process that it arrives in, as a crash of a decoder does."""

    def __reduce__(self):
        return os._exit, (3,)


def test_clip_that_kills_its_process_costs_only_itself(videos, tmp_path):
    clips = [clip_of(Deadly("bad.mp4")), *map(clip_of, videos)]
    jobs = [Job(clip, CacheEntry(tmp_path / clip.clip_id), 1.0) for clip in clips]
    outcomes = {outcome.folder.name: outcome for outcome in run_jobs(jobs, workers=2)}
    assert "bad.mp4" in outcomes.pop("bad").failure
    assert {name: outcome.failure for name, outcome in outcomes.items()} == {"0": None, "1": None, "2": None}


def command(folder: Path, cache: Path) -> subprocess.Popen:
    arguments = ["--dataset", "folder", "--root", str(folder), "--subject_pattern", "/(.)", "--cache", str(cache)]
    return subprocess.Popen(
        [sys.executable, "-m", "stgt.prepare", *arguments, "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def interrupt(videos, tmp_path):
    """Starts ``stgt prepare`` on the videos and sends it a signal after the first finished clip."""
    folder, cache = tmp_path / "mine", tmp_path / "cache"
    (folder / "happy").mkdir(parents=True)
    for path in videos:
        shutil.copy(path, folder / "happy")

    def send(how: signal.Signals) -> tuple[subprocess.Popen, str]:
        process = command(folder, cache)
        limit = time.monotonic() + 120
        while not records(cache) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.02)
        if how == signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal does
        else:
            process.kill()
        # This waits for all processes that hold the pipe: a worker that outlived its parent would be found here.
        return process, process.communicate(timeout=120)[1]

    send.folder, send.cache = folder, cache
    return send


def test_ctrl_c_is_told_in_a_sentence(interrupt):
    process, stderr = interrupt(signal.SIGINT)
    assert "Traceback" not in stderr
    if process.returncode:  # it may have been done before the signal came
        assert process.returncode == 130
        assert "goes on from there" in stderr


def test_killed_run_goes_on(interrupt, videos, prepared):
    interrupt(signal.SIGKILL)
    done = records(interrupt.cache)
    assert done

    process = command(interrupt.folder, interrupt.cache)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "3 clips prepared" in stdout
    after = records(interrupt.cache)
    assert len(after) == 3
    assert {path: after[path] for path in done} == done, "what was finished is not done again"
    for path in after:
        track = LandmarkTrack.load(path.with_name("track.safetensors"))
        np.testing.assert_array_equal(track.points, prepared.track(clip_of(videos[0])).points)


def test_cache_folder_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("STGT_CACHE", str(tmp_path / "environment"))
    assert cache_folder(tmp_path / "argument") == tmp_path / "argument"
    assert cache_folder() == tmp_path / "environment"
    monkeypatch.delenv("STGT_CACHE")
    assert "stgt" in cache_folder().parts
