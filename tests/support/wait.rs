//! Waits for events. It never just lets time pass, and never waits for ever.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::time::{ClockId, clock_gettime};

/// No wait of a test is longer than this.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Whether there is something to read, or an end of the file, within the time.
pub(crate) fn readable(fd: impl AsFd, within: Duration) -> bool {
    let end = Instant::now() + within;
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match poll(&mut fds, timeout(left)) {
            Ok(0) if left.is_zero() => return false,
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return true,
            Err(errno) => panic!("cannot poll: {errno}"),
        }
    }
}

/// Waits for what the kernel has no event for: the state of a process, a link in /proc.
pub(crate) fn until(what: &str, condition: impl FnMut() -> bool) {
    until_within(DEADLINE, what, condition);
}

/// The same for what takes longer than anything else does.
pub(super) fn until_within(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !condition() {
        assert!(Instant::now() < end, "not within {time:?}: {what}");
        pause(Duration::from_millis(1));
    }
}

/// For what must stay as it is: it holds all through a second.
pub(crate) fn for_a_second(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        assert!(condition(), "not all through a second: {what}");
        pause(Duration::from_millis(10));
    }
}

/// Waits for the next clock tick: portclear spares a process that did not start in an earlier tick than itself.
pub(crate) fn tick_after(start_ticks: u64) {
    let per_second = rustix::param::clock_ticks_per_second();
    let next = Duration::from_nanos((start_ticks + 1) * (1_000_000_000 / per_second));
    loop {
        let now = clock_gettime(ClockId::Boottime);
        let now = Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap());
        if now >= next {
            return;
        }
        pause(next - now);
    }
}

fn pause(time: Duration) {
    // An early return does no harm: the loops above check again.
    let _ = poll(&mut [], timeout(time));
}

fn timeout(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
}
