//! docs/portclear.schema.json as a strict reader applies it: a field that the schema does not have is a fault as well.
//! It knows the words of JSON Schema (draft 2020-12) that our schema uses, and refuses a schema with any other word.

use std::sync::OnceLock;

use serde_json::{Map, Value};

/// The schema as it lies in docs.
pub(crate) fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| serde_json::from_str(include_str!("../../docs/portclear.schema.json")).expect("a schema"))
}

/// A document of `--json`, or what is wrong with it.
pub(crate) fn document(text: &str) -> Result<Value, String> {
    let document = serde_json::from_str(text).map_err(|error| format!("no JSON ({error})"))?;
    let faults = faults(&document);
    if faults.is_empty() { Ok(document) } else { Err(format!("not as in the schema:\n{}", faults.join("\n"))) }
}

/// Where a document is not as the schema says.
pub(crate) fn faults(document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema(), document, "$", &mut faults);
    faults
}

fn check(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = schema.as_object().expect("a schema is an object");
    for (word, rule) in schema {
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => check(definition(rule), value, at, faults),
            "type" => is_of_type(rule, value, at, faults),
            "enum" if rule.as_array().expect("a list").contains(value) => {}
            "enum" => faults.push(format!("{at}: {value} is none of {rule}")),
            "anyOf" => is_any_of(rule, value, at, faults),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, item, &format!("{at}[{index}]"), faults);
                }
            }
            "required" => {
                let fields = rule.as_array().expect("a list").iter().filter_map(Value::as_str);
                let missing = fields.filter(|field| value.is_object() && value.get(field).is_none());
                faults.extend(missing.map(|field| format!("{at}: no field {field}")));
            }
            "properties" | "additionalProperties" => {}
            other => panic!("the schema has a word that is not checked: {other}"),
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        match schema.get("properties").and_then(|fields| fields.get(name)).or(schema.get("additionalProperties")) {
            Some(schema) => check(schema, field, &at, faults),
            None if may_have_fields(schema) => faults.push(format!("{at}: the schema has no such field")),
            None => {}
        }
    }
}

/// The others leave the fields to another schema.
fn may_have_fields(schema: &Map<String, Value>) -> bool {
    !schema.contains_key("$ref") && !schema.contains_key("anyOf")
}

pub(crate) fn definition(reference: &Value) -> &'static Value {
    let name = reference.as_str().and_then(|text| text.strip_prefix("#/$defs/")).expect("a reference");
    schema()["$defs"].get(name).unwrap_or_else(|| panic!("no definition of {name}"))
}

fn is_any_of(rule: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let found: Vec<Vec<String>> = rule
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            let mut found = Vec::new();
            check(one, value, at, &mut found);
            found
        })
        .collect();
    if !found.iter().any(Vec::is_empty) {
        faults.extend(found.into_iter().flatten());
    }
}

fn is_of_type(rule: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let is = |one: &Value| match one.as_str().expect("a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema has a type that is not checked: {other}"),
    };
    if !rule.as_array().map_or_else(|| is(rule), |types| types.iter().any(is)) {
        faults.push(format!("{at}: {value} is no {rule}"));
    }
}
