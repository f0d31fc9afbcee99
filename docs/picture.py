#!/usr/bin/env python3
"""Draws docs/demo.svg and writes the same text to docs/demo.txt, both from a real run of portclear.

    python3 docs/picture.py [PROGRAM]           PROGRAM is target/release/portclear, if it is not given
    python3 docs/picture.py --check [PROGRAM]   fails if a new run, or the picture, says something else than demo.txt

The scene: a gateway of OpenClaw has lost its parent and still serves port 18789. A real node runs it. It needs node, ip (iproute2),
unshare and setpriv (util-linux), and no root: the run has a network, a /srv and processes of its own.
"""

import difflib
import fcntl
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

DOCS = Path(__file__).resolve().parent
COLUMNS, ROWS = 116, 14
COMMANDS = ["portclear 18789", "echo $?"]

# What each command prints, as a person sees it: the status of the last command is there for `echo $?`.
SHELL = r"""
status=0
for command; do
    printf '$ %s\n' "$command"
    (exit $status)
    eval "$command"
    status=$?
done
"""

GATEWAY = r"""
const server = require('node:http').createServer((_, answer) => answer.end('ok\n'));
server.listen(18789, '127.0.0.1');
process.on('SIGTERM', () => server.close());
"""

ENVIRONMENT = {"PATH": "/srv/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/srv/home"}
PLAIN = ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"]


def outside(program, wait):
    """Runs the scene in namespaces, as an ordinary user, and gives what the terminal has shown."""
    node = subprocess.run(["sh", "-c", "command -v node"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    enter = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps", "--net", "--mount", "--pid"]
    enter += ["--fork", "--mount-proc", "--kill-child"]
    # The shell stays: it is PID 1 there, and the gateway's parent after its own has ended.
    inner = [sys.executable, "-I", str(Path(__file__).resolve()), "--inside", os.path.realpath(node), wait]
    with open(program, "rb") as opened:
        run = subprocess.run([*enter, "sh", "-c", '"$@"; exit $?', "sh", *inner], stdin=opened, stdout=subprocess.PIPE)
    if run.returncode != 0:
        sys.exit(f"picture: the scene failed with status {run.returncode}")
    return run.stdout.decode()


def inside(node, wait):
    """The scene. The program comes on standard input, because /srv may hide the place where it lies."""
    program = sys.stdin.buffer.read()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "srv", "/srv"], check=True)
    script = Path("/srv/openclaw/dist/index.js")
    for folder in (script.parent, Path("/srv/bin"), Path("/srv/home")):
        folder.mkdir(parents=True)
    script.write_text(GATEWAY)
    Path("/srv/openclaw/package.json").write_text('{ "name": "openclaw" }\n')
    Path("/srv/bin/portclear").write_bytes(program)
    Path("/srv/bin/portclear").chmod(0o755)
    # The name of the user, whatever this machine calls the first one.
    Path("/srv/passwd").write_text("root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/srv/home:/bin/sh\n")
    subprocess.run(["mount", "--bind", "/srv/passwd", "/etc/passwd"], check=True)

    # The shell ends at once, and so the gateway is an orphan.
    start = [*PLAIN, "sh", "-c", 'PATH=$0:$PATH; node "$1" gateway --port 18789 &', os.path.dirname(node), str(script)]
    subprocess.run(start, check=True, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while socket.socket().connect_ex(("127.0.0.1", 18789)) != 0:
        time.sleep(0.01)
    # It must be older than portclear by a clock tick at least. In the picture it is older by seconds.
    time.sleep(float(wait))

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    command = [*PLAIN, "sh", "-c", SHELL, "sh", *COMMANDS]
    shell = subprocess.Popen(command, env=ENVIRONMENT | {"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break  # EIO: nobody has the other side open any more.
        if not chunk:
            break
        shown += chunk
    if shell.wait() != 0:
        sys.exit("picture: the shell failed")
    sys.stdout.buffer.write(shown.replace(b"\r\n", b"\n"))


STYLES = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow"}


def lines(shown):
    """The lines of the terminal. Each is a list of pieces: the classes, and the text."""
    rows, row, width, classes = [], [], 0, ()
    for part in re.split(r"(\x1b\[[0-9;]*m|\n)", shown):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if part == "\n":
            rows.append(row)
            row, width = [], 0
        elif code:
            for number in code[1].split(";"):
                classes = () if number in ("", "0") else (*classes, STYLES[number])
        else:
            if not part.isprintable():
                sys.exit(f"picture: a terminal would do something with {part!r}")
            # What is longer than a line of the terminal goes on in the next.
            while part:
                if width == COLUMNS:
                    rows.append(row)
                    row, width = [], 0
                piece, part = part[: COLUMNS - width], part[COLUMNS - width :]
                row.append((classes, piece))
                width += len(piece)
    return rows


def text_of(rows):
    return "".join("".join(text for _, text in row).rstrip() + "\n" for row in rows)


def drawn(rows):
    """The picture. No usual monospaced font of 14 pixels is wider than a step."""
    step, line, left, top = 8.4, 20, 20, 58
    width, height = round(COLUMNS * step + 2 * left), top + line * len(rows)
    commands = ", ".join(COMMANDS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title description">',
        '<title id="title">portclear ends a stale OpenClaw gateway on port 18789</title>',
        f'<desc id="description">A terminal. The commands are: {escape(commands)}. The text is in demo.txt.</desc>',
        "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;fill:#d6deeb}"
        ".bold{font-weight:bold}.dim{fill:#8b98a9}.green{fill:#4cc38a}.yellow{fill:#e2b340}.red{fill:#ff7b72}"
        ".typed{fill:#fff;font-weight:bold}</style>",
        f'<rect width="{width}" height="{height}" rx="10" fill="#10151d"/>',
    ]
    for at, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        parts.append(f'<circle cx="{left + 6 + 20 * at}" cy="20" r="6" fill="{colour}"/>')
    for at, row in enumerate(rows):
        text = "".join(text for _, text in row).rstrip()
        if not text:
            continue
        if text.startswith("$ "):
            row = [(("dim",), "$ "), (("typed",), text[2:])]
        spans = "".join(
            f'<tspan class="{" ".join(classes)}">{escape(piece)}</tspan>' if classes else escape(piece)
            for classes, piece in row
        )
        parts.append(f'<text x="{left}" y="{top + line * at}" xml:space="preserve">{spans}</text>')
    return "\n".join([*parts, "</svg>", ""])


def text_in(picture):
    """The lines of a picture, without those that are empty."""
    texts = ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()).rstrip() for text in texts]


def masked(text):
    """Without what differs from run to run and from machine to machine."""
    text = re.sub(r"(?m)^    unit .*\n", "", text)
    text = re.sub(r"(?m)^(    exe +).*", r"\1#", text)
    text = re.sub(r"\d+(?= ms\b|[smh] ago\b)|[\d.]+(?= MiB\b)", "#", text)
    return re.sub(r"(?<=\(pid )\d+|(?<=node\()\d+", "#", text).splitlines()


def main():
    words = sys.argv[1:]
    if words[:1] == ["--inside"]:
        return inside(*words[1:])
    check = words[:1] == ["--check"]
    program = ([word for word in words if word != "--check"] or [DOCS.parent / "target/release/portclear"])[0]
    text_file, picture_file = DOCS / "demo.txt", DOCS / "demo.svg"
    rows = lines(outside(program, "0.1" if check else "3"))
    if not check:
        text_file.write_text(text_of(rows))
        picture_file.write_text(drawn(rows))
        return None
    written = text_file.read_text()
    if text_in(picture_file.read_text()) != [row for row in written.splitlines() if row]:
        sys.exit("picture: docs/demo.svg and docs/demo.txt differ: python3 docs/picture.py")
    old, new = masked(written), masked(text_of(rows))
    if old != new:
        print(*difflib.unified_diff(old, new, "docs/demo.txt", "a new run", lineterm=""), sep="\n")
        sys.exit("picture: portclear says something else today: python3 docs/picture.py")
    return None


main()
