//! The types of the npm package are those of docs/portclear.schema.json, and its options those of the program.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::support::diff::diff;
use crate::support::schema::schema;
use crate::support::*;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(the_types_are_those_of_the_schema),
        case!(the_options_are_those_of_the_program),
        case!(the_versions_are_that_of_the_program),
    ]
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("npm/portclear").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The name of a definition as a type. Some have a name that means something else in JavaScript.
fn type_name(definition: &str) -> String {
    match definition {
        "error" => "Failure".to_owned(),
        "signal" => "SentSignal".to_owned(),
        "process" => "FoundProcess".to_owned(),
        other => other[..1].to_uppercase() + &other[1..],
    }
}

fn type_of(field: &Value) -> String {
    let join = |all: &Value, one: &dyn Fn(&Value) -> String| {
        all.as_array().unwrap().iter().map(one).collect::<Vec<_>>().join(" | ")
    };
    if let Some(reference) = field["$ref"].as_str() {
        return type_name(reference.strip_prefix("#/$defs/").unwrap());
    }
    if field["anyOf"].is_array() {
        return join(&field["anyOf"], &type_of);
    }
    if field["enum"].is_array() {
        return join(&field["enum"], &|word| word.to_string().replace('"', "'"));
    }
    let plain = |name: &Value| match name.as_str().unwrap() {
        "integer" => "number".to_owned(),
        "array" => format!("{}[]", type_of(&field["items"])),
        "object" => format!("Record<string, {}>", type_of(&field["additionalProperties"])),
        other => other.to_owned(),
    };
    if field["type"].is_array() { join(&field["type"], &plain) } else { plain(&field["type"]) }
}

fn interface(name: &str, definition: &Value) -> String {
    let mut text = format!("export interface {name} {{\n");
    for field in definition["required"].as_array().unwrap() {
        let about = &definition["properties"][field.as_str().unwrap()];
        if let Some(description) = about["description"].as_str() {
            let _ = writeln!(text, "  /** {description} */");
        }
        let _ = writeln!(text, "  {}: {};", field.as_str().unwrap(), type_of(about));
    }
    text + "}\n"
}

fn the_types_are_those_of_the_schema() {
    let head = "// The document of `portclear --json`. Written from docs/portclear.schema.json:\n\
                // PORTCLEAR_GOLDEN=write cargo test --test main -- dist::types\n\n";
    let about = schema()["description"].as_str().unwrap();
    let mut now = format!("{head}/** {about} */\n{}", interface("Report", schema()));
    for (name, definition) in schema()["$defs"].as_object().unwrap() {
        let _ = write!(
            now,
            "\n/** {} */\n{}",
            definition["title"].as_str().unwrap(),
            interface(&type_name(name), definition)
        );
    }
    if std::env::var_os("PORTCLEAR_GOLDEN").is_some_and(|value| value == "write") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("npm/portclear/document.d.ts");
        std::fs::write(path, &now).unwrap();
    }
    let then = read("document.d.ts");
    assert!(then == now, "npm/portclear/document.d.ts (-) and the schema (+) differ:\n{}", diff(&then, &now));
}

/// The quoted words of a list in index.js.
fn list(script: &str, name: &str) -> BTreeSet<String> {
    let (_, rest) = script.split_once(&format!("const {name} = [")).unwrap_or_else(|| panic!("no {name}"));
    let (list, _) = rest.split_once(']').unwrap();
    list.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

/// `--no-kill` as noKill.
fn camel(option: &str) -> String {
    let mut words = option.trim_start_matches('-').split('-');
    let first = words.next().unwrap().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

fn the_options_are_those_of_the_program() {
    let help = portclear(&["--help"]).stdout;
    // The calls say these by themselves, or print nothing.
    let ours =
        ["--check", "--color", "--dry-run", "--help", "--interactive", "--json", "--quiet", "--verbose", "--version"];
    let lines =
        help.lines().filter(|line| line.starts_with("      --") || (line.starts_with("  -") && line.contains(", --")));
    let mut of_program = BTreeSet::new();
    let (mut flags, mut values) = (BTreeSet::new(), BTreeSet::new());
    for line in lines {
        let (_, option) = line.split_at(line.find("--").unwrap());
        let (name, value) = option.split_once(' ').unwrap_or((option, ""));
        if ours.contains(&name) {
            continue;
        }
        let name = if name == "--signal" { "firstSignal".to_owned() } else { camel(name) };
        of_program.insert(name.clone());
        if value.is_empty() {
            flags.insert(name)
        } else {
            values.insert(name)
        };
    }
    assert!(of_program.len() > 12, "{of_program:?}");
    let script = read("index.js");
    assert_eq!(list(&script, "FLAGS"), flags);
    assert_eq!(list(&script, "VALUES"), values);
    let types = read("index.d.ts");
    let (_, options) = types.split_once("export interface Options {\n").unwrap();
    let (options, _) = options.split_once("\n}\n").unwrap();
    let typed: BTreeSet<String> =
        options.lines().filter_map(|line| Some(line.trim().split_once("?: ")?.0.to_owned())).collect();
    let ours = list(&script, "OURS");
    assert_eq!(typed, of_program.union(&ours).cloned().collect());
}

fn the_versions_are_that_of_the_program() {
    let package: Value = serde_json::from_str(&read("package.json")).unwrap();
    let version = Value::from(env!("CARGO_PKG_VERSION"));
    assert_eq!(package["version"], version);
    let programs = package["optionalDependencies"].as_object().unwrap();
    assert!(programs.values().all(|one| *one == version), "{programs:?}");
    let platforms = list(&read("program.js"), "PLATFORMS");
    let named: BTreeSet<String> = platforms.iter().map(|platform| format!("@portclear/{platform}")).collect();
    assert_eq!(programs.keys().cloned().collect::<BTreeSet<_>>(), named);
    assert_eq!(package["description"], env!("CARGO_PKG_DESCRIPTION"));
    for field in ["dependencies", "scripts"] {
        assert_eq!(package[field], Value::Null, "{field}");
    }
}
