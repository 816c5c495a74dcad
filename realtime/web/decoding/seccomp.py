"""A filter of system calls (seccomp), for Linux."""

import ctypes
import platform
import struct
import sys
from collections.abc import Callable

from .system_calls import NEWER, refused_numbers

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # refused with EPERM

# Instructions of the classic Berkeley packet filter: load a word, jump if equal, jump if at least, return.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_X32 = 0x40000000  # on x86-64: the same calls under other numbers

#: AUDIT_ARCH_… of linux/audit.h.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def forbid_system_calls(prctl: Callable[..., int]) -> bool:
    """Refuse from now on, in this process, what a decoder never needs; whether this system can.

    ``prctl`` must have given up new privileges before.
    """
    processor = platform.machine()
    numbers = refused_numbers(processor)
    if numbers is None or sys.maxsize < 2**32:
        return False
    program = _instructions(_ARCHITECTURES[processor], numbers)
    code = ctypes.create_string_buffer(program, len(program))
    described = _Program(len(program) // 8, ctypes.addressof(code))
    return prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(described), 0, 0) == 0


def _instructions(architecture: int, numbers: list[int]) -> bytes:
    """The program; a jump reaches 255 steps, so there may be no more numbers than that."""

    def step(code: int, operand: int, if_so: int = 0, if_not: int = 0) -> bytes:
        return struct.pack("<HBBI", code, if_so, if_not, operand)

    # Of the comparisons, the first that holds jumps over all that follow, and over the permission.
    count = len(numbers)
    steps = [
        step(_LOAD, _ARCHITECTURE),
        step(_EQUAL, architecture, if_so=1),
        step(_RETURN, _KILL),
        step(_LOAD, _NUMBER),
        step(_AT_LEAST, _X32, if_not=1),
        step(_RETURN, _KILL),
        step(_AT_LEAST, NEWER, if_so=count + 1),
        *(step(_EQUAL, number, if_so=count - index) for index, number in enumerate(numbers)),
        step(_RETURN, _ALLOW),
        step(_RETURN, _REFUSE),
    ]
    return b"".join(steps)
