"""Prepared clips: their tracks and crops, read from the cache when they are asked for."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.extraction import CacheEntry, Job, close_landmarker, extract_clip
from stgt.errors import DatasetError, StgtError

if TYPE_CHECKING:
    from stgt.faces.crops import CropSequence
    from stgt.faces.tracks import LandmarkTrack

#: Tracks and crops are kept in memory up to this many bytes, and read from disk each time beyond.
TRACK_MEMORY_BYTES = 2 * 2**30
CROP_MEMORY_BYTES = 2**30


class Memory(dict[str, Any]):
    """Values that are kept until they take up a number of bytes; what comes later is not kept."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self.left_bytes = limit_bytes

    def keep(self, key: str, value: object, size_bytes: int) -> None:
        """Keep ``value`` if there is room."""
        if size_bytes <= self.left_bytes:
            self[key] = value
            self.left_bytes -= size_bytes


class Prepared(Mapping[str, CacheEntry]):
    """Prepared clips: clip id -> the files of its track and crops.

    Attributes:
        failures: clip id -> the sentence that says why it could not be prepared.
        warnings: clip id -> what was odd about it, though it could be read; only of clips that were read in this run.
    """

    def __init__(
        self,
        entries: Mapping[str, CacheEntry],
        failures: Mapping[str, str] | None = None,
        warnings: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.entries = dict(entries)
        self.failures = dict(failures or {})
        self.warnings = dict(warnings or {})
        self._tracks = Memory(TRACK_MEMORY_BYTES)
        self._crops = Memory(CROP_MEMORY_BYTES)

    def __getitem__(self, clip_id: str) -> CacheEntry:
        return self.entries[clip_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getstate__(self) -> dict:
        # Another process reads the tracks that it needs itself.
        return {**self.__dict__, "_tracks": Memory(TRACK_MEMORY_BYTES), "_crops": Memory(CROP_MEMORY_BYTES)}

    def load(self, clip: Clip) -> "tuple[LandmarkTrack, CropSequence]":
        """The track and the crops of a clip."""
        return self.track(clip), self.crops(clip)

    def track(self, clip: Clip) -> "LandmarkTrack":
        """The track of a clip, kept in memory while there is room; its times are those of the clip's source."""
        from stgt.faces.tracks import LandmarkTrack

        track = self._tracks.get(clip.clip_id)
        if track is None:
            track = self._read(clip, lambda entry: LandmarkTrack.load(entry.track))
            self._tracks.keep(clip.clip_id, track, track.points.nbytes)
        return track

    def crops(self, clip: Clip) -> "CropSequence":
        """The crops of a clip, still encoded, kept in memory while there is room."""
        from stgt.faces.crops import CropSequence

        crops = self._crops.get(clip.clip_id)
        if crops is None:
            crops = self._read(clip, lambda entry: CropSequence.load(entry.crops))
            self._crops.keep(clip.clip_id, crops, crops.data.nbytes)
        return crops

    def valid_share(self, clip_id: str) -> float:
        """Share of the clip's frames that hold a face, without reading its track."""
        record = self.entries[clip_id].read_record()
        return float(record["valid_share"]) if record else 0.0

    def _read(self, clip: Clip, load):  # noqa: ANN001, ANN202 - returns what load returns
        if clip.clip_id not in self.entries:
            reason = self.failures.get(clip.clip_id, "it is not among the clips that were prepared")
            raise DatasetError(f"clip {clip.clip_id} is not prepared: {reason}")
        entry = self.entries[clip.clip_id]
        try:
            return load(entry)
        except StgtError:
            # Damaged since it was written: what can be made again is no reason to stop.
            entry.record.unlink(missing_ok=True)
            try:
                outcome = extract_clip(Job(clip, entry, 0))
            finally:
                close_landmarker()
            if outcome.failure:
                raise DatasetError(f"clip {clip.clip_id}: {outcome.failure}") from None
            return load(entry)
