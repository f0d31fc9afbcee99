//! A model that never answers. Whoever asks it is busy until the test ends.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use super::super::wait::readable;
use super::START;

pub(super) const URL: &str = "http://127.0.0.1:18800/v1";

/// The drop hangs up.
pub(crate) struct Model {
    listener: TcpListener,
    asked: Vec<TcpStream>,
}

impl Model {
    pub(crate) fn new() -> Self {
        let address = URL.trim_start_matches("http://").trim_end_matches("/v1");
        Self { listener: TcpListener::bind(address).unwrap(), asked: Vec::new() }
    }

    /// Waits until somebody asks it.
    #[track_caller]
    pub(crate) fn is_asked(&mut self) {
        assert!(readable(self.listener.as_fd(), START), "nobody asks the model");
        self.asked.push(self.listener.accept().unwrap().0);
    }
}
