//! What an instance that uses the same state folder keeps from starting.

use super::sentence::named;
use crate::model::Rival;

impl Rival {
    /// What it keeps from starting, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let port = self.port.map(|port| format!(" on port {port}")).unwrap_or_default();
        let rival = named(&self.process.process.facts);
        format!("{rival} uses the same state folder{port}: the next start would fail with status 78")
    }
}
