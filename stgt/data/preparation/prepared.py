"""Prepared clips: their tracks and crops, read from the store when they are asked for.

Nothing is kept in memory, however many clips there are: the system keeps what was read as long as there is room, and
what a model makes of a track (``WindowDataset``) is smaller than the track.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from stgt.data.catalog.layouts import Clip
from stgt.data.preparation.index import Entry
from stgt.data.preparation.shards import DamagedBlock
from stgt.data.preparation.store import Store
from stgt.errors import DatasetError

if TYPE_CHECKING:
    from stgt.faces.crops import CropSequence
    from stgt.faces.tracks import LandmarkTrack


class Prepared(Mapping[str, Entry]):
    """Prepared clips: clip id -> where its track and crops lie in the store.

    Args:
        store: where they lie.
        keys: clip id -> key in the store; what is in neither the store nor ``failures`` is left out.
        failures: see below.
        warnings: see below.

    Attributes:
        failures: clip id -> the sentence that says why it could not be prepared.
        warnings: clip id -> what was odd about it, though it could be read; only of clips that were read in this run.
    """

    def __init__(
        self,
        store: Store,
        keys: Mapping[str, str],
        failures: Mapping[str, str] | None = None,
        warnings: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.store = store
        self.entries = {clip_id: store[key] for clip_id, key in keys.items() if key in store}
        self.failures = dict(failures or {})
        self.warnings = dict(warnings or {})
        self._last: tuple[str, LandmarkTrack] | None = None
        """The track that was read last: whoever asks for one often asks for it again."""

    def __getitem__(self, clip_id: str) -> Entry:
        return self.entries[clip_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getstate__(self) -> dict:
        # Another process reads the tracks that it needs itself.
        return {**self.__dict__, "_last": None}

    def load(self, clip: Clip) -> "tuple[LandmarkTrack, CropSequence]":
        """The track and the crops of a clip."""
        return self.track(clip), self.crops(clip)

    def track(self, clip: Clip) -> "LandmarkTrack":
        """The track of a clip; its times are those of the clip's source."""
        if self._last is None or self._last[0] != clip.clip_id:
            self._last = clip.clip_id, self._read(clip, self.store.track)
        return self._last[1]

    def crops(self, clip: Clip) -> "CropSequence":
        """The crops of a clip, still encoded.

        Raises:
            DatasetError: the clip is a track without pictures.
        """
        from stgt.faces.crops import CropSequence

        if self.entry(clip).crops[1] == 0:
            raise DatasetError(
                f"clip {clip.clip_id} is a landmark track without pictures; leave patches and frames out of the streams"
            )
        return CropSequence(*self._read(clip, self.store.crops))

    def span(self, clip_id: str) -> tuple[float, float, int]:
        """Times of the clip's first and last frame in seconds of its source, and the number of its frames.

        Nothing is read for it.
        """
        entry = self.entries[clip_id]
        return entry.first_s, entry.last_s, entry.frames

    def content(self, clip_id: str) -> str:
        """The key (hex) of the content that the clip was made from: equal for equal content, range and rate."""
        return self.entries[clip_id].key

    def valid_share(self, clip_id: str) -> float:
        """Share of the clip's frames that hold a face, without reading its track."""
        return self.entries[clip_id].valid_share

    def entry(self, clip: Clip) -> Entry:
        """Where a clip lies.

        Raises:
            DatasetError: it is not prepared.
        """
        entry = self.entries.get(clip.clip_id)
        if entry is None:
            reason = self.failures.get(clip.clip_id, "it is not among the clips that were prepared")
            raise DatasetError(f"clip {clip.clip_id} is not prepared: {reason}")
        return entry

    def _read(self, clip: Clip, read):  # noqa: ANN001, ANN202 - returns what read returns
        entry = self.entry(clip)
        try:
            return read(entry)
        except DamagedBlock:
            # Damaged since it was written: what can be made again is no reason to stop.
            return read(self._made_again(clip, entry))

    def _made_again(self, clip: Clip, entry: Entry) -> Entry:
        """The clip's new entry, after its old one turned out to be damaged."""
        from stgt.data.preparation.extraction import Job, extract_clip, finish_worker

        try:
            self.store.lose(entry)
            outcome = extract_clip(Job(clip, entry.key, self.store.folder, 0, self.store.durable, forced=True))
        except OSError as error:
            raise DatasetError(
                f"clip {clip.clip_id} is damaged in the cache {self.store.folder}, and it cannot be written there anew "
                f"({error.strerror}); give the right to write, or another --cache"
            ) from None
        finally:
            finish_worker()
        if outcome.entry is None:
            raise DatasetError(f"clip {clip.clip_id}: {outcome.failure}")
        for clip_id in [clip_id for clip_id, known in self.entries.items() if known.key == entry.key]:
            self.entries[clip_id] = outcome.entry
        return outcome.entry
