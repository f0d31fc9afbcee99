//! Runs the program under test on a real terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::run::{PROGRAM, Portclear, Run, Running};
use super::wait::{DEADLINE, readable};

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

/// What kind of terminal it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) terminal: Terminal,
    /// 0: it does not tell.
    pub(crate) columns: u16,
    /// TERM. `None`: there is no such variable.
    pub(crate) term: Option<&'static str>,
}

impl From<Terminal> for Screen {
    fn from(terminal: Terminal) -> Self {
        Self { terminal, columns: 0, term: Some("xterm") }
    }
}

/// The program at a terminal, where the test reads what it asks and answers it. The terminal is its standard input and
/// its standard error, and shows each answer.
pub(crate) struct Dialogue {
    running: Running,
    keyboard: File,
    shown: String,
}

impl Dialogue {
    #[track_caller]
    pub(crate) fn start(program: Portclear) -> Self {
        Self::typed_before(program, "")
    }

    /// Somebody has typed this before the program starts.
    #[track_caller]
    pub(crate) fn typed_before(program: Portclear, keys: &str) -> Self {
        let (ours, theirs) = terminal();
        let mut keyboard = File::from(ours);
        keyboard.write_all(keys.as_bytes()).unwrap();
        let stdin = theirs.try_clone().unwrap();
        let running = program.env("TERM", "xterm").stderr(theirs).spawn_reading(stdin.into());
        Self { running, keyboard, shown: String::new() }
    }

    /// Waits until it shows this. Gives all that was shown since the last such wait.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        while !self.shown.contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(readable(&self.keyboard, left) && self.read(), "{text:?} was not shown: {}", self.shown);
        }
        let at = self.shown.find(text).unwrap() + text.len();
        self.shown.drain(..at).collect()
    }

    /// `false`: nobody has the other side open any more.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = self.keyboard.read(&mut bytes).unwrap_or(0);
        self.shown.push_str(std::str::from_utf8(&bytes[..read]).expect("portclear writes UTF-8"));
        read > 0
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Waits for its end. Standard error is what was shown since the last [`shows`](Self::shows).
    #[track_caller]
    pub(crate) fn finish(mut self) -> Run {
        let run = self.running.finish();
        while readable(&self.keyboard, Duration::ZERO) {
            let mut bytes = [0; 4096];
            match self.keyboard.read(&mut bytes) {
                Ok(read) if read > 0 => self.shown.push_str(&String::from_utf8_lossy(&bytes[..read])),
                _ => break,
            }
        }
        Run { stderr: self.shown, ..run }
    }
}

impl Portclear {
    /// Each stream has a terminal of its own, which shows the bytes as they were written.
    #[track_caller]
    pub(crate) fn on_terminal(self, terminal: impl Into<Screen>) -> Run {
        self.typed_at(terminal.into(), "").0
    }

    /// The same, and somebody types Ctrl-C when standard error shows this text. Gives also how long the program went on
    /// after that.
    #[track_caller]
    pub(crate) fn interrupted(self, terminal: impl Into<Screen>, shows: &str) -> (Run, Duration) {
        let (run, took) = self.typed_at(terminal.into(), shows);
        let took = took.unwrap_or_else(|| panic!("{shows:?} was not shown: {run}"));
        (run, took)
    }

    #[track_caller]
    fn typed_at(self, screen: Screen, shows: &str) -> (Run, Option<Duration>) {
        let streams = match screen.terminal {
            Terminal::Both => "stdout,stderr",
            Terminal::Stdout => "stdout",
            Terminal::Stderr => "stderr",
        };
        let (script, columns) = (include_str!("terminal.py"), screen.columns.to_string());
        let before: Vec<String> = self.prefix.iter().map(|word| word.to_str().unwrap().to_owned()).collect();
        let mut words = vec!["/usr/bin/python3", "-Ic", script, streams, &columns, shows];
        words.extend(before.iter().map(String::as_str));
        let program = match screen.term {
            Some(term) => self.env("TERM", term),
            None => self,
        };
        let run = program.through(&words);
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
