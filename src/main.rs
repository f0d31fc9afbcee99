//! `portclear`: frees a TCP port that a stale instance of your own service still holds.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
