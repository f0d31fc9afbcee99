//! What an instance that uses the same state folder keeps from starting.

use super::sentence::named;
use crate::model::Rival;

impl Rival {
    /// What it keeps from starting, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let rival = named(&self.process.process.facts);
        format!(
            "{rival} uses the same state folder, and its lock names port {}: the next start would fail with status 78",
            self.port
        )
    }
}
