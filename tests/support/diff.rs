//! Two texts, line by line.

use std::fmt::Write;

/// How many equal lines are shown around those that differ.
const AROUND: usize = 3;

/// Line by line, with as many lines in common as there can be.
pub(crate) fn diff(then: &str, now: &str) -> String {
    let [old, new] = [then, now].map(|text| text.split('\n').collect::<Vec<_>>());
    // How many lines are in common from here to both ends.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines: Vec<(char, &str)> = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    let differs = |at: usize| {
        let (from, to) = (at.saturating_sub(AROUND), (at + AROUND + 1).min(lines.len()));
        lines[from..to].iter().any(|(sign, _)| *sign != ' ')
    };
    let mut text = String::new();
    for (at, (sign, line)) in lines.iter().enumerate() {
        if differs(at) {
            let _ = writeln!(text, "{sign} {line}");
        } else if at > 0 && differs(at - 1) {
            text += "  …\n";
        }
    }
    text
}
