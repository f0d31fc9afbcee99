//! Shows in a second what portclear does: it ends a stale server, and it leaves another's server alone.
//!
//! ```console
//! $ cargo run --release --example demo
//! ```
//!
//! The demo starts two small servers of its own, one after the other, on a free port. Each runs as `node` and outlives
//! its parent, as a stale server does. Then the real program looks, ends and proves. The demo needs no root and no node.
//!
//! Nothing stays behind. Each server ends when the demo does, however that happens, and a helper then removes the files.
// A program speaks.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::fs::{self, DirBuilder};
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A server ends after this time, whatever happens to the demo.
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let own = env::current_exe().unwrap_or_default();
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match (own.ends_with("node"), words.as_slice()) {
        (true, [_script, port]) => serve(port),
        (false, ["launch", node, script, port]) => launch(node, script, port),
        (false, ["remove", folder]) => remove(folder),
        _ => show(&own),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The servers. They listen until the demo has closed its end of their standard input.
fn serve(port: &str) -> Result<()> {
    let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse()?))?;
    println!("ready");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        wait_for_the_demo();
        tell.send(())
    });
    let _ = told.recv_timeout(DEADLINE);
    Ok(())
}

/// The parent of a server. It ends at once, so the server has nobody who looks after it.
fn launch(node: &str, script: &str, port: &str) -> Result<()> {
    Command::new(node).arg0("node").args([script, port]).spawn()?;
    Ok(())
}

/// The helper.
fn remove(folder: &str) -> Result<()> {
    wait_for_the_demo();
    Ok(fs::remove_dir_all(folder)?)
}

fn wait_for_the_demo() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}

fn show(own: &Path) -> Result<()> {
    let program = program(own)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port().to_string();
    let demo = Demo::new(own)?;

    let mut stale = demo.start("my-app", &port)?;
    println!("# A server of the package my-app listens on port {port}. Its parent has ended: it is stale.");
    println!("# -n looks, and signals nobody.");
    run(&program, &["-n", "--package", "my-app", &port], 0)?;
    println!("\n# Without -n the stale server ends.");
    run(&program, &["--package", "my-app", &port], 0)?;
    stale.has_ended()?;

    let mut other = demo.start("other-app", &port)?;
    println!("\n# Now a server of another package listens on the same port. portclear leaves it alone.");
    let spared = run(&program, &["--package", "my-app", &port], 3);
    drop(demo);
    other.has_ended()?;
    spared
}

/// Runs portclear as a person would, on the terminal of the demo.
fn run(program: &Path, arguments: &[&str], expected: i32) -> Result<()> {
    println!("$ portclear {}", arguments.join(" "));
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).status()?;
    let code = status.code().ok_or_else(|| format!("portclear: {status}"))?;
    println!("$ echo $?\n{code}");
    if code != expected {
        return Err(format!("the exit status was to be {expected}: the lines above say why it is not").into());
    }
    Ok(())
}

/// The program of the same profile. cargo builds it where cargo started the demo.
fn program(own: &Path) -> Result<PathBuf> {
    let profile = own.parent().and_then(Path::parent).ok_or("the demo is not in a target folder")?;
    let program = profile.join("portclear");
    if let (Some(cargo), Some(name), Some(target)) = (env::var_os("CARGO"), profile.file_name(), profile.parent()) {
        let mut build = Command::new(cargo);
        build.args([
            "build",
            "--bin",
            "portclear",
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ]);
        build.arg("--profile").arg(if name == "debug" { "dev".as_ref() } else { name });
        build.arg("--target-dir").arg(target);
        // The first build takes a minute, and is shown.
        build.args(program.exists().then_some("--quiet"));
        if !build.status()?.success() {
            return Err("portclear does not build".into());
        }
    }
    if program.exists() { Ok(program) } else { Err(format!("{} is missing: cargo build", program.display()).into()) }
}

/// The drop ends the servers, and waits until the helper has removed the files.
struct Demo {
    own: PathBuf,
    folder: PathBuf,
    /// Closed by the drop.
    held: Option<PipeWriter>,
    watched: PipeReader,
    helper: Option<Child>,
}

impl Demo {
    fn new(own: &Path) -> Result<Self> {
        let folder = env::temp_dir().join(format!("portclear-demo-{}", std::process::id()));
        let (watched, held) = io::pipe()?;
        // For this user alone. An older folder of this name is an error.
        DirBuilder::new().mode(0o700).create(&folder)?;
        let mut demo = Self { own: own.to_owned(), folder, held: Some(held), watched, helper: None };
        // In a process group of its own, so that Ctrl-C does not end it.
        let mut helper = Command::new(own);
        helper.arg("remove").arg(&demo.folder).process_group(0).stdin(demo.watched.try_clone()?);
        demo.helper = Some(helper.spawn()?);
        fs::copy(own, demo.folder.join("node"))?;
        Ok(demo)
    }

    /// Starts a server as `node …/PACKAGE/server.js PORT`.
    fn start(&self, package: &str, port: &str) -> Result<Server> {
        let folder = self.folder.join(package);
        let script = folder.join("server.js");
        fs::create_dir(&folder)?;
        fs::write(folder.join("package.json"), format!("{{ \"name\": \"{package}\" }}\n"))?;
        fs::write(&script, "// The demo serves in the place of this script.\n")?;
        let mut launcher = Command::new(&self.own);
        launcher.arg("launch").arg(self.folder.join("node")).arg(script).arg(port);
        let (output, theirs) = io::pipe()?;
        let mut launcher = launcher.stdin(self.watched.try_clone()?).stdout(theirs).spawn()?;
        if !launcher.wait()?.success() {
            return Err("the server does not start".into());
        }
        let mut server = Server { output: BufReader::new(output) };
        let mut line = String::new();
        server.output.read_line(&mut line)?;
        if line != "ready\n" {
            return Err(format!("no server on port {port}").into());
        }
        // portclear spares what did not start in an earlier clock tick than itself. A tick takes 10 ms.
        thread::park_timeout(Duration::from_millis(20));
        Ok(server)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.held.take());
        let _ = io::stdout().flush();
        if let Some(helper) = &mut self.helper {
            let _ = helper.wait();
        }
    }
}

struct Server {
    output: BufReader<PipeReader>,
}

impl Server {
    /// Its end closes its output.
    fn has_ended(&mut self) -> Result<()> {
        self.output.read_to_string(&mut String::new())?;
        Ok(())
    }
}
