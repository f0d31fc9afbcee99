"""Runs a program on terminals of its own, and says what was written to each.

terminal.py stdout,stderr PROGRAM ARGUMENTS…: what is not named is a pipe.
"""

import json
import os
import pty
import select
import subprocess
import sys
import tty


def terminal():
    ours, theirs = pty.openpty()
    # Raw mode: what arrives is what was written, without a carriage return before each newline.
    tty.setraw(theirs)
    return ours, theirs


def read(fd):
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""  # EIO: nobody has the other side open any more.


pairs = [terminal() if name in sys.argv[1].split(",") else os.pipe() for name in ("stdout", "stderr")]
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=pairs[0][1], stderr=pairs[1][1])
written = {}
for ours, theirs in pairs:
    os.close(theirs)
    written[ours] = b""
still_open = set(written)
while still_open:
    for fd in select.select(still_open, [], [])[0]:
        chunk = read(fd)
        written[fd] += chunk
        if not chunk:
            still_open.remove(fd)
stdout, stderr = (list(text) for text in written.values())
print(json.dumps({"status": child.wait(), "stdout": stdout, "stderr": stderr}))
