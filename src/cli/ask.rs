//! Ask a person about each holder, and end what they approve.
//!
//! Nobody is signalled before the last question is answered. At a question Ctrl-C ends the program, as usual.

use std::io::{self, IsTerminal, Write};

use anstream::AutoStream;
use anstyle::Style;
use portclear::report::{Liveness, Outcome, PortReport, ProcessId, ProcessReport, Verdict, Why};
use portclear::{Policy, PortSpec, Report};
use rustix::termios::{QueueSelector, tcflush};

use crate::cli::again::CommandLine;
use crate::cli::args::Args;
use crate::cli::group::{groups, name, pids};
use crate::cli::live;
use crate::cli::text::Section;

const BOLD: Style = Style::new().bold();

/// A person can read the questions and answer them.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Clears the ports of which all holders are approved. `declined` gets the ports that stay held for a no alone.
pub(crate) fn clear(args: &Args, policy: Policy, declined: &mut Vec<PortSpec>) -> Report {
    let seen = portclear::inspect(&args.ports, &policy);
    let holders = seen.ports.iter().flat_map(|port| &port.holders);
    // As if all were approved: then the rest of their instances is found, and what keeps a port from being cleared. What
    // is protected or may not be read keeps it as well.
    let policy = policy.only(holders);
    let would = portclear::inspect(&args.ports, &policy);
    let mut questions = Questions { args, answers: Vec::new(), approved: Vec::new(), declined: Vec::new() };
    let mut asked = Vec::new();
    for (known, port) in seen.ports.iter().zip(&would.ports) {
        if matches!(port.status, Ok(Outcome::WouldClear)) {
            questions.about(known, port);
            asked.push(port.spec);
        }
    }
    let said_no = std::mem::take(&mut questions.declined);
    let approved = questions.approved();
    let done = if asked.is_empty() { None } else { Some(live::clear(&asked, &policy.only(&approved), true)) };
    // Whoever came after the question is news.
    let is_known = |port: &PortReport| {
        let asked = would.ports.iter().find(|asked| asked.spec == port.spec);
        asked.is_some_and(|asked| port.holders.iter().all(|holder| shown(asked, holder).is_some()))
    };
    let held = done.iter().flat_map(|done| &done.ports).filter(|port| matches!(port.status, Ok(Outcome::Held(_))));
    declined.extend(held.filter(|port| said_no.contains(&port.spec) && is_known(port)).map(|port| port.spec));
    merged(seen, would, done)
}

/// A port that nobody was asked about has the answer of the look, which says what keeps it from being cleared. The
/// verdicts there are those of the rules, for nobody approved anything.
fn merged(seen: Report, would: Report, done: Option<Report>) -> Report {
    let mut report = would;
    for (port, known) in report.ports.iter_mut().zip(&seen.ports) {
        for holder in &mut port.holders {
            if let Some(by_rule) = shown(known, holder) {
                holder.judgement = by_rule.judgement.clone();
            }
        }
        for member in &mut port.members {
            if member.judgement.verdict == Verdict::Stale(Why::Approved) {
                member.judgement.verdict = Verdict::Stale(Why::Tree);
            }
        }
    }
    let Some(done) = done else { return report };
    (report.rival, report.dry_run) = (done.rival, done.dry_run);
    for port in done.ports {
        if let Some(earlier) = report.ports.iter_mut().find(|earlier| earlier.spec == port.spec) {
            *earlier = port;
        }
    }
    report
}

/// The same process, as the rules judge it.
fn shown<'a>(port: &'a PortReport, holder: &ProcessReport) -> Option<&'a ProcessReport> {
    port.holders.iter().find(|known| known.process.id() == holder.process.id())
}

struct Questions<'a> {
    args: &'a Args,
    /// A process that holds several ports is asked about once.
    answers: Vec<(ProcessId, bool)>,
    approved: Vec<ProcessReport>,
    declined: Vec<PortSpec>,
}

impl Questions<'_> {
    /// Asks about each holder of a port. After a no the others are not asked about: nothing is ended then.
    fn about(&mut self, port: &PortReport, would: &PortReport) {
        let section = Section::of_port(port, self.args, &CommandLine::of_this_process());
        let mut text = introduction(&section.title, would);
        for holder in &would.holders {
            let id = holder.process.id();
            let answer = match self.answer(id) {
                Some(answer) => {
                    let said = if answer { "approved" } else { "declined" };
                    text.extend(format!("  {} ({}) is {said} above\n", name(&[holder]), pids(&[holder])).bytes());
                    answer
                }
                None => {
                    // A vector takes all that is written.
                    let _ = describe(&mut text, &section, shown(port, holder).unwrap_or(holder));
                    text.extend(listens_elsewhere(would, holder, "It").bytes());
                    self.ask(std::mem::take(&mut text), would)
                }
            };
            self.answers.push((id, answer));
            if !answer {
                self.forget(would);
                self.declined.push(would.spec);
                text.extend(format!("Port {} stays held, so portclear ends nothing for it.\n", would.spec).bytes());
                let _ = self.show(&text);
                return;
            }
        }
        let _ = self.show(&text);
        self.approved.extend(would.processes().cloned());
    }

    fn show(&self, text: &[u8]) -> io::Result<()> {
        let mut out = AutoStream::new(io::stderr(), self.args.color).lock();
        out.write_all(text)?;
        out.flush()
    }

    /// Anything but a clear yes is a no: another word, the end of the input, an error.
    fn ask(&self, mut text: Vec<u8>, would: &PortReport) -> bool {
        let with = match (would.holders.len(), would.members.len()) {
            (1, 1) => ", and 1 more process".to_owned(),
            (1, n) if n > 1 => format!(", and {n} more processes"),
            _ => String::new(),
        };
        text.extend(format!("End it{with}? [y/N] ").bytes());
        // An answer that was typed before the question is no answer to it.
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
        let asked = self.show(&text);
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        if !answer.ends_with('\n') {
            let _ = self.show(b"\n");
        }
        let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
        asked.is_ok() && read.is_ok() && answer.ends_with('\n') && is_yes
    }

    /// A yes to a holder was a yes for this port. For another port the holder is asked about again.
    fn forget(&mut self, would: &PortReport) {
        let approved = &self.approved;
        let is_approved = |id| approved.iter().any(|one| one.process.id() == id);
        let is_held = |id| would.holders.iter().any(|holder| holder.process.id() == id);
        self.answers.retain(|(id, answer)| !(*answer && is_held(*id)) || is_approved(*id));
    }

    fn answer(&self, of: ProcessId) -> Option<bool> {
        self.answers.iter().find(|(id, _)| *id == of).map(|(_, answer)| *answer)
    }

    /// A no counts more than a yes to an instance that the process is a part of.
    fn approved(self) -> Vec<ProcessReport> {
        let Self { answers, mut approved, .. } = self;
        approved.retain(|process| !answers.contains(&(process.process.id(), false)));
        approved
    }
}

fn introduction(title: &str, would: &PortReport) -> Vec<u8> {
    let (held, it) = match would.holders.len() {
        1 => ("1 process holds it".to_owned(), "it"),
        n => (format!("{n} processes hold it, and all of them must end to free it"), "them"),
    };
    let members = groups(&would.members, false);
    let members: Vec<String> = members.iter().map(|group| format!("{} ({})", name(group), pids(group))).collect();
    let members = match &members[..] {
        [] => String::new(),
        _ => format!("; also ended with {it}: {}", members.join(", ")),
    };
    let subject = |member| format!("{} ({})", name(&[member]), pids(&[member]));
    let elsewhere = would.members.iter().map(|member| listens_elsewhere(would, member, &subject(member)));
    format!("{BOLD}{title}{BOLD:#}: {held}{members}\n{}", elsewhere.collect::<String>()).into_bytes()
}

/// `It also listens on 127.0.0.1:18792.`: whoever approves the end of a process ends what it serves there.
fn listens_elsewhere(would: &PortReport, process: &ProcessReport, subject: &str) -> String {
    let own = would.elsewhere.iter().filter(|(id, _)| *id == process.process.id());
    let mut addresses: Vec<String> = own.map(|(_, listener)| listener.local.to_string()).collect();
    // One address may have several sockets (SO_REUSEPORT).
    addresses.dedup();
    if addresses.is_empty() { String::new() } else { format!("{subject} also listens on {}.\n", addresses.join(", ")) }
}

/// The facts, and a warning where a person should know more.
fn describe(out: &mut Vec<u8>, section: &Section<'_>, holder: &ProcessReport) -> io::Result<()> {
    section.paragraph(out, &[holder])?;
    writeln!(out)?;
    if matches!(holder.judgement.liveness, Liveness::Live(_)) {
        let stops = holder.stops().map(|stops| format!(" The better way: {stops}.")).unwrap_or_default();
        writeln!(out, "Its supervisor may start it again.{stops}")?;
    }
    Ok(())
}
