//! The texts of help. `-h` has the short text of each option, and `--help` has both.

/// An option, its short text, and what `--help` adds. An empty short text: `-h` leaves the option out.
pub(crate) type Text = (&'static str, &'static str, &'static str);

pub(crate) const ABOUT: (&str, &str) = (
    "Free a TCP port that a stale instance of your own service still holds",
    "portclear finds the process that listens on the port. It ends the process only if that is a stale instance of your \
     service: an older instance that no supervisor looks after. It recognises an instance by the program and the script \
     that it executes, and by the marker variables that it was started with, never by its name. It sends SIGTERM first, \
     and SIGKILL after the grace. Then a bind proves that the port is free. portclear leaves all other processes alone, \
     and says why.",
);

pub(crate) const UNIT_ABOUT: (&str, &str) = (
    "Print a systemd drop-in that calls portclear before each start of a unit",
    "portclear writes no file: `systemctl edit` installs the drop-in (add --user for a user's unit). The drop-in has the \
     options and ports of this call. It also has the settings of a clean stop, as far as the unit lacks them. Notes about \
     the unit's own settings go to standard error.",
);

pub(crate) const PORTS: [Text; 1] = [(
    "ports",
    "18789, or at one address: 127.0.0.1:18789, [::1]:18789, localhost:18789",
    "A port alone means the port at any address, as a server on all addresses needs it. With an address, only listeners \
     that stand in the way of that address count. localhost means 127.0.0.1 and [::1]. portclear resolves no other name.",
)];

pub(crate) const ENDING: [Text; 8] = [
    (
        "dry_run",
        "Only look: say who holds the port and what would be done",
        "It signals nobody. The exit status is 0 where a real call would try to free the port. Use it before the first \
         real call.",
    ),
    (
        "check",
        "Only look: exit 0 only where the port is free now",
        "For scripts. It signals nobody. The exit status is 3 where a stale instance holds the port and a real call would \
         try to end it. The other statuses are those of a real call.",
    ),
    (
        "interactive",
        "Show each holder, and ask before it is ended",
        "It needs a terminal. y or yes ends the holder and the rest of its instance, and anything else leaves it alone. All \
         holders of a port must be approved, or nothing is ended for the port. It also asks about holders that a real call \
         leaves alone, but never about a protected process, or one whose evidence may not be read. Ctrl-C at a question \
         ends portclear (status 130), and nobody is signalled.",
    ),
    (
        "protect",
        "Never end this process or a descendant of it (repeatable)",
        "Where a protected process holds the port, portclear leaves the port alone. The pid is the one that the caller \
         sees.",
    ),
    (
        "grace",
        "How long an instance may take to end before SIGKILL",
        "A time is a number of seconds, or a number with a unit: 10, 10s, 500ms, 2min. All instances have the same \
         deadline. A busy OpenClaw gateway may need 330s. With 0, SIGKILL follows at once.",
    ),
    (
        "signal",
        "The first signal: TERM, INT, HUP, QUIT or KILL",
        "Use it where your service ends cleanly on another signal than SIGTERM. A name stands with or without SIG, in \
         upper or lower case. The numbers 1, 2, 3, 9 and 15 are taken too.",
    ),
    (
        "settle",
        "How long to watch a cleared port for a restart",
        "portclear watches only where a process lives on that may start the service again, like a shell loop. It watches \
         a known supervisor twice as long. If the port is taken again, the exit status is 6. With 0 it never watches.",
    ),
    (
        "no_kill",
        "Never send SIGKILL",
        "An instance that is still there after the grace lives on. If it still holds the port, the exit status is 5.",
    ),
];

pub(crate) const ENDING_MORE: [Text; 5] = [
    (
        "any_owner",
        "Also end a holder that is not your service",
        "It ends whatever program holds the port: a database, an editor, a server that a systemd unit or a container runs. \
         Look with -n first. Protected processes, and those that started after the call, stay.",
    ),
    (
        "live",
        "Also end an instance that a supervisor looks after",
        "The supervisor (a systemd unit, a container, a program like pm2) may start it again at once. The supervisor's own \
         stop command is the better way. portclear names that command when it leaves the instance alone.",
    ),
    (
        "tree",
        "Also end the processes that the ended instances started",
        "It ends all their descendants, and orphans that carry the same marker and run. It spares a process in a cgroup \
         of its own, as `systemd-run --scope` makes one, because that process was meant to live on.",
    ),
    (
        "sweep",
        "Also end the processes that ended runs left behind",
        "It ends processes that carry the service's marker and a run that is over, also where they hold no port and where \
         the port is free. It also ends a stale instance that uses the caller's state folder.",
    ),
    (
        "offspring",
        "Also end orphaned children that hold the port",
        "A child of an instance may hold the port after the instance has ended. Without this option portclear leaves it \
         alone, because it may be a program that the instance was asked to start.",
    ),
];

pub(crate) const SERVICE: [Text; 6] = [
    ("service", "", "A service that portclear knows. OpenClaw's gateway is the only one so far."),
    (
        "markers",
        "A variable that its processes were started with (repeatable)",
        "All given variables must have exactly these values. Children inherit a marker, so it needs --exe, --runtime or \
         --package beside it.",
    ),
    (
        "executables",
        "Its own executable (repeatable)",
        "The file must exist. An executable that runs the scripts of many services, like node or python3, is refused.",
    ),
    (
        "runtimes",
        "The program that runs its script, like python3 (repeatable)",
        "A name means each program of that file name, with or without a version: python is also python3.11. It needs \
         --marker or --package beside it.",
    ),
    (
        "packages",
        "The \"name\" in the package.json of its script (repeatable)",
        "The script must run in node, bun or deno, or in the programs that --runtime names.",
    ),
    (
        "pid_files",
        "The file that holds its pid (repeatable)",
        "The file must not be older than the process, and must belong to the user of the process or to root.",
    ),
];

pub(crate) const OUTPUT: [Text; 6] = [
    ("json", "Print one JSON document", "docs/json.md describes its fields."),
    ("quiet", "Print only refusals and errors", "The exit status still says all. Use it in scripts and cron jobs."),
    (
        "verbose",
        "Also print free ports, and all facts about a holder",
        "Use it where you want to know why portclear decided as it did.",
    ),
    ("color", "When to use colours", "With auto, only a terminal gets colours, and none where NO_COLOR is set."),
    ("help", "Print help: -h on one screen, --help in full", ""),
    ("version", "Print the version", ""),
];

pub(crate) const UNIT: [Text; 1] = [(
    "unit",
    "The unit [default: openclaw-gateway.service]",
    "Write the name with or without .service. For another service than OpenClaw's gateway, name its unit.",
)];

pub(crate) const FIRST_EXAMPLES: &str = "\
Examples:
  portclear -n 18789               say who holds the port, and end nobody
  portclear 18789                  end a stale OpenClaw gateway on the port
  portclear --package my-app 8080  end a stale instance of another service
";

pub(crate) const EXIT: &str = "\
Exit status: 0 free  1 error  2 bad arguments  3 held, left alone
             4 held, not visible  5 signalled, still held  6 taken again";

pub(crate) const EXAMPLES: &str = "\
Examples:
  portclear -n 18789
      Say who holds the port and what would be done. End nobody.
  portclear 18789
      End a stale OpenClaw gateway on the port.
  portclear --grace 330s 18789
      Give a busy gateway time to finish its work.
  portclear --sweep 18789
      Also end what its ended runs left behind.
  portclear --package my-app 8080
      End a stale instance of a Node program, by the name in its package.json.
  portclear --exe /usr/bin/my-app 8080
      End a stale instance of any other program.
  portclear --marker MY_APP=api --runtime python3 8080
      End a stale instance of a script that was started with this variable.
  portclear --check -q 18789 && start-my-server
      Start only where the port is free.
  portclear unit 8080 --unit my-app --package my-app
      Print a drop-in that does the same before each start of my-app.service.
";

pub(crate) const ENVIRONMENT: &str = "\
Environment:
  NO_COLOR             print no colours
  OPENCLAW_PROFILE     In a hook of the gateway's unit: the profile of this gateway.
                       portclear spares the gateways of other profiles there.
  OPENCLAW_STATE_DIR   the state folder of this gateway, in the same way
  INVOCATION_ID        systemd sets it: the run that the hook belongs to
  JOURNAL_STREAM       systemd sets it: where the journal reads, lines have a priority

Files:
  portclear reads /proc, and the lock files and pid files of the service. It writes no file.";

pub(crate) const UNIT_EXAMPLES: &str = "\
Examples:
  portclear unit 18789
  portclear unit 8080 --unit my-app --package my-app --sweep";
