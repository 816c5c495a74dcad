"""A filter of system calls (seccomp), for Linux on the two processors that servers have."""

import ctypes
import platform
import struct
import sys
from collections.abc import Callable

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # refused with EPERM

# Instructions of the classic Berkeley packet filter: load a word, jump if equal, jump if at least, return.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_X32 = 0x40000000  # on x86-64: the same calls under other numbers

#: Numbers of what is refused: opening, linking and removing files, sockets, new programs, processes and namespaces,
#: looking into other processes, loading code into the kernel.
_REFUSED = {
    "x86_64": (
        0xC000003E,
        *(2, 85, 257, 437, 304, 82, 83, 84, 86, 87, 88, 90, 91, 92, 93, 94, 133, 258, 259, 260, 263, 264, 265, 266),
        *(
            268,
            316,
            41,
            42,
            43,
            44,
            46,
            49,
            50,
            53,
            288,
            59,
            322,
            56,
            57,
            58,
            435,
            62,
            200,
            234,
            101,
            310,
            311,
            272,
            308,
        ),
        *(155, 161, 165, 166, 175, 313, 246, 321, 298, 323, 425, 426, 427, 248, 249, 250, 29, 31, 68, 71, 240),
    ),
    "aarch64": (
        0xC00000B7,
        *(
            56,
            437,
            265,
            33,
            34,
            35,
            36,
            37,
            38,
            52,
            53,
            54,
            55,
            276,
            198,
            199,
            200,
            201,
            202,
            203,
            206,
            211,
            242,
            221,
            281,
        ),
        *(220, 435, 129, 130, 131, 117, 270, 271, 97, 268, 41, 51, 40, 39, 105, 273, 104, 280, 241, 282, 425, 426, 427),
        *(217, 218, 219, 194, 196, 186, 189, 180),
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def forbid_system_calls(prctl: Callable[..., int]) -> bool:
    """Refuse from now on, in this process, what a decoder never needs; whether this system can.

    ``prctl`` must have given up new privileges before.
    """
    refused = _REFUSED.get(platform.machine())
    if refused is None or sys.maxsize < 2**32:
        return False
    architecture, *numbers = refused
    program = _instructions(architecture, sorted(set(numbers)))
    code = ctypes.create_string_buffer(program, len(program))
    described = _Program(len(program) // 8, ctypes.addressof(code))
    return prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(described), 0, 0) == 0


def _instructions(architecture: int, numbers: list[int]) -> bytes:
    def step(code: int, operand: int, if_so: int = 0, if_not: int = 0) -> bytes:
        return struct.pack("<HBBI", code, if_so, if_not, operand)

    steps = [
        step(_LOAD, _ARCHITECTURE),
        step(_EQUAL, architecture, if_so=1),
        step(_RETURN, _KILL),
        step(_LOAD, _NUMBER),
        step(_AT_LEAST, _X32, if_not=1),
        step(_RETURN, _KILL),
    ]
    # Of those that are refused, the first that matches jumps over all that follow, and over the permission.
    count = len(numbers)
    steps += [step(_EQUAL, number, if_so=count - index) for index, number in enumerate(numbers)]
    return b"".join([*steps, step(_RETURN, _ALLOW), step(_RETURN, _REFUSE)])
