//! Text of other processes, made safe to print.

use std::ffi::OsStr;

/// Escapes text of other processes (argv, comm, a path): control, bidirectional and other invisible characters as Rust
/// does, and bytes that are not UTF-8 as `\xNN`. The result is one line. It is reversible, so two different names never
/// look alike.
///
/// ```
/// assert_eq!(portclear::report::escape(b"node \x1b[2J\xff"), r"node \u{1b}[2J\xff");
/// ```
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\'' => out.push(c),
                c => out.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// A value as one word for a shell. In quotes it means itself, so the shell runs nothing in it. `None`: it has
/// characters that nobody should print, or a quote or a backslash: fish(1) reads these otherwise than sh(1) does.
///
/// ```
/// use portclear::report::shell_word;
///
/// assert_eq!(shell_word("my-app.service".as_ref()).as_deref(), Some("my-app.service"));
/// assert_eq!(shell_word("a b;$(id)".as_ref()).as_deref(), Some("'a b;$(id)'"));
/// assert_eq!(shell_word("a\nb".as_ref()), None);
/// assert_eq!(shell_word("a'b".as_ref()), None);
/// ```
#[must_use]
pub fn shell_word(value: &OsStr) -> Option<String> {
    let text = value.to_str().filter(|text| !text.is_empty())?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+,=".contains(&b);
    if text.bytes().all(is_plain) {
        return Some(text.to_owned());
    }
    // `escape` doubles a backslash, so such a value differs.
    let means_itself = escape(text.as_bytes()) == text && !text.contains('\'');
    means_itself.then(|| format!("'{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_moves_a_cursor_or_turns_text_around_is_escaped() {
        let table: [(&[u8], &str); 7] = [
            (b"/usr/bin/node", "/usr/bin/node"),
            (b"a\nb\r\x1b]0;x\x07", r"a\nb\r\u{1b}]0;x\u{7}"),
            ("gate\u{202e}yaw".as_bytes(), r"gate\u{202e}yaw"),
            ("\u{2066}\u{200f}\u{9b}".as_bytes(), r"\u{2066}\u{200f}\u{9b}"),
            ("größe".as_bytes(), "größe"),
            (br"back\slash", r"back\\slash"),
            (b"\xff\xfe ok", r"\xff\xfe ok"),
        ];
        for (raw, shown) in table {
            assert_eq!(escape(raw), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_invisible_comes_through(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let shown = escape(&bytes);
            let invisible = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            prop_assert!(!shown.chars().any(invisible));
        }
    }
}
