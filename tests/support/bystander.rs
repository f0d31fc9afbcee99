//! Somebody else's server, which must live through whatever portclear does.

use super::fixture::Fixture;

/// Put one into every test that ends something.
pub(crate) struct Bystander(Fixture);

impl Bystander {
    /// On 127.0.0.1:18790.
    pub(crate) fn start() -> Self {
        Self::on("127.0.0.1:18790")
    }

    pub(crate) fn on(address: &str) -> Self {
        Self(Fixture::other(address).start())
    }

    /// It is the same process, has got no signal, and serves.
    #[track_caller]
    pub(crate) fn answers(&self) {
        self.0.answers();
        assert!(self.0.is_alive(), "the bystander has ended");
        assert_eq!(self.0.signals(), [""; 0], "the bystander was signalled");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }
}
