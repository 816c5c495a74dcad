"""What a recording is: the names in its folder, and what it says of where it comes from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stgt.config import WindowConfig
from stgt.errors import StgtError

if TYPE_CHECKING:
    from stgt.faces.video import FrameSource
    from stgt.inference import ExpressionReader

FORMAT, FORMAT_VERSION = "stgt-recording", 1
#: Names in a recording folder.
DESCRIPTION, RECORDS, TABLE, TRACKS = "recording.json", "predictions.jsonl", "predictions.csv", "tracks"
CLEAN, ANNOTATED, SUMMARY, SUMMARY_PICTURE = "video.mp4", "annotated.mp4", "summary.json", "summary.png"
#: What ``--video`` may ask for -> the videos that are written.
VIDEOS = {"annotated": (ANNOTATED,), "clean": (CLEAN,), "both": (CLEAN, ANNOTATED), "none": ()}


@dataclass(frozen=True)
class RecordingInfo:
    """What a recording says about where it comes from.

    Attributes:
        source: name of the source.
        labels: K names.
        window: of the model.
        frame_rate: nominal, Hz.
        image_size: ``(width, height)`` of the frames.
        checkpoint: path of the model's weights, or ``pretrained``; none: it was made in memory.
        checkpoint_sha256: of the weights.
        needs_crops: whether the model reads pixels.
        settings: of the session.
    """

    source: str
    labels: tuple[str, ...]
    window: WindowConfig
    frame_rate: float
    image_size: tuple[int, int]
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    needs_crops: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        reader: "ExpressionReader",
        source: "FrameSource",
        checkpoint: str | Path | None = None,
        settings: dict[str, Any] | None = None,
    ) -> "RecordingInfo":
        """Of an open source that is read by ``reader``; ``checkpoint`` is what the reader was made of."""
        return cls(
            source=source.name,
            labels=reader.labels,
            window=reader.window,
            frame_rate=source.frame_rate,
            image_size=source.image_size,
            checkpoint=None if checkpoint is None else str(checkpoint),
            checkpoint_sha256=None if checkpoint is None else weights_digest(checkpoint),
            needs_crops=reader.windows.needs_crops,
            settings={"min_confidence": reader.min_confidence, **(settings or {})},
        )


def weights_digest(checkpoint: Path | str) -> str | None:
    """The sha256 of a checkpoint's weights, as its description gives it; ``None`` for an exported model."""
    from stgt.models.checkpoint import read_description

    try:
        return read_description(checkpoint)["weights_sha256"]
    except StgtError:
        return None


def check_target(path: Path | str) -> Path:
    """A place where a recording can be written: a new or empty folder, or a name that ends in ``.mp4``.

    Raises:
        StgtError: it cannot.
    """
    path = Path(path)
    if path.suffix.lower() == ".mp4":
        return path
    if path.suffix and not path.is_dir() and path.suffix[1:].isalpha() and len(path.suffix) <= 5:
        raise StgtError(
            f"--record {path}: recordings are folders, or videos whose names end in .mp4; choose such a name"
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StgtError(f"--record {path}: there is something already; choose another folder")
    return path
