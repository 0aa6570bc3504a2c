//! The JSON schema that editors check configs with.

use serde_json::{Map, Value, json};

use super::places;
use super::words::{description, slug};
use crate::syntax::keys::{EXECUTOR_REFERENCE, INVOCATION, LOGIC, STEPS, TOP};
use crate::syntax::place::{Place, Shape};

/// The language as a JSON schema, draft 7. It accepts every config that compiles, as an editor reads
/// it: YAML 1.2, merge keys resolved. One thing it cannot know: at the top level the compiler also
/// accepts a key of any name whose value is there for its anchors.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    for place in places() {
        definitions.insert(slug(place), mapping(place));
    }
    definitions.insert("boolean".to_owned(), boolean());
    definitions.insert("open".to_owned(), open());
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "CircleCI's config language as Outrider reads it",
        "$ref": reference(&TOP),
        "definitions": definitions,
    })
}

fn reference(place: &Place) -> String {
    format!("#/definitions/{}", slug(place))
}

/// Whether the config itself defines further keys of a place: parameters and commands.
fn takes_others(place: &Place) -> bool {
    [&INVOCATION, &EXECUTOR_REFERENCE, &STEPS]
        .iter()
        .any(|open| open.name == place.name)
}

fn mapping(place: &'static Place) -> Value {
    let property = |key: &'static crate::syntax::place::Key| {
        let mut schema = value(&key.shape);
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), description(key).into());
        }
        (key.name.to_owned(), schema)
    };
    let properties: Map<_, _> = place.keys.iter().map(property).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": takes_others(place),
    });
    if place.name == TOP.name {
        schema["required"] = json!(["version"]);
        schema["patternProperties"] = json!({"^x-": true});
    }
    if place.name == STEPS.name {
        schema["minProperties"] = json!(1);
        schema["maxProperties"] = json!(1);
    }
    schema
}

/// The schema of a value. Other than texts, it may be a parameter, or not be there.
fn value(shape: &'static Shape) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Text => json!({"type": ["string", "number", "boolean"]}),
        Shape::Scalar => json!({"type": ["string", "number", "boolean", "null"]}),
        Shape::OneOf(all) => any_of(all.iter().map(value).collect()),
        Shape::Condition => any_of(vec![
            value(&Shape::Scalar),
            json!({"$ref": reference(&LOGIC)}),
        ]),
        other => any_of(vec![fixed(other), json!({"$ref": "#/definitions/open"})]),
    }
}

/// The schema of a value that is there and no parameter.
fn fixed(shape: &'static Shape) -> Value {
    match shape {
        Shape::Boolean => json!({"$ref": "#/definitions/boolean"}),
        Shape::Integer(least, most) => any_of(vec![
            json!({"type": "integer", "minimum": least, "maximum": most}),
            json!({"type": "string", "pattern": "^[0-9]+$"}),
        ]),
        Shape::Choice(words) => {
            json!({"enum": words.iter().flat_map(|it| word(it)).collect::<Vec<_>>()})
        }
        Shape::List(inner) => json!({"type": "array", "items": value(inner)}),
        Shape::Named(inner) => json!({"type": "object", "additionalProperties": value(inner)}),
        Shape::Single(inner) => json!({
            "type": "object",
            "additionalProperties": value(inner),
            "minProperties": 1,
            "maxProperties": 1,
        }),
        Shape::Keys(place) | Shape::Open(place) => json!({"$ref": reference(place)}),
        Shape::Steps => {
            let step = any_of(vec![
                json!({"type": "string"}),
                json!({"$ref": reference(&STEPS)}),
            ]);
            json!({"type": "array", "items": step})
        }
        Shape::Any | Shape::Text | Shape::Scalar | Shape::Condition | Shape::OneOf(_) => {
            value(shape)
        }
    }
}

fn any_of(all: Vec<Value>) -> Value {
    json!({"anyOf": all})
}

/// A word as YAML may give it: `2.1` is a number there.
fn word(word: &str) -> Vec<Value> {
    let number = word.parse::<f64>().ok().map(Value::from);
    number.into_iter().chain([word.into()]).collect()
}

/// A boolean; the words of YAML 1.1 are texts for an editor.
fn boolean() -> Value {
    any_of(vec![
        json!({"type": "boolean"}),
        json!({"type": "string", "pattern": "^([Yy]|[Yy][Ee][Ss]|[Nn]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff])$"}),
    ])
}

/// A value that is not known yet, or nothing, which counts as no key at all.
fn open() -> Value {
    any_of(vec![
        json!({"type": "null"}),
        json!({"type": "string", "pattern": "<<"}),
    ])
}
