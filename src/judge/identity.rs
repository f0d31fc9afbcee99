//! Decide what a process is to the service: by what it executes and by its markers, never by its name. Pure.

use std::ffi::OsStr;
use std::sync::Arc;

use crate::model::{
    Ancestry, Environ, Evidence, Exe, Executable, Facts, Identity, OffspringSign, Record, Script, Seen, Service, Trace,
};

/// A service, with its executables looked up.
#[derive(Debug)]
pub(crate) struct Resolved<'a> {
    pub(crate) service: &'a Service,
    pub(crate) executables: Vec<Executable>,
}

/// The only identity function. Rules that protect and rules that end both use it.
/// `ports`: those that it was found to hold; empty where nobody asked.
pub(crate) fn identity(facts: &Facts, ancestry: &Ancestry, ports: &[u16], service: &Resolved<'_>) -> Identity {
    let exe = match &facts.exe {
        Seen::Value(exe) => exe,
        // An unreadable process is not judged, nor one that lost its executable while it was read.
        Seen::Denied | Seen::Gone => return Identity::Unknown,
    };
    let environ = match &facts.environ {
        Seen::Value(environ) => environ,
        Seen::Denied | Seen::Gone => return Identity::Unknown,
    };
    let marked = service.service.is_marked(environ);
    let own = own_lineage(facts, service).or_else(|| own_file(facts, ports, service));
    if let Some(name) = offspring_sign(environ, facts.id.pid, service.service) {
        return if marked || own.is_some() { Identity::Offspring(Trace::Variable(name)) } else { Identity::Foreign };
    }
    // The package is unknown, so neither the marker nor its absence gives the right answer.
    if own.is_none() && facts.script == Script::Unreadable {
        return Identity::Unknown;
    }
    match (own, marked) {
        (Some(evidence), _) => Identity::Instance(evidence),
        (None, false) => worker_by_a_file(facts, ancestry, ports, service).unwrap_or(Identity::Foreign),
        (None, true) => marked_without_lineage(facts, exe, ancestry, service),
    }
}

fn marked_without_lineage(facts: &Facts, exe: &Exe, ancestry: &Ancestry, service: &Resolved<'_>) -> Identity {
    let worker_of = || {
        let same = |ancestor: &&Arc<Facts>| {
            let theirs = ancestor.exe.value();
            theirs.is_some_and(|theirs| theirs.file == exe.file) && own_lineage(ancestor, service).is_some()
        };
        let of = ancestry.line.iter().find(same)?;
        // Workers stay where they were started. A process in another cgroup was put there to outlive the instance.
        Some(if facts.cgroup.value().is_some() && facts.cgroup == of.cgroup {
            Identity::Instance(Evidence::WorkerOf(of.id.pid))
        } else {
            Identity::Offspring(Trace::OtherCgroup(of.id.pid))
        })
    };
    match &facts.script {
        Script::NotARuntime => Identity::Offspring(Trace::OtherExecutable),
        Script::Inline => Identity::Offspring(Trace::InlineCode),
        Script::Unreadable => Identity::Unknown,
        Script::At { package: Some(name), .. } if !service.service.packages.contains(name) => {
            Identity::Offspring(Trace::OtherPackage(name.clone()))
        }
        Script::At { package: Some(_), .. } => worker_of().unwrap_or(Identity::Offspring(Trace::OtherCommand)),
        // A name may acquit: what has another title may be anything that inherited the marker.
        Script::Hidden if service.service.is_named_otherwise(facts) => Identity::Offspring(Trace::OtherTitle),
        Script::At { package: None, .. } | Script::Hidden => worker_of().unwrap_or_else(|| {
            let in_a_scope = matches!(&facts.record, Record::Outside(unit) if unit.is_scope());
            if in_a_scope { Identity::Offspring(Trace::Scope) } else { Identity::Instance(Evidence::MarkedRuntime) }
        }),
    }
}

/// Lineage by the process's own executable or script, without its ancestors.
pub(crate) fn own_lineage(facts: &Facts, service: &Resolved<'_>) -> Option<Evidence> {
    let exe = facts.exe.value()?;
    // An upgrade gives the file another inode. For a replaced file, its old path counts.
    let same = |own: &Executable| own.file == Some(exe.file) || (exe.replaced && own.path == exe.path);
    if service.executables.iter().any(same) {
        return Some(Evidence::Executable);
    }
    let Script::At { package: Some(name), subcommand, .. } = &facts.script else { return None };
    let wanted = &service.service.subcommand;
    (service.service.packages.contains(name) && (wanted.is_none() || wanted == subcommand))
        .then(|| Evidence::Package(name.clone()))
}

/// The lock that it holds itself, if it is about these ports; or the pid file that names it.
fn own_file(facts: &Facts, ports: &[u16], service: &Resolved<'_>) -> Option<Evidence> {
    let Service { executables, runtimes, .. } = service.service;
    // A title that no process of the service has acquits here, too.
    let lock = facts.lock.as_ref().filter(|lock| lock.is_about(ports) && !service.service.is_named_otherwise(facts));
    // Somebody may have touched an old pid file. So it tells only of what the service executes, where that is said.
    let may_execute = || {
        let runs = facts.exe.value().is_some_and(|exe| service.service.runtime_of(&exe.path).is_some());
        runs || executables.is_empty() && runtimes.is_empty()
    };
    let pid_file = || facts.pid_file.clone().filter(|_| may_execute()).map(Evidence::PidFile);
    lock.map(|lock| Evidence::Lock(lock.path.clone())).or_else(pid_file)
}

/// A child that holds the port of an instance which is one by its lock or pid file. It was forked from there, or runs
/// its package.
fn worker_by_a_file(facts: &Facts, ancestry: &Ancestry, ports: &[u16], service: &Resolved<'_>) -> Option<Identity> {
    let gateway = ancestry.line.first().filter(|parent| own_file(parent, ports, service).is_some())?;
    let is_of_package = || {
        let Script::At { package: Some(name), .. } = &facts.script else { return false };
        service.service.packages.contains(name)
    };
    // What holds no port is no server, and ends with the gateway by itself.
    let belongs = !ports.is_empty() && facts.file() == gateway.file() && facts.shares_cgroup(gateway);
    (belongs && (facts.only_forked || is_of_package()))
        .then_some(Identity::Instance(Evidence::WorkerOf(gateway.id.pid)))
}

fn offspring_sign(environ: &Environ, pid: u32, service: &Service) -> Option<String> {
    let own = pid.to_string();
    service.offspring.iter().find_map(|sign| {
        let key = match sign {
            OffspringSign::Set(key) => environ.get(key).map(|_| key),
            OffspringSign::OtherPid(key) => environ.get(key).filter(|value| *value != OsStr::new(&own)).map(|_| key),
        };
        key.map(|key| key.to_string_lossy().into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cgroup, Lock};
    use crate::testing::{ancestors, facts, file};
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    /// Short words for the cells: the executable (`!`: replaced), the script and the variables.
    fn process(exe: &str, entry: &str, variables: &str) -> Facts {
        let mut process = facts(42, 10);
        let replaced = exe.ends_with('!');
        let path = PathBuf::from(exe.trim_end_matches('!'));
        let of = if path == Path::new("/opt/gw") && !replaced { file(9) } else { file(exe.len() as u64) };
        process.exe = Seen::Value(Exe { path, replaced, file: of });
        process.script = match entry {
            "-" => Script::NotARuntime,
            "inline" => Script::Inline,
            "hidden" => Script::Hidden,
            title if title.starts_with("title ") => Script::Hidden,
            "unreadable" => Script::Unreadable,
            script => {
                let (package, word) = script.split_once(' ').unwrap_or((script, ""));
                Script::At {
                    path: PathBuf::from("/x.js"),
                    package: (package != "none").then(|| package.to_owned()),
                    subcommand: (!word.is_empty()).then(|| word.into()),
                }
            }
        };
        if let Some(title) = entry.strip_prefix("title ") {
            process.argv = Seen::Value(vec![title.into()]);
        }
        let pairs = variables.split_whitespace().map(|pair| {
            let (key, value) = pair.split_once('=').unwrap();
            (OsString::from(key), OsString::from(value))
        });
        process.environ = Seen::Value(Environ(pairs.collect()));
        process
    }

    fn service() -> Service {
        Service::openclaw().executable("/opt/gw")
    }

    fn judged(process: &Facts, ancestry: &Ancestry) -> Identity {
        with_ports(process, ancestry, &[])
    }

    fn with_ports(process: &Facts, ancestry: &Ancestry, ports: &[u16]) -> Identity {
        let service = service();
        let resolved = Resolved {
            service: &service,
            executables: vec![Executable { path: "/opt/gw".into(), file: Some(file(9)) }],
        };
        identity(process, ancestry, ports, &resolved)
    }

    const MARK: &str = "OPENCLAW_SERVICE_MARKER=openclaw OPENCLAW_SERVICE_KIND=gateway";

    #[test]
    fn every_cell_of_the_identity_table() {
        use Identity::{Foreign, Instance, Offspring};
        let package = |name: &str| Instance(Evidence::Package(name.to_owned()));
        let node = "/usr/bin/node";
        // executable, script, marked → identity
        let table = [
            ("/opt/gw", "-", true, Instance(Evidence::Executable)),
            ("/opt/gw", "-", false, Instance(Evidence::Executable)),
            ("/opt/gw!", "-", false, Instance(Evidence::Executable)),
            ("/opt/other", "-", false, Foreign),
            ("/opt/other", "-", true, Offspring(Trace::OtherExecutable)),
            (node, "openclaw gateway", true, package("openclaw")),
            (node, "openclaw gateway", false, package("openclaw")),
            (node, "moltbot gateway", false, package("moltbot")),
            (node, "openclaw agent", false, Foreign),
            (node, "openclaw agent", true, Offspring(Trace::OtherCommand)),
            (node, "openclaw", true, Offspring(Trace::OtherCommand)),
            (node, "other gateway", false, Foreign),
            (node, "other gateway", true, Offspring(Trace::OtherPackage("other".to_owned()))),
            (node, "none gateway", false, Foreign),
            (node, "none gateway", true, Instance(Evidence::MarkedRuntime)),
            (node, "hidden", false, Foreign),
            (node, "hidden", true, Instance(Evidence::MarkedRuntime)),
            (node, "title openclaw-gateway", true, Instance(Evidence::MarkedRuntime)),
            (node, "title clawdbot", true, Instance(Evidence::MarkedRuntime)),
            (node, "title node /x/index.js", true, Instance(Evidence::MarkedRuntime)),
            // A name may acquit.
            (node, "title npm start", true, Offspring(Trace::OtherTitle)),
            (node, "title openclaw-agent", true, Offspring(Trace::OtherTitle)),
            (node, "title openclaw-gateway", false, Foreign),
            (node, "unreadable", true, Identity::Unknown),
            (node, "unreadable", false, Identity::Unknown),
            ("/opt/gw", "unreadable", false, Instance(Evidence::Executable)),
            (node, "inline", false, Foreign),
            (node, "inline", true, Offspring(Trace::InlineCode)),
        ];
        let nobody = ancestors(&[1], true);
        for (exe, entry, marked, expected) in table {
            let process = process(exe, entry, if marked { MARK } else { "" });
            assert_eq!(judged(&process, &nobody), expected, "{exe} {entry} marked {marked}");
        }
    }

    #[test]
    fn a_worker_runs_what_its_ancestor_runs() {
        let node = "/usr/bin/node";
        let worker = Identity::Instance(Evidence::WorkerOf(42));
        let below = |exe, entry| Ancestry { line: vec![process(exe, entry, MARK).into()], complete: true };
        let gateway = below(node, "openclaw gateway");
        let elsewhere =
            Facts { cgroup: Seen::Value(Cgroup::new("/elsewhere.service")), ..process(node, "openclaw gateway", MARK) };
        let elsewhere = Ancestry { line: vec![elsewhere.into()], complete: true };
        let bun = below("/usr/bin/bun", "openclaw gateway");
        let agent = below(node, "openclaw agent");
        let offspring = Identity::Offspring;
        let table = [
            ("openclaw worker", MARK, &gateway, worker.clone()),
            ("hidden", MARK, &gateway, worker.clone()),
            ("none x", MARK, &gateway, worker),
            ("hidden", MARK, &elsewhere, offspring(Trace::OtherCgroup(42))),
            ("none x", MARK, &elsewhere, offspring(Trace::OtherCgroup(42))),
            ("openclaw worker", MARK, &elsewhere, offspring(Trace::OtherCgroup(42))),
            ("openclaw gateway", MARK, &elsewhere, Identity::Instance(Evidence::Package("openclaw".to_owned()))),
            ("openclaw worker", MARK, &bun, offspring(Trace::OtherCommand)),
            ("openclaw worker", MARK, &agent, offspring(Trace::OtherCommand)),
            ("mcp-server x", MARK, &gateway, offspring(Trace::OtherPackage("mcp-server".to_owned()))),
            ("openclaw worker", "", &gateway, Identity::Foreign),
        ];
        for (entry, variables, ancestry, expected) in table {
            assert_eq!(judged(&process(node, entry, variables), ancestry), expected, "{entry}");
        }
    }

    #[test]
    fn a_lock_and_a_pid_file_tell_what_a_script_tells() {
        let (node, mark) = ("/usr/bin/node", "OPENCLAW_SHELL=exec");
        let locked = |port: Option<u16>, variables: &str| {
            let lock = Lock { path: "/l".into(), port, state_dir: None };
            Facts { lock: Some(lock), ..process(node, "title openclaw-gateway", variables) }
        };
        let by_lock = Identity::Instance(Evidence::Lock("/l".into()));
        let pid_file = |exe: &str| Facts { pid_file: Some("/p".into()), ..process(exe, "-", "") };
        let by_pid_file = Identity::Instance(Evidence::PidFile("/p".into()));
        let table = [
            (locked(Some(18789), ""), vec![18789], by_lock.clone()),
            (locked(None, ""), vec![18789], by_lock.clone()),
            (locked(Some(18789), ""), vec![], by_lock.clone()),
            (locked(Some(18789), MARK), vec![18789], by_lock),
            (locked(Some(18790), ""), vec![18789], Identity::Foreign),
            (locked(Some(18789), mark), vec![18789], Identity::Offspring(Trace::Variable("OPENCLAW_SHELL".to_owned()))),
            (pid_file(node), vec![5432], by_pid_file),
            // The service says what it executes, and this is something else.
            (pid_file("/usr/bin/postgres"), vec![5432], Identity::Foreign),
        ];
        for (facts, ports, expected) in table {
            assert_eq!(with_ports(&facts, &ancestors(&[1], true), &ports), expected, "{:?} {ports:?}", facts.lock);
        }
        // Below a gateway that is one by its lock: forked from there, or of its package, or neither.
        let gateway = Ancestry { line: vec![locked(Some(18789), "").into()], complete: true };
        let forked = Facts { only_forked: true, ..process(node, "title openclaw-gateway", "") };
        let worker = Identity::Instance(Evidence::WorkerOf(42));
        let table = [
            (forked.clone(), vec![18789], worker.clone()),
            (forked.clone(), vec![18790], Identity::Foreign),
            (forked.clone(), vec![], Identity::Foreign),
            (process(node, "openclaw worker", ""), vec![18789], worker),
            (process(node, "other x", ""), vec![18789], Identity::Foreign),
            (process(node, "hidden", ""), vec![18789], Identity::Foreign),
            (Facts { exe: process("/usr/bin/x", "-", "").exe, ..forked }, vec![18789], Identity::Foreign),
        ];
        for (facts, ports, expected) in table {
            assert_eq!(with_ports(&facts, &gateway, &ports), expected, "{:?} {ports:?}", facts.script);
        }
    }

    #[test]
    fn markers_are_whole_and_a_sign_makes_an_offspring() {
        let marked = Identity::Instance(Evidence::MarkedRuntime);
        let sign = |name: &str| Identity::Offspring(Trace::Variable(name.to_owned()));
        let table = [
            ("CLAWDBOT_SERVICE_MARKER=moltbot CLAWDBOT_SERVICE_KIND=gateway", marked.clone()),
            ("OPENCLAW_SERVICE_MARKER=openclaw", Identity::Foreign),
            ("OPENCLAW_SERVICE_MARKER=openclaw OPENCLAW_SERVICE_KIND=node", Identity::Foreign),
            ("OPENCLAW_SERVICE_MARKER=openclaw2 OPENCLAW_SERVICE_KIND=gateway", Identity::Foreign),
            ("OPENCLAW_SERVICE_MARKER=openclaw CLAWDBOT_SERVICE_KIND=gateway", Identity::Foreign),
            (&format!("{MARK} OPENCLAW_GATEWAY_SERVICE_PID=42"), marked),
            (&format!("{MARK} OPENCLAW_GATEWAY_SERVICE_PID=43"), sign("OPENCLAW_GATEWAY_SERVICE_PID")),
            (&format!("{MARK} OPENCLAW_SHELL="), sign("OPENCLAW_SHELL")),
            ("OPENCLAW_SHELL=exec", Identity::Foreign),
        ];
        for (variables, expected) in table {
            let process = process("/usr/bin/node", "hidden", variables);
            assert_eq!(judged(&process, &ancestors(&[1], true)), expected, "{variables}");
        }
    }

    #[test]
    fn what_may_not_be_read_is_unknown() {
        let readable = process("/usr/bin/node", "openclaw gateway", MARK);
        let cases = [
            Facts { exe: Seen::Denied, ..readable.clone() },
            Facts { exe: Seen::Gone, ..readable.clone() },
            Facts { environ: Seen::Denied, ..readable.clone() },
            Facts { environ: Seen::Gone, ..readable },
        ];
        for facts in cases {
            assert_eq!(judged(&facts, &ancestors(&[1], true)), Identity::Unknown);
        }
    }
}
