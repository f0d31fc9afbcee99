class Fixture(Server):
    """The commands of a test, by their names in the line of JSON: `do_NAME`."""

    def do_signals(self):
        self.take_signals()

    def do_fork(self):
        pid = os.fork()
        if pid == 0:
            self.commanded = False
            self.leave_connections()
            self.run()
        return pid

    def do_heir(self, at, gate):
        """A slow restart: the fork executes when it can read something from the gate."""
        pid = os.fork()
        if pid:
            return pid
        self.close_sockets()
        unblock()
        with open(gate, "rb", buffering=0) as file:
            if not file.read(1):
                os._exit(0)
        sockets = [{"at": at, "kind": "listen"}]
        heir = {**config, "sockets": sockets, "inherit": [], "commanded": False, "dies_with_parent": False}
        argv = [os.readlink("/proc/self/exe"), *sys.orig_argv[1:]]
        os.execve(argv[0], argv, {**os.environ, "FIXTURE": json.dumps(heir)})

    def do_orphan(self):
        parent = os.pidfd_open(os.getpid())
        if os.fork():
            os._exit(0)
        select.select([parent], [], [])
        os.close(parent)
        self.leave_connections()
        say(reply=os.getpid())
        self.run()

    def do_dup(self):
        self.kept += [os.dup(sock.fileno()) for sock in self.sockets]

    def do_listen(self, at, kind):
        self.sockets.append(bound(at, kind))

    def do_open(self, path, how):
        """Keeps the file open, with the flags of a gateway's lock."""
        flags = {"write": os.O_WRONLY, "read": os.O_RDONLY, "both": os.O_RDWR}[how]
        self.kept.append(os.open(path, flags | os.O_CLOEXEC))

    def do_connect(self, source, to):
        # As in most clients, there is no SO_REUSEADDR.
        connection = bound(source, "exclusive")
        host, port = to.rsplit(":", 1)
        connection.connect((host.strip("[]"), int(port)))
        self.kept.append(connection)

    def do_close(self):
        self.close_sockets()

    def do_leader_exits(self):
        # This ends a thread, not the process. ctypes lets go of the interpreter meanwhile.
        self.jobs.put(lambda: libc.syscall(60 if os.uname().machine == "x86_64" else 93, 0))

    def do_own_table(self):
        system(libc.unshare(CLONE_FILES))
        # Both tables have the same numbers. The objects are not closed, or this thread's sockets would be closed, too.
        numbers = [sock.fileno() for sock in self.sockets]
        self.on_leader(lambda: [os.close(number) for number in numbers])

    def do_spin(self):
        def spin():
            while True:
                pass

        self.jobs.put(spin)

    def do_exec(self, argv, env):
        if not os.access(argv[0], os.X_OK):
            raise FileNotFoundError(argv[0])
        for sock in self.sockets:
            sock.set_inheritable(True)
        inherited = {**config, "sockets": [], "inherit": [sock.fileno() for sock in self.sockets]}
        say(reply=None)
        unblock()
        os.execve(argv[0], argv, {**env, "FIXTURE": json.dumps(inherited)})

    def do_comm(self, name):
        # This is the leader's name, whichever thread writes it.
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(bytes(name))

    def do_title(self, title):
        start, end = stat_fields(48, 49)
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            memory.write(bytes(title)[: end - start - 1].ljust(end - start, b"\0"))

    def do_flight(self):
        self.kept += socket.socketpair(socket.AF_UNIX)
        numbers = array.array("i", [sock.fileno() for sock in self.sockets])
        self.kept[-1].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
        self.close_sockets()

    def do_undumpable(self):
        system(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))

    def do_vast(self, what, size):
        """Lets its arguments or its environment seem so large. Nothing of that is ever written."""
        region = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
        self.kept.append(region)
        start = ctypes.addressof(ctypes.c_char.from_buffer(region))
        places = {"arguments": stat_fields(48, 49), "environment": stat_fields(50, 51), what: [start, start + size - 1]}
        libc.sbrk.restype = ctypes.c_void_p
        layout = [*stat_fields(26, 27, 45, 46, 47), libc.sbrk(0), *stat_fields(28)]
        # struct prctl_mm_map, without an auxiliary vector and without another executable.
        layout = struct.pack("=12QII", *layout, *places["arguments"], *places["environment"], 0, 0, 2**32 - 1)
        size = ctypes.c_ulong(len(layout))
        system(libc.prctl(PR_SET_MM, PR_SET_MM_MAP, ctypes.create_string_buffer(layout, size.value), size, 0))

    def do_spawn(self, argv, env, stdin, stdout):
        # The open blocks until the test has opened its side.
        with open(stdin, "rb", buffering=0) as source, open(stdout, "wb", buffering=0) as sink:
            child = subprocess.Popen(argv, env=env, stdin=source, stdout=sink, preexec_fn=unblock)
        child.command = {"argv": argv, "env": env, "stdin": stdin, "stdout": stdout}
        self.kept.append(child)
        return child.pid

    def do_run(self, argv, env, reparented):
        if reparented:
            return self.do_run_reparented(argv, env)
        start = time.monotonic()
        done = subprocess.run(
            argv, env={**os.environ, **env}, stdin=subprocess.DEVNULL, capture_output=True, preexec_fn=unblock
        )
        return {
            "status": done.returncode,
            "stdout": done.stdout.decode(errors="replace"),
            "stderr": done.stderr.decode(errors="replace"),
            "elapsed": time.monotonic() - start,
        }

    def do_run_reparented(self, argv, env):
        """The process that runs it has lost its parent, so this fixture is no ancestor of it."""
        middle = os.fork()
        if middle:
            os.waitpid(middle, 0)
            return NO_REPLY
        parent = os.pidfd_open(os.getpid())
        if os.fork():
            os._exit(0)
        select.select([parent], [], [])
        self.close_sockets()
        say(reply=self.do_run(argv, env, reparented=False))
        os._exit(0)


if config["dies_with_parent"]:
    system(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
server = Fixture()
server.have_children()
# After an exec or a hand-over nobody waits for it: the test would take it for the reply to its next command.
if "inherit" not in config:
    say(reply={"pid": os.getpid()})
notify_ready()
server.run()
