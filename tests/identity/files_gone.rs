//! A gateway is found although an upgrade has replaced or removed its files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b03_a_replaced_or_deleted_executable_is_known_and_said),
        case!(b03_a_replaced_executable_is_still_the_services_own),
        case!(b03_a_marked_script_whose_folder_is_gone_is_known),
    ]
}

/// Replaces a file as an upgrade does: by another one of the same name, or by none.
fn replace(exe: &Path, delete: bool) {
    let new = exe.with_extension("new");
    fs::write(&new, "another version").unwrap();
    match delete {
        true => fs::remove_file(exe).unwrap(),
        false => fs::rename(new, exe).unwrap(),
    }
}

fn b03_a_replaced_or_deleted_executable_is_known_and_said() {
    let bystander = Bystander::start();
    for delete in [false, true] {
        let gateway = Fixture::gateway().start();
        let exe = gateway.exe().to_str().unwrap();
        let look = || portclear(&["--dry-run", "--json", "18789"]);
        let before = holder(&look(), gateway.process());
        assert_eq!((&before["exe"], &before["exe_replaced"]), (&exe.into(), &false.into()));
        replace(gateway.exe(), delete);
        let after = holder(&look(), gateway.process());
        assert_eq!((&after["exe"], &after["exe_replaced"]), (&exe.into(), &true.into()));
        let run = portclear(&["--dry-run", "18789"]);
        assert!(run.stdout.contains(&format!(", exe {exe} (replaced on disk), ")), "{run}");
        let run = portclear(&JSON);
        instances_ended(&run, &[gateway.process()]);
        let other = Fixture::other(GATEWAY).start();
        replace(other.exe(), delete);
        left_alone(&portclear(&JSON), &[(other.process(), "foreign")]);
        other.answers();
    }
    bystander.answers();
}

fn b03_a_replaced_executable_is_still_the_services_own() {
    let bystander = Bystander::start();
    let start = || Fixture::other(GATEWAY).exe_name("my-app").start();
    for delete in [false, true] {
        let [app, rival] = [start(), Fixture::other("[::1]:18789").exe_name("my-app").start()];
        replace(app.exe(), delete);
        replace(rival.exe(), delete);
        // A path that leads nowhere is taken for a mistake, until the upgrade is complete.
        if delete {
            let run = portclear(&["--exe", app.exe().to_str().unwrap(), "--json", GATEWAY]);
            assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run}");
            assert!(run.stderr.contains("there is no such file"), "{run}");
            fs::write(app.exe(), "another version").unwrap();
        }
        fs::set_permissions(app.exe(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = app.exe().to_str().unwrap();
        left_alone(&portclear(&["--exe", path, "--json", "[::1]:18789"]), &[(rival.process(), "foreign")]);
        let run = portclear(&["--exe", path, "--json", GATEWAY]);
        instances_ended(&run, &[app.process()]);
        assert_eq!(holder(&run, app.process())["exe_replaced"], true, "{run}");
        rival.answers();
    }
    bystander.answers();
}

fn b03_a_marked_script_whose_folder_is_gone_is_known() {
    let bystander = Bystander::start();
    let uprooted = |gateway: Builder| {
        let gateway = gateway.start();
        fs::remove_dir_all(gateway.root().join("openclaw")).unwrap();
        gateway
    };
    let gateway = uprooted(Fixture::gateway());
    let run = portclear(&JSON);
    instances_ended(&run, &[gateway.process()]);
    let because = "it carries the marker and runs the service's runtime";
    assert!(reason(&run, gateway.process()).ends_with(because), "{run}");
    let unmarked = uprooted(Fixture::gateway().marked(false));
    left_alone(&portclear(&JSON), &[(unmarked.process(), "foreign")]);
    unmarked.answers();
    bystander.answers();
}
