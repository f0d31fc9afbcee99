//! docs/portclear.schema.json describes every document, and docs/json.md shows the schema to people. Each document that
//! any test reads is held against the schema (`Run::json`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::json::documents;
use crate::support::schema::{definition, document, faults, schema};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(documents_of_many_situations_are_as_the_schema_says),
        case!(a_document_that_is_not_as_the_schema_says_is_refused),
        case!(the_schema_requires_and_describes_each_field),
        case!(the_page_shows_the_schema),
    ]
}

const PAGE: &str = include_str!("../../docs/json.md");

/// The definitions, in the order of the page.
const DEFINITIONS: [&str; 12] = [
    "port", "process", "unit", "supervisor", "signal", "relative", "listener", "connections", "memory", "sweep",
    "rival", "error",
];

/// The text of each field with this name, wherever it stands.
fn texts(value: &Value, name: &str, found: &mut BTreeSet<String>) {
    for (key, field) in value.as_object().into_iter().flatten() {
        if let Some(text) = field.as_str().filter(|_| key == name) {
            found.insert(text.to_owned());
        }
        texts(field, name, found);
    }
    value.as_array().into_iter().flatten().for_each(|item| texts(item, name, found));
}

fn documents_of_many_situations_are_as_the_schema_says() {
    let bystander = Bystander::start();
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    // The documents came from as many situations as they should.
    let expected: [(&str, &[&str]); 7] = [
        ("status", &["cleared", "error", "free", "held", "nothing", "survived", "unseen", "would-clear"]),
        ("role", &["holder", "offspring", "rival", "worker"]),
        ("identity", &["foreign", "instance", "offspring"]),
        ("liveness", &["live", "protected", "unsupervised"]),
        ("verdict", &["spared", "stale"]),
        ("rule", &["any-owner", "foreign", "live", "offspring", "protected", "stale-instance", "tree"]),
        ("outcome", &["ended", "survived", "untouched"]),
    ];
    for run in documents() {
        let document = run.json();
        expected.iter().for_each(|(name, _)| texts(&document, name, found.entry(name).or_default()));
    }
    for (name, words) in expected {
        assert_eq!(found[name], words.iter().map(|word| (*word).to_owned()).collect(), "{name}");
    }
    bystander.answers();
}

/// The place of each value in a document, but for the markers: their names are the service's.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    if !at.ends_with("/markers") {
        value.as_object().into_iter().flatten().for_each(|(key, one)| places(one, &format!("{at}/{key}"), found));
    }
    let items = value.as_array().into_iter().flatten().enumerate();
    items.for_each(|(index, one)| places(one, &format!("{at}/{index}"), found));
}

fn a_document_that_is_not_as_the_schema_says_is_refused() {
    let bystander = Bystander::start();
    let _gateway = Fixture::gateway().start();
    let whole = portclear(&["18789", "192.0.2.1:18791", "--json"]).json();
    assert_eq!(faults(&whole), [""; 0]);
    let mut all = Vec::new();
    places(&whole, "", &mut all);
    assert!(all.len() > 100, "{all:?}");
    for at in &all {
        let refused = |change: &str, broken: &Value| assert!(!faults(broken).is_empty(), "{change} at {at:?}");
        let with = |value: Value| {
            let mut broken = whole.clone();
            *broken.pointer_mut(at).unwrap() = value;
            broken
        };
        refused("another type", &with(json!([[0.5]])));
        let value = whole.pointer(at).unwrap();
        if let Some(fields) = value.as_object().filter(|_| !at.ends_with("/markers")) {
            for name in fields.keys() {
                let mut fewer = fields.clone();
                fewer.remove(name);
                refused(name, &with(fewer.into()));
            }
            let mut more = fields.clone();
            more.insert("new".to_owned(), Value::Null);
            refused("a new field", &with(more.into()));
        }
        if ["status", "role", "identity", "verdict", "rule", "outcome", "kind"].iter().any(|one| at.ends_with(one)) {
            refused("a new word", &with("new".into()));
        }
    }
    assert!(document("{").is_err() && document("{}").is_err());
    bystander.answers();
}

fn definitions() -> Vec<&'static Value> {
    let named = DEFINITIONS.iter().map(|name| definition(&format!("#/$defs/{name}").into()));
    [schema()].into_iter().chain(named).collect()
}

fn the_schema_requires_and_describes_each_field() {
    let all: BTreeSet<&str> = schema()["$defs"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(all, BTreeSet::from(DEFINITIONS));
    for one in definitions() {
        let required: BTreeSet<&str> = one["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let fields = one["properties"].as_object().unwrap();
        assert_eq!(required, fields.keys().map(String::as_str).collect(), "{}", one["title"]);
        for (name, field) in fields {
            let meaning = field["description"].as_str().unwrap_or_else(|| panic!("{name} has no description"));
            for word in field["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(meaning.contains(&format!("`{word}`")), "{name} does not describe {word}");
            }
        }
    }
}

/// The type of a field, in words.
fn type_of(field: &Value) -> String {
    if let Some(reference) = field.get("$ref") {
        let title = definition(reference)["title"].as_str().unwrap().to_lowercase();
        let name = reference.as_str().unwrap().rsplit('/').next().unwrap();
        return format!("[{name}](#{})", title.replace(' ', "-"));
    }
    let words = |list: &Value, by: fn(&Value) -> String| {
        list.as_array().unwrap().iter().map(by).collect::<Vec<_>>().join(" or ")
    };
    if let Some(either) = field.get("anyOf") {
        return words(either, type_of);
    }
    match &field["type"] {
        Value::String(one) if one == "array" => format!("array of {}", type_of(&field["items"])),
        Value::String(one) => one.clone(),
        list => words(list, |one| one.as_str().unwrap().to_owned()),
    }
}

/// A definition as a section of the page.
fn section(one: &Value, title: &str) -> String {
    let mut text = format!("## {title}\n\n| field | type | meaning |\n|---|---|---|\n");
    for name in one["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
        let field = &one["properties"][name];
        text += &format!("| `{name}` | {} | {} |\n", type_of(field), field["description"].as_str().unwrap());
    }
    text
}

fn the_page_shows_the_schema() {
    let sections = definitions()
        .into_iter()
        .enumerate()
        .map(|(at, one)| section(one, if at == 0 { "The document" } else { one["title"].as_str().unwrap() }));
    let sections = sections.collect::<Vec<_>>().join("\n");
    assert!(PAGE.ends_with(&sections), "the page does not end with:\n{sections}");
    // And its example is a document.
    let (_, example) = PAGE.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example = document(example).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(example["ports"][0]["status"], "cleared");
}
