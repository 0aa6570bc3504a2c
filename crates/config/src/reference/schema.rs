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
        Shape::OneOf(all) => any_of(&all.iter().map(value).collect::<Vec<_>>()),
        Shape::Condition => any_of(&[value(&Shape::Scalar), json!({"$ref": reference(&LOGIC)})]),
        other => any_of(&[fixed(other), json!({"$ref": "#/definitions/open"})]),
    }
}

/// The schema of a value that is there and no parameter.
fn fixed(shape: &'static Shape) -> Value {
    match shape {
        Shape::Boolean => json!({"$ref": "#/definitions/boolean"}),
        Shape::Integer(least, most) => any_of(&[
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
            let call = json!({"type": "string"});
            let step = any_of(&[call, json!({"$ref": reference(&STEPS)})]);
            let list = json!({"type": "array", "items": step});
            json!({"type": "array", "items": any_of(&[step, list])})
        }
        Shape::Any | Shape::Text | Shape::Scalar | Shape::Condition | Shape::OneOf(_) => {
            value(shape)
        }
    }
}

fn any_of(all: &[Value]) -> Value {
    json!({"anyOf": all})
}

/// A word as YAML may give it: `2.1` is a number there.
fn word(word: &str) -> Vec<Value> {
    let number = word.parse::<f64>().ok().map(Value::from);
    number.into_iter().chain([word.into()]).collect()
}

/// A boolean; the words of YAML 1.1 are texts for an editor.
fn boolean() -> Value {
    any_of(&[
        json!({"type": "boolean"}),
        json!({"type": "string", "pattern": "^([Yy]|[Yy][Ee][Ss]|[Nn]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff])$"}),
    ])
}

/// A value that is not known yet, or nothing, which counts as no key at all.
fn open() -> Value {
    any_of(&[
        json!({"type": "null"}),
        json!({"type": "string", "pattern": "<<"}),
    ])
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::diagnostic::Sink;
    use crate::sources::Sources;
    use crate::yaml::{Document, Mapping, Node, Plain, Value as Yaml, parse};
    use crate::{Limits, Orbs, SourceFile};

    /// What an editor reads, if it is YAML; without the keys of the top level that are there for
    /// their anchors, which only the compiler can know.
    fn read(path: &Path) -> Option<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        let (source, orbs) = (SourceFile::new("", text), Orbs::new());
        let sources = Sources::new(&source, &orbs);
        let sink = Sink::new(&sources, 10);
        let document = parse(sources.config(), &Limits::default(), &sink);
        let Document { root, anchors } = document?;
        let mut top = Mapping::clone(root.as_mapping()?);
        top.entries.retain(|key, entry| {
            let anchored = anchors.iter().any(|at| entry.value.span.contains(*at));
            TOP.support(key).is_some() || !anchored
        });
        Some(to_json(&Node::mapping(root.span, top)))
    }

    fn to_json(node: &Node) -> Value {
        match &node.value {
            Yaml::Sequence(items) => items.iter().map(to_json).collect(),
            Yaml::Mapping(mapping) => {
                let entries = mapping.entries.iter();
                let entries = entries.map(|(key, it)| (key.to_string(), to_json(&it.value)));
                Value::Object(entries.collect())
            }
            Yaml::Wrong => Value::Null,
            Yaml::Scalar(scalar) => match scalar.plain() {
                Plain::Null => Value::Null,
                Plain::Boolean(value) => value.into(),
                Plain::Integer(value) => value.into(),
                Plain::Float(value) => value.into(),
                Plain::Text(text) => text.into(),
            },
        }
    }

    /// All cases of the language.
    fn cases() -> Vec<PathBuf> {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
        let list = |folder: &Path| {
            let entries = std::fs::read_dir(folder).unwrap();
            entries.map(|it| it.unwrap().path()).collect::<Vec<_>>()
        };
        let files = list(&cases).into_iter().flat_map(|topic| list(&topic));
        files
            .filter(|path| path.extension().is_some_and(|it| it == "yml"))
            .collect()
    }

    /// Whether a case compiles, and nothing in it has to be overlooked for that.
    fn compiles(case: &Path) -> bool {
        let said = std::fs::read_to_string(case.with_extension("txt")).unwrap_or_default();
        case.with_extension("json").exists() && !said.contains("[unknown-key]")
    }

    #[test]
    fn what_compiles_is_valid() {
        let validator = jsonschema::draft7::new(&schema()).unwrap();
        let mut tried = 0;
        for case in cases().into_iter().filter(|case| compiles(case)) {
            let errors: Vec<String> = validator
                .iter_errors(&read(&case).unwrap())
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", case.display());
            tried += 1;
        }
        assert!(tried > 40, "only {tried} cases compile");
    }

    #[test]
    fn unknown_keys_are_not_valid() {
        let validator = jsonschema::draft7::new(&schema()).unwrap();
        let mut tried = 0;
        for case in cases() {
            let text = std::fs::read_to_string(case.with_extension("txt")).unwrap_or_default();
            if let Some(config) = read(&case).filter(|_| text.contains("error[unknown-key]")) {
                assert!(!validator.is_valid(&config), "{}", case.display());
                tried += 1;
            }
        }
        assert!(tried > 2, "only {tried} cases have unknown keys");
    }
}
