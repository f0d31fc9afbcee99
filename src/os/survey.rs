//! Listeners, their holders, their facts: one consistent look at all of it.

use std::time::Duration;

use crate::error::Error;
use crate::facts::{Holder, Seen};
use crate::os::process::{Pinned, ancestry};
use crate::os::sockets::{Table, table};
use crate::os::{holders, pidfd};
use crate::port::{Listener, Overlap, PortSpec};
use crate::service::Service;

/// What one look showed.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) table: Table,
    pub(crate) holders: Vec<(Pinned, Holder)>,
    pub(crate) unreadable: usize,
}

/// Holders that end or fork while they are looked at: look again, but not for ever.
const ATTEMPTS: usize = 5;

/// How long a process that has begun to end may take to go before the next look.
const EXIT: Duration = Duration::from_millis(200);

pub(crate) fn survey(specs: &[PortSpec], service: &Service) -> Result<Survey, Error> {
    let mut last = Survey::default();
    for _ in 0..ATTEMPTS {
        let (survey, settled) = look(specs, service)?;
        last = survey;
        if settled {
            break;
        }
    }
    Ok(last)
}

impl Survey {
    /// The listeners that refuse a bind to the port.
    pub(crate) fn in_the_way(&self, spec: &PortSpec) -> Vec<Listener> {
        in_the_way(&self.table.listeners, spec)
    }
}

fn in_the_way(listeners: &[Listener], spec: &PortSpec) -> Vec<Listener> {
    let overlapping = |wanted: Overlap| -> Vec<Listener> {
        let of_port = listeners.iter().filter(|listener| listener.local.port() == spec.port());
        of_port.filter(|listener| spec.overlap(listener.local.ip()) == wanted).cloned().collect()
    };
    let certain = overlapping(Overlap::Yes);
    // Beside an IPv4 listener on the same port a listener on [::] is v6-only, and not in the way of IPv4.
    if certain.is_empty() { overlapping(Overlap::IfDualStack) } else { certain }
}

fn look(specs: &[PortSpec], service: &Service) -> Result<(Survey, bool), Error> {
    let ports: Vec<u16> = specs.iter().map(PortSpec::port).collect();
    let table = table(&ports)?;
    let mut inodes: Vec<u64> = specs
        .iter()
        .flat_map(|spec| in_the_way(&table.listeners, spec))
        .map(|listener| listener.inode)
        .collect();
    inodes.sort_unstable();
    inodes.dedup();
    let mut survey = Survey { table, ..Survey::default() };
    if inodes.is_empty() {
        return Ok((survey, true));
    }
    let scan = holders::scan(&inodes)?;
    survey.unreadable = scan.unreadable;
    let mut settled = true;
    for pid in scan.holders {
        let Some(pinned) = Pinned::open(pid)? else {
            settled = false;
            continue;
        };
        // Asked of the pinned process: the pid may be another's since the scan.
        let held = pinned.held(&inodes)?;
        let facts = pinned.facts(service)?;
        let Some(facts) = facts.filter(|facts| !held.is_empty() && facts.exe != Seen::Gone) else {
            // What has lost its executable is about to lose its descriptors.
            pidfd::wait(&[&pinned.pidfd], EXIT)?;
            settled = false;
            continue;
        };
        let ancestry = ancestry(pid, service)?;
        survey.holders.push((pinned, Holder { facts, inodes: held, ancestry }));
    }
    let held = |inode: &u64| survey.holders.iter().any(|(_, holder)| holder.inodes.contains(inode));
    if settled && !inodes.iter().all(held) {
        // No holder: closed meanwhile, or out of sight. Closed, it is no longer in the table.
        let again = crate::os::sockets::table(&ports)?;
        let gone = |inode: &u64| !again.listeners.iter().any(|listener| listener.inode == *inode);
        settled = !inodes.iter().any(|inode| !held(inode) && gone(inode));
    }
    Ok((survey, settled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dual_stack_wildcard_counts_only_where_nothing_else_is_in_the_way() {
        let listener = |local: &str, inode| Listener { local: local.parse().unwrap(), inode, uid: 0 };
        let all = [listener("[::]:80", 1), listener("127.0.0.1:80", 2), listener("127.0.0.1:81", 3)];
        let table: [(&[Listener], &str, &[u64]); 6] = [
            (&all, "80", &[1, 2]),
            (&all, "127.0.0.1:80", &[2]),
            (&all, "[::1]:80", &[1]),
            (&all, "localhost:80", &[1, 2]),
            (&all[..1], "127.0.0.1:80", &[1]),
            (&all[1..], "10.0.0.1:80", &[]),
        ];
        for (listeners, spec, expected) in table {
            let found: Vec<u64> =
                in_the_way(listeners, &spec.parse().unwrap()).iter().map(|listener| listener.inode).collect();
            assert_eq!(found, expected, "{spec}");
        }
    }
}
