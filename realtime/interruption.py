"""Ctrl-C and SIGTERM end a session, but never a recording that is being finished."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def finished_on_signals(program: str) -> Iterator[Callable[[], bool]]:
    """Let SIGINT (Ctrl-C) and SIGTERM (a service manager, ``timeout``) raise ``KeyboardInterrupt`` once in the block.

    Those that come later are not obeyed, because something is being finished then, except that a third Ctrl-C raises
    again: it is for those who will not wait. The block must end what it does when it is interrupted.

    Args:
        program: who says that something is being finished.

    Yields:
        Whether a signal has come: where libraries are loaded, some swallow the ``KeyboardInterrupt``.
    """
    if threading.current_thread() is not threading.main_thread():  # only it receives signals
        yield lambda: False
        return
    came = 0

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001 - the signature of a handler
        nonlocal came
        came += 1
        if came == 1 or (came > 2 and number == signal.SIGINT):
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            print(f"{program}: finishing; Ctrl-C once more gives up what is not finished", file=sys.stderr)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came > 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
