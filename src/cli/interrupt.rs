//! Ctrl-C during a wait: it is noticed, and does not end the program in the middle of it.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use procfs::process::Process;

/// SIGINT, held back from the first [`came`](Interrupt::came) to [`release`](Interrupt::release). Before and after that
/// it ends the program as usual. (The program has one thread, so its mask is that of the process.) What comes between
/// the last question and the release changes nothing: the answer is there, and is said.
#[derive(Default)]
pub(crate) struct Interrupt(Option<Held>);

struct Held {
    signals: SignalFd,
    /// The signals that were blocked before.
    mask: SigSet,
}

impl Interrupt {
    /// Whether Ctrl-C was pressed since the last question. Where SIGINT cannot be held back, it ends the program, so
    /// the answer is no.
    pub(crate) fn came(&mut self) -> bool {
        if self.0.is_none() {
            self.0 = hold();
        }
        self.came_since()
    }

    fn came_since(&self) -> bool {
        self.0.as_ref().is_some_and(|held| matches!(held.signals.read_signal(), Ok(Some(_))))
    }

    pub(crate) fn release(&mut self) {
        // Unread, it would end the program before the report.
        self.came_since();
        if let Some(held) = self.0.take() {
            // It is a mask that the kernel itself gave, so there is no reason to refuse it.
            let _ = held.mask.thread_set_mask();
        }
    }
}

fn hold() -> Option<Held> {
    let number = Signal::SIGINT;
    // Whoever ignores SIGINT, as a script does for a job in the background, is not to be reached by it. A blocked
    // signal would be told all the same.
    let status = Process::myself().and_then(|own| own.status()).ok()?;
    if (status.sigign | status.sigblk) & (1 << (number as i32 - 1)) != 0 {
        return None;
    }
    let interrupt = SigSet::from(number);
    let signals = SignalFd::with_flags(&interrupt, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).ok()?;
    let mask = interrupt.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
    Some(Held { signals, mask })
}
