//! A small gateway that clears its own stale instance when it starts.
//!
//! ```console
//! $ cargo run --example gateway -- 127.0.0.1:18789
//! ```
//!
//! Start it twice: the second one ends the first one and answers in its place. If another program holds the port, the
//! gateway leaves that program alone and names it.
// A program speaks.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use portclear::{Policy, Service};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:18789".to_owned());
    // Before the port is taken: from then on the next instance may ask this one to end.
    let mut asked_to_end = signal(SignalKind::terminate())?;

    let policy = Policy::new(Service::of_current_exe()?).grace(Duration::from_secs(10));
    let listener = tokio::task::spawn_blocking(move || portclear::bind(address, &policy)).await??;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;

    println!("pid {} listens on {}", std::process::id(), listener.local_addr()?);
    let pid = || async { format!("{}\n", std::process::id()) };
    let drained = async move {
        asked_to_end.recv().await;
    };
    axum::serve(listener, Router::new().route("/", get(pid))).with_graceful_shutdown(drained).await?;
    Ok(())
}
