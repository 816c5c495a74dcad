"""What all work by several processes shares."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Ctrl-C is ignored within, and from their first moment on by processes that are started within.

    It reaches all processes of a terminal; the one that started the others ends them, and they print no traceback of
    their imports.
    """
    if threading.current_thread() is not threading.main_thread():  # no other may set what a signal does
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
