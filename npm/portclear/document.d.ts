// The document of `portclear --json`. Written from docs/portclear.schema.json:
// PORTCLEAR_GOLDEN=write cargo test --test main -- dist::types

/** The document that `portclear --json` prints, and that `Report::to_json()` of the library gives */
export interface Report {
  /** The version of this format */
  schema: 1;
  /** The version of portclear */
  version: string;
  /** The call only looked, as asked (`--dry-run`, `--check`). It signalled nobody */
  dry_run: boolean;
  /** The exit status of the program: the highest of all ports, and at least 1 where the sweep failed. With `--check` a port that would be cleared counts as held */
  exit: 0 | 1 | 3 | 4 | 5 | 6;
  /** Milliseconds from the call to the document */
  elapsed_ms: number;
  /** One for each port of the call. A port that was named twice stands here once */
  ports: Port[];
  /** With `--sweep`: the processes that ended runs of the service left behind, and a stale rival. Without it: a rival that an ended run left in the caller's own unit, if this call tried to end it */
  swept: Sweep | null;
  /** Where a port is free: another instance that uses the caller's state folder. The service refuses to start beside it */
  rival: Rival | null;
}

/** Connections */
export interface Connections {
  /** Sockets that are connected or closing */
  connected: number;
  /** Sockets in TIME_WAIT. The kernel keeps each of them for a minute at most */
  time_wait: number;
}

/** An error */
export interface Failure {
  /** The step that failed */
  attempt: string;
  /** The answer of the system */
  cause: string | null;
  /** Its number, errno(3). null: the failure has no number */
  os_error: number | null;
}

/** A listener */
export interface Listener {
  /** The local address */
  address: string;
  /** The local port */
  port: number;
  /** The inode of the socket, as in `socket:[N]` of /proc/PID/fd */
  inode: number;
  /** The user who opened the socket */
  uid: number;
}

/** Memory */
export interface Memory {
  /** How many processes */
  count: number;
  /** Their memory, in bytes */
  bytes: number;
  /** `pss`: the sum of their shares. `rss`: the share of at least one process may not be read, and its whole resident memory is counted */
  kind: 'pss' | 'rss';
}

/** A port */
export interface Port {
  /** The port number */
  port: number;
  /** The address that the call named: an IP address without brackets, or `localhost` for 127.0.0.1 and ::1. null: any address */
  address: string | null;
  /** The answer. `free`: a bind proved it. `cleared`: the holders were ended, and a bind proved it. `would-clear`: a dry run found only stale holders. `held`: a rule leaves a holder alone. `unseen`: a holder cannot be seen, read or signalled from here. `survived`: a holder was signalled and is still there. `respawned`: it was cleared, and another process took it. `error`: portclear could not find out */
  status: 'free' | 'cleared' | 'would-clear' | 'held' | 'unseen' | 'survived' | 'respawned' | 'error';
  /** The exit status for this port alone. With `--check` it is 3 where the port would be cleared */
  exit: 0 | 1 | 3 | 4 | 5 | 6;
  /** The answer as a sentence, for people */
  sentence: string;
  /** With the status `error`: the failure */
  error: Failure | null;
  /** Milliseconds from the call to the answer for this port */
  elapsed_ms: number;
  /** Sockets of the port that do not listen. They are counted only where nobody listens */
  connections: Connections;
  /** How many processes have descriptors that may not be read. One of them may be an unseen holder */
  unreadable_processes: number;
  /** The listening sockets in the way */
  listeners: Listener[];
  /** The processes that hold these sockets */
  holders: FoundProcess[];
  /** The processes that are ended with the holders and hold none of these sockets */
  members: FoundProcess[];
  /** Processes that the ended instances started, and that are still there */
  remainder: Memory;
  /** How long portclear watched the cleared port, in milliseconds. 0: it saw no process that may start the holder again */
  watched_ms: number;
  /** A person stopped the wait for a process of this port, or the watch of the port (Ctrl-C on a terminal) */
  stopped: boolean;
  /** With `respawned`: the process that started the new holder. With another status: an ancestor of an ended process that is still there and may start it again */
  starter: Relative | null;
}

/** A process */
export interface FoundProcess {
  /** Why it stands here. `holder`: it holds a listener. `launcher`, `worker`: it belongs to the same instance, above or below a holder. `offspring`: the instance started it. `leftover`: an ended run left it behind. `rival`: it uses the caller's state folder */
  role: 'holder' | 'launcher' | 'worker' | 'offspring' | 'leftover' | 'rival';
  /** Its pid, in the caller's pid namespace */
  pid: number;
  /** Its start, in clock ticks since boot (proc_pid_stat(5), field 22). The pid and this number together name one process */
  start_ticks: number;
  /** Its start as a time: RFC 3339, UTC */
  started: string | null;
  /** Milliseconds since its start */
  age_ms: number;
  /** The name that it gives itself */
  comm: string;
  /** Its executable. null: it may not be read */
  exe: string | null;
  /** Its executable was deleted or replaced on disk since it started */
  exe_replaced: boolean | null;
  /** Its command line, shortened. The values of options like `--token` are left out. null: it may not be read, or an instance started the process and may have put secrets there */
  command: string | null;
  /** Its effective user */
  uid: number | null;
  /** The name of that user, where /etc/passwd has one */
  user: string | null;
  /** Its parent. 0: the parent is outside of the pid namespace */
  ppid: number;
  /** Its ancestors, the parent first, as far as they can be read */
  lineage: Relative[];
  /** The systemd service whose cgroup it is in */
  unit: Unit | null;
  /** The INVOCATION_ID that it was started with. A process may have a run and be in no unit */
  run: string | null;
  /** Its resident memory, in bytes */
  rss_bytes: number;
  /** The inodes of the listeners that it holds */
  listener_inodes: number[];
  /** The marker variables of the service that it was started with: name and value */
  markers: Record<string, string>;
  /** Its relation to the service. `instance`: a running copy of it. `offspring`: an instance started it. `foreign`: none. `unknown`: the deciding facts may not be read */
  identity: 'instance' | 'offspring' | 'foreign' | 'unknown';
  /** Who looks after it. `protected`: it is never ended. `live`: its supervisor runs it now. `leftover`: an ended run of a unit left it behind. `unsupervised`: nobody. `unknown`: the deciding facts may not be read */
  liveness: 'protected' | 'live' | 'leftover' | 'unsupervised' | 'unknown';
  /** The decision. `stale`: it may be ended. `spared`: portclear leaves it alone. A stale process is left alone as well where another holder of its port is spared */
  verdict: 'stale' | 'spared';
  /** The rule behind the verdict. Stale: `stale-instance`, `stale-leftover`, `own-unit` (an ended run of the caller's own unit left it), `any-owner` (`--any-owner`), `end-live` (`--live`), `end-offspring` (`--offspring`), `approved` (a person approved it: only a server that asks has this word), `tree` (it is part of an ended instance, or `--tree` ends it). Spared: `protected`, `live`, `newer` (it started after the call), `declined` (it is stale, and the person did not approve it), `elsewhere` (it is part of the holder's instance and serves another port), `other-instance` (it has another profile or state folder), `offspring`, `foreign`, `unknown` */
  rule: 'stale-instance' | 'stale-leftover' | 'own-unit' | 'any-owner' | 'end-live' | 'end-offspring' | 'approved' | 'tree' | 'protected' | 'live' | 'newer' | 'declined' | 'elsewhere' | 'other-instance' | 'offspring' | 'foreign' | 'unknown';
  /** Who runs it now */
  supervisor: Supervisor | null;
  /** The rule and its evidence as a clause, for people */
  reason: string;
  /** The signals that it was sent */
  signals: SentSignal[];
  /** SIGKILL followed before it had ended by the first signal. It may have been draining. A longer `--grace` waits longer */
  cut_off: boolean;
  /** What became of it. `untouched`: it was left alone. `ended`. `ended-by-itself`: it ended before a signal reached it. `changed`: it became another program, and was spared. `unread`: its facts could not be read again, and it was spared. `not-permitted`: the kernel refused the signal. `survived`: it is still there */
  outcome: 'untouched' | 'ended' | 'ended-by-itself' | 'changed' | 'unread' | 'not-permitted' | 'survived';
  /** The state of a process that survived: a letter (proc_pid_stat(5), field 3) */
  state: string | null;
  /** When portclear saw its end: milliseconds after the first signal of the call */
  ended_after_ms: number | null;
}

/** A relative */
export interface Relative {
  /** Its pid */
  pid: number;
  /** The name that it gives itself */
  comm: string;
  /** Its executable. null: it may not be read */
  exe: string | null;
}

/** A rival */
export interface Rival {
  /** Why it matters, for people */
  sentence: string;
  /** The port that its lock names */
  port: number;
  /** The process. This call leaves it alone. A rival that the call ends stands in `swept` instead: `--sweep` ends a stale one, unless a launcher or worker of it serves another port. Without `--sweep`, a call ends one that an ended run left in the caller's own unit */
  process: FoundProcess;
}

/** A signal */
export interface SentSignal {
  /** Its name, such as `SIGTERM` */
  signal: string;
  /** When it was sent: milliseconds after the first signal of the call */
  after_ms: number;
}

/** A supervisor */
export interface Supervisor {
  /** `unit`: a systemd unit. `container`: a container other than the caller's. The others are programs: `pm2`, `supervisord`, `runit`, `s6`, `daemontools`, `openrc`, `circus`, `forever`, `node-watch` (node --watch), `nodemon`, `tsx`, `container-init` (the init of a container) */
  kind: 'unit' | 'container' | 'pm2' | 'supervisord' | 'runit' | 's6' | 'daemontools' | 'openrc' | 'circus' | 'forever' | 'node-watch' | 'nodemon' | 'tsx' | 'container-init';
  /** The pid of the program */
  pid: number | null;
  /** The name by which the supervisor knows the process */
  entry: string | null;
  /** The shell command that stops the process for good. The user who runs the supervisor may call it */
  stop_command: string | null;
}

/** The sweep */
export interface Sweep {
  /** `nothing`: nothing is left over. `swept`: all of it has ended. `would-sweep`: a dry run would end these processes. `incomplete`: some of it is still there. `error`: portclear could not find out all of it */
  status: 'nothing' | 'swept' | 'would-sweep' | 'incomplete' | 'error';
  /** The same as a sentence, for people */
  sentence: string;
  /** With the status `error`: the failure */
  error: Failure | null;
  /** The processes, except for those that stand in `ports`. A rival that the call ends is one of them */
  processes: FoundProcess[];
  /** Their number and their memory before the first signal */
  memory: Memory;
  /** Processes that they started, and that are still there */
  remainder: Memory;
  /** A person stopped the wait for them (Ctrl-C on a terminal) */
  stopped: boolean;
}

/** A unit */
export interface Unit {
  /** The name of the unit */
  name: string;
  /** Who runs the unit. `system`: PID 1. `user`: a user's manager. `nested`: a manager that runs in a unit itself */
  manager: 'system' | 'user' | 'nested';
  /** The user of a user's manager */
  uid: number | null;
}
