"""Refuses something to itself, and becomes another program in the same process: WHAT PROGRAM ARGUMENT…"""

import ctypes
import os
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
ALLOW, EAFNOSUPPORT, EADDRINUSE = 0x7FFF0000, 0x00050000 | 97, 0x00050000 | 98
CLONE_NEWNS, MS_REC_PRIVATE = 0x20000, 0x44000


def system(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


LOAD, EQUAL, GIVE = 0x20, 0x15, 0x06


def numbers(**of):
    """The architecture, and the number that it has for a system call."""
    return {"x86_64": (0xC000003E, of["x86_64"]), "aarch64": (0xC00000B7, of["aarch64"])}[os.uname().machine]


def install(filters):
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in filters))
    program = struct.pack("HP", len(filters), ctypes.addressof(code))
    system(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    system(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0))


def netlink():
    """Refuses netlink, as RestrictAddressFamilies= without AF_NETLINK does."""
    arch, number = numbers(x86_64=41, aarch64=198)
    install([
        (LOAD, 0, 0, 4),
        (EQUAL, 0, 4, arch),
        (LOAD, 0, 0, 0),
        (EQUAL, 0, 2, number),
        (LOAD, 0, 0, 16),
        (EQUAL, 1, 0, socket.AF_NETLINK),
        (GIVE, 0, 0, ALLOW),
        (GIVE, 0, 0, EAFNOSUPPORT),
    ])
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
    except OSError:
        return
    sys.exit("netlink is not refused")


def listen():
    """Lets listen(2) say EADDRINUSE, whatever the bind before it said."""
    arch, number = numbers(x86_64=50, aarch64=201)
    install([
        (LOAD, 0, 0, 4),
        (EQUAL, 0, 2, arch),
        (LOAD, 0, 0, 0),
        (EQUAL, 1, 0, number),
        (GIVE, 0, 0, ALLOW),
        (GIVE, 0, 0, EADDRINUSE),
    ])


def tables():
    """Hides the socket tables of /proc, in a mount namespace of its own."""
    system(libc.unshare(CLONE_NEWNS))
    system(libc.mount(None, b"/", None, MS_REC_PRIVATE, None))
    pid = os.getpid()
    for folder in (f"/proc/{pid}/task/{pid}/net", f"/proc/{pid}/net"):
        system(libc.mount(b"none", folder.encode(), b"tmpfs", 0, None))
        if os.listdir(folder):
            sys.exit(f"{folder} is not empty")


what, *argv = sys.argv[1:]
for one in what.split("+"):
    {"listen": listen, "netlink": netlink, "tables": tables}[one]()
os.execv(argv[0], argv)
