//! The wire to a fixture: a line of JSON there, a line of JSON back.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::wait::{DEADLINE, readable};

pub(crate) struct Channel {
    /// The end of this pipe ends the fixture.
    input: Option<File>,
    output: File,
    buffer: Vec<u8>,
    /// Every signal that was reported so far: the pid that got it, as the fixture sees it, and its name.
    signals: Vec<(u32, String)>,
}

impl Channel {
    pub(crate) fn new(input: impl Into<OwnedFd>, output: impl Into<OwnedFd>) -> Self {
        Self {
            input: Some(File::from(input.into())),
            output: File::from(output.into()),
            buffer: Vec::new(),
            signals: Vec::new(),
        }
    }

    /// Sends a command and gives its reply.
    #[track_caller]
    pub(crate) fn ask(&mut self, command: &Value, within: Duration) -> Value {
        self.send(command);
        let reply = self.reply(within);
        reply.unwrap_or_else(|why| panic!("no reply to {command}: {why}"))
    }

    pub(crate) fn send(&mut self, command: &Value) {
        let input = self.input.as_mut().expect("an open fixture");
        // A fixture that has ended is known by the reply that does not come.
        let _ = writeln!(input, "{command}");
    }

    /// Gives the next reply. Signals that are reported meanwhile are kept.
    pub(crate) fn reply(&mut self, within: Duration) -> Result<Value, &'static str> {
        let end = Instant::now() + within;
        loop {
            while let Some(line) = self.line() {
                match line.get("reply") {
                    Some(reply) => return Ok(reply.clone()),
                    None => self.note(&line),
                }
            }
            if !readable(&self.output, end.saturating_duration_since(Instant::now())) {
                return Err("the deadline is over");
            }
            if !self.fill() {
                return Err("it has ended");
            }
        }
    }

    /// What was reported so far.
    pub(crate) fn signals(&mut self) -> &[(u32, String)] {
        while readable(&self.output, Duration::ZERO) && self.fill() {}
        while let Some(line) = self.line() {
            self.note(&line);
        }
        &self.signals
    }

    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    fn note(&mut self, line: &Value) {
        let pid = line["pid"].as_u64().and_then(|pid| pid.try_into().ok());
        if let (Some(pid), Some(name)) = (pid, line["signal"].as_str()) {
            self.signals.push((pid, name.to_owned()));
        }
    }

    fn line(&mut self) -> Option<Value> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        Some(serde_json::from_slice(&line).expect("a line of JSON"))
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let length = self.output.read(&mut chunk).unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..length]);
        length > 0
    }
}

/// Longer than portclear's own longest wait.
pub(crate) const RUN: Duration = Duration::from_secs(30);
pub(crate) const COMMAND: Duration = DEADLINE;
