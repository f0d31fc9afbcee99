//! The parts by themselves, for benches/parts.rs. No API: it comes and goes with the benchmarks.

use std::collections::BTreeSet;

use crate::clear::context;
use crate::facts::{Facts, Holder};
use crate::os::ancestry::Known;
use crate::os::process::Pinned;
use crate::os::{holders, sockets};
use crate::port::PortSpec;
use crate::service::Service;
use crate::verdict::Judgement;
use crate::{Error, Policy};

/// The inodes of the listeners of a port.
pub fn table(spec: PortSpec) -> Result<Vec<u64>, Error> {
    Ok(sockets::table(&[spec])?.listeners.iter().map(|listener| listener.inode).collect())
}

/// The pids that hold one of the inodes.
pub fn scan(inodes: &[u64]) -> Result<BTreeSet<u32>, Error> {
    Ok(holders::scan(inodes)?.holders)
}

/// The facts of a process. `None`: it is gone.
pub fn facts(pid: u32, service: &Service) -> Result<Option<Facts>, Error> {
    match Pinned::open(pid)? {
        Some(pinned) => pinned.facts(service),
        None => Ok(None),
    }
}

/// A process that holds `inodes`, with the facts of its ancestors. `None`: it is gone.
pub fn holder(pid: u32, inodes: &[u64], service: &Service) -> Result<Option<Holder>, Error> {
    let Some(facts) = facts(pid, service)? else { return Ok(None) };
    let ancestry = Known::default().ancestry(&facts, service)?;
    Ok(Some(Holder { facts, inodes: inodes.to_vec(), ancestry }))
}

/// Gives `judge` what judges a holder as this process would.
pub fn judging(policy: &Policy, judge: impl FnOnce(&dyn Fn(&Holder) -> Judgement)) -> Result<(), Error> {
    let context = context(policy, &mut Known::default())?;
    judge(&|holder| crate::verdict::judge(holder, &context));
    Ok(())
}
