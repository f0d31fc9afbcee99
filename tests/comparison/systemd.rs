//! The scene in a systemd: a healthy gateway, which its unit starts again whenever it ends.

use std::path::Path;
use std::process::Command;

use super::seen::{Call, Scene, one_line};
use super::tools::{Places, folder};
use crate::support::*;

pub(super) fn live_unit() -> Scene {
    let sd = Sd::new(Manager::System);
    let port = sd.port();
    let program = sd.program();
    let share = Path::new(&program).parent().unwrap();
    let copied = Command::new("cp").arg("-a").arg(folder().unwrap()).arg(share.join("comparison")).status();
    assert!(copied.expect("cp").success());
    let openclaw = share.with_file_name("openclaw");
    let places = Places { portclear: program.clone(), folder: share.join("comparison"), openclaw };

    let title = "A healthy gateway that a systemd unit runs (`Restart=always`)";
    let (mut cells, mut said) = (Vec::new(), Vec::new());
    for (at, tool) in places.tools(port).iter().enumerate() {
        let gateway = sd.install(sd.gateway(port));
        let unit = sd.unit(&format!("gw{at}.service"), &format!("[Service]\n{gateway}Restart=always\n"));
        unit.start();
        let pid = sd.until_answers(port);
        let process = sd.process(pid);
        let run = sd.enter(&tool.argv);
        let free = can_bind(&format!("127.0.0.1:{port}"));
        let text = one_line(&format!("{}{}", run.stdout, run.stderr));
        let call = Call { has_status: tool.has_status, status: run.status, free, took: run.elapsed, said: text };
        // What was signalled ends at once.
        let fate = if process.ends_within(std::time::Duration::from_secs(1)) {
            sd.until_answers(port);
            until("a restart", || unit.show("NRestarts") == "1");
            let signals = unit.signals_of(pid);
            let signal = if signals.is_empty() { "SIGKILL" } else { "SIGTERM" };
            format!("ended: {signal}; the unit starts it again")
        } else {
            assert_eq!(unit.signals_of(pid), [""; 0]);
            "left alone".to_owned()
        };
        let cell = call.cell(&fate);
        eprintln!("{title} | {} | {cell} | {}", tool.name, call.said);
        cells.push(cell);
        said.push(call.said);
        unit.stop();
    }
    Scene { title, cells, said }
}
