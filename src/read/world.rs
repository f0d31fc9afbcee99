//! Read the listeners, their holders and the holders' facts in one consistent look.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::ancestry::Lines;
use super::facts::facts;
use super::pidfd::wait;
use super::pinned::{Pinned, Pins};
use super::{holders, table};
use crate::model::{Error, Listener, PortSpec, Process, Seen, Service, World};

/// Holders may end or fork during a look. Then look again, but not for ever.
const ATTEMPTS: usize = 5;

/// How long a process that is ending may take before the next look.
const EXIT: Duration = Duration::from_secs(1);

/// One look at the ports, with the holders pinned.
#[derive(Default)]
pub(crate) struct Look {
    pub(crate) world: World,
    pub(crate) pins: Pins,
}

/// Looks at the ports. `lines`: the ancestors that were read just before it.
pub(crate) fn look(specs: &[PortSpec], service: &Service, mut lines: Lines) -> Result<Look, Error> {
    let mut look = Look::default();
    if specs.is_empty() {
        return Ok(look);
    }
    for _ in 0..ATTEMPTS {
        look = read(specs, service, std::mem::take(&mut lines))?;
        if look.world.settled {
            break;
        }
    }
    Ok(look)
}

fn read(specs: &[PortSpec], service: &Service, mut lines: Lines) -> Result<Look, Error> {
    let mut world = table::table(specs)?;
    let mut pins = Pins::default();
    let in_the_way = |listener: &&Listener| specs.iter().any(|spec| spec.is_refused_by(listener));
    let mut inodes: Vec<u64> = world.listeners.iter().filter(in_the_way).map(|listener| listener.inode).collect();
    inodes.sort_unstable();
    inodes.dedup();
    world.settled = true;
    if inodes.is_empty() {
        return Ok(Look { world, pins });
    }
    let scan = holders::scan(&inodes)?;
    world.unreadable = scan.unreadable;
    for pid in scan.holders {
        let Some(pinned) = Pinned::open(pid)? else {
            world.settled = false;
            continue;
        };
        // Ask the pinned process: the pid may have been reused since the scan.
        let held = pinned.held(&inodes)?;
        let facts = facts(&pinned, service)?;
        let Some(facts) = facts.filter(|facts| !held.is_empty() && facts.exe != Seen::Gone) else {
            // A process without an executable is ending, and will soon close its descriptors.
            wait(&[((), pinned.pidfd())], EXIT)?;
            world.settled = false;
            continue;
        };
        let ancestry = lines.ancestry(&facts, service)?;
        pins.add(facts.id, pinned);
        let is_held = |listener: &&Listener| held.contains(&listener.inode);
        let mut ports: Vec<u16> = world.listeners.iter().filter(is_held).map(|one| one.local.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        world.holders.push(Rc::new(Process { facts, inodes: held, ports, ancestry }));
    }
    if world.settled {
        world.settled = !has_closed(&inodes, &world, specs)?;
    }
    Ok(Look { world, pins })
}

/// Whether a listener was closed meanwhile. A listener with a hidden holder is still in the table; a closed one is not.
fn has_closed(inodes: &[u64], world: &World, specs: &[PortSpec]) -> Result<bool, Error> {
    let is_held = |inode| world.holders.iter().any(|holder| holder.inodes.contains(inode));
    let mut unheld = inodes.iter().filter(|inode| !is_held(inode)).peekable();
    if unheld.peek().is_none() {
        return Ok(false);
    }
    let again: BTreeMap<u64, Listener> =
        table::table(specs)?.listeners.into_iter().map(|listener| (listener.inode, listener)).collect();
    Ok(unheld.any(|inode| !again.contains_key(inode)))
}
