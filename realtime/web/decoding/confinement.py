"""What the decoding process gives up before it looks at the file; nothing gives it back."""

import contextlib
import ctypes
import resource
import signal
import sys

from .seccomp import forbid_system_calls

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVILEGES = 4, 38


def confine(memory_bytes: int, cpu_s: int) -> None:
    """Give up memory and processor time beyond a limit, and all ways to files, processes and the network.

    Everything that is to be imported must be. What this system does not offer is left out.

    Args:
        memory_bytes: address space.
        cpu_s: processor time, seconds.
    """
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_AS", memory_bytes)
    _limit("RLIMIT_CPU", cpu_s)
    _limit("RLIMIT_FSIZE", 0)  # of regular files; pipes are none
    _limit("RLIMIT_NPROC", 0)  # root is not held by it
    # Descriptors 0 to 2 are taken: no file, socket or pipe can be opened any more.
    _limit("RLIMIT_NOFILE", 3)
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        forbid_system_calls(prctl)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process


def _limit(name: str, value: int) -> None:
    kind = getattr(resource, name, None)
    if kind is None:
        return
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(kind)[1]
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (lowest, lowest))
