"""Which processor cores a session's two busy threads run on, where there are only two.

MediaPipe passes every frame back and forth between threads of its own, which never work at the same time. While the
other core runs the model, the scheduler spreads them over both, and every hand-over waits for a core that is not free:
landmarks then take an eighth longer. Kept together on one core, with the model on the other, they take as long as
alone. With more cores one is always free, and nothing is done; nor where several sessions, or a session and a browser,
share the two: a core that is left over would stand idle while others have too much to do.
"""

import contextlib
import os
from collections.abc import Iterator

Cores = frozenset[int]

#: A thread that may run on any core.
ANY = None


def shared_out() -> tuple[Cores | None, Cores | None]:
    """Cores for the landmarks and for the model; None: any."""
    if not hasattr(os, "sched_setaffinity"):  # only Linux lets a thread choose
        return None, None
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) != 2:
        return None, None
    return frozenset(allowed[:1]), frozenset(allowed[1:])


def keep_to(cores: Cores | None) -> None:
    """Keep this thread, and the threads that it will start, to some cores."""
    if cores is not None:
        with contextlib.suppress(OSError):  # these cores were taken from us meanwhile
            os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def kept_to(cores: Cores | None) -> Iterator[None]:
    """Keep this thread to some cores for a while; threads that it starts meanwhile stay there."""
    before = frozenset(os.sched_getaffinity(0)) if cores is not None else None
    keep_to(cores)
    try:
        yield
    finally:
        keep_to(before)
