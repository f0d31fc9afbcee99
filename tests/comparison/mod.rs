//! portclear beside other tools in the same scenes. Nothing is claimed here: what is seen goes into docs/comparison.md.
//! `.ci/comparison` installs the tools and runs it. Without them there are no cases here.

mod page;
mod scenes;
mod seen;
mod systemd;
mod tools;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    if tools::folder().is_none() {
        return Vec::new();
    }
    vec![case!(each_tool_in_each_scene, Needs::Systemd, Needs::Node, Needs::OpenClaw)]
}

fn each_tool_in_each_scene() {
    let bystander = Bystander::start();
    let mut table = scenes::all();
    table.insert(4, scenes::alone(systemd::live_unit));
    bystander.answers();
    page::write(&table);
}
