//! The list of all that the library says: tests/golden/messages/library.txt. A reviewer reads it as a list.

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use crate::model::supervisors::SUPERVISORS;
    use crate::model::{
        Also, Asker, Blind, Change, Connections, Ending, Environ, Error, Evidence, Exe, Facts, Fate, How, Identity,
        Judgement, Liveness, Lock, Manager, Marker, Memory, NewerThan, Outcome, PortReport, ProcessReport, Protection,
        Record, Rival, Role, Runtime, Script, Seen, Sent, Service, Signal, Step, Supervised, Supervisor, SweepReport,
        Trace, Unit, Verdict, Why, WhyHeld, WhyNot, WhySurvived, WhyUnseen,
    };
    use crate::say::refusal;
    use crate::testing::listed::{files, holds, literals};
    use crate::testing::{ancestors, facts, process};

    /// All variants of an enum, one value or more for each. A variant without a pattern does not compile.
    macro_rules! every {
        ($of:ty, $($value:expr => $pattern:pat),+ $(,)?) => {{
            let _is_known = |value: &$of| match value { $($pattern => {})+ };
            let all: Vec<$of> = vec![$($value),+];
            all
        }};
    }

    fn evidence() -> Vec<Evidence> {
        every![
            Evidence,
            Evidence::Executable => Evidence::Executable,
            Evidence::Package("openclaw".to_owned()) => Evidence::Package(_),
            Evidence::Lock("/tmp/openclaw-0/gateway.lock".into()) => Evidence::Lock(_),
            Evidence::PidFile("/run/my-app.pid".into()) => Evidence::PidFile(_),
            Evidence::WorkerOf(40) => Evidence::WorkerOf(_),
            Evidence::MarkedRuntime => Evidence::MarkedRuntime,
        ]
    }

    fn traces() -> Vec<Trace> {
        every![
            Trace,
            Trace::Variable("OPENCLAW_SHELL".to_owned()) => Trace::Variable(_),
            Trace::OtherExecutable => Trace::OtherExecutable,
            Trace::OtherPackage("other".to_owned()) => Trace::OtherPackage(_),
            Trace::OtherCommand => Trace::OtherCommand,
            Trace::OtherTitle => Trace::OtherTitle,
            Trace::InlineCode => Trace::InlineCode,
            Trace::OtherCgroup(40) => Trace::OtherCgroup(_),
            Trace::Scope => Trace::Scope,
        ]
    }

    fn protections() -> Vec<Protection> {
        every![
            Protection,
            Protection::Caller => Protection::Caller,
            Protection::Ancestor => Protection::Ancestor,
            Protection::Descendant => Protection::Descendant,
            Protection::Init => Protection::Init,
            Protection::SameInstance(40) => Protection::SameInstance(_),
            Protection::Inherited(40) => Protection::Inherited(_),
            Protection::Named(40) => Protection::Named(_),
            Protection::Supervisor("pm2") => Protection::Supervisor(_),
            Protection::CallersAncestryUnreadable => Protection::CallersAncestryUnreadable,
            Protection::AncestryUnreadable => Protection::AncestryUnreadable,
        ]
    }

    fn unit(manager: Manager) -> Unit {
        Unit { name: "my-app.service".into(), manager }
    }

    fn supervisors() -> Vec<Supervisor> {
        let mut all = every![
            Supervisor,
            Supervisor::Container(Some("docker-0123456789abcdef.scope".to_owned())) => Supervisor::Container(Some(_)),
            Supervisor::Container(None) => Supervisor::Container(None),
            Supervisor::Unit(unit(Manager::System)) => Supervisor::Unit(Unit { manager: Manager::System, .. }),
            Supervisor::Unit(unit(Manager::User(1000))) => Supervisor::Unit(Unit { manager: Manager::User(_), .. }),
            Supervisor::Unit(unit(Manager::Nested)) => Supervisor::Unit(Unit { manager: Manager::Nested, .. }),
            by("pm2", 50) => Supervisor::Program(_),
        ];
        all.extend(SUPERVISORS.iter().map(|row| by(row.name, 50)));
        all.extend([by("pm2", 40), Supervisor::Unit(unit(Manager::User(1001)))]);
        all
    }

    /// What runs the process 50, or its parent 40.
    fn by(name: &'static str, child: u32) -> Supervisor {
        let (supervisor, child) = (facts(30, 10).id, facts(child, 10).id);
        Supervisor::Program(Supervised { by: name, supervisor, child })
    }

    fn holder(identity: Identity, liveness: Liveness, verdict: Verdict) -> ProcessReport {
        let variables = [
            ("pm_id", "0"),
            ("PM2_HOME", "/home/me/.pm2"),
            ("name", "gateway"),
            ("SUPERVISOR_GROUP_NAME", "gw"),
            ("SUPERVISOR_PROCESS_NAME", "gw"),
            ("RC_SVCNAME", "gateway"),
        ];
        let mut process = process(facts(50, 10), ancestors(&[40, 30], true));
        let facts = &mut process.facts;
        let pairs = variables.map(|(key, value)| (key.into(), value.into()));
        facts.environ = Seen::Value(Environ(pairs.to_vec()));
        facts.exe = Seen::Value(Exe { path: "/usr/bin/node".into(), replaced: false, file: crate::testing::file(1) });
        facts.argv = Seen::Value(["node", "/srv/app/server.js"].map(Into::into).to_vec());
        facts.script = Script::At { path: "/srv/app/server.js".into(), package: None, subcommand: None };
        facts.run = Some("0".repeat(32));
        facts.record = Record::Current { run: "0".repeat(32), since: SystemTime::UNIX_EPOCH };
        if let Liveness::Live(Supervisor::Container(Some(name))) = &liveness {
            facts.cgroup = Seen::Value(crate::model::Cgroup::new(format!("/system.slice/{name}")));
        }
        ProcessReport {
            role: Role::Holder,
            process,
            user: Some("me".to_owned()),
            markers: Vec::new(),
            judgement: Judgement { identity, liveness, verdict, service: Arc::new(Service::openclaw()) },
            ending: Ending::new(Fate::Untouched),
        }
    }

    fn instance(verdict: Verdict) -> ProcessReport {
        holder(Identity::Instance(Evidence::Package("openclaw".to_owned())), Liveness::Unsupervised, verdict)
    }

    fn spared(why: WhyNot) -> ProcessReport {
        instance(Verdict::Spared(why))
    }

    fn live(supervisor: Supervisor) -> ProcessReport {
        ProcessReport {
            judgement: Judgement { liveness: Liveness::Live(supervisor), ..spared(WhyNot::Live).judgement },
            ..spared(WhyNot::Live)
        }
    }

    fn with(mut report: ProcessReport, change: impl Fn(&mut Facts)) -> ProcessReport {
        change(&mut report.process.facts);
        report
    }

    fn foreign() -> ProcessReport {
        holder(Identity::Foreign, Liveness::Unsupervised, Verdict::Spared(WhyNot::Foreign))
    }

    fn foreign_to(service: Service) -> ProcessReport {
        let mut report = foreign();
        report.judgement.service = Arc::new(service);
        report
    }

    fn executes(path: &str) -> impl Fn(&mut Facts) {
        move |facts| {
            facts.exe = Seen::Value(Exe { path: path.into(), replaced: false, file: crate::testing::file(2) });
            facts.script = Script::NotARuntime;
            facts.argv = Seen::Value(vec![path.into()]);
        }
    }

    /// A process in each way in which it is not recognised.
    fn strangers() -> Vec<ProcessReport> {
        let described = Service::new("my-app");
        let scripts = [
            Script::NotARuntime,
            Script::Inline,
            Script::Hidden,
            Script::At { path: "/x/dist/index.js".into(), package: Some("other".to_owned()), subcommand: None },
            Script::At {
                path: "/x/dist/index.js".into(),
                package: Some("openclaw".to_owned()),
                subcommand: Some("agent".into()),
            },
        ];
        let of_script = |script: &Script| with(foreign(), |facts| facts.script = script.clone());
        let lock = Lock { path: "/tmp/x.lock".into(), ..lock() };
        let mut all = vec![foreign()];
        all.extend(scripts.iter().map(of_script));
        all.extend([
            with(foreign(), |facts| facts.lock = Some(lock.clone())),
            with(foreign(), executes("/usr/bin/ssh")),
            with(foreign(), executes("/usr/bin/docker-proxy")),
            with(foreign(), |facts| {
                executes("/usr/bin/docker-proxy")(facts);
                let line = ["docker-proxy", "-container-ip", "172.17.0.2", "-container-port", "80"];
                facts.argv = Seen::Value(line.map(Into::into).to_vec());
            }),
            with(foreign(), |facts| {
                executes("/usr/bin/python3.11")(facts);
                facts.argv =
                    Seen::Value(["python3", "-u", "/srv/other.py", "--token", "secret"].map(Into::into).to_vec());
            }),
            foreign_to(described.clone()),
            foreign_to(described.clone().executable("/usr/bin/my-app")),
            foreign_to(described.clone().executable("/a").executable("/b").executable("/c").executable("/d")),
            foreign_to(described.clone().package("my-app")),
            foreign_to(described.clone().package("my-app").package("my-ap")),
            foreign_to(described.clone().runtime(Runtime::Name("node".to_owned())).markers([Marker::new("A", "b")])),
            foreign_to(described.clone().pid_file("/run/my-app.pid")),
            with(foreign_to(described.pid_file("/run/my-app.pid").executable("/a")), |facts| {
                facts.pid_file = Some("/run/my-app.pid".into());
            }),
        ]);
        all
    }

    fn lock() -> Lock {
        Lock { path: PathBuf::new(), port: Some(1), state_dir: None }
    }

    /// A process in each way in which nobody can tell what it is.
    fn unread() -> Vec<ProcessReport> {
        let (unread, spared) = (Identity::Unknown, Verdict::Spared(WhyNot::Unknown));
        let of = |change: &dyn Fn(&mut Facts)| with(holder(unread.clone(), Liveness::Unsupervised, spared), change);
        let by_liveness = |change: &dyn Fn(&mut Facts)| {
            let identity = Identity::Instance(Evidence::Executable);
            with(holder(identity, Liveness::Unknown, spared), change)
        };
        vec![
            of(&|facts| facts.exe = Seen::Denied),
            of(&|facts| facts.environ = Seen::Denied),
            of(&|facts| facts.script = Script::Unreadable),
            of(&|_| {}),
            by_liveness(&|facts| facts.nested = Seen::Denied),
            by_liveness(&|facts| facts.cgroup = Seen::Denied),
            by_liveness(&|facts| facts.record = Record::Denied),
            by_liveness(&|_| {}),
            by_liveness(&|facts| facts.record = Record::None),
        ]
    }

    fn stale_ones() -> Vec<ProcessReport> {
        let whys = every![
            Why,
            Why::Instance => Why::Instance,
            Why::Leftover => Why::Leftover,
            Why::OwnUnit => Why::OwnUnit,
            Why::AnyOwner => Why::AnyOwner,
            Why::Live => Why::Live,
            Why::Offspring => Why::Offspring,
            Why::Approved => Why::Approved,
            Why::Tree => Why::Tree,
        ];
        let mut all: Vec<ProcessReport> = whys.into_iter().map(|why| instance(Verdict::Stale(why))).collect();
        let of = |identity: Identity, why| holder(identity, Liveness::Unsupervised, Verdict::Stale(why));
        all.extend(evidence().into_iter().map(|evidence| of(Identity::Instance(evidence), Why::Instance)));
        all.extend(traces().into_iter().map(|trace| of(Identity::Offspring(trace), Why::Leftover)));
        let part = |role| ProcessReport { role, ..of(Identity::Foreign, Why::Tree) };
        all.extend([part(Role::Launcher), part(Role::Offspring)]);
        all
    }

    /// Each way of being spared. A holder's refusal has the same.
    fn spared_ones() -> Vec<ProcessReport> {
        let whys = every![
            WhyNot,
            WhyNot::Newer(NewerThan::Caller) => WhyNot::Newer(NewerThan::Caller),
            WhyNot::Newer(NewerThan::Server) => WhyNot::Newer(NewerThan::Server),
            WhyNot::Newer(NewerThan::Signal) => WhyNot::Newer(NewerThan::Signal),
            WhyNot::Declined => WhyNot::Declined,
            WhyNot::Elsewhere => WhyNot::Elsewhere,
            WhyNot::OtherInstance => WhyNot::OtherInstance,
            WhyNot::Foreign => WhyNot::Foreign | WhyNot::Protected | WhyNot::Live | WhyNot::Unknown,
            WhyNot::Offspring => WhyNot::Offspring,
        ];
        let others = whys.into_iter().filter(|why| !matches!(why, WhyNot::Foreign | WhyNot::Offspring));
        let mut all: Vec<ProcessReport> = others.map(spared).collect();
        let (offspring, spares) = (Identity::Offspring(Trace::OtherExecutable), |why| Verdict::Spared(why));
        all.push(holder(offspring, Liveness::Unsupervised, spares(WhyNot::Offspring)));
        let protected = |protection| {
            let unread = matches!(protection, Protection::CallersAncestryUnreadable | Protection::AncestryUnreadable);
            let why = if unread { WhyNot::Unknown } else { WhyNot::Protected };
            holder(Identity::Foreign, Liveness::Protected(protection), spares(why))
        };
        all.extend(protections().into_iter().map(protected));
        all.push(with(protected(Protection::Init), |facts| facts.id.pid = 1));
        all.push(with(protected(Protection::Init), |facts| {
            executes("/usr/lib/systemd/systemd")(facts);
            facts.id.pid = 1;
        }));
        all.extend(supervisors().into_iter().map(live));
        all.extend(unread());
        all.extend(strangers());
        let looked_after = |supervisor| holder(Identity::Foreign, Liveness::Live(supervisor), spares(WhyNot::Foreign));
        all.push(looked_after(Supervisor::Unit(unit(Manager::System))));
        all.push(looked_after(by("pm2", 50)));
        let in_unit = || live(Supervisor::Unit(unit(Manager::System)));
        all.push(with(in_unit(), |facts| facts.run = None));
        all.push(with(in_unit(), |facts| facts.run = Some("1".repeat(32))));
        all.push(with(in_unit(), |facts| {
            facts.run = Some("1".repeat(32));
            facts.uid = Seen::Value(0);
        }));
        all.push(with(live(Supervisor::Unit(unit(Manager::User(1001)))), |facts| facts.run = None));
        all.push(with(live(by("pm2", 50)), |facts| facts.uid = Seen::Value(65534)));
        all.push(with(foreign(), |facts| facts.uid = Seen::Value(0)));
        all.push(looked_after(Supervisor::Container(None)));
        all
    }

    fn port(status: Result<Outcome, Error>, holders: Vec<ProcessReport>) -> PortReport {
        let asker = Some(Asker { uid: 1000, unit: None, blind: None });
        PortReport { holders, asker, ..PortReport::new("18789".parse().unwrap(), status) }
    }

    fn sent(signals: &[Signal], fate: Fate) -> ProcessReport {
        let mut report = instance(Verdict::Stale(Why::Instance));
        let signals = signals.iter().map(|signal| Sent { signal: *signal, after: Duration::ZERO }).collect();
        report.ending = Ending { fate, signals };
        report
    }

    fn memory(processes: usize) -> Memory {
        Memory { processes, bytes: 3 << 20, resident: false }
    }

    fn ended() -> ProcessReport {
        sent(&[Signal::TERM], Fate::Ended(Duration::ZERO))
    }

    fn survivor(state: char, signals: &[Signal]) -> ProcessReport {
        with(sent(signals, Fate::Survived(state)), |facts| facts.state = state)
    }

    /// The answers about a port, in all their forms.
    fn ports() -> Vec<PortReport> {
        let cut_off = || sent(&[Signal::TERM, Signal::KILL], Fate::Ended(Duration::ZERO));
        let cleared = |holders| port(Ok(Outcome::Cleared), holders);
        let ended_by = |supervisor| {
            let mut process = ended();
            process.judgement.liveness = Liveness::Live(supervisor);
            process
        };
        let by_starter = PortReport { starter: Some(Box::new(facts(30, 10))), ..cleared(vec![ended()]) };
        let mut all = vec![
            port(Ok(Outcome::Free), vec![]),
            port(Ok(Outcome::WouldClear), vec![instance(Verdict::Stale(Why::Instance))]),
            PortReport { remainder: memory(2), ..port(Ok(Outcome::WouldClear), vec![ended()]) },
            cleared(vec![ended()]),
            cleared(vec![ended(), ended()]),
            cleared(vec![cut_off()]),
            cleared(vec![cut_off(), ended()]),
            cleared(vec![ended(), survivor('S', &[Signal::TERM])]),
            PortReport { remainder: memory(1), ..cleared(vec![ended()]) },
            PortReport { stopped: true, ..cleared(vec![ended()]) },
            PortReport { stopped: true, ..cleared(vec![ended(), survivor('S', &[Signal::TERM])]) },
            by_starter,
            cleared(vec![ended_by(Supervisor::Unit(unit(Manager::System)))]),
            cleared(vec![ended_by(by("pm2", 50))]),
            cleared(vec![ended_by(Supervisor::Container(None))]),
        ];
        all.extend(refused());
        all
    }

    /// The refusals, in all their forms.
    fn refused() -> Vec<PortReport> {
        let held = |why| Ok(Outcome::Held(why));
        let id = facts(50, 10).id;
        let mut all: Vec<PortReport> = spared_ones()
            .into_iter()
            .map(|holder| {
                let unread = holder.judgement.verdict == Verdict::Spared(WhyNot::Unknown);
                let why = Ok(Outcome::Unseen(WhyUnseen::Unread(holder.process.id())));
                port(if unread { why } else { held(WhyHeld::Spared) }, vec![holder])
            })
            .collect();
        let of_unit = Asker { uid: 0, unit: Some(unit(Manager::System)), blind: None };
        let in_unit = live(Supervisor::Unit(unit(Manager::User(1001))));
        all.push(PortReport { asker: Some(of_unit), ..port(held(WhyHeld::Spared), vec![in_unit]) });
        let others = every![
            WhyHeld,
            WhyHeld::Elsewhere(id) => WhyHeld::Elsewhere(_),
            WhyHeld::Changed => WhyHeld::Changed | WhyHeld::Spared,
        ];
        all.extend(others.into_iter().map(|why| port(held(why), vec![spared(WhyNot::Elsewhere)])));
        let unprivileged = Error::new("nothing listens on 80", io::Error::from(io::ErrorKind::PermissionDenied));
        all.push(port(Err(unprivileged), vec![]));
        all.extend(several());
        all.extend(unseen());
        all.extend(survived());
        all
    }

    /// More than one holder, one of them foreign.
    fn several() -> Vec<PortReport> {
        let numbered = |report: ProcessReport, pid| with(report, move |facts| facts.id.pid = pid);
        let other = || numbered(foreign(), 51);
        let protection = Liveness::Protected(Protection::Caller);
        let protected = holder(Identity::Foreign, protection, Verdict::Spared(WhyNot::Protected));
        let looked_after =
            |supervisor| holder(Identity::Foreign, Liveness::Live(supervisor), Verdict::Spared(WhyNot::Foreign));
        let in_unit = looked_after(Supervisor::Unit(unit(Manager::System)));
        let job = with(live(Supervisor::Unit(unit(Manager::System))), |facts| facts.run = Some("1".repeat(32)));
        let holders = [
            vec![foreign(), other()],
            vec![foreign(), with(other(), |facts| facts.uid = Seen::Value(0))],
            vec![other(), protected],
            vec![other(), in_unit],
            vec![other(), instance(Verdict::Stale(Why::Instance))],
            vec![job, other()],
            (50..60).map(|pid| numbered(foreign(), pid)).collect(),
        ];
        holders.into_iter().map(|holders| port(Ok(Outcome::Held(WhyHeld::Spared)), holders)).collect()
    }

    fn unseen() -> Vec<PortReport> {
        let id = facts(50, 10).id;
        let of = |why| port(Ok(Outcome::Unseen(why)), vec![spared(WhyNot::Unknown)]);
        let whys = every![
            WhyUnseen,
            WhyUnseen::NobodyListens => WhyUnseen::NobodyListens,
            WhyUnseen::Unsettled => WhyUnseen::Unsettled,
            WhyUnseen::NotPermitted(id) => WhyUnseen::NotPermitted(_),
            WhyUnseen::Unread(id) => WhyUnseen::Unread(_),
            WhyUnseen::Hidden(0) => WhyUnseen::Hidden(_),
        ];
        let mut all: Vec<PortReport> = whys.iter().map(|why| of(*why)).collect();
        let connections = [(1, 0), (2, 0), (0, 1), (0, 2)];
        all.extend(connections.map(|(connected, time_wait)| PortReport {
            connections: Connections { connected, time_wait },
            ..of(WhyUnseen::NobodyListens)
        }));
        let blinds = every![
            Blind,
            Blind::UserNamespace => Blind::UserNamespace,
            Blind::HiddenProc => Blind::HiddenProc,
        ];
        let mut by = |uid, blind, why| {
            all.push(PortReport { asker: Some(Asker { uid, unit: None, blind }), ..of(why) });
        };
        for why in [WhyUnseen::Hidden(0), WhyUnseen::NotPermitted(id), WhyUnseen::Unread(id)] {
            by(0, None, why);
        }
        for blind in blinds {
            by(1000, Some(blind), WhyUnseen::Hidden(0));
        }
        all
    }

    fn survived() -> Vec<PortReport> {
        let of = |why, holder| port(Ok(Outcome::Survived(why)), vec![holder]);
        let asked = || survivor('S', &[Signal::TERM]);
        let whys = every![
            WhySurvived,
            WhySurvived::StillThere => WhySurvived::StillThere,
            WhySurvived::Unsettled => WhySurvived::Unsettled,
            WhySurvived::Stopped => WhySurvived::Stopped,
        ];
        let mut all: Vec<PortReport> = whys.into_iter().map(|why| of(why, asked())).collect();
        let killed = [Signal::TERM, Signal::KILL];
        let there = WhySurvived::StillThere;
        all.extend([of(there, survivor('D', &killed)), of(there, survivor('t', &killed))]);
        let long = Duration::from_secs(600);
        all.push(PortReport { elapsed: long, remainder: memory(2), ..of(there, asked()) });
        let again = |newcomer| port(Ok(Outcome::Respawned), vec![ended(), newcomer]);
        all.extend([
            again(spared(WhyNot::Newer(NewerThan::Caller))),
            again(live(by("pm2", 50))),
            again(live(Supervisor::Unit(unit(Manager::System)))),
            port(Ok(Outcome::Respawned), vec![ended()]),
        ]);
        let mut orphan = spared(WhyNot::Newer(NewerThan::Caller));
        orphan.process.ancestry = ancestors(&[1], true);
        all.push(again(orphan));
        all
    }

    fn sweeps() -> Vec<SweepReport> {
        let failed = Error::new("cannot list the processes", io::Error::from(io::ErrorKind::PermissionDenied));
        let of = |processes| SweepReport { processes, memory: memory(1), ..SweepReport::default() };
        vec![
            SweepReport { status: Err(failed), ..SweepReport::default() },
            SweepReport::default(),
            of(vec![ended()]),
            SweepReport { stopped: true, ..of(vec![survivor('S', &[Signal::TERM])]) },
            SweepReport { remainder: memory(2), ..of(vec![instance(Verdict::Stale(Why::Leftover))]) },
            of(vec![sent(&[Signal::TERM, Signal::KILL], Fate::Ended(Duration::ZERO)), survivor('S', &[Signal::TERM])]),
        ]
    }

    /// A change is shown as the policy that the next call has.
    fn how(step: &How) -> String {
        match step {
            How::Command(command) => format!("`{command}`"),
            How::Again(change) => format!("[the call with {change:?}]"),
            How::Words => "[no command]".to_owned(),
        }
    }

    #[test]
    fn all_that_the_library_says() {
        let mut list = String::new();
        let mut part = |title: &str, lines: Vec<String>| {
            let _ = writeln!(list, "# {title}\n");
            let mut said: Vec<String> = Vec::new();
            for line in lines {
                assert!(!line.contains(char::is_control), "{line:?}");
                if !said.contains(&line) {
                    let _ = writeln!(list, "{line}");
                    said.push(line);
                }
            }
            list.push('\n');
        };
        let reason = |report: &ProcessReport| report.reason();
        part("Why a process may be ended (stale: …)", stale_ones().iter().map(reason).collect());
        part("Why a process is left alone (spared: …)", spared_ones().iter().map(reason).collect());
        part("The answer about a port (port 18789: …)", ports().iter().map(PortReport::sentence).collect());
        let failed = Error::new("cannot read the socket table", io::Error::from(io::ErrorKind::PermissionDenied));
        let mut failed = vec![port(Err(failed), vec![])];
        part("Where nothing could be found out", failed.iter().map(PortReport::sentence).collect());
        part("What was attempted then", attempts());
        failed.push(port(Ok(Outcome::Cleared), vec![]));
        failed.extend(
            spared_ones().into_iter().take(3).map(|holder| port(Ok(Outcome::Held(WhyHeld::Spared)), vec![holder])),
        );
        let many = (0..5).map(|_| foreign()).collect();
        failed.push(port(Ok(Outcome::Held(WhyHeld::Spared)), many));
        failed.push(port(Ok(Outcome::Held(WhyHeld::Spared)), vec![live(by("pm2", 50))]));
        part("A bind that is refused (cannot bind 18789: …)", failed.iter().map(refusal).collect());
        part("The sweep (sweep: …)", sweeps().iter().map(SweepReport::sentence).collect());
        let rival = |process| Rival { process, port: 18789 };
        let rivals = [rival(instance(Verdict::Stale(Why::Instance))), rival(live(by("pm2", 50)))];
        part("Another instance (state folder: …)", rivals.iter().map(Rival::sentence).collect());
        let mut steps = Vec::new();
        for port in refused() {
            let reason = port.holders.iter().map(ProcessReport::reason).next_back().unwrap_or_default();
            steps.push(format!("{} ({reason})", port.sentence()));
            steps.extend(port.next_steps().iter().map(|step| format!("    {} {}", how(&step.how), step.effect)));
        }
        steps.extend(
            rivals.iter().flat_map(Rival::next_steps).map(|step| format!("{} {}", how(&step.how), step.effect)),
        );
        let _ = writeln!(list, "# What a person can do after each refusal\n\n{}", steps.join("\n"));
        holds("library.txt", &list);
    }

    /// Every refusal has a step, and no step ends more than is needed before a gentler one.
    #[test]
    fn every_refusal_has_its_next_step_and_the_safest_is_the_first() {
        for port in refused() {
            let steps = port.next_steps();
            let is_told = port.asker.as_ref().is_some_and(|asker| asker.blind == Some(Blind::UserNamespace));
            assert!(!steps.is_empty() || is_told, "{}", port.sentence());
            let any = How::Again(Change::Also(Also::AnyOwner));
            assert!(steps.first().is_none_or(|first| first.how != any), "{}", port.sentence());
        }
    }

    /// A person may paste a whole line.
    #[test]
    fn no_effect_has_a_character_for_a_shell() {
        for step in refused().iter().flat_map(PortReport::next_steps) {
            assert!(!step.effect.contains([';', '`', '#', '$', '&', '|', '\'', '"', '\\', '<', '>']), "{step:?}");
        }
    }

    /// A signal to one of several holders frees nothing, and harms the unit that runs it.
    #[test]
    fn kill_is_a_step_only_where_it_frees_the_port_and_harms_no_unit() {
        let kill = |port: &PortReport| {
            let commands = port.next_steps().into_iter().filter_map(|step| match step.how {
                How::Command(command) => Some(command),
                How::Again(_) | How::Words => None,
            });
            commands.filter(|command| command.contains("kill ")).collect::<Vec<_>>()
        };
        let several = several().iter().map(kill).collect::<Vec<_>>();
        let wanted = [vec!["kill 50 51"], vec!["sudo kill 50 51"], vec![], vec![], vec![], vec![], vec![]];
        assert_eq!(several, wanted);
        let held = |holder| port(Ok(Outcome::Held(WhyHeld::Spared)), vec![holder]);
        let in_unit = |run: Option<String>| {
            let holder = live(Supervisor::Unit(unit(Manager::System)));
            held(with(holder, |facts| facts.run = run.clone()))
        };
        let others = held(with(foreign(), |facts| facts.uid = Seen::Value(0)));
        let unread = holder(Identity::Foreign, Liveness::Unknown, Verdict::Spared(WhyNot::Foreign));
        let table = [
            (in_unit(None), None),
            (in_unit(Some("0".repeat(32))), None),
            (in_unit(Some("1".repeat(32))), Some("kill 50")),
            (held(foreign()), Some("kill 50")),
            (others, Some("sudo kill 50")),
            (held(with(unread.clone(), |facts| facts.cgroup = Seen::Denied)), None),
            (held(unread), Some("kill 50")),
        ];
        for (port, wanted) in table {
            assert_eq!(kill(&port).first().map(String::as_str), wanted, "{}", port.holders[0].reason());
        }
    }

    /// A child sets its variables as it likes, and the supervisor's user runs the command.
    #[test]
    fn no_command_has_a_variable_of_another_users_child() {
        for name in ["pm2", "supervisord", "openrc"] {
            let own = live(by(name, 50));
            assert!(own.stop_command().is_some(), "{name}");
            for uid in [Seen::Value(65534), Seen::Denied] {
                let others = with(own.clone(), |facts| facts.uid = uid.clone());
                assert_eq!((others.stop_command(), others.entry()), (None, None), "{name}");
            }
        }
    }

    /// Hostile names lead to no command: a word that cannot be quoted, or one that would be an option.
    #[test]
    fn no_command_has_the_text_of_a_hostile_name() {
        for name in
            ["a\n.service", "\u{202e}.service", "-x.service", "a'b.service", r"a\b.service", "a b;$(id).service"]
        {
            let manager = Manager::System;
            let holder = live(Supervisor::Unit(Unit { name: name.into(), manager }));
            let steps = port(Ok(Outcome::Held(WhyHeld::Spared)), vec![holder]).next_steps();
            let stops = |step: &Step| matches!(&step.how, How::Command(command) if command.contains("systemctl"));
            let quoted = name.contains("$(id)");
            assert_eq!(steps.iter().any(stops), quoted, "{name:?}: {steps:?}");
            for step in steps.iter().filter(|step| stops(step)) {
                assert_eq!(step.how, How::Command("sudo systemctl stop 'a b;$(id).service'".to_owned()));
            }
        }
    }

    /// The beginnings of errors, as they stand in the source.
    fn attempts() -> Vec<String> {
        let of_room = |room: &str| {
            let files = files(room).into_iter().map(|file| Path::new(room).join(file));
            files.flat_map(|file| literals(&file)).collect::<Vec<_>>()
        };
        let all = ["read", "answer", "end", ""].into_iter().flat_map(of_room);
        let mut found: Vec<String> = all.filter_map(|literal| attempt(&literal)).collect();
        found.sort();
        found.dedup();
        found
    }

    fn attempt(literal: &str) -> Option<String> {
        let begins = ["cannot ", "nothing listens on", "not a pid"];
        begins.iter().any(|begin| literal.starts_with(begin)).then(|| literal.to_owned())
    }
}
