//! Programs that run beside the tests' units: by hand, in a session, in a scope, in a transient unit.

use std::process::{Command, Stdio};

use super::run::{Run, Running};
use super::sd::Sd;
use super::start::run_as;
use super::systemd::USER;
use super::tracer::{GATE, Traced};
use super::unit::Unit;

impl Sd {
    /// `systemd-run OPTIONS… ARGV…`: starts a unit that has no file.
    #[track_caller]
    pub(crate) fn transient(&self, name: &str, options: &[&str], argv: &[impl AsRef<str>]) -> Unit<'_> {
        let unit = self.named(name);
        let mut words = vec!["systemd-run".to_owned(), self.which(), format!("--unit={}", unit.name)];
        words.extend(options.iter().map(|&option| option.to_owned()));
        words.push("--".to_owned());
        words.extend(argv.iter().map(|word| word.as_ref().to_owned()));
        self.enter(&words).succeeded();
        unit
    }

    /// Starts a program in a scope. Its parent is outside. The drop ends it.
    #[track_caller]
    pub(crate) fn scope(&self, name: &str, argv: &[impl AsRef<str>]) -> Running {
        let unit = self.named(name);
        let mut words = vec!["systemd-run".to_owned(), self.which(), format!("--unit={}", unit.name)];
        words.extend(["--scope", "--quiet", "--"].map(str::to_owned));
        words.extend(argv.iter().map(|word| word.as_ref().to_owned()));
        self.spawn(self.uid(), &words)
    }

    /// Starts a program in `session-N.scope`, like a person who has logged in. The drop ends it.
    #[track_caller]
    pub(crate) fn session(&self, argv: &[impl AsRef<str>]) -> Running {
        let user = if self.uid() == 0 { "root" } else { "portclear" };
        // The end of runuser would not end its child.
        let become_it = r#"exec setpriv --pdeathsig KILL -- "$@""#;
        let mut words = ["runuser", "-l", user, "-c", become_it, "--", "sh"].map(str::to_owned).to_vec();
        words.extend(argv.iter().map(|word| word.as_ref().to_owned()));
        self.spawn(0, &words)
    }

    /// `systemctl` of this manager.
    #[track_caller]
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> Run {
        let mut words = vec!["systemctl".to_owned(), self.which()];
        words.extend(arguments.iter().map(|&word| word.to_owned()));
        self.enter(&words)
    }

    /// Runs portclear by hand, as root or as the user, in no unit.
    #[track_caller]
    pub(crate) fn portclear(&self, arguments: &[&str]) -> Run {
        super::witness::of_sd(self, arguments);
        self.enter(&[&[&self.program()[..]], arguments].concat())
    }

    /// The same, under a tracer that can stop it between two system calls.
    #[track_caller]
    pub(crate) fn traced(&self, arguments: &[&str]) -> Traced {
        let mut command = self.command(self.uid(), &[&GATE[..], &[&self.program()], arguments].concat());
        command.stdin(Stdio::piped());
        // nsenter(1) is the parent of what it runs inside.
        Traced::behind_gate(Running::start(command, true, None, [None, None]))
    }

    /// Runs a program by hand, as root or as the user, in no unit.
    #[track_caller]
    pub(crate) fn enter(&self, argv: &[impl AsRef<str>]) -> Run {
        self.enter_as(self.uid(), argv)
    }

    #[track_caller]
    pub(crate) fn enter_as(&self, uid: u32, argv: &[impl AsRef<str>]) -> Run {
        self.spawn(uid, argv).finish()
    }

    /// The same, while the test does something else. The drop ends it.
    #[track_caller]
    pub(crate) fn spawn(&self, uid: u32, argv: &[impl AsRef<str>]) -> Running {
        Running::start(self.command(uid, argv), false, None, [None, None])
    }

    pub(super) fn command(&self, uid: u32, argv: &[impl AsRef<str>]) -> Command {
        let wrapper = self.booted.entering();
        let mut command = Command::new(&wrapper[0]);
        command.args(&wrapper[1..]);
        if uid != 0 {
            command.args(run_as(uid));
        }
        // It follows the change of user, which would undo it.
        command.args(["setpriv", "--pdeathsig", "KILL", "--"]);
        command.args(argv.iter().map(AsRef::as_ref)).stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
        if uid == USER {
            command.env("XDG_RUNTIME_DIR", format!("/run/user/{USER}")).env("HOME", "/home/portclear");
        }
        command
    }
}
