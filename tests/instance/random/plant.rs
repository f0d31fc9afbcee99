//! A random tree: what each of its processes is.

use serde_json::{Value, json};

use crate::support::MARKERS;

/// What it executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The runtime, with the service's script and subcommand.
    Gateway,
    /// The runtime, with another subcommand of the service.
    Command,
    /// The runtime, with a script of no package.
    Plain,
    /// The runtime, with a script of another package.
    Other,
    /// The runtime, with a script whose package cannot be believed.
    Veiled,
    /// A program of another name.
    Tool,
}

/// A process in a session or a process group of its own is still a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    No,
    Group,
    Session,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Who starts it. `None`: PID 1.
    pub(super) from: Option<usize>,
    /// Its parent has lost it to PID 1.
    pub(super) orphan: bool,
    pub(super) program: Program,
    pub(super) marked: bool,
    /// It has the variable that the service sets for what it starts.
    pub(super) sign: bool,
    pub(super) run: Option<u64>,
    pub(super) profile: u64,
    /// 0 is the cgroup of the tests.
    pub(super) cgroup: u64,
    pub(super) alone: Alone,
    pub(super) holds: bool,
}

impl Node {
    pub(super) fn parent(&self) -> Option<usize> {
        self.from.filter(|_| !self.orphan)
    }

    fn nothing_of_ours(from: Option<usize>) -> Self {
        Self {
            from,
            orphan: false,
            program: Program::Tool,
            marked: false,
            sign: false,
            run: None,
            profile: 0,
            cgroup: 0,
            alone: Alone::No,
            holds: false,
        }
    }

    pub(super) fn json(&self, at: usize, nodes: &[Self], files: &str, cgroup: Option<&str>) -> Value {
        let id = at.to_string();
        let script = |name: &str| format!("{files}/{name}/index.js");
        let words: [String; 3] = match self.program {
            Program::Gateway => ["node".into(), script("openclaw"), "gateway".into()],
            Program::Command => ["node".into(), script("openclaw"), "mcp".into()],
            Program::Plain => ["node".into(), script("plain"), "gateway".into()],
            Program::Other => ["node".into(), script("other"), "gateway".into()],
            Program::Veiled => ["node".into(), script("veiled"), "gateway".into()],
            Program::Tool => ["tool".into(), script("plain"), "gateway".into()],
        };
        let [name, script, word] = words;
        let mut env = serde_json::Map::new();
        if self.marked {
            env.extend(MARKERS.map(|(key, value)| (key.to_owned(), json!(value))));
        }
        if self.sign {
            env.insert("OPENCLAW_SHELL".into(), json!("1"));
        }
        if let Some(run) = self.run {
            env.insert("INVOCATION_ID".into(), json!(format!("{run:032x}")));
        }
        if self.profile > 0 {
            env.insert("OPENCLAW_PROFILE".into(), json!(format!("p{}", self.profile)));
        }
        let children: Vec<usize> = (0..nodes.len()).filter(|child| nodes[*child].from == Some(at)).collect();
        json!({
            "argv": [format!("{files}/{name}"), script, word, id],
            "env": env,
            "orphan": self.orphan,
            "alone": match self.alone {
                Alone::No => None,
                Alone::Group => Some("group"),
                Alone::Session => Some("session"),
            },
            // A child starts in its parent's cgroup.
            "cgroup": cgroup.filter(|_| self.from.map_or(0, |from| nodes[from].cgroup) != self.cgroup)
                .map(|path| format!("{path}-{}", self.cgroup)),
            "holds": self.holds,
            "children": children,
        })
    }
}

/// splitmix64: the seed alone determines the tree.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.index(list.len())]
    }
}

/// How many cgroups there are beside the one of the tests.
pub(super) const CGROUPS: u64 = 3;

/// `turn`: things that chance brings too seldom take turns.
pub(super) fn tree(random: &mut Random, turn: u64, cgroups: bool) -> Vec<Node> {
    let size = 6 + random.index(55);
    // The first process is somebody else's, outside of the tree.
    let mut nodes = vec![Node::nothing_of_ours(None)];
    let mut from = None;
    if random.percent(50) {
        nodes.push(Node::nothing_of_ours(None));
        from = Some(1);
    }
    let instance = Node {
        program: if random.percent(80) { Program::Gateway } else { Program::Plain },
        marked: random.percent(90),
        run: random.percent(90).then_some(1),
        profile: random.below(2),
        ..Node::nothing_of_ours(from)
    };
    let first = nodes.len();
    for launched in 0..=random.below(3) {
        let from = if launched == 0 { from } else { Some(nodes.len() - 1) };
        nodes.push(Node { from, ..instance.clone() });
    }
    for _ in 0..random.below(4) {
        let from = Some(first + random.index(nodes.len() - first));
        nodes.push(Node { from, ..instance.clone() });
    }
    for node in &mut nodes[first..] {
        node.holds = random.percent(40);
    }
    let holder = first + random.index(nodes.len() - first);
    nodes[holder].holds = true;
    while nodes.len() < size {
        let new = one_more(random, &nodes, cgroups);
        nodes.push(new);
    }
    // In some trees another process holds it, too: anybody, one that cannot be read, or an instance from elsewhere.
    let also: fn(&Node) -> bool = match turn % 10 {
        0 => |_| true,
        1 => |node| node.program == Program::Veiled && !node.sign,
        2 | 3 => |node| node.program == Program::Gateway && !node.sign && node.cgroup > 0,
        _ => return nodes,
    };
    let those: Vec<usize> = (0..nodes.len()).filter(|at| also(&nodes[*at])).collect();
    if !those.is_empty() {
        nodes[random.of(&those)].holds = true;
    }
    nodes
}

fn one_more(random: &mut Random, nodes: &[Node], cgroups: bool) -> Node {
    let from = random.index(nodes.len());
    let mut new = Node { from: Some(from), orphan: random.percent(25), holds: false, ..nodes[from].clone() };
    new.alone = random.of(&[Alone::No, Alone::No, Alone::Group, Alone::Session]);
    new.program = random.of(&[Program::Tool, Program::Tool, Program::Other]);
    match random.below(100) {
        0..40 => {}
        40..55 => new.program = random.of(&[Program::Gateway, Program::Command, Program::Plain]),
        55..63 => {
            new.sign = true;
            new.program = random.of(&[Program::Plain, Program::Tool, Program::Gateway]);
        }
        63..73 => new = Node { orphan: new.orphan, alone: new.alone, ..Node::nothing_of_ours(new.from) },
        73..77 => new.program = Program::Veiled,
        77..81 => {
            new.program = Program::Gateway;
            (new.profile, new.sign) = (2, false);
            new.run = random.of(&[new.run, Some(2)]);
        }
        81..84 => (new.program, new.run) = (Program::Gateway, Some(2)),
        84..90 => new.run = None,
        90..93 => new.profile = 2,
        93..97 => new = Node::nothing_of_ours(None),
        // Somebody started it by hand, from this terminal or another one.
        _ => {
            let run = random.of(&[nodes[from].run, Some(3)]);
            let program = Program::Gateway;
            new = Node { program, marked: random.percent(50), run, ..Node::nothing_of_ours(None) };
        }
    }
    // The run of an orphaned instance tells nothing any more, so such orphans must be rare.
    if matches!(new.program, Program::Gateway | Program::Plain | Program::Command) && new.orphan {
        new.orphan = random.percent(15);
    }
    // What starts in a cgroup stays in it, whatever it becomes.
    new.cgroup = new.from.map_or(0, |from| nodes[from].cgroup);
    if cgroups && random.percent(7) {
        new.cgroup = 1 + random.below(CGROUPS);
    }
    new
}
