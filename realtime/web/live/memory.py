"""Memory that stays where it is, however many sessions come and go.

The C library (glibc) gives up to eight heaps per core to the threads of a process, and keeps in each of them what was
freed there. Every session has threads of its own, and frees a megabyte for each frame: after some hundred sessions the
process would be larger by a hundred megabytes that nobody uses. With two heaps, and what is free in them given back at
the end of a session, it is not, and no slower.
"""

import contextlib
import ctypes
import functools
import os

_HEAPS = 2
_M_ARENA_MAX = -8  # of malloc.h


def keep_heaps_few() -> None:
    """Let threads share heaps, from now on; what exists already stays."""
    library = _c_library()
    if library is not None:
        library.mallopt(_M_ARENA_MAX, _HEAPS)


def give_back_memory() -> None:
    """Give what is free back to the machine; takes a few milliseconds."""
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


@functools.cache
def _c_library() -> ctypes.CDLL | None:
    """The C library, if it is one that can do this."""
    if os.name == "posix":
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(None)
            if library.mallopt and library.malloc_trim:
                return library
    return None
