//! Runs the program under test on a real terminal.

use super::run::{Portclear, Run};

/// Which of its two streams are terminals. The other one is a pipe.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Terminal {
    Both,
    Stdout,
    Stderr,
}

impl Portclear {
    /// Each stream has a terminal of its own, which shows the bytes as they were written.
    #[track_caller]
    pub(crate) fn on_terminal(self, terminal: Terminal) -> Run {
        let streams = match terminal {
            Terminal::Both => "stdout,stderr",
            Terminal::Stdout => "stdout",
            Terminal::Stderr => "stderr",
        };
        let script = include_str!("terminal.py");
        let run = self.env("TERM", "xterm").through(&["/usr/bin/python3", "-Ic", script, streams]).run();
        assert!(run.status == 0 && run.stderr.is_empty(), "the terminal failed: {run}");
        let shown = run.json();
        let text = |key: &str| {
            let bytes: Vec<u8> = serde_json::from_value(shown[key].clone()).unwrap();
            String::from_utf8(bytes).expect("portclear writes UTF-8")
        };
        Run {
            status: shown["status"].as_i64().unwrap().try_into().unwrap(),
            stdout: text("stdout"),
            stderr: text("stderr"),
            elapsed: run.elapsed,
        }
    }
}
