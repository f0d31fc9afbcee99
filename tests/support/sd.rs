//! What a test does with the systemd of the test run. The function of a test gets an [`Sd`], and runs once with units
//! of the system and once with units of a user.

use std::cell::RefCell;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sched::{CloneFlags, setns};

use super::builder::Builder;
use super::fixture::Fixture;
use super::installed::{Installed, Plain};
use super::net::ask;
use super::process::Proc;
use super::systemd::{Booted, USER, booted};
use super::unit::{Unit, UnitBystander};
use super::wait::{tick_after, until};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    /// PID 1. Root uses it.
    System,
    /// `systemd --user`. Its user uses it.
    User,
}

/// A manager, for one test. Its units bear the name of the test, and the drop ends them. A panic shows what they
/// wrote into the journal.
pub(crate) struct Sd {
    pub(super) booted: &'static Booted,
    manager: Manager,
    prefix: String,
    units: RefCell<Vec<String>>,
}

/// `both![f, g]`: a list of cases that runs each `fn f(sd: &Sd)` with either manager.
macro_rules! both {
    ($($function:ident),* $(,)?) => {
        vec![$(
            $crate::support::Case {
                path: concat!(module_path!(), "::", stringify!($function), "_system"),
                needs: &[$crate::support::Needs::Systemd],
                run: || $function(&$crate::support::Sd::new($crate::support::Manager::System)),
            },
            $crate::support::Case {
                path: concat!(module_path!(), "::", stringify!($function), "_user"),
                needs: &[$crate::support::Needs::Systemd],
                run: || $function(&$crate::support::Sd::new($crate::support::Manager::User)),
            },
        )*]
    };
}
pub(crate) use both;

impl Sd {
    /// Boots systemd if nobody has yet. The test's thread is in systemd's network from here on, and so are `ask`,
    /// `can_bind` and everything that it starts.
    #[track_caller]
    pub(crate) fn new(manager: Manager) -> Self {
        let booted = booted();
        setns(&booted.network, CloneFlags::CLONE_NEWNET).expect("the network of systemd");
        let thread = std::thread::current();
        let name = thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or("test");
        Self { booted, manager, prefix: name.to_owned(), units: RefCell::default() }
    }

    pub(crate) fn manager(&self) -> Manager {
        self.manager
    }

    /// The user of the units.
    pub(crate) fn uid(&self) -> u32 {
        match self.manager {
            Manager::System => 0,
            Manager::User => USER,
        }
    }

    /// `%t` in a unit: `/run`, `/run/user/4711`.
    pub(crate) fn runtime_directory(&self) -> String {
        match self.manager {
            Manager::System => "/run".to_owned(),
            Manager::User => format!("/run/user/{USER}"),
        }
    }

    /// The path of portclear, for units and by hand.
    pub(crate) fn program(&self) -> String {
        text(&self.booted.program())
    }

    /// Where the real OpenClaw lies inside, if it is installed.
    pub(super) fn openclaw(&self) -> PathBuf {
        self.booted.share.with_file_name("openclaw")
    }

    /// A path inside, as this process can open it.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.booted.root().join(inside.trim_start_matches('/'))
    }

    /// A port that no other test has.
    pub(crate) fn port(&self) -> u16 {
        static NEXT: AtomicU16 = AtomicU16::new(20_000);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Lays a fixture out. Its standard input is /dev/null, and it reports its signals to the journal.
    pub(crate) fn install(&self, builder: Builder) -> Installed {
        Installed::of(builder, &self.booted.share)
    }

    /// An instance with both markers, on 127.0.0.1 and this port.
    pub(crate) fn gateway(&self, port: u16) -> Builder {
        Fixture::gateway_on(&format!("127.0.0.1:{port}"))
    }

    pub(crate) fn plain(&self, language: Plain, port: u16) -> Installed {
        Installed::plain(language, port, &self.booted.share)
    }

    /// Writes a unit file and loads it. `gw.service` becomes `TEST-gw.service`.
    #[track_caller]
    pub(crate) fn unit(&self, name: &str, text: &str) -> Unit<'_> {
        let unit = self.named(name);
        unit.write(text);
        unit
    }

    /// A unit of this test, which may not exist.
    pub(crate) fn named(&self, name: &str) -> Unit<'_> {
        self.named_exactly(&format!("{}-{name}", self.prefix))
    }

    /// A unit of a name that says something to the program.
    pub(crate) fn named_exactly(&self, name: &str) -> Unit<'_> {
        self.units.borrow_mut().push(name.to_owned());
        Unit { sd: self, name: name.to_owned() }
    }

    /// Waits until a fixture or a plain service answers on 127.0.0.1, and gives its inner pid.
    #[track_caller]
    pub(crate) fn until_answers(&self, port: u16) -> u32 {
        let mut line = String::new();
        until("a server answers", || {
            ask(&format!("127.0.0.1:{port}")).is_ok_and(|answer| {
                line = answer;
                !line.is_empty()
            })
        });
        let pid = line.split(' ').next().and_then(|pid| pid.parse().ok());
        let pid = pid.unwrap_or_else(|| panic!("no pid answers on {port}: {line}"));
        // A run that begins within a tick or two of it could not be told from an earlier one.
        tick_after(self.process(pid).stat().starttime + 1);
        pid
    }

    /// Waits for a server that says nothing by itself.
    #[track_caller]
    pub(crate) fn until_listens(&self, port: u16) {
        until("a listener", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    /// The outer pid for an inner one.
    pub(crate) fn outer(&self, inner: u32) -> u32 {
        super::pidns::outer(self.booted.leader, inner)
    }

    /// A process by its inner pid, to watch or to signal. The drop does not end it.
    pub(crate) fn process(&self, inner: u32) -> Proc {
        let process = Proc::of(self.outer(inner));
        process.keep();
        process
    }

    /// Somebody else's server, in a unit of its own. It must live through whatever portclear does.
    #[track_caller]
    pub(crate) fn bystander(&self) -> UnitBystander<'_> {
        UnitBystander::start(self)
    }

    pub(super) fn which(&self) -> String {
        if self.manager == Manager::User { "--user" } else { "--system" }.to_owned()
    }

    /// The journal fields for a unit of this manager.
    pub(super) fn journal_matches(&self, unit: &str) -> [String; 3] {
        let user = if self.manager == Manager::User { "USER_" } else { "" };
        [format!("_SYSTEMD_{user}UNIT={unit}"), "+".to_owned(), format!("{user}UNIT={unit}")]
    }

    /// The folder of the unit files.
    pub(crate) fn unit_folder(&self) -> PathBuf {
        self.path(match self.manager {
            Manager::System => "/etc/systemd/system",
            Manager::User => "/home/portclear/.config/systemd/user",
        })
    }

    /// Ends every process in the units of this test, whatever became of the units.
    fn end_processes(&self, folder: &Path, in_user: bool) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&format!("{}-", self.prefix)) {
                if in_user == (self.manager == Manager::User) {
                    let _ = fs::write(entry.path().join("cgroup.kill"), "1");
                }
            } else if entry.path().is_dir() {
                self.end_processes(&entry.path(), in_user || name == format!("user@{USER}.service"));
            }
        }
    }

    /// This cleans up after a test that has failed, so nothing in it may panic.
    fn quietly(&self, uid: u32, argv: &[String]) -> String {
        let argv = [&["timeout".to_owned(), "10".to_owned()], argv].concat();
        let output = self.command(uid, &argv).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }
}

impl Drop for Sd {
    fn drop(&mut self) {
        let units = self.units.take();
        if std::thread::panicking() {
            let journal = ["journalctl", "--no-pager", "--output=short-monotonic", "--priority=info", "--lines=100"];
            let mut journal: Vec<String> = journal.map(str::to_owned).to_vec();
            for unit in &units {
                journal.extend(self.journal_matches(unit));
                journal.push("+".to_owned());
            }
            journal.pop();
            eprintln!("{}:\n{}", self.prefix, self.quietly(0, &journal));
        }
        // This comes first, so that nothing is started again.
        let stop = ["systemctl".to_owned(), self.which(), "stop".to_owned(), "--no-block".to_owned()];
        self.quietly(self.uid(), &[&stop, &units[..]].concat());
        self.end_processes(&self.path("/sys/fs/cgroup"), false);
        for unit in &units {
            let file = self.unit_folder().join(unit);
            let _ = fs::remove_dir_all(file.with_file_name(format!("{unit}.d")));
            let _ = fs::remove_file(file);
        }
    }
}

pub(super) fn text(path: &Path) -> String {
    path.to_str().expect("plain text").to_owned()
}
