//! Parse the bytes of /proc/PID files. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::model::{Cgroup, Environ};

/// /proc/PID/cmdline: NUL-terminated arguments. A process title overwrites them, and NULs fill the remaining space.
pub(crate) fn argv(bytes: &[u8]) -> Vec<OsString> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|b| *b == 0).map(|arg| OsString::from_vec(arg.to_vec())).collect()
}

/// /proc/PID/environ: the wanted variables, by whole name. If a name occurs twice the first counts, as in getenv(3).
pub(crate) fn environ(bytes: &[u8], wanted: &[&OsStr]) -> Environ {
    let mut found: Vec<(OsString, OsString)> = Vec::new();
    for entry in bytes.split(|b| *b == 0) {
        let Some(at) = entry.iter().position(|b| *b == b'=') else {
            continue;
        };
        let (key, value) = entry.split_at(at);
        let key = OsStr::from_bytes(key);
        if wanted.contains(&key) && !found.iter().any(|(k, _)| k == key) {
            let value = value.strip_prefix(b"=").unwrap_or(value);
            found.push((key.to_owned(), OsString::from_vec(value.to_vec())));
        }
    }
    Environ(found)
}

/// The effective uid of /proc/PID/status.
pub(crate) fn status_uid(bytes: &[u8]) -> Option<u32> {
    status_numbers(bytes, b"Uid:")?.nth(1)?
}

/// Whether NSpid of /proc/PID/status lists a pid for a namespace below the reader's.
pub(crate) fn status_nested(bytes: &[u8]) -> Option<bool> {
    Some(status_numbers(bytes, b"NSpid:")?.count() > 1)
}

/// The pid of the process in its own pid namespace: the last number of NSpid in /proc/PID/status.
pub(crate) fn status_inner_pid(bytes: &[u8]) -> Option<u32> {
    status_numbers(bytes, b"NSpid:")?.last()?
}

/// Whether /proc/PID/fdinfo/N shows a descriptor that was opened for writing: its flags, in octal (proc_pid_fdinfo(5)).
pub(crate) fn opened_for_writing(fdinfo: &[u8]) -> bool {
    let flags = fdinfo.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(std::str::from_utf8(flags).ok()?.trim(), 8).ok());
    // O_WRONLY is 1, and O_RDWR is 2 (open(2)).
    flags.is_some_and(|flags| matches!(flags & 3, 1 | 2))
}

/// Pss of /proc/PID/smaps_rollup, in bytes (proc_pid_smaps(5); kernel 4.14 and later).
pub(crate) fn pss(bytes: &[u8]) -> Option<u64> {
    let line = bytes.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"Pss:"))?;
    let kib: u64 = std::str::from_utf8(line.strip_suffix(b"kB")?).ok()?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The seccomp(2) mode of /proc/PID/status. 0: no filter is in force. `None`: the kernel has no seccomp.
pub(crate) fn status_seccomp(bytes: &[u8]) -> Option<u32> {
    status_numbers(bytes, b"Seccomp:")?.next()?
}

fn status_numbers<'a>(bytes: &'a [u8], field: &[u8]) -> Option<impl Iterator<Item = Option<u32>> + 'a> {
    // The kernel escapes a newline in the Name line, so no process can write a line of its own here.
    let line = bytes.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(field))?;
    let words = line.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
    Some(words.map(|word| std::str::from_utf8(word).ok()?.parse().ok()))
}

/// The path that systemd manages in /proc/PID/cgroup: the `0::` line of the unified hierarchy. If that hierarchy is not
/// in use: the line of systemd's own. With neither there is no systemd, and all processes are in the root: the unified
/// hierarchy has a line from its first mount on (kernel/cgroup/cgroup.c, cgrp_dfl_visible).
pub(crate) fn cgroup(bytes: &[u8]) -> Option<PathBuf> {
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let hierarchies: Vec<Hierarchy<'_>> = lines.map(Hierarchy::of).collect::<Option<_>>()?;
    let of = |name: &[u8]| hierarchies.iter().find(|one| one.controllers == name).map(|one| one.path);
    let contained = || hierarchies.iter().map(|one| one.path).find(|path| Cgroup::new(*path).container.is_some());
    let path = match of(b"") {
        Some(path) if path != Path::new("/") => path,
        unified => of(b"name=systemd").or(unified).or_else(contained).unwrap_or(Path::new("/")),
    };
    Some(path.to_owned())
}

/// A line of /proc/PID/cgroup: ID:CONTROLLERS:PATH (cgroups(7)). No path has a newline in it.
struct Hierarchy<'a> {
    controllers: &'a [u8],
    path: &'a Path,
}

impl<'a> Hierarchy<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(3, |b| *b == b':').skip(1);
        Some(Self { controllers: parts.next()?, path: Path::new(OsStr::from_bytes(parts.next()?)) })
    }
}

/// A systemd run, as INVOCATION_ID names it: 32 hexadecimal digits (systemd.exec(5)). Any other text comes from another
/// program.
pub(crate) fn run(value: &OsStr) -> Option<&str> {
    let text = value.to_str()?;
    (text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_descriptor_that_was_opened_for_writing() {
        let table: [(&[u8], bool); 6] = [
            (b"pos:\t0\nflags:\t02100001\nmnt_id:\t29\n", true),
            (b"pos:\t0\nflags:\t0100002\n", true),
            (b"pos:\t0\nflags:\t0100000\n", false),
            (b"pos:\t0\nflags:\t0100003\n", false),
            (b"flags:\t9\n", false),
            (b"", false),
        ];
        for (bytes, writing) in table {
            assert_eq!(opened_for_writing(bytes), writing);
        }
        assert_eq!(status_inner_pid(b"Name:\tx\nNSpid:\t4242\t17\n"), Some(17));
    }

    #[test]
    fn arguments() {
        let table: [(&[u8], &[&str]); 6] = [
            (b"", &[]),
            (b"node\0a.js\0", &["node", "a.js"]),
            (b"node\0a.js", &["node", "a.js"]),
            (b"openclaw-gateway\0\0\0", &["openclaw-gateway", "", ""]),
            (b"\0", &[""]),
            (b"a\0\0b\0", &["a", "", "b"]),
        ];
        for (bytes, expected) in table {
            assert_eq!(argv(bytes), expected);
        }
    }

    #[test]
    fn variables_are_whole_names_and_the_first_of_two_counts() {
        let wanted = [OsStr::new("MARK"), OsStr::new("KIND")];
        let bytes = b"XMARK=1\0MARKX=2\0PATH=/bin:MARK=3\0MARK=a=b\0MARK=second\0KIND\0KIND=\0";
        let environ = environ(bytes, &wanted);
        assert_eq!(environ.get("MARK"), Some(OsStr::new("a=b")));
        assert_eq!(environ.get("KIND"), Some(OsStr::new("")));
        assert_eq!(environ.0.len(), 2);
    }

    #[test]
    fn status_fields() {
        let status = b"Name:\tUid: 7\nUid:\t1000\t1001\t1000\t1000\nNSpid:\t42\t1\n";
        assert_eq!(status_uid(status), Some(1001));
        assert_eq!(status_nested(status), Some(true));
        assert_eq!(status_nested(b"NSpid:\t42\n"), Some(false));
        assert_eq!(status_uid(b"Uid:\tx\n"), None);
        assert_eq!(status_seccomp(b"Seccomp:\t2\nSeccomp_filters:\t0\n"), Some(2));
        assert_eq!(status_seccomp(b"Seccomp_filters:\t0\n"), None);
    }

    #[test]
    fn the_cgroup_is_the_unified_one_or_systemds_own() {
        let table: [(&[u8], Option<&str>); 12] = [
            (b"0::/a.service\n", Some("/a.service")),
            (b"2:cpu:/x\n1:name=systemd:/b.service\n0::/a.service\n", Some("/a.service")),
            (b"2:cpu:/x\n1:name=systemd:/b.service\n0::/\n", Some("/b.service")),
            (b"1:name=systemd:/b:c.service\n", Some("/b:c.service")),
            (b"0::/a::b\n", Some("/a::b")),
            (b"0::/\n", Some("/")),
            // No systemd: the unified hierarchy is not mounted, or no hierarchy at all.
            (b"2:cpu:/x\n", Some("/")),
            (b"2:cpu:/x\n1:name=openrc:/sshd\n", Some("/")),
            (b"4:memory:/docker/0a1b\n1:name=openrc:/docker\n", Some("/docker/0a1b")),
            (b"", Some("/")),
            (b"2:cpu\n0::/a.service\n", None),
            (b"nothing of the kernel's\n", None),
        ];
        for (bytes, path) in table {
            assert_eq!(cgroup(bytes), path.map(PathBuf::from));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = argv(&bytes);
            let _ = environ(&bytes, &[OsStr::new("A")]);
            let _ = (status_uid(&bytes), status_nested(&bytes));
            let _ = cgroup(&bytes);
        }

        #[test]
        fn arguments_come_back_as_they_went_in(args in proptest::collection::vec(proptest::collection::vec(1u8.., 0..20), 1..20)) {
            let bytes: Vec<u8> = args.iter().flat_map(|arg| arg.iter().copied().chain([0])).collect();
            let parsed: Vec<Vec<u8>> = argv(&bytes).into_iter().map(OsString::into_vec).collect();
            prop_assert_eq!(parsed, args);
        }

        #[test]
        fn a_variable_is_found_by_its_whole_name_alone(
            key in "[A-Z_]{1,12}", value in proptest::collection::vec(1u8.., 0..30), before in "[A-Z]{1,3}",
        ) {
            let decoys = [format!("{before}{key}=decoy"), format!("{key}{before}=decoy"), format!("z={key}=decoy")];
            let mut bytes = decoys.join("\0").into_bytes();
            bytes.push(0);
            bytes.extend_from_slice(key.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(&value);
            bytes.push(0);
            let found = environ(&bytes, &[OsStr::new(&key)]);
            prop_assert_eq!(found.get(&key), Some(OsStr::from_bytes(&value)));
        }

        #[test]
        fn a_hostile_name_forges_no_status_line(name in proptest::collection::vec(any::<u8>(), 0..15)) {
            // The kernel escapes newline and backslash in the name (proc_pid_status(5)).
            let mut status = b"Name:\t".to_vec();
            for byte in name {
                match byte {
                    b'\n' => status.extend_from_slice(b"\\n"),
                    b'\\' => status.extend_from_slice(b"\\\\"),
                    byte => status.push(byte),
                }
            }
            status.extend_from_slice(b"\nUid:\t0\t33\t0\t0\nNSpid:\t9\n");
            prop_assert_eq!(status_uid(&status), Some(33));
            prop_assert_eq!(status_nested(&status), Some(false));
        }
    }
}
