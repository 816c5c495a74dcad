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
from stgt.data.preparation.backends import open_pool
from stgt.data.preparation.extraction import Job
from stgt.data.preparation.prepare import cache_folder, prepare_clips, run_jobs, store_folder
from stgt.data.preparation.shards import ShardWriter
from stgt.data.preparation.store import Store
from stgt.errors import DatasetError, StgtError


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


def records(cache: Path) -> dict[str, tuple]:
    """What lies in a cache: key -> where."""
    return {key: (entry.shard, entry.track) for key, entry in Store(store_folder(cache)).index.entries.items()}


def test_nothing_is_done_twice(prepared, videos, cache, tmp_path):
    before = records(cache)
    assert len(before) == 3
    moved = shutil.copy(videos[0], tmp_path / "renamed.mp4")
    again = prepare_clips([clip_of(Path(moved)), clip_of(videos[1])], cache=cache, workers=1, progress=False)
    assert set(again) == {"renamed", "1"}
    assert again.content("renamed") == prepared.content("0") != again.content("1")
    assert records(cache) == before


def test_another_range_or_content_is_another_entry(prepared, videos, cache, tmp_path):
    before = set(records(cache))
    part = clip_of(videos[0], start_s=0.5, end_s=1.0)
    changed = tmp_path / "0.mp4"
    changed.write_bytes(videos[0].read_bytes() + (9).to_bytes(4, "big") + b"freeX")
    of_part = prepare_clips([part], cache=cache, workers=1, progress=False)
    assert of_part.span("0") == (pytest.approx(0.5), pytest.approx(1.0), 9)
    track = of_part.track(part)
    assert (track.times[0], track.times[-1], len(track)) == of_part.span("0")
    prepare_clips([clip_of(changed)], cache=cache, workers=1, progress=False)
    assert len(set(records(cache)) - before) == 2


def settled(path: Path) -> None:
    """Let a file look as if it had not been touched for an hour."""
    then = time.time() - 3600
    os.utime(path, (then, then))


def test_files_that_look_the_same_are_not_read_again(videos, tmp_path, monkeypatch):
    """A start over a prepared dataset costs a look at each file, not its bytes."""
    folder = tmp_path / "images"
    folder.mkdir()
    capture = cv2.VideoCapture(str(videos[0]))
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), capture.read()[1])
    video = Path(shutil.copy(videos[0], tmp_path / "a.mp4"))
    for path in (video, *folder.iterdir(), folder):
        settled(path)
    clips = [clip_of(video), clip_of(folder, frame_rate=10.0)]
    prepare_clips(clips, cache=tmp_path, workers=1, progress=False)

    from stgt.data.preparation import content

    read = []
    monkeypatch.setattr(content, "hash_file", lambda path, digest: read.append(path.name) or digest.update(b"new"))
    prepare_clips(clips, cache=tmp_path, workers=1, progress=False)
    assert read == []
    os.utime(video)
    os.utime(folder / "0.png")  # the folder itself looks as before
    list(content.content_keys(clips, Store(store_folder(tmp_path)), "1"))
    assert sorted(read) == ["0.png", "1.png", "2.png", "a.mp4"]


def test_damaged_cache_is_made_again(videos, prepared, tmp_path):
    clip = clip_of(videos[0])
    own = tmp_path / "cache"
    first = prepare_clips([clip], cache=own, workers=1, progress=False)
    (shard,) = store_folder(own).glob("*.shard")
    whole = shard.read_bytes()

    shard.write_bytes(whole[:1000])  # cut short
    again = prepare_clips([clip], cache=own, workers=1, progress=False)
    np.testing.assert_array_equal(again.track(clip).points, prepared.track(clip).points)

    shard.unlink()
    second = prepare_clips([clip], cache=own, workers=1, progress=False)
    assert second["0"].shard != first["0"].shard, "the new entry is the one that counts from then on"
    place = second["0"].crops[0]
    (shard,) = store_folder(own).glob("*.shard")
    shard.write_bytes(whole[:place] + bytes(100) + whole[place + 100 :])  # damaged in place
    np.testing.assert_array_equal(second.crops(clip).data, prepared.crops(clip).data)
    third = prepare_clips([clip], cache=own, workers=1, progress=False)
    np.testing.assert_array_equal(third.crops(clip).data, prepared.crops(clip).data)
    assert len(list(store_folder(own).glob("*.shard"))) == 2, "read, not made"


def test_read_only_cache(videos, prepared, cache, tmp_path, monkeypatch):
    """All that is there can be read; what is not is told. A folder's mode does not stop root, so writing is refused."""

    def refuse(self, suffix, content):
        raise OSError(errno.EROFS, "Read-only file system", str(self.folder))

    monkeypatch.setattr(ShardWriter, "_write", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    again = prepare_clips([clip_of(videos[0])], cache=cache, workers=1, progress=False)
    np.testing.assert_array_equal(again.track(clip_of(videos[0])).points, prepared.track(clip_of(videos[0])).points)
    other = clip_of(videos[0], start_s=0.25)
    with pytest.raises(StgtError, match=r"1 of the 1 clips are not in the cache .* read-only"):
        prepare_clips([other], cache=cache, workers=1, progress=False)
    damaged = prepare_clips([clip_of(videos[1])], cache=cache, workers=1, progress=False)
    place = damaged["1"].track
    damaged.entries["1"] = damaged["1"]._replace(track=(*place[:2], place[2] + 1))
    with pytest.raises(DatasetError, match="clip 1 is damaged in the cache"):
        damaged.track(clip_of(videos[1]))


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
    def full(self, *arguments):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    monkeypatch.setattr(Store, "add", full)
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
    jobs = [Job(clip, clip.clip_id, tmp_path / "store", 1.0) for clip in clips]
    with open_pool("local", 2) as pool:
        outcomes = {outcome.key: outcome for outcome in run_jobs(jobs, pool)}
    assert "bad.mp4" in outcomes.pop("bad").failure
    assert {name: outcome.failure for name, outcome in outcomes.items()} == {"0": None, "1": None, "2": None}


def command(folder: Path, cache: Path, workers: int = 2) -> subprocess.Popen:
    arguments = ["--dataset", "folder", "--root", str(folder), "--subject_pattern", "/(.)", "--cache", str(cache)]
    return subprocess.Popen(
        [sys.executable, "-m", "stgt.prepare", *arguments, "--workers", str(workers)],
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
    assert {key: after[key] for key in done} == done, "what was finished is not done again"
    store = Store(store_folder(interrupt.cache))
    for entry in store.index.entries.values():
        np.testing.assert_array_equal(store.track(entry).points, prepared.track(clip_of(videos[0])).points)


def test_two_processes_divide_the_work(interrupt, tmp_path):
    """Both are told of all clips, and none is made twice."""
    both = [command(interrupt.folder, interrupt.cache, workers=1) for _ in range(2)]
    for process in both:
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        assert "3 clips prepared" in stdout
    written = [
        line
        for index in store_folder(interrupt.cache).glob("*.index")
        for line in index.read_text().splitlines()
        if line.startswith('["clip"')
    ]
    assert len(written) == 3


def test_cache_folder_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("STGT_CACHE", str(tmp_path / "environment"))
    assert cache_folder(tmp_path / "argument") == tmp_path / "argument"
    assert cache_folder() == tmp_path / "environment"
    monkeypatch.delenv("STGT_CACHE")
    assert "stgt" in cache_folder().parts
