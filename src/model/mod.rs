//! Plain data that flows through the rooms. It looks nothing up and decides nothing.
//!
//! # The words
//!
//! Each word has one meaning, here and in every comment, message and document. One exception: the `lineage` of a
//! report is the line of parents of a process.
//!
//! | word | meaning |
//! |---|---|
//! | listener | a socket in state LISTEN on the port, in the caller's network namespace |
//! | holder | a process with a descriptor of a listener |
//! | instance | a process that is a running copy of the service |
//! | offspring | a process that an instance started, and that is no instance itself |
//! | base | the processes that a plan is about: the holders of a port, or the processes to sweep |
//! | group | a base and its members: all of them are ended, or none |
//! | launcher, worker | processes of the same instance above and below a holder |
//! | relatives | the processes that may belong to a base: above it, below it, or of its run |
//! | member | a relative that belongs to a base, and is ended with it |
//! | lineage | the service's own executable or a script of its package, as a process executes it |
//! | lock | a file that the service writes its pid into, and keeps open as long as it lives |
//! | marker | a variable that the service manager writes into the service's environment |
//! | instance key | a variable that tells one instance of the service from another: a profile, a state folder |
//! | run | one activation of a systemd unit, named by its INVOCATION_ID |
//! | record | systemd's own note of a unit's current run, a link below /run |
//! | caller | the process that asks, by the program or by the library |
//! | supervisor | a program that starts an instance again when it ends |
//! | charge | the process that a supervisor's own record names |
//! | starter | an ancestor of an ended process that lives on, and may start it again |
//! | watched | after the proof, portclear asked for a while whether the port is taken again |
//! | live | the supervisor of the process runs it now |
//! | left over | an ended run of a unit left the process behind |
//! | unsupervised | nobody looks after the process |
//! | stale | the process may be ended: it is nobody's current server |
//! | spared | the process is left alone, for a reason |
//! | approved | a person has seen the process in a report, and agreed to its end |
//! | newer | the process did not start before the caller, or before the instance that started the caller |
//! | target | a process that is to be ended, held by its pidfd |
//! | late fork | a process that a target forked after the call began |
//! | survivor | a target that has not ended at the deadline |
//! | remainder | processes that the ended instances started, and that are still there |
//! | sweep | to end the processes that ended runs of the service left behind anywhere |
//! | pinned | held by a pidfd and an open /proc/PID, so that no later process is mistaken for it |
//! | exec mark | numbers that change with each exec, and not with a fork |
//! | look | one reading of the listeners, their holders and the holders' facts |
//! | settled | nothing changed during the look |
//! | probe | a bind without listen, which proves that a port is free |
//! | round | one look, judgement, plan, ending and probe |
//! | pure | without system calls: tables can test it |

pub(crate) mod argv;
mod caller;
mod error;
mod escape;
mod exec_mark;
mod lock;
mod openclaw;
mod outcome;
mod policy;
mod port;
mod process;
mod progress;
mod report;
pub(crate) mod runtime;
mod service;
mod signal;
mod step;
pub(crate) mod supervisors;
mod unit;
mod verdict;
mod world;

pub use caller::Blind;
pub(crate) use caller::Caller;
pub use error::Error;
pub use escape::{escape, shell_word};
pub(crate) use exec_mark::ExecMark;
pub use lock::Lock;
pub(crate) use lock::{LockName, StateFolder};
pub use outcome::{Outcome, WhyHeld, WhySurvived, WhyUnseen};
pub use policy::{Also, Policy};
pub(crate) use policy::{CENTURY, Ends};
pub use port::{Listener, PortSpec, PortSpecError};
pub(crate) use process::Charge;
pub use process::{Ancestry, Environ, Exe, Facts, FileId, Process, ProcessId, Script, Seen};
pub use progress::{Observer, Progress};
pub use report::{
    Asker, Connections, Ending, Fate, Memory, PortReport, ProcessReport, Report, Rival, Role, Sent, SweepReport,
};
pub use runtime::Runtime;
pub(crate) use service::Executable;
pub use service::{Marker, OffspringSign, Service};
pub use signal::{Signal, SignalError};
pub use step::{Change, How, Step};
pub use unit::{Cgroup, Manager, Record, Unit};
pub use verdict::{
    Evidence, Identity, Judgement, Liveness, NewerThan, Protection, Supervised, Supervisor, Trace, Verdict, Why, WhyNot,
};
pub(crate) use world::{Connection, World};
