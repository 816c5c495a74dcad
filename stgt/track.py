"""``stgt track``: follow the face in one video; landmarks on disk, and drawn on the frames.

A track that is there already, made by this or another program, is written in another form instead.
"""

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.command import argument_parser, run
from stgt.errors import StgtError

if TYPE_CHECKING:
    import numpy as np

    from stgt.faces.landmarker import FaceLandmarker, Landmarks
    from stgt.faces.tracks import LandmarkTrack
    from stgt.faces.video import FrameSource

DESCRIPTION = (
    "Follow the face in a video, a folder of images or a camera with MediaPipe: 478 landmarks, 52 blendshapes and the "
    "head's transform per frame. Frames without a face are kept and marked. A track (.safetensors, .csv, .npz) in "
    "place of the video is written in another form."
)

#: What --to offers -> the ending of the default name.
FORMS = {"safetensors": ".track.safetensors", "csv": ".csv", "npz": ".npz"}


def main(arguments: list[str]) -> int | None:
    """Parse, track under a progress bar, print a summary."""
    parser = argument_parser("track", DESCRIPTION)
    parser.add_argument(
        *("source",),
        type=str,
        help="A video, a folder of images, a camera's number (Ctrl-C ends it), or a track in another form.",
    )
    parser.add_argument(
        *("-o", "--output"),
        type=str,
        default=None,
        help="Track to write: .safetensors, .csv or .npz (default: NAME.track.safetensors, or as --to says).",
    )
    parser.add_argument(
        "--to",
        type=str,
        default=None,
        help="safetensors; csv: 68 points in OpenFace's columns; npz: all landmarks as arrays, in the manner of pyskl.",
    )
    parser.add_argument("--preview", type=str, default=None, help="MP4 to write, with the mesh drawn on the frames.")
    parser.add_argument(
        *("--frame-rate", "--frame_rate"),
        type=float,
        default=None,
        help="Hz, of an image folder (default: 25) or of a track without times.",
    )
    parser.add_argument("--start", type=float, default=None, help="First time to read, in seconds.")
    parser.add_argument("--end", type=float, default=None, help="Last time to read, in seconds.")
    parser.add_argument("--model", type=str, default=None, help="face_landmarker.task, if it is not found by itself.")
    options = parser.parse_args(arguments)

    output = Path(options.output or default_name(options.source, options.to))
    check_form(output, options.to)
    preview = Path(options.preview) if options.preview else None
    for path in (output, preview):
        if path is not None:
            check_writable(path)

    if is_track(options.source):
        if preview is not None:
            raise StgtError("a track has no pictures to draw on; --preview needs the video")
        if output.resolve() == Path(options.source).resolve():
            raise StgtError(f"{output} is the track itself; give another name with -o, or another form with --to")
        track = read_track(options.source, options.frame_rate, options.start, options.end)
        write_track(track, output)
        print(described(track))
        print(f"track    {output}")
        return 0

    from stgt.faces.landmarker import FaceLandmarker
    from stgt.faces.video import open_source

    with (
        open_source(options.source, options.frame_rate, options.start, options.end) as source,
        FaceLandmarker(options.model) as landmarker,
    ):
        started = time.perf_counter()
        track = follow(source, landmarker, output, preview)
        seconds = time.perf_counter() - started
    print(summary(track, seconds))
    print(f"track    {output}")
    if preview is not None:
        print(f"preview  {preview}")
    return 0


def default_name(source: str, form: str | None) -> str:
    """The name of the track of ``source``, in the current folder."""
    stem = Path(source).resolve().stem.removesuffix(".track")
    return stem + FORMS.get(form or "safetensors", "")


def check_form(output: Path, form: str | None) -> None:
    """Raise StgtError when the ending of ``output`` is no form of tracks, or another one than ``form``."""
    if form is not None and form not in FORMS:
        raise StgtError(f"--to is {form!r}; it is one of {', '.join(FORMS)}")
    ending = output.suffix.lower().removeprefix(".")
    if ending not in FORMS and not output.is_dir():
        raise StgtError(f"{output}: a track is written as .safetensors, .csv or .npz")
    if form is not None and ending != form:
        raise StgtError(f"{output} ends in .{ending}, but --to says {form}; give one of the two")


def is_track(source: str) -> bool:
    """Whether ``source`` names a file of tracks, not pixels."""
    from stgt.data.interchange import TRACK_SUFFIXES

    return Path(source).suffix.lower() in TRACK_SUFFIXES and not Path(source).is_dir()


def read_track(source: str, frame_rate: float | None, start_s: float | None, end_s: float | None) -> "LandmarkTrack":
    """The part of a file of tracks that was asked for.

    Raises:
        StgtError: it cannot be read, or there is no frame in that part.
    """
    from stgt.data.interchange import read_tracks

    track = read_tracks(source, frame_rate).slice(start_s, end_s)
    if not len(track):
        raise StgtError(f"{source}: no frame lies in the part that was asked for")
    return track


def write_track(track: "LandmarkTrack", output: Path) -> None:
    """Write a track in the form that the ending says."""
    from stgt.data.interchange import write_tracks

    write_tracks(track, output)


def check_writable(path: Path) -> None:
    """Make the folder of ``path``, so that a long run does not end at a name that cannot be written.

    Raises:
        StgtError: it cannot.
    """
    if path.is_dir():
        raise StgtError(f"{path} is a folder; give the name of a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StgtError(f"{path} cannot be written: {error.strerror}") from None
    if not os.access(path.parent, os.W_OK):
        raise StgtError(f"{path} cannot be written: no permission in that folder")


def follow(source: "FrameSource", landmarker: "FaceLandmarker", output: Path, preview: Path | None) -> "LandmarkTrack":
    """Track a source under a progress bar into ``output``; frames with the mesh go to ``preview`` as they come."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    from stgt.faces.drawing import VideoWriter
    from stgt.faces.extract import build_track, follow_face
    from stgt.faces.video import Camera

    times: list[float] = []
    faces: list[Landmarks | None] = []
    with contextlib.ExitStack() as stack:
        writer = None
        if preview is not None:
            writer = stack.enter_context(VideoWriter(preview, source.frame_rate, source.image_size))
        bar = stack.enter_context(tqdm(total=source.frame_count, desc="track", unit="frame", dynamic_ncols=True))
        stack.enter_context(logging_redirect_tqdm([logging.getLogger("stgt")]))  # warnings above the bar, not in it
        try:
            for now_s, rgb, face in follow_face(source, landmarker):
                times.append(now_s)
                faces.append(face)
                if writer is not None:
                    writer.write(preview_frame(rgb, face), now_s - times[0])
                bar.update()
        except KeyboardInterrupt:
            # A camera has no end of its own: there Ctrl-C ends the recording. Everywhere else it gives up.
            if not isinstance(source, Camera):
                raise
        # Saved before the preview is finished: if that fails, on a full disk for example, the track is there.
        track = build_track(times, faces, source.image_size, source.name)
        write_track(track, output)
    return track


def preview_frame(rgb: "np.ndarray", face: "Landmarks | None") -> "np.ndarray":
    """The frame with the mesh on it; without a face it is darkened and says so."""
    import cv2

    from stgt.faces.drawing import draw_mesh

    if face is not None:
        return draw_mesh(rgb, face.points)
    picture = rgb // 2
    height = picture.shape[0]
    place = (round(0.03 * height), round(0.95 * height))
    cv2.putText(picture, "no face", place, cv2.FONT_HERSHEY_SIMPLEX, height / 600, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def summary(track: "LandmarkTrack", seconds: float) -> str:
    """What was tracked, how much of it has a face, and how fast it went."""
    width, height = track.image_size
    return (
        f"{track.source}: {len(track)} frames of {width}x{height} in {track.duration_s:.2f} s "
        f"({track.frame_rate:.2f} Hz); a face in {track.valid_share:.1%} of them; "
        f"tracked at {len(track) / seconds:.0f} frames/s"
    )


def described(track: "LandmarkTrack") -> str:
    """What a track holds that was not made here."""
    landmarks = "all" if track.known is None else len(track.known)
    lacks = [name for name, there in (("depth", track.has_depth), ("blendshapes", track.has_blendshapes)) if not there]
    return (
        f"{track.source}: {len(track)} frames in {track.duration_s:.2f} s ({track.frame_rate:.2f} Hz); a face in "
        f"{track.valid_share:.1%} of them; {landmarks} landmarks" + (f", no {' and no '.join(lacks)}" if lacks else "")
    )


if __name__ == "__main__":
    run(main)
