//! A server that starts like any program. It prints a line when it serves, and says why when it does not.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::process::Proc;
use super::wait::{DEADLINE, readable};

/// The drop ends it, and so does the end of the test run.
pub(crate) struct Server {
    process: Proc,
    child: Child,
    output: File,
    buffer: Vec<u8>,
    errors: File,
}

impl Server {
    /// Starts `argv` with these variables alone, and does not wait.
    #[track_caller]
    pub(crate) fn start(argv: &[&str], environment: &[(&str, &str)]) -> Self {
        let errors = tempfile::tempfile().unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(argv);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors.try_clone().unwrap());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = File::from(OwnedFd::from(child.stdout.take().unwrap()));
        Self { process: Proc::at_once(child.id()), child, output, buffer: Vec::new(), errors }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn process(&self) -> &Proc {
        &self.process
    }

    pub(crate) fn start_ticks(&self) -> u64 {
        self.process.stat().starttime
    }

    /// Its next line. `None`: it has closed its output, or has ended.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Option<String> {
        self.line_within(3 * DEADLINE)
    }

    /// The same for one that has much to do before it speaks.
    #[track_caller]
    pub(crate) fn line_within(&mut self, time: Duration) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            assert!(readable(&self.output, time), "process {} says nothing", self.pid());
            let mut chunk = [0; 4096];
            let length = self.output.read(&mut chunk).unwrap();
            if length == 0 {
                return None;
            }
            self.buffer.extend_from_slice(&chunk[..length]);
        }
    }

    /// Lets a server go on that waits for its standard input.
    pub(crate) fn go(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap()).unwrap();
    }

    /// Waits for its end, and gives what it said on standard error.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> (ExitStatus, String) {
        self.process.has_ended();
        let status = self.child.wait().unwrap();
        let mut text = String::new();
        self.errors.rewind().unwrap();
        self.errors.read_to_string(&mut text).unwrap();
        (status, text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.signal(super::Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
