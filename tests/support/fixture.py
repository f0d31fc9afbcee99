"""A server that can look and behave like any instance. Lines of JSON on stdin tell it what to do.

It has two threads. The leader does only what must happen to a leader: exit, spin. The other one does everything else
in one loop: it serves, reads commands and takes signals from a signalfd. So the answer to a command comes after every
signal that was sent before it.

`fixture_commands.py` is the second half of this program.
"""

import array
import ctypes
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from queue import SimpleQueue

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, CLONE_FILES = 1, 4, 0x400
PR_SET_MM, PR_SET_MM_MAP, MAP_NORESERVE = 35, 14, 0x4000
REPORTED = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
TAKEN = [*REPORTED, signal.SIGCHLD]

NO_REPLY = object()

config = json.loads(os.environ["FIXTURE"])


def say(**line):
    try:
        os.write(1, (json.dumps(line) + "\n").encode())
    except OSError:
        os._exit(0)


def system(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def signal_descriptor():
    signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
    mask = (ctypes.c_ulong * 16)(sum(1 << (number - 1) for number in TAKEN))
    descriptor = libc.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC)
    system(descriptor)
    return descriptor


def stat_fields(*numbers):
    """The fields with these numbers in proc_pid_stat(5)."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b") ")[2].split()
    return [int(fields[number - 3]) for number in numbers]


def unblock():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TAKEN)


def notify_ready():
    """A unit of Type=notify waits for this."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"READY=1", address.replace("@", "\0", 1))


def bound(at, kind):
    """kind: listen, v6only, reuseport, rigid (no SO_REUSEADDR), bound (no listen), exclusive (neither)"""
    host, port = at.rsplit(":", 1)
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    if kind not in ("rigid", "exclusive"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if kind == "reuseport":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, kind == "v6only")
    sock.bind((host.strip("[]"), int(port)))
    if kind in ("listen", "v6only", "reuseport", "rigid"):
        sock.listen(64)
    return sock


class Server:
    def __init__(self):
        self.signals = signal_descriptor()
        # In a unit, standard input is /dev/null.
        self.commanded = config.get("commanded", True)
        self.input = b""
        self.drained_at = None
        self.connections = {}
        self.kept = []
        self.sockets = [socket.socket(fileno=fd) for fd in config.get("inherit", [])]
        self.sockets += [bound(**one) for one in config["sockets"]]

    def run(self):
        # It is not shared with a parent: after a fork, a thread that is not there may hold the old one's lock.
        self.jobs = SimpleQueue()
        threading.Thread(target=self.loop, daemon=True).start()
        while True:
            self.jobs.get()()

    def loop(self):
        try:
            while True:
                self.turn()
        except BaseException:
            # A traceback of the thread alone would leave a process that does nothing for ever.
            sys.excepthook(*sys.exc_info())
            os._exit(70)

    def turn(self):
        poller = select.poll()
        # Several processes may share the pipe, and only one may take the commands. All of them see its end.
        poller.register(0, select.POLLIN if self.commanded else 0)
        poller.register(self.signals, select.POLLIN)
        listening = [s for s in self.sockets if s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]
        for sock in [*listening, *self.connections.values()]:
            poller.register(sock, select.POLLIN)
        left = None if self.drained_at is None else max(0, self.drained_at - time.monotonic())
        ready = {fd for fd, _ in poller.poll(None if left is None else left * 1000)}
        self.take_signals()
        if self.drained_at is not None and time.monotonic() >= self.drained_at:
            os._exit(0)
        for sock in listening:
            if sock.fileno() in ready:
                self.accept(sock)
        for fd in ready & self.connections.keys():
            self.hear(fd)
        if 0 in ready:
            self.read_commands()

    def accept(self, listener):
        listener.setblocking(False)
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return  # Another process that shares the socket was faster.
        self.connections[connection.fileno()] = connection
        try:
            connection.sendall(f"{os.getpid()} {config['name']}\n".encode())
        except OSError:
            pass  # Gone before it was greeted: `hear` sees that.

    def hear(self, fd):
        try:
            if self.connections[fd].recv(4096):
                return
        except OSError:
            pass
        self.connections.pop(fd).close()

    def take_signals(self):
        while True:
            try:
                number = int.from_bytes(os.read(self.signals, 128)[:4], sys.byteorder)
            except BlockingIOError:
                return
            if number == signal.SIGCHLD:
                self.reap()
                self.respawn()
            else:
                self.on_signal(signal.Signals(number).name.removeprefix("SIG"))

    def reap(self):
        """Only a PID 1 reaps. Elsewhere some tests want the zombie."""
        try:
            while os.getpid() == 1 and os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            pass

    def respawn(self):
        if config.get("respawns"):
            for child in [one for one in self.kept if isinstance(one, subprocess.Popen) and one.poll() is not None]:
                self.kept.remove(child)
                self.do_spawn(**child.command)

    def on_signal(self, name):
        say(signal=name, pid=os.getpid())
        if config["on_term"] == "ignore":
            return
        if config["on_term"] == "hand-over":
            self.hand_over()
        if config["on_term"] == "leave-fork":
            return self.leave_fork()
        if config["on_term"] == "forward":
            self.forward(name)
        # As in many servers, the second signal means "at once".
        if config["on_term"] == "exit" or self.drained_at is not None:
            os._exit(0 if self.drained_at is None else 1)
        self.drained_at = time.monotonic() + config["on_term"] / 1000

    def hand_over(self):
        numbers = [sock.fileno() for sock in self.sockets]
        successor = {**config, "sockets": [], "inherit": numbers, "on_term": "exit", "dies_with_parent": False}
        # Text of the same length: the kernel then puts the successor's stack where this one's is, but for chance.
        text = json.dumps(successor).ljust(len(os.environ["FIXTURE"]))
        # The interpreter sets LC_CTYPE itself (PEP 538).
        environment = {**os.environ, "FIXTURE": text}
        environment.pop("LC_CTYPE", None)
        argv = [os.readlink("/proc/self/exe"), *sys.orig_argv[1:]]
        # This returns when the successor has executed.
        subprocess.Popen(argv, env=environment, pass_fds=numbers, preexec_fn=unblock)
        os._exit(0)

    def forward(self, name):
        children = [child for child in self.kept if isinstance(child, subprocess.Popen)]
        for child in children:
            child.send_signal(signal.Signals["SIG" + name])
        failed = [child for child in children if child.wait() != 0]
        # It still reports the signals that came meanwhile.
        config["on_term"] = "ignore"
        self.take_signals()
        os._exit(1 if failed else 0)

    def leave_fork(self):
        if os.fork():
            os._exit(0)
        config["on_term"] = "exit"
        self.leave_connections()

    def read_commands(self):
        chunk = os.read(0, 65536) if self.commanded else b""
        if not chunk:
            os._exit(0)
        *lines, self.input = (self.input + chunk).split(b"\n")
        for line in lines:
            command = json.loads(line)
            action = getattr(self, "do_" + command.pop("do"))
            reply = action(**command)
            if reply is not NO_REPLY:
                say(reply=reply)

    def have_children(self):
        """Must come before the first thread starts."""
        for argv in config.get("spawns", []):
            self.kept.append(subprocess.Popen(argv, preexec_fn=unblock))
        if "forks" not in config:
            return
        if os.fork() == 0:
            self.run()
        if config["forks"] == "listener":
            self.close_sockets()

    def leave_connections(self):
        for connection in self.connections.values():
            connection.close()
        self.connections = {}

    def close_sockets(self):
        for sock in self.sockets:
            sock.close()
        self.sockets = []

    def on_leader(self, job):
        done = threading.Event()
        self.jobs.put(lambda: (job(), done.set()))
        done.wait()
