//! The parts by themselves, for benches/parts.rs. This is no API: it changes with the benchmarks.

use std::collections::BTreeSet;

use crate::Error;
use crate::judge::Asked;
use crate::model::{Facts, Judgement, Policy, PortSpec, Process, Service};
use crate::read::{self, Lines, Pinned};

/// The inodes of the listeners of a port.
pub fn table(spec: PortSpec) -> Result<Vec<u64>, Error> {
    Ok(read::table(&[spec])?.listeners.iter().map(|listener| listener.inode).collect())
}

/// The pids that hold one of the inodes.
pub fn scan(inodes: &[u64]) -> Result<BTreeSet<u32>, Error> {
    Ok(read::scan(inodes)?.holders)
}

/// The facts of a process. `None`: it is gone.
pub fn facts(pid: u32, service: &Service) -> Result<Option<Facts>, Error> {
    match Pinned::open(pid)? {
        Some(pinned) => read::facts(&pinned, service),
        None => Ok(None),
    }
}

/// A process that holds `inodes`, with the facts of its ancestors. `None`: it is gone.
pub fn holder(pid: u32, inodes: &[u64], service: &Service) -> Result<Option<Process>, Error> {
    let Some(facts) = facts(pid, service)? else { return Ok(None) };
    let ancestry = Lines::default().ancestry(&facts, service)?;
    Ok(Some(Process { facts, inodes: inodes.to_vec(), ports: Vec::new(), ancestry }))
}

/// Calls `judge` with a function that judges a holder as this process would.
pub fn judging(policy: &Policy, judge: impl FnOnce(&dyn Fn(&Process) -> Judgement)) -> Result<(), Error> {
    let caller = read::caller(&policy.service, &mut Lines::default())?;
    let asked = Asked::new(policy, read::executables(&policy.service), caller);
    judge(&|process| asked.judgement(process));
    Ok(())
}
