//! What lives beside a stale gateway: one of another profile, an agent without a gateway.

use super::{PATIENT, is_ended_by_its_lock};
use crate::support::lock::{Held, locks_of};
use crate::support::openclaw::{Home, Model};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a12_a_gateway_of_another_profile_lives, Needs::OpenClaw),
        case!(a12_the_profile_is_told_under_a_title, Needs::OpenClaw),
        case!(a06_an_agent_without_a_gateway_lives, Needs::OpenClaw),
        case!(f01_a_gateway_of_the_same_state_folder_is_named, Needs::OpenClaw),
    ]
}

fn a12_a_gateway_of_another_profile_lives() {
    let home = Home::new();
    home.configure(".openclaw-x/openclaw.json");
    let bystander = Bystander::start();
    let gateway = home.gateway().start();
    let other = home.gateway().before(&["--profile", "x"]).port(18795).start();
    let below = other.below();
    let lies_apart = |lock: &Held| lock.path.starts_with(home.path(".openclaw-x")) && lock.content["port"] == 18795;
    assert!(other.locks().iter().all(lies_apart));
    is_ended_by_its_lock(&gateway, || portclear(&PATIENT));
    other.serves(18795);
    assert!(below.iter().all(Proc::is_alive));
    bystander.answers();
}

/// The title has overwritten `--profile x` and `--dev`. The state folder in the lock has the name.
fn a12_the_profile_is_told_under_a_title() {
    let home = Home::new();
    let bystander = Bystander::start();
    for (words, profile) in [(&["--profile", "x"][..], "x"), (&["--dev"], "dev")] {
        home.configure(&format!(".openclaw-{profile}/openclaw.json"));
        let gateway = home.gateway().before(words).start();
        let asked = |profile: &str| {
            // As the unit of the profile has it.
            let folder = home.word(&format!(".openclaw-{profile}"));
            let run = Portclear::new(&PATIENT).env("OPENCLAW_PROFILE", profile).env("OPENCLAW_STATE_DIR", folder);
            MARKERS.iter().fold(run, |run, (key, value)| run.env(key, *value)).run()
        };
        spared(&asked("work"), 3, gateway.pid(), "other-instance");
        gateway.serves(18789);
        is_ended_by_its_lock(&gateway, || asked(profile));
    }
    bystander.answers();
}

/// `openclaw agent --local` has both locks of its state folder open, with its own pid, in another role.
fn a06_an_agent_without_a_gateway_lives() {
    let home = Home::new();
    home.configure("agent/openclaw.json");
    let bystander = Bystander::start();
    let mut model = Model::new();
    let agent = home.claw(&["agent", "--local", "--agent", "main", "--message", "hello"]);
    let agent = agent.env("OPENCLAW_STATE_DIR", &home.word("agent")).spawn();
    model.is_asked();
    let locks = locks_of(agent.pid());
    assert_eq!(locks.len(), 2);
    assert!(locks.iter().all(|lock| lock.content["role"] == "agent-embedded" && lock.content["pid"] == agent.pid()));

    let gateway = home.gateway().start();
    is_ended_by_its_lock(&gateway, || portclear(&[&PATIENT[..], &["--sweep"]].concat()));
    // Nor is it the gateway of the state folder that it has.
    let run = Portclear::new(&["--json", "18789", "--sweep"]).env("OPENCLAW_STATE_DIR", home.word("agent")).run();
    assert_eq!(run.status, 0, "{run}");
    assert!(run.processes().iter().all(|process| process["pid"] != agent.pid()), "{run}");
    assert!(agent.process().is_alive());
    bystander.answers();
}

/// It serves another port, so nothing is in the way at this one, and yet no start would succeed.
fn f01_a_gateway_of_the_same_state_folder_is_named() {
    let home = Home::new();
    let bystander = Bystander::start();
    let gateway = home.gateway().port(18795).start();
    let below = gateway.below();
    let asked = |arguments: &[&str]| Portclear::new(arguments).env("HOME", home.word("")).run();
    let run = asked(&["18789"]);
    assert_eq!(run.status, 0, "{run}");
    for said in [format!("(pid {}", gateway.pid()), "port 18795".to_owned(), "status 78".to_owned()] {
        assert!(run.stderr.contains(&said), "{said}: {run}");
    }
    gateway.serves(18795);
    // So it is.
    let mut next = home.gateway().spawn();
    while next.line().is_some() {}
    let (status, said) = next.ended();
    assert_eq!(status.code(), Some(78), "{said}");

    let run = asked(&[&PATIENT[..], &["--sweep"]].concat());
    assert_eq!(run.status, 0, "{run}");
    gateway.process().has_ended();
    below.iter().for_each(Proc::has_ended);
    home.gateway().start().serves(18789);
    bystander.answers();
}
