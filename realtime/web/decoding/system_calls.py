"""The system calls that the decoding process is refused, with their numbers: what no decoder ever needs.

Numbers are those of Linux on the two processors that servers have: ``arch/x86/entry/syscalls/syscall_64.tbl`` and, for
AArch64, ``include/uapi/asm-generic/unistd.h``; a test compares them with the headers of the machine that it runs on.

What stays allowed: memory, reading and writing what is open already, clocks, and asking for a file's status by its
name (the C library asks for that of open files by the same call).
"""

#: Why -> name -> number on x86-64 and on AArch64; None: the processor has no such call.
REFUSED: dict[str, dict[str, tuple[int, int | None]]] = {
    "opening files, also without a name": {
        "open": (2, None),
        "creat": (85, None),
        "openat": (257, 56),
        "openat2": (437, 437),
        "open_by_handle_at": (304, 265),
        "name_to_handle_at": (303, 264),
        "memfd_create": (319, 279),
        "memfd_secret": (447, 447),
    },
    "making, renaming, linking and removing files": {
        "mkdir": (83, None),
        "mkdirat": (258, 34),
        "mknod": (133, None),
        "mknodat": (259, 33),
        "rename": (82, None),
        "renameat": (264, 38),
        "renameat2": (316, 276),
        "link": (86, None),
        "linkat": (265, 37),
        "symlink": (88, None),
        "symlinkat": (266, 36),
        "unlink": (87, None),
        "unlinkat": (263, 35),
        "rmdir": (84, None),
    },
    "changing files and what is known of them; the upload, too": {
        "truncate": (76, 45),
        "ftruncate": (77, 46),
        "fallocate": (285, 47),
        "chmod": (90, None),
        "fchmod": (91, 52),
        "fchmodat": (268, 53),
        "chown": (92, None),
        "fchown": (93, 55),
        "lchown": (94, None),
        "fchownat": (260, 54),
        "utime": (132, None),
        "utimes": (235, None),
        "futimesat": (261, None),
        "utimensat": (280, 88),
        "setxattr": (188, 5),
        "lsetxattr": (189, 6),
        "fsetxattr": (190, 7),
        "removexattr": (197, 14),
        "lremovexattr": (198, 15),
        "fremovexattr": (199, 16),
    },
    "sockets": {
        "socket": (41, 198),
        "socketpair": (53, 199),
        "connect": (42, 203),
        "bind": (49, 200),
        "listen": (50, 201),
        "accept": (43, 202),
        "accept4": (288, 242),
        "sendto": (44, 206),
        "sendmsg": (46, 211),
        "sendmmsg": (307, 269),
    },
    "shared memory and messages between processes": {
        "shmget": (29, 194),
        "shmat": (30, 196),
        "shmctl": (31, 195),
        "semget": (64, 190),
        "semop": (65, 193),
        "semtimedop": (220, 192),
        "semctl": (66, 191),
        "msgget": (68, 186),
        "msgsnd": (69, 189),
        "msgrcv": (70, 188),
        "msgctl": (71, 187),
        "mq_open": (240, 180),
        "mq_unlink": (241, 181),
    },
    "new programs, processes and threads": {
        "execve": (59, 221),
        "execveat": (322, 281),
        "fork": (57, None),
        "vfork": (58, None),
        "clone": (56, 220),
        "clone3": (435, 435),
    },
    "signals": {
        "kill": (62, 129),
        "tkill": (200, 130),
        "tgkill": (234, 131),
        "rt_sigqueueinfo": (129, 138),
        "rt_tgsigqueueinfo": (297, 240),
        "pidfd_send_signal": (424, 424),
    },
    "looking into other processes, and meddling with them": {
        "ptrace": (101, 117),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "process_madvise": (440, 440),
        "process_mrelease": (448, 448),
        "kcmp": (312, 272),
        "pidfd_open": (434, 434),
        "pidfd_getfd": (438, 438),
        "prlimit64": (302, 261),
        "setpriority": (141, 140),
        "sched_setaffinity": (203, 122),
        "sched_setscheduler": (144, 119),
        "sched_setparam": (142, 118),
        "sched_setattr": (314, 274),
        "ioprio_set": (251, 30),
        "migrate_pages": (256, 238),
        "move_pages": (279, 239),
    },
    "namespaces, roots and mounts": {
        "unshare": (272, 97),
        "setns": (308, 268),
        "chroot": (161, 51),
        "pivot_root": (155, 41),
        "mount": (165, 40),
        "umount2": (166, 39),
        "open_tree": (428, 428),
        "move_mount": (429, 429),
        "fsopen": (430, 430),
        "fsconfig": (431, 431),
        "fsmount": (432, 432),
        "fspick": (433, 433),
        "mount_setattr": (442, 442),
        "swapon": (167, 224),
        "swapoff": (168, 225),
    },
    "loading code into the kernel, or another kernel": {
        "init_module": (175, 105),
        "finit_module": (313, 273),
        "delete_module": (176, 106),
        "kexec_load": (246, 104),
        "kexec_file_load": (320, 294),
        "reboot": (169, 142),
        "bpf": (321, 280),
    },
    "parts of the kernel that are large, or were often broken": {
        "io_uring_setup": (425, 425),
        "io_uring_enter": (426, 426),
        "io_uring_register": (427, 427),
        "userfaultfd": (323, 282),
        "perf_event_open": (298, 241),
        "add_key": (248, 217),
        "request_key": (249, 218),
        "keyctl": (250, 219),
        "modify_ldt": (154, None),
        "fanotify_init": (300, 262),
        "inotify_init": (253, None),
        "inotify_init1": (294, 26),
        "quotactl": (179, 60),
        "acct": (163, 89),
        "syslog": (103, 116),
    },
}

#: The first number that is newer than this table; from 424 on, numbers are the same on all processors. What such calls
#: may do is not known here, so all of them are refused.
NEWER = 452

_PROCESSORS = ("x86_64", "aarch64")


def refused_numbers(processor: str) -> list[int] | None:
    """Numbers of the refused calls on a processor (as `platform.machine` names it); None: it is not known here."""
    if processor not in _PROCESSORS:
        return None
    column = _PROCESSORS.index(processor)
    numbers = (both[column] for calls in REFUSED.values() for both in calls.values())
    return sorted(number for number in numbers if number is not None)
