//! Who is to be ended, told from what each process was made to be. Nothing of src is used.

use std::collections::BTreeMap;

use super::plant::{Node, Program};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    Instance,
    Offspring,
    Foreign,
    Unknown,
}

/// What a call should bring about.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) status: i64,
    /// Who is ended with `--tree`, and as what.
    pub(super) roles: BTreeMap<usize, &'static str>,
    /// How many of the offspring belong by their run alone.
    pub(super) by_run: usize,
}

struct Tree<'a> {
    nodes: &'a [Node],
    protect: Option<usize>,
}

pub(super) fn expected(nodes: &[Node], protect: Option<usize>) -> Expected {
    let tree = Tree { nodes, protect };
    let holders: Vec<usize> = (0..nodes.len()).filter(|at| nodes[*at].holds).collect();
    let spared = |at: &usize| !tree.stale(*at);
    let unknown = |at: &usize| tree.identity(*at) == Identity::Unknown && !tree.protected(*at);
    let held = holders.iter().any(|at| spared(at) && !unknown(at));
    let status = if held { 3 } else { 4 * i64::from(holders.iter().any(unknown)) };
    if status != 0 {
        return Expected { status, roles: BTreeMap::new(), by_run: 0 };
    }
    let mut roles: BTreeMap<usize, &'static str> = holders.iter().map(|at| (*at, "holder")).collect();
    for holder in &holders {
        let mut child = *holder;
        // A process whose script tells nothing may run many other programs.
        let launches = |child, parent| tree.one_instance(child, parent) && nodes[parent].program != Program::Plain;
        while let Some(parent) = nodes[child].parent().filter(|parent| launches(child, *parent)) {
            roles.entry(parent).or_insert("launcher");
            child = parent;
        }
    }
    tree.descend(&mut roles);
    let started = roles.len();
    // Everything that is known by its parent is in now. Only now is it clear whose run it is.
    let by_parent = roles.clone();
    // Children inherit the cgroup: a process in another one has started nothing of what is here.
    let here = |at: usize| holders.iter().any(|holder| nodes[*holder].cgroup == nodes[at].cgroup);
    let another = |at: usize| tree.identity(at) == Identity::Instance && !by_parent.contains_key(&at) && here(at);
    for holder in &holders {
        let rival = |at: usize| another(at) && nodes[at].run == nodes[*holder].run;
        if nodes[*holder].run.is_none() || !nodes[*holder].marked || (0..nodes.len()).any(rival) {
            continue;
        }
        for at in 0..nodes.len() {
            let (one, of) = (&nodes[at], &nodes[*holder]);
            let belongs = tree.identity(at) == Identity::Offspring
                && !tree.protected(at)
                // A parent is never offspring of its child.
                && !tree.line(*holder).any(|above| above == at)
                && one.parent().is_none_or(|parent| {
                    let parent = &nodes[parent];
                    parent.cgroup != one.cgroup && parent.run != one.run
                })
                && (one.marked, one.run, one.profile, one.cgroup) == (true, of.run, of.profile, of.cgroup);
            if belongs {
                roles.entry(at).or_insert("offspring");
            }
        }
    }
    let by_run = roles.len() - started;
    tree.descend(&mut roles);
    Expected { status, roles, by_run }
}

impl Tree<'_> {
    /// The process and its ancestors.
    fn line(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(at), |at| self.nodes[*at].parent())
    }

    fn protected(&self, at: usize) -> bool {
        self.line(at).any(|above| Some(above) == self.protect)
    }

    fn identity(&self, at: usize) -> Identity {
        let node = &self.nodes[at];
        let own = node.program == Program::Gateway;
        let gateway = self.line(at).skip(1).find(|above| self.nodes[*above].program == Program::Gateway);
        let apart = gateway.is_some_and(|above| self.nodes[above].cgroup != node.cgroup);
        match node.program {
            _ if node.sign && (node.marked || own) => Identity::Offspring,
            _ if node.sign => Identity::Foreign,
            Program::Gateway => Identity::Instance,
            Program::Veiled => Identity::Unknown,
            _ if !node.marked => Identity::Foreign,
            Program::Plain if !apart => Identity::Instance,
            Program::Command if gateway.is_some() && !apart => Identity::Instance,
            Program::Plain | Program::Command | Program::Other | Program::Tool => Identity::Offspring,
        }
    }

    /// An instance that nobody looks after. There are no units here.
    fn stale(&self, at: usize) -> bool {
        self.identity(at) == Identity::Instance && !self.protected(at)
    }

    fn one_instance(&self, one: usize, other: usize) -> bool {
        let like = |at: usize| {
            let node = &self.nodes[at];
            (node.run, node.profile, node.cgroup)
        };
        self.stale(one) && self.stale(other) && like(one) == like(other)
    }

    /// Takes in the descendants of those that are in.
    fn descend(&self, roles: &mut BTreeMap<usize, &'static str>) {
        // A parent has a lower number than its child.
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(parent) = node.parent().filter(|parent| roles.contains_key(parent)) else { continue };
            let of = &self.nodes[parent];
            let identity = self.identity(at);
            // A script of no package may be anybody's. The instance started it, but it is no part of the instance.
            let told = node.program != Program::Plain;
            if roles[&parent] != "offspring" && self.one_instance(at, parent) && told {
                roles.entry(at).or_insert("worker");
            } else if identity != Identity::Unknown
                && !self.protected(at)
                && node.cgroup == of.cgroup
                && (identity != Identity::Instance || node.profile == of.profile)
            {
                roles.entry(at).or_insert("offspring");
            }
        }
    }
}
