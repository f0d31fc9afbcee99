//! Listeners, their holders, their facts: one consistent look at all of it.

use std::rc::Rc;
use std::time::Duration;

use crate::error::Error;
use crate::facts::{Holder, Seen};
use crate::os::ancestry::Known;
use crate::os::process::Pinned;
use crate::os::sockets::{Table, table};
use crate::os::{holders, pidfd};
use crate::port::{Listener, PortSpec};
use crate::service::Service;

/// What one look showed.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) table: Table,
    pub(crate) holders: Vec<(Rc<Pinned>, Holder)>,
    pub(crate) unreadable: usize,
    /// Nothing changed while it was looked at.
    pub(crate) settled: bool,
}

/// Holders that end or fork while they are looked at: look again, but not for ever.
const ATTEMPTS: usize = 5;

/// How long a process that has begun to end may take to go before the next look.
const EXIT: Duration = Duration::from_secs(1);

/// `known` is what was read just before it.
pub(crate) fn survey(specs: &[PortSpec], service: &Service, mut known: Known) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    for _ in 0..ATTEMPTS {
        survey = look(specs, service, std::mem::take(&mut known))?;
        if survey.settled {
            break;
        }
    }
    Ok(survey)
}

impl Survey {
    /// The listeners that refuse a bind to the port.
    pub(crate) fn in_the_way(&self, spec: &PortSpec) -> Vec<Listener> {
        in_the_way(&self.table.listeners, spec)
    }
}

fn in_the_way(listeners: &[Listener], spec: &PortSpec) -> Vec<Listener> {
    listeners.iter().filter(|listener| spec.is_refused_by(listener)).cloned().collect()
}

fn look(specs: &[PortSpec], service: &Service, mut known: Known) -> Result<Survey, Error> {
    let table = table(specs)?;
    let mut inodes: Vec<u64> = specs
        .iter()
        .flat_map(|spec| in_the_way(&table.listeners, spec))
        .map(|listener| listener.inode)
        .collect();
    inodes.sort_unstable();
    inodes.dedup();
    let mut survey = Survey { table, settled: true, ..Survey::default() };
    if inodes.is_empty() {
        return Ok(survey);
    }
    let scan = holders::scan(&inodes)?;
    survey.unreadable = scan.unreadable;
    for pid in scan.holders {
        let Some(pinned) = Pinned::open(pid)? else {
            survey.settled = false;
            continue;
        };
        // Asked of the pinned process: the pid may be another's since the scan.
        let held = pinned.held(&inodes)?;
        let facts = pinned.facts(service)?;
        let Some(facts) = facts.filter(|facts| !held.is_empty() && facts.exe != Seen::Gone) else {
            // What has lost its executable is about to lose its descriptors.
            pidfd::wait(&[&pinned.pidfd], EXIT)?;
            survey.settled = false;
            continue;
        };
        let ancestry = known.ancestry(&facts, service)?;
        survey.holders.push((Rc::new(pinned), Holder { facts, inodes: held, ancestry }));
    }
    let held = |inode: &u64| survey.holders.iter().any(|(_, holder)| holder.inodes.contains(inode));
    if survey.settled && !inodes.iter().all(held) {
        // No holder: closed meanwhile, or out of sight. Closed, it is no longer in the table.
        let again = crate::os::sockets::table(specs)?;
        let gone = |inode: &u64| !again.listeners.iter().any(|listener| listener.inode == *inode);
        let closed = inodes.iter().any(|inode| !held(inode) && gone(inode));
        survey.settled = !closed;
    }
    Ok(survey)
}
