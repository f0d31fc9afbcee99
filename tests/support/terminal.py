"""Runs a program on terminals of its own, and says what was written to each.

terminal.py stdout,stderr COLUMNS TEXT PROGRAM ARGUMENTS…: what is not named is a pipe. 0 columns: the terminal does not
tell its width. The terminal of standard error is the controlling one, and somebody types Ctrl-C there when it shows TEXT,
once (an empty TEXT: never).
"""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
import tty


def terminal():
    ours, theirs = pty.openpty()
    # Raw mode: what arrives is what was written, without a carriage return before each newline.
    tty.setraw(theirs)
    # But for Ctrl-C, which is a signal.
    mode = termios.tcgetattr(theirs)
    mode[3] |= termios.ISIG
    termios.tcsetattr(theirs, termios.TCSANOW, mode)
    if columns:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return ours, theirs


def read(fd):
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""  # EIO: nobody has the other side open any more.


def take_control():
    os.setsid()
    if os.isatty(2):
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)


streams, columns, awaited, *argv = sys.argv[1:]
columns = int(columns)
pairs = [terminal() if name in streams.split(",") else os.pipe() for name in ("stdout", "stderr")]
child = subprocess.Popen(
    argv, stdin=subprocess.DEVNULL, stdout=pairs[0][1], stderr=pairs[1][1], preexec_fn=take_control
)
written = {}
for ours, theirs in pairs:
    os.close(theirs)
    written[ours] = b""
keyboard = pairs[1][0]
typed = None
still_open = set(written)
while still_open:
    for fd in select.select(still_open, [], [])[0]:
        chunk = read(fd)
        written[fd] += chunk
        if not chunk:
            still_open.remove(fd)
    if awaited and typed is None and awaited.encode() in written[keyboard]:
        typed = time.monotonic()
        os.write(keyboard, b"\x03")
stdout, stderr = (list(text) for text in written.values())
status = child.wait()
took = None if typed is None else round((time.monotonic() - typed) * 1000)
# A shell says so of what a signal ended.
status = status if status >= 0 else 128 - status
print(json.dumps({"status": status, "stdout": stdout, "stderr": stderr, "took": took}))
