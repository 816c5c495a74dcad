"""The store of prepared clips: exact but for the 16 bits of its points, and hard to hurt."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from stgt.data.preparation.index import Index
from stgt.data.preparation.shards import DamagedBlock, ShardReader
from stgt.data.preparation.store import CLAIM_LASTS_S, Store
from stgt.faces.quantised import quantise, restore, rounded
from stgt.faces.tracks import LandmarkTrack
from stgt.graphs.alignment import OUTER_EYE_CORNERS, load_reference_face


def make_track(frames: int = 30, size: float = 60.0, seed: int = 0) -> LandmarkTrack:
    """A face of so many pixels between the eyes, somewhere in a large picture; its second frame has no face."""
    generator = np.random.default_rng(seed)
    points = load_reference_face().points * size + generator.normal(0, size / 50, (frames, 478, 3)) + (1500, 900, 0)
    valid = np.arange(frames) != 1
    return LandmarkTrack(
        points=(points * valid[:, None, None]).astype(np.float32),
        times=np.arange(frames) / 25,
        valid=valid,
        blendshapes=generator.random((frames, 52), np.float32) * valid[:, None],
        transforms=generator.random((frames, 4, 4), np.float32),
        image_size=(3840, 2160),
        source="drawn, with an ümlaut",
    )


def crops_of(track: LandmarkTrack, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.where(track.valid, 4000, 0)
    data = np.random.default_rng(seed).integers(0, 256, sizes.sum(), np.uint8)
    return data, np.concatenate([[0], np.cumsum(sizes)])


@pytest.mark.parametrize("size", [15, 60, 600])
def test_points_lose_less_than_a_fifty_thousandth_of_the_distance_of_the_eyes(size):
    points = make_track(size=size).points
    restored = restore(*quantise(points))
    left, right = OUTER_EYE_CORNERS
    eyes = np.linalg.norm(points[0, left] - points[0, right])
    assert 0 < np.abs(restored - points).max() / eyes < 2e-5
    assert not restored[1].any(), "a frame without a face stays zero"


@pytest.mark.parametrize(("size", "place"), [(1e-3, 0), (1, -3), (30, 4000), (2000, 0)])
def test_rounded_points_are_kept_to_the_bit(size, place):
    points = (np.random.default_rng(0).normal(place, size, (5, 478, 3))).astype(np.float32)
    points[3, :, 2] = 0
    for face in points:
        once = rounded(face)
        np.testing.assert_array_equal(once, restore(*quantise(face[None]))[0])
        np.testing.assert_array_equal(once, restore(*quantise(once[None]))[0])
        np.testing.assert_array_equal(once, rounded(once))


def test_what_is_not_known_stays_unknown():
    points = make_track(3).points.copy()
    points[:, 100:] = np.nan
    points[:, :, 2] = np.nan
    restored = restore(*quantise(points))
    np.testing.assert_array_equal(np.isnan(restored), np.isnan(points))
    np.testing.assert_allclose(restored[:, :100, :2], points[:, :100, :2], atol=0.01)


def test_a_clip_comes_back(tmp_path):
    store, track = Store(tmp_path / "new"), make_track()
    assert len(store) == 0
    assert not (tmp_path / "new").exists(), "nothing is made before something is written"
    data, offsets = crops_of(track)
    store.add("a", track, (data, offsets))
    store.add("b", make_track(7, seed=1))
    opened = Store(tmp_path / "new")
    assert set(opened.index.entries) == {"a", "b"}
    entry = opened["a"]
    assert (entry.frames, entry.first_s, entry.last_s) == (30, 0.0, 29 / 25)
    assert entry.valid_share == pytest.approx(29 / 30)
    assert opened["b"].crops[1] == 0
    again = opened.track(entry)
    for name in ("times", "valid", "blendshapes", "transforms"):
        np.testing.assert_array_equal(getattr(again, name), getattr(track, name))
    np.testing.assert_array_equal(again.points, restore(*quantise(track.points)))
    assert (again.image_size, again.source) == (track.image_size, track.source)
    np.testing.assert_array_equal(opened.crops(entry)[0], data)
    np.testing.assert_array_equal(opened.crops(entry)[1], offsets)


def test_thirty_frames_of_a_track_take_less_than_120_kb(tmp_path):
    assert Store(tmp_path).add("a", make_track(30)).size_bytes < 100_000


def index_of(store: Store) -> Path:
    return store.folder / f"{store.writer.name}.index"


def test_a_torn_line_is_not_there_until_it_is_whole(tmp_path):
    store = Store(tmp_path)
    for key in ("a", "b"):
        store.add(key, make_track(2))
    whole = index_of(store).read_bytes()
    index_of(store).write_bytes(whole[:-20])
    opened = Store(tmp_path)
    assert set(opened.index.entries) == {"a"}
    index_of(store).write_bytes(whole)
    opened.refresh()
    assert set(opened.index.entries) == {"a", "b"}


def test_lines_that_make_no_sense_are_passed_over(tmp_path):
    store = Store(tmp_path)
    store.add("a", make_track(2))
    lines = [b"\xff\x00 not json", b'["clip"]', b"{}", b"[]", b'["clip",1,2,3]', b'["tomorrow",1]', b"", b"7", b""]
    (tmp_path / "other.index").write_bytes(b"\n".join(lines))
    (tmp_path / "empty.index").write_bytes(b"")
    store.add("b", make_track(2))
    assert set(Store(tmp_path).index.entries) == {"a", "b"}


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_block_is_seen_and_lost_for_all(tmp_path, damage):
    store = Store(tmp_path)
    good, bad = (store.add(key, make_track(5)) for key in ("good", "bad"))
    shard = tmp_path / f"{bad.shard}.shard"
    content = bytearray(shard.read_bytes())
    if damage == "flipped":
        content[bad.track[0] + 5000] ^= 1
    elif damage == "cut":
        del content[-10:]
    shard.write_bytes(content)
    if damage == "gone":
        shard.unlink()
    opened = Store(tmp_path)
    with pytest.raises(DamagedBlock):
        opened.track(opened["bad"])
    if damage != "gone":
        assert len(opened.track(opened["good"])) == 5
    opened.lose(opened["bad"])
    for reader in (opened, Store(tmp_path)):
        assert set(reader.index.entries) == {"good"}
    opened.add("bad", make_track(6))
    assert Store(tmp_path)["bad"].frames == 6, "made again, it counts again"
    assert good.frames == 5


def test_a_copy_takes_the_place_of_a_lost_one_in_any_order_of_reading(tmp_path):
    stores = [Store(tmp_path) for _ in range(3)]
    lost, kept = stores[0].add("a", make_track(2)), stores[1].add("a", make_track(2))
    stores[2].lose(lost)
    names = [store.writer.name for store in stores]
    lines = {name: [json.loads(line) for line in (tmp_path / f"{name}.index").open()] for name in names}
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)):
        index = Index(tmp_path)
        for number in order:
            index.take_in(names[number], lines[names[number]])
        assert index.entries == {"a": kept}


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.add("a", make_track(2))
    file = store.writer._files[".shard"]

    class Full:
        """Takes some bytes, and then no more."""

        def __init__(self):
            self.taken = 0

        def write(self, content):
            if self.taken:
                raise OSError(28, "No space left on device")
            self.taken = file.write(content[:100])
            return self.taken

        def __getattr__(self, name):
            return getattr(file, name)

    store.writer._files[".shard"] = Full()
    with pytest.raises(OSError, match="No space left") as caught:
        store.add("b", make_track(2))
    assert caught.value.filename.endswith(".shard"), "the sentence names the place"
    store.writer._files[".shard"] = file
    store.add("c", make_track(3, seed=3))
    opened = Store(tmp_path)
    assert set(opened.index.entries) == {"a", "c"}
    np.testing.assert_array_equal(opened.track(opened["c"]).times, make_track(3).times)


WRITER = """
import sys
sys.path.insert(0, {here!r})
from test_store import make_track
from stgt.data.preparation.store import Store
store = Store({folder!r})
for number in range(40):
    store.add(f"{{sys.argv[1]}}{{number}}", make_track(2, seed=number))
    store.refresh()
"""


def test_two_processes_write_while_a_third_reads(tmp_path):
    program = WRITER.format(here=str(Path(__file__).parent), folder=str(tmp_path / "store"))
    writers = [subprocess.Popen([sys.executable, "-c", program, name]) for name in ("x", "y")]
    reader, read = Store(tmp_path / "store"), 0
    limit = time.monotonic() + 100
    while any(writer.poll() is None for writer in writers) and time.monotonic() < limit:
        reader.refresh()
        for key in list(reader.index.entries)[read:]:
            np.testing.assert_array_equal(reader.track(reader[key]).times, [0, 1 / 25])
            read += 1
        time.sleep(0.01)
    assert [writer.returncode for writer in writers] == [0, 0]
    reader.refresh()
    assert set(reader.index.entries) == {f"{name}{number}" for name in "xy" for number in range(40)}
    assert len({entry.shard for entry in reader.index.entries.values()}) == 2


def test_claims_hold_while_their_process_lives(tmp_path, monkeypatch):
    other, own = Store(tmp_path), Store(tmp_path)
    host = other.writer.name.split(".")[0]
    other.writer.name = f"{host}.{os.getppid()}.00000000"
    assert other.claim("a")
    assert not own.claim("a")
    assert own.claim("b")
    other.release("a")
    assert own.claim("a"), "it gave up"
    own.release("a")
    assert other.claim("a")
    other.add("a", make_track(2))
    assert not own.claim("a"), "it is done"
    assert "a" in own
    other.claim("c")
    assert not own.claim("c")
    monkeypatch.setattr("stgt.data.preparation.store.alive", lambda process: False)
    assert own.claim("c"), "it died"

    remote = Store(tmp_path)
    remote.writer.name = "elsewhere.1.00000000"
    remote.claim("d")
    assert not own.claim("d")
    then = time.time() - CLAIM_LASTS_S - 1
    os.utime(tmp_path / "elsewhere.1.00000000.index", (then, then))
    assert own.claim("d"), "it has been silent for too long"


def test_of_two_that_claim_at_once_one_steps_back(tmp_path, monkeypatch):
    other, own = Store(tmp_path), Store(tmp_path)
    other.writer.name = f"{other.writer.name.split('.')[0]}.{os.getppid()}.00000000"
    note = own.writer.note

    def at_once(*lines):
        monkeypatch.setattr(own.writer, "note", note)
        other.writer.note(["claim", "a"])
        note(*lines)

    monkeypatch.setattr(own.writer, "note", at_once)
    assert not own.claim("a")
    other.refresh()
    assert not other.claimed("a"), "the other goes on"


def test_no_more_shards_are_open_than_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr("stgt.data.preparation.shards.OPEN_SHARDS", 2)
    entries = [Store(tmp_path).add(str(number), make_track(1)) for number in range(5)]
    reader = ShardReader(tmp_path)
    for entry in entries * 2:
        reader.read(entry.shard, *entry.track)
        assert len(reader._files) <= 2
