"""Numbers of system calls, against the kernel's own headers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from stgt.realtime.web.decoding.system_calls import NEWER, REFUSED, refused_numbers

HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
CALLS = {name: numbers for calls in REFUSED.values() for name, numbers in calls.items()}


@pytest.mark.parametrize(("column", "processor"), enumerate(HEADERS))
def test_numbers_are_those_of_the_kernel(column, processor):
    header = next((Path(path) for path in HEADERS[processor] if Path(path).is_file()), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", header.read_text())
    kernel = {name: int(number) for name, number in defined}
    # Headers may be older than the table.
    known = {name: numbers[column] for name, numbers in CALLS.items() if name in kernel}
    assert known == {name: kernel[name] for name in known}
    assert len(known) > 80
    unknown = {name for name, numbers in CALLS.items() if name not in kernel and numbers[column] is not None}
    assert all(CALLS[name][column] > max(kernel.values()) for name in unknown)


def test_what_must_be_refused_is_in_the_table():
    dangerous = [
        "openat",
        "openat2",
        "memfd_create",
        "truncate",
        "unlinkat",
        "socket",
        "connect",
        "execve",
        "clone3",
        "kill",
        "prlimit64",
        "ptrace",
        "process_vm_writev",
        "pidfd_getfd",
        "unshare",
        "setns",
        "mount",
        "bpf",
        "kexec_load",
        "kexec_file_load",
        "init_module",
        "io_uring_setup",
        "userfaultfd",
        "perf_event_open",
        "keyctl",
    ]
    assert set(dangerous) <= set(CALLS)
    assert sum(len(calls) for calls in REFUSED.values()) == len(CALLS), "a call stands in two places"
    for processor in HEADERS:
        numbers = refused_numbers(processor)
        assert len(numbers) == len(set(numbers))
        assert max(numbers) < NEWER
    assert refused_numbers("z80") is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems offer less")
def test_what_needs_no_new_descriptor_is_refused_too(tmp_path):
    """The limit on open files would not stop these."""
    file = tmp_path / "kept.txt"
    file.write_text("kept")
    tries = f"""
import ctypes, os, resource
from stgt.realtime.web.decoding.confinement import confine
confine(2**31, 10)
call = ctypes.CDLL(None, use_errno=True).syscall
def refused(attempt):
    try:
        attempt()
    except PermissionError:
        return True
def newer():
    if call({NEWER}, 0) < 0:
        raise OSError(ctypes.get_errno(), '')
print(*(refused(attempt) for attempt in (
    lambda: os.truncate({str(file)!r}, 0), lambda: os.utime({str(file)!r}), lambda: os.chmod({str(file)!r}, 0),
    lambda: os.kill(os.getppid(), 0), lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
    lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU), newer,
)))
"""
    run = subprocess.run([sys.executable, "-I", "-c", tries], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True"] * 7
    assert file.read_text() == "kept"
