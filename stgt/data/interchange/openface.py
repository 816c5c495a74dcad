"""CSV in the columns that users of OpenFace know: the 68 points of the 300-W annotation, one row per face and frame.

``frame, face_id, timestamp, confidence, success, x_0 … x_67, y_0 … y_67`` in pixels, and where depth is known
``X_0 … X_67, Y_0 … Y_67, Z_0 … Z_67`` in millimetres from the camera (Baltrušaitis et al., OpenFace 2.0, FG 2018).
Further columns (gaze, pose, action units) are not read.
"""

import csv
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgt.data.interchange.assembly import POINTS_68, assembled, landmarks_68, times_of
from stgt.errors import SourceError, StgtError
from stgt.faces.tracks import LandmarkTrack
from stgt.files import atomic_path

logger = logging.getLogger("stgt")

#: Written before the points, in OpenFace's order.
HEAD = ("frame", "face_id", "timestamp", "confidence", "success")
PIXELS = tuple(f"{axis}_{point}" for axis in "xy" for point in range(POINTS_68))
MILLIMETRES = tuple(f"{axis}_{point}" for axis in "XYZ" for point in range(POINTS_68))

#: Distance of the outer eye corners of adults, mm: MediaPipe's depth has no unit, so every face is written this size.
OUTER_EYE_CORNERS_MM = 90.0
#: The 300-W points at the outer eye corners.
OUTER_EYE_POINTS = (36, 45)
#: OpenFace's focal length where the camera is unknown, in widths and heights of the picture.
FOCAL_WIDTHS, FOCAL_HEIGHTS = 500 / 640, 500 / 480

#: Frames that may lie between two rows; more are a wrong frame number.
LONGEST_GAP = 100_000


@dataclass(frozen=True)
class Row:
    """One face in one frame."""

    line: int
    frame: int
    face: str
    time_s: float
    points: NDArray[np.float64]
    """(68, 2) pixels, or (68, 5) with millimetres; not finite where unknown."""
    success: bool

    @property
    def seen(self) -> bool:
        """Whether the face was found and all of its points are numbers."""
        return self.success and bool(np.isfinite(self.points).all())

    @property
    def size(self) -> float:
        """Diagonal of the box around the points, in pixels."""
        return float(np.linalg.norm(np.ptp(self.points[:, :2], axis=0)))


def read_csv_track(path: Path, frame_rate: float | None = None) -> LandmarkTrack:
    """The track of the face that most rows show; see ``stgt.data.interchange.read_tracks``."""
    rows, has_depth, has_times = read_rows(path)
    face = main_face(path, rows)
    frames = timeline(path, rows)
    numbers = np.array(list(frames))
    stamps = np.array(list(frames.values())) if has_times and frame_rate is None else None
    times = times_of(path, stamps, frame_rate, numbers - numbers[0])
    count = int(numbers[-1] - numbers[0]) + 1
    every = np.interp(np.arange(count), numbers - numbers[0], times)
    points = np.full((count, POINTS_68, 3), np.nan)
    valid = np.zeros(count, bool)
    for row in rows:
        if row.face == face and row.seen:
            place = row.frame - int(numbers[0])
            if valid[place]:
                raise SourceError(f"{path}, line {row.line}: frame {row.frame} of face {face} is there twice")
            points[place, :, :2] = row.points[:, :2]
            if has_depth:
                points[place, :, 2] = depth_in_pixels(row.points[:, :2], row.points[:, 2:])
            valid[place] = True
    return assembled(path, points, valid, every, landmarks_68())


def read_rows(path: Path) -> tuple[list[Row], bool, bool]:
    """All rows, and whether the file has depth and timestamps."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, skipinitialspace=True)
            columns = columns_of(path, next(lines, []))
            has_depth = MILLIMETRES[0] in columns
            wanted = [columns[name] for name in (PIXELS + MILLIMETRES if has_depth else PIXELS)]
            rows: list[Row] = []
            for cells in lines:
                if any(cell.strip() for cell in cells):
                    rows.append(read_row(path, lines.line_num, cells, columns, wanted, len(rows)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} is not a CSV file in UTF-8 ({error})") from None
    if not rows:
        raise SourceError(f"{path} has a header but no row, so there is no frame in it")
    return rows, has_depth, "timestamp" in columns


def columns_of(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Name -> place of every column.

    Raises:
        SourceError: no header, or a column of the points is missing.
    """
    names = [name.strip() for name in header]
    if not any(names):
        raise SourceError(f"{path} is empty; a file of tracks has a header and a row per frame")
    columns = {name: place for place, name in enumerate(names) if name}
    needed = PIXELS + MILLIMETRES if any(name in columns for name in MILLIMETRES) else PIXELS
    missing = [name for name in needed if name not in columns]
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise SourceError(
            f"{path} has no column {shown}; landmarks are x_0 to x_67 and y_0 to y_67 (OpenFace writes them with "
            "-2Dfp), and with depth also X_, Y_ and Z_ (-3Dfp)"
        )
    return columns | {"": len(names)}


def read_row(
    path: Path, line: int, cells: Sequence[str], columns: Mapping[str, int], wanted: Sequence[int], index: int
) -> Row:
    """One row of the file; ``index`` counts them.

    Raises:
        SourceError: too many or too few cells, or one that is no number.
    """
    if len(cells) != columns[""]:
        raise SourceError(f"{path}, line {line}: {len(cells)} cells under a header of {columns['']} columns")

    def number(place: int) -> float:
        text = cells[place].strip()
        try:
            return float(text) if text else np.nan
        except ValueError:
            name = next(name for name, other in columns.items() if other == place)
            raise SourceError(f"{path}, line {line}: {text!r} in the column {name} is not a number") from None

    def value(name: str, otherwise: float) -> float:
        if name not in columns:
            return otherwise
        found = number(columns[name])
        if not np.isfinite(found):
            raise SourceError(f"{path}, line {line}: the column {name} holds no number")
        return found

    return Row(
        line=line,
        frame=round(value("frame", index)),
        face=cells[columns["face_id"]].strip() if "face_id" in columns else "0",
        time_s=value("timestamp", 0.0),
        points=np.array([number(place) for place in wanted]).reshape(-1, POINTS_68).T,
        success=value("success", 1.0) > 0,
    )


def main_face(path: Path, rows: Sequence[Row]) -> str:
    """The face in most frames, of several in equally many the largest; the others are told in a warning."""
    seen = Counter(row.face for row in rows if row.seen)
    faces = sorted({row.face for row in rows})
    if len(faces) == 1 or not seen:
        return faces[0]
    size = {face: np.mean([row.size for row in rows if row.face == face and row.seen]) for face in seen}
    best = max(seen, key=lambda face: (seen[face], size[face]))
    others = ", ".join(face for face in faces if face != best)
    logger.warning(
        "%s shows %d faces: face %s is taken, seen in %d frames; left out: %s",
        path,
        len(faces),
        best,
        seen[best],
        others,
    )
    return best


def timeline(path: Path, rows: Sequence[Row]) -> dict[int, float]:
    """Frame -> timestamp in ascending order, whichever face a row shows.

    Raises:
        SourceError: two times for a frame, times that run backwards, or frame numbers that leap.
    """
    frames: dict[int, tuple[float, int]] = {}
    for row in rows:
        known = frames.setdefault(row.frame, (row.time_s, row.line))
        if abs(known[0] - row.time_s) > 1e-6:
            raise SourceError(
                f"{path}, line {row.line}: frame {row.frame} has another timestamp than in line {known[1]}"
            )
    ordered = sorted(frames.items())
    for (before, (start_s, _)), (after, (end_s, line)) in pairwise(ordered):
        if end_s < start_s:
            raise SourceError(f"{path}, line {line}: the timestamps run backwards from frame {before} to {after}")
        if after - before > LONGEST_GAP:
            raise SourceError(f"{path}, line {line}: the frame number leaps from {before} to {after}")
    return {frame: time_s for frame, (time_s, _) in ordered}


def depth_in_pixels(pixels: NDArray[np.float64], millimetres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(68,) z on the scale of x, with mean 0; the scale is the least-squares one between the two views of the face."""
    flat = millimetres[:, :2] - millimetres[:, :2].mean(axis=0)
    spread = np.square(flat).sum()
    scale = (flat * (pixels - pixels.mean(axis=0))).sum() / spread if spread > 0 else 0.0
    return (millimetres[:, 2] - millimetres[:, 2].mean()) * scale


def write_csv_track(track: LandmarkTrack, path: Path) -> None:
    """Write the 68 points of every frame; a frame without a face has success 0 and zeros.

    Millimetres are those of a face of average size before a camera of average focal length, because MediaPipe knows
    neither: a face of ``OUTER_EYE_CORNERS_MM`` in every frame.
    """
    needed = landmarks_68()
    missing = () if track.known is None else np.setdiff1d(needed, track.known)
    if len(missing):
        raise StgtError(
            f"{track.source} does not know all of the 68 points that the CSV has ({len(missing)} are missing)"
        )
    header = [*HEAD, *PIXELS, *(MILLIMETRES if track.has_depth else ())]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for index, (time_s, valid, face) in enumerate(zip(track.times, track.valid, track.points, strict=True)):
            points = face[needed].astype(np.float64)
            cells = points[:, :2].T.ravel()
            if track.has_depth:
                millimetres = in_millimetres(points, track.image_size) if valid else points
                cells = np.concatenate([cells, millimetres.T.ravel()])
            success = int(valid)
            writer.writerow(
                [index + 1, 0, f"{time_s:.6f}", f"{success:.2f}", success, *(f"{cell:.4f}" for cell in cells)]
            )


def in_millimetres(points: NDArray[np.float64], image_size: tuple[int, int]) -> NDArray[np.float64]:
    """(68, 3) pixels -> millimetres from the camera (x right, y down, z away)."""
    width, height = image_size
    right, left = points[list(OUTER_EYE_POINTS)]
    millimetres_per_pixel = OUTER_EYE_CORNERS_MM / max(float(np.linalg.norm(left - right)), 1e-6)
    focal = (FOCAL_WIDTHS * width + FOCAL_HEIGHTS * height) / 2
    return (points - (width / 2, height / 2, 0)) * millimetres_per_pixel + (0, 0, focal * millimetres_per_pixel)
