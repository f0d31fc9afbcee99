//! A test: its name, what it needs, what it does.

use std::panic::resume_unwind;
use std::thread;

use libtest_mimic::{Completion, Failed, Trial};

use super::needs::{self, Needs};
use super::net;

/// [`case!`] makes it.
pub(crate) struct Case {
    pub(crate) path: &'static str,
    pub(crate) needs: &'static [Needs],
    pub(crate) run: fn(),
}

/// `case!(function)` or `case!(function, Needs::Root, Needs::Node)`. Every test needs namespaces.
macro_rules! case {
    ($function:ident $(, $need:expr)*) => {
        $crate::support::Case {
            path: concat!(module_path!(), "::", stringify!($function)),
            needs: &[$($need),*],
            run: $function,
        }
    };
}
pub(crate) use case;

impl Case {
    pub(crate) fn trial(self) -> Trial {
        let name = self.path.split_once("::").map_or(self.path, |(_, name)| name);
        Trial::ignorable_test(name, move || match needs::missing(self.needs) {
            Some(missing) if needs::is_ci() => Err(Failed::from(missing)),
            Some(missing) => {
                eprintln!("skipped {name}: {missing}");
                Ok(Completion::ignored_with(missing))
            }
            None => self.isolated(name).map(|()| Completion::Completed),
        })
    }

    /// Runs the test in a thread of its own. When the thread ends, its network goes, and the kernel kills every
    /// process that it started with a parent death signal, even if the value that should have ended it was lost.
    fn isolated(self, name: &str) -> Result<(), Failed> {
        let body = move || {
            net::isolate();
            (self.run)();
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body)?;
        let Err(panic) = thread.join() else {
            return Ok(());
        };
        let text = panic.downcast_ref::<String>().cloned();
        match text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())) {
            Some(text) => Err(Failed::from(text)),
            None => resume_unwind(panic),
        }
    }
}
