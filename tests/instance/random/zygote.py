# PID 1 of a pid namespace. For each line of JSON it grows the tree that the line describes, runs portclear, says who
# lives, and ends them all. Forks from one process make hundreds of trees cheap.

import json, os, select, signal, socket, subprocess, sys, time

HZ = os.sysconf("SC_CLK_TCK")


def plant(at):
    """Makes node `at` a child of this process, or of PID 1."""
    lost = nodes[at]["orphan"]
    if lost:
        middle = os.fork()
        if middle:
            os.waitpid(middle, 0)
            return
    if os.fork() == 0:
        try:
            become(nodes[at])
        finally:
            os._exit(1)
    if lost:
        os._exit(0)


def become(node):
    if node["cgroup"]:
        with open(node["cgroup"] + "/cgroup.procs", "w") as procs:
            procs.write("0")
    if node["alone"] == "group":
        os.setpgid(0, 0)
    if node["alone"] == "session":
        os.setsid()
    for child in node["children"]:
        plant(child)
    os.dup2(stay[0], 0)
    os.dup2(ready[1], 1)
    if node["holds"]:
        listener.set_inheritable(True)
    os.execve(node["argv"][0], node["argv"], node["env"])


def stat(pid):
    """State and start, or nothing."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def gather():
    """Each node says its number and pid once it executes what it is to execute."""
    end, text = time.monotonic() + 20, b""
    while text.count(b"\n") < len(nodes):
        assert select.select([ready[0]], [], [], max(0, end - time.monotonic()))[0], f"not all are there: {text}"
        text += os.read(ready[0], 65536)
    pids = dict(map(int, line.split()) for line in text.splitlines())
    starts = {pid: stat(pid) for pid in pids.values()}
    assert None not in starts.values(), f"one has ended: {starts}"
    # A process that starts in the same tick as the caller is not older than the caller.
    while time.clock_gettime(time.CLOCK_BOOTTIME) * HZ < max(starts.values()) + 1:
        os.sched_yield()
    return pids, starts


for line in sys.stdin:
    order = json.loads(line)
    nodes = order["nodes"]
    stay, ready = os.pipe(), os.pipe()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 18789))
    listener.listen()
    for at in order["top"]:
        plant(at)
    pids, starts = gather()
    listener.close()
    words = [word if isinstance(word, str) else str(pids[word]) for word in order["run"]]
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    run = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, env=path, timeout=25)
    lives = [stat(pids[at]) == starts[pids[at]] for at in range(len(nodes))]
    for at in range(len(nodes)):
        if lives[at]:
            os.kill(pids[at], signal.SIGKILL)
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
    for fd in [*stay, *ready]:
        os.close(fd)
    reply = {
        "pids": [pids[at] for at in range(len(nodes))],
        "lives": lives,
        "status": run.returncode,
        "stdout": run.stdout.decode(),
        "stderr": run.stderr.decode(),
    }
    print(json.dumps({"reply": reply}), flush=True)
