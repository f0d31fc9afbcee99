use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![]
}
