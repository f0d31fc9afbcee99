//! F. `--sweep`: all that ended runs of the service left behind, and nothing else. docs/sweep.md shows what it says.

mod left;

use std::collections::BTreeSet;

use serde_json::Value;

use self::left::{LIVE, Left, PAGE};
use crate::f_orphans::{LATE, MANY};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        f01_eighty_six_orphans_end_and_the_live_run_lives,
        f01_orphans_end_where_the_port_is_free,
        f01_the_next_start_ends_them,
        f01_what_is_not_left_over_lives,
        f01_nothing_left_over_is_nothing_to_say,
        f02_late_forks_of_what_is_swept_are_counted,
    ];
    cases.push(case!(f01_what_another_user_left_is_out_of_reach, Needs::Systemd));
    cases
}

/// A service that no other test has: they share one systemd, and a sweep looks into all of its units.
pub(crate) struct Service<'a> {
    sd: &'a Sd,
    name: String,
}

impl<'a> Service<'a> {
    pub(crate) fn new(sd: &'a Sd) -> Self {
        let thread = std::thread::current();
        let name = thread.name().and_then(|name| name.rsplit("::").next()).expect("a name");
        Self { sd, name: name.to_owned() }
    }

    pub(crate) fn gateway(&self, port: u16) -> Builder {
        self.sd.gateway(port).marked(false).package(&self.name).env("SWEPT_SERVICE", &self.name)
    }

    fn options(&self) -> [String; 4] {
        ["--package", &self.name, "--marker", &format!("SWEPT_SERVICE={}", self.name)].map(str::to_owned)
    }

    /// A hook for its units.
    pub(crate) fn hook(&self, arguments: &str) -> String {
        format!("ExecStartPre={} {} {arguments}\n", self.sd.program(), self.options().join(" "))
    }

    /// By hand.
    pub(crate) fn portclear(&self, arguments: &[&str]) -> Run {
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        self.sd.portclear(&[&options[..], arguments].concat())
    }
}

/// Stand-ins for MCP servers: with the gateway's environment, and nothing that ends them.
pub(crate) fn with_servers(builder: Builder, count: usize) -> Builder {
    (0..count).fold(builder, |builder, _| builder.spawns(&["/bin/sleep", "infinity"]))
}

pub(crate) fn pids(unit: &Unit<'_>) -> BTreeSet<u32> {
    unit.pids().into_iter().collect()
}

fn f01_eighty_six_orphans_end_and_the_live_run_lives(sd: &Sd) {
    let bystander = sd.bystander();
    let mut left = Left::behind(sd, true);
    let port = left.port.to_string();
    let listener = sd.process(sd.until_answers(left.port));
    let hook = left.service.hook(&port);
    let main = left.go_on(&hook);
    listener.has_ended();
    let journal = left.journal();
    assert!(journal.contains("; 28 processes started by it still there, with "), "{journal}");
    left.is_on_the_page(0, &journal);
    let all = pids(&left.unit);
    assert!(all.is_superset(&left.orphans));
    let live: BTreeSet<u32> = all.difference(&left.orphans).copied().collect();
    assert_eq!((live.len(), live.contains(&main)), (1 + LIVE, true));

    let run = left.service.portclear(&["--dry-run", "--json", "--sweep", &port]);
    assert_eq!(run.status, 3, "{run}");
    left.are_in(&run, "stale-leftover", "untouched", &[]);
    left.lives(main, &all);

    let run = left.service.portclear(&["--sweep", &port]);
    assert_eq!((run.status, run.stderr.as_str()), (3, ""), "{run}");
    left.lives(main, &live);
    left.is_on_the_page(1, &run.stdout);
    assert!(PAGE.contains(&format!("$ echo $?\n{}\n", run.status)));
    bystander.answers();
}

fn f01_orphans_end_where_the_port_is_free(sd: &Sd) {
    let bystander = sd.bystander();
    let mut left = Left::behind(sd, false);
    let main = left.go_on("");
    let live: BTreeSet<u32> = pids(&left.unit).difference(&left.orphans).copied().collect();
    assert_eq!(live.len(), 1 + LIVE);
    let run = left.service.portclear(&["--sweep", "--json", &sd.port().to_string()]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.json()["ports"][0]["status"], "free", "{run}");
    left.are_in(&run, "stale-leftover", "ended", &["SIGTERM"]);
    left.lives(main, &live);
    bystander.answers();
}

fn f01_the_next_start_ends_them(sd: &Sd) {
    let bystander = sd.bystander();
    let mut left = Left::behind(sd, false);
    let hook = left.service.hook(&format!("--sweep {}", left.port));
    let main = left.go_on(&hook);
    let live = pids(&left.unit);
    assert!(live.is_disjoint(&left.orphans));
    assert_eq!(live.len(), 1 + LIVE);
    left.lives(main, &live);
    let journal = left.journal();
    assert_eq!(journal.lines().count(), 4, "a line for each run, and one for all: {journal}");
    left.is_on_the_page(2, &journal);
    bystander.answers();
}

/// A live run of another unit of the service, a leftover of another service, an instance in no unit.
fn f01_what_is_not_left_over_lives(sd: &Sd) {
    let bystander = sd.bystander();
    let service = Service::new(sd);
    let [port, other, foreign, hand] = [sd.port(), sd.port(), sd.port(), sd.port()];
    let files = [
        sd.install(with_servers(service.gateway(other), 2)),
        sd.install(with_servers(Fixture::other(&format!("127.0.0.1:{foreign}")), 2).forks_listener()),
        sd.install(service.gateway(hand)),
        sd.install(with_servers(service.gateway(port), 2).forks_listener()),
    ];
    let write = |name, at: usize, more: &str| {
        sd.unit(name, &format!("[Service]\n{}KillMode=process\n{more}", files[at]))
    };
    let live = write("live.service", 0, "");
    live.start();
    let theirs = write("theirs.service", 1, "");
    theirs.start();
    theirs.stop();
    let by_hand = sd.spawn(sd.uid(), &files[2].command());
    let spared = || {
        let answer = [other, foreign, hand].map(|port| sd.until_answers(port));
        assert!(by_hand.process().is_alive());
        assert_eq!((pids(&live).len(), pids(&theirs).len()), (3, 3));
        assert_eq!(live.signals_of(answer[0]), [""; 0]);
        assert_eq!(theirs.signals_of(answer[1]), [""; 0]);
        (answer, pids(&live), pids(&theirs))
    };
    let before = spared();

    let own = write("own.service", 3, &service.hook(&format!("--sweep {port}")));
    let begin = || {
        own.start();
        let pid = sd.until_answers(port);
        own.stop();
        let left = pids(&own);
        assert_eq!((left.len(), left.contains(&pid)), (3, true));
        left
    };
    let left = begin();
    own.start();
    assert!(pids(&own).is_disjoint(&left), "the hook ends what is its own");
    sd.until_answers(port);
    assert_eq!(spared(), before);
    own.stop();

    let left = pids(&own);
    let run = service.portclear(&["--sweep", "--json", &sd.port().to_string()]);
    assert_eq!(run.status, 0, "{run}");
    let swept: BTreeSet<u32> =
        run.processes().iter().filter_map(|process| process["pid"].as_u64()?.try_into().ok()).collect();
    assert_eq!((left.len(), swept), (3, left), "{run}");
    assert_eq!(pids(&own), BTreeSet::new());
    assert_eq!(spared(), before);
    bystander.answers();
}

fn f01_nothing_left_over_is_nothing_to_say(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, port) = (Service::new(sd), sd.port());
    let free = sd.port().to_string();
    let gateway = sd.install(with_servers(service.gateway(port), 2));
    let unit =
        sd.unit("gw.service", &format!("[Service]\n{gateway}{}", service.hook(&format!("--sweep {port}"))));
    unit.start();
    let pids = pids(&unit);
    sd.until_answers(port);
    let quiet = service.portclear(&["--sweep", &free]);
    assert_eq!((quiet.status, quiet.stdout.as_str(), quiet.stderr.as_str()), (0, "", ""), "{quiet}");
    let told = service.portclear(&["--sweep", "--verbose", &free]);
    let said = format!("port {free}: free\nsweep: nothing is left over\n");
    assert_eq!((told.status, told.stdout.as_str()), (0, said.as_str()), "{told}");
    let document = service.portclear(&["--sweep", "--json", &free]).json();
    assert_eq!(document["swept"]["status"], "swept", "{document:#}");
    assert_eq!(document["swept"]["processes"], Value::Array(vec![]), "{document:#}");
    assert_eq!(crate::f_sweep::pids(&unit), pids);
    assert_eq!(unit.journal_of("portclear"), []);
    bystander.answers();
}

fn f01_what_another_user_left_is_out_of_reach() {
    let [system, user] = [Manager::System, Manager::User].map(Sd::new);
    let bystander = system.bystander();
    let left = |sd| {
        let service = Service::new(sd);
        let port = sd.port();
        let gateway = sd.install(with_servers(service.gateway(port), 2));
        let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
        unit.start();
        sd.until_answers(port);
        unit.stop();
        assert_eq!(unit.pids().len(), 2);
        (service, unit, gateway)
    };
    let [roots, users] = [&system, &user].map(left);
    let before = pids(&roots.1);
    let free = user.port().to_string();
    let run = users.0.portclear(&["--sweep", "--json", &free]);
    assert_eq!((run.status, run.processes().len()), (0, 2), "{run}");
    assert_eq!((pids(&users.1), pids(&roots.1)), (BTreeSet::new(), before.clone()));
    let run = roots.0.portclear(&["--sweep", "--json", &free]);
    assert_eq!((run.status, run.processes().len()), (0, before.len()), "{run}");
    assert_eq!(pids(&roots.1), BTreeSet::new());
    bystander.answers();
}

/// Where the descriptors do not suffice for all of them, and no port is cleared that they might be counted with.
fn f02_late_forks_of_what_is_swept_are_counted(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, [port, free]) = (Service::new(sd), [(); 2].map(|()| sd.port()));
    let late = ["/usr/bin/python3", "-c", LATE, &MANY.to_string(), "late"];
    let gateway = sd.install(service.gateway(port).spawns(&late));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    unit.start();
    sd.until_answers(port);
    until("armed", || pids(&unit).into_iter().any(|pid| sd.process(pid).stat().comm == "armed"));
    unit.stop();
    let [armed] = pids(&unit).into_iter().collect::<Vec<_>>()[..] else { panic!("{:?}", pids(&unit)) };
    let hook = service.hook(&format!("--tree --sweep --json {free}"));
    let program = hook.trim().trim_start_matches("ExecStartPre=").split(' ');
    let argv: Vec<&str> = ["prlimit", "--nofile=64:64", "--"].into_iter().chain(program).collect();
    let run = sd.spawn(sd.uid(), &argv).finish();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.process(armed)["outcome"], "ended", "{run}");
    let (left, others) = (pids(&unit).len(), run.processes().len() - 1);
    assert!(others > 5 && others + left == MANY, "{others} of them, {left} left: {run}");
    assert_eq!(run.json()["swept"]["remainder"]["processes"], left, "{run}");
    bystander.answers();
}
