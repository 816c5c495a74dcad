"""``stgt live``: watch a camera, a stream or a file through a sliding window."""

import contextlib
import sys
from typing import TYPE_CHECKING

from stgt.command import run
from stgt.errors import StgtError

from .interruption import finished_on_signals
from .options import LiveOptions, parse

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader

    from .program import Program
    from .recording.recordings import Recordings
    from .session import LiveSession

#: Options that shape predictions: a recording keeps them.
_KEPT = ("engine", "faces", "every", "stride", "smoothing", "hysteresis")


def main(arguments: list[str]) -> int | None:
    """Run the command; the exit code."""
    options = parse(arguments)
    if options.list_cameras:
        from .sources.cameras import describe_cameras, list_cameras

        print(describe_cameras(list_cameras()))
        return 0
    if options.replay is not None:
        return replay_recording(options)
    return watch(options)


def watch(options: LiveOptions) -> int:
    """Run a session until it ends."""
    if options.record is not None:
        from .recording.description import check_target

        check_target(options.record)  # said at once, before anything is loaded
    reader_left: BrokenPipeError | None = None
    with finished_on_signals("stgt live"), contextlib.ExitStack() as stack:
        try:
            program = open_program(options, stack)
        except KeyboardInterrupt:  # nothing was begun yet
            return 130
        try:
            program.run()
        except BrokenPipeError as error:  # raised again when the recording is finished
            reader_left = error
    if reader_left is not None:
        raise reader_left
    return 0


def open_program(options: LiveOptions, stack: contextlib.ExitStack) -> "Program":
    """Open the source, the model and the outputs; ``stack`` closes them."""
    from .recording.description import RecordingInfo
    from .recording.recordings import Recordings
    from .session import LiveSession
    from .sources.capture import is_live, open_live_source
    from .sources.pipe import PipeSource

    headless = options.headless or no_display()
    source = stack.enter_context(open_live_source(options.source, options.frame_rate, options.size))
    reader = open_reader(options)
    looked_at = not headless or options.record is not None
    session = LiveSession(
        reader,
        source,
        faces=options.faces,
        every_s=options.every,
        every_frames=options.stride,
        smoothing_s=options.smoothing,
        hysteresis=options.hysteresis,
        in_real_time=options.realtime and not is_live(source),
        # Whoever writes into a pipe waits, if asked to; a camera does not.
        newest_only=False if isinstance(source, PipeSource) and not options.realtime else None,
        attention=looked_at,
    )
    stack.enter_context(session)
    settings = {name: getattr(options, name) for name in _KEPT} | {"attention": looked_at}
    info = RecordingInfo.of(reader, source, options.checkpoint or "pretrained", settings)
    recordings = stack.enter_context(Recordings(info, options.record, options.video))
    if options.record is not None:
        try:
            recordings.start()
        except OSError as error:
            raise StgtError(f"--record {options.record}: {error.strerror}; choose another place") from None
    return add_outputs(options, headless, session, recordings, stack)


def add_outputs(
    options: LiveOptions,
    headless: bool,
    session: "LiveSession",
    recordings: "Recordings",
    stack: contextlib.ExitStack,
) -> "Program":
    """What is painted and where it is shown."""
    from .program import Program

    overlay = screen = None
    if not headless or options.record is not None:
        from .painting.overlay import Overlay

        overlay = Overlay(
            session.reader.labels,
            session.source.image_size,
            session.reader.layout,
            faces=options.faces,
            mesh=options.mesh,
            timelines=options.timelines,
        )
    if not headless:
        from .painting.screen import Screen

        screen = stack.enter_context(Screen("stgt live", overlay.image_size))
    return Program(session, overlay, screen, recordings, options.json)


def open_reader(options: LiveOptions) -> "ExpressionReader":
    """The model that was asked for."""
    from stgt.inference import ExpressionReader

    return ExpressionReader(
        options.checkpoint or "pretrained", options.device, options.min_confidence, engine=options.engine
    )


def no_display() -> bool:
    """Whether no window can be opened; it is said then, and the session goes on without one."""
    from .painting.screen import display_problem

    problem = display_problem()
    if problem is not None:
        print(f"stgt live: {problem}, so there is no window (as with --headless)", file=sys.stderr)
    return problem is not None


def replay_recording(options: LiveOptions) -> int:
    """Make the predictions of a recording again and say whether they agree; 0 if all do."""
    from dataclasses import replace

    from .recording.description import weights_digest
    from .recording.replay import read_recording, replay

    description = read_recording(options.replay)
    checkpoint = options.checkpoint or description["checkpoint"] or "pretrained"
    reader = open_reader(
        replace(options, checkpoint=checkpoint, min_confidence=description["settings"]["min_confidence"])
    )
    result = replay(options.replay, reader, weights_digest(checkpoint))
    print(f"{options.replay}: {result}")
    return 0 if result.agreeing == result.predictions else 1


if __name__ == "__main__":
    run(main)
