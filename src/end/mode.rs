//! Whether a call signals anybody, and who is told of its waits.

use crate::model::Observer;

/// Whether targets are signalled, or only looked at.
pub(crate) enum Mode<'o> {
    Look,
    Act(Option<Observer<'o>>),
}

impl Mode<'_> {
    pub(crate) const fn acts(&self) -> bool {
        matches!(self, Self::Act(_))
    }

    pub(crate) fn observer(&mut self) -> Option<Observer<'_>> {
        match self {
            Self::Act(Some(observer)) => Some(&mut **observer),
            Self::Act(None) | Self::Look => None,
        }
    }
}
