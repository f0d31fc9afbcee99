//! Runs the program under test on a real terminal.

use std::os::fd::OwnedFd;
use std::time::Duration;

use super::run::{PROGRAM, Portclear, Run};

/// Which of its two streams are terminals. The other one is a pipe.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Terminal {
    Both,
    Stdout,
    Stderr,
}

/// A terminal without a program: the side of who sits there, and the side of the program.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    let pair = nix::pty::openpty(None, None).expect("a terminal");
    (pair.master, pair.slave)
}

impl Portclear {
    /// Each stream has a terminal of its own, which shows the bytes as they were written.
    #[track_caller]
    pub(crate) fn on_terminal(self, terminal: Terminal) -> Run {
        self.typed_at(terminal, "").0
    }

    /// The same, and somebody types Ctrl-C when standard error shows this text. Gives also how long the program went on
    /// after that.
    #[track_caller]
    pub(crate) fn interrupted(self, terminal: Terminal, shows: &str) -> (Run, Duration) {
        let (run, took) = self.typed_at(terminal, shows);
        let took = took.unwrap_or_else(|| panic!("{shows:?} was not shown: {run}"));
        (run, took)
    }

    #[track_caller]
    fn typed_at(self, terminal: Terminal, shows: &str) -> (Run, Option<Duration>) {
        let streams = match terminal {
            Terminal::Both => "stdout,stderr",
            Terminal::Stdout => "stdout",
            Terminal::Stderr => "stderr",
        };
        let script = include_str!("terminal.py");
        let before: Vec<String> = self.prefix.iter().map(|word| word.to_str().unwrap().to_owned()).collect();
        let mut words = vec!["/usr/bin/python3", "-Ic", script, streams, shows];
        words.extend(before.iter().map(String::as_str));
        let run = self.env("TERM", "xterm").through(&words);
        let mut running = run.spawn_gated(PROGRAM.as_ref());
        running.open_gate();
        let run = running.finish();
        assert!(run.status == 0 && run.stderr.is_empty(), "the terminal failed: {run}");
        let shown = run.printed();
        let text = |key: &str| {
            let bytes: Vec<u8> = serde_json::from_value(shown[key].clone()).unwrap();
            String::from_utf8(bytes).expect("portclear writes UTF-8")
        };
        let status = shown["status"].as_i64().unwrap().try_into().unwrap();
        let told = Run { status, stdout: text("stdout"), stderr: text("stderr"), elapsed: run.elapsed };
        (told, shown["took"].as_u64().map(Duration::from_millis))
    }
}
