//! Pipeline parameters, and the first pass over the config.

use super::substitute::{Scope, Values, substitute};
use crate::ParameterValue;
use crate::diagnostic::{code, error};
use crate::syntax::{Declarations, Declares, Reader};
use crate::yaml::{Entry, Mapping, Node, Span, Value};

/// The config with all `<< pipeline.… >>` resolved.
pub(super) fn resolve(reader: Reader<'_>, root: &Mapping) -> Mapping {
    let declared = reader.declarations(root.present("parameters"), Declares::Pipeline);
    let at = root.key_span("parameters").unwrap_or_default();
    reader
        .cx
        .pipeline_parameters
        .get_or_init(|| values(reader, &declared, at));
    let resolve = |key: &str, entry: &Entry| match key {
        "parameters" => entry.value.clone(),
        // What is in an inline orb does not see the pipeline.
        "orbs" => orbs(reader, &entry.value),
        _ => substitute(reader.cx, &entry.value, Scope::Pipeline),
    };
    let entries = root.entries.iter().map(|(key, entry)| {
        (
            key.clone(),
            Entry {
                key_span: entry.key_span,
                value: resolve(key, entry),
            },
        )
    });
    Mapping {
        entries: entries.collect(),
    }
}

/// The names of orbs, resolved.
fn orbs(reader: Reader<'_>, node: &Node) -> Node {
    let Some(mapping) = node.as_mapping() else {
        return node.clone();
    };
    let entries = mapping.entries.iter().map(|(alias, entry)| {
        let value = match &entry.value.value {
            Value::Scalar(_) => substitute(reader.cx, &entry.value, Scope::Pipeline),
            _ => entry.value.clone(),
        };
        (alias.clone(), Entry { value, ..*entry })
    });
    let entries = entries.collect();
    Node::mapping(node.span, Mapping { entries })
}

fn values(reader: Reader<'_>, declared: &Declarations, at: Span) -> Values {
    let given = &reader.cx.options.parameters;
    for name in given
        .keys()
        .filter(|name| !declared.contains_key(name.as_str()))
    {
        let names = || declared.keys().map(|name| &**name);
        let help = reader
            .cx
            .hint(name, names(), |all| match declared.is_empty() {
                true => "declare it under `parameters` at the top level".to_owned(),
                false => format!("declared here: {all}"),
            });
        let message =
            format!("a value is given for the pipeline parameter `{name}`, which is not declared");
        reader.report(error(code::UNKNOWN_ARGUMENT, at, message).maybe_help(help));
    }
    let mut values = Values::new();
    for (name, declaration) in declared {
        let value = declaration.as_ref().and_then(|declaration| {
            let at = declaration.name_span;
            match (given.get(&**name), &declaration.default) {
                (Some(value), _) => {
                    let what = format!("the value given for `{name}`");
                    reader.argument(&node(value, at), &declaration.kind, &what, at)
                }
                (None, Some(default)) => Some(default.clone()),
                (None, None) => {
                    report_missing(reader, name, at);
                    None
                }
            }
        });
        values.insert(name.clone(), value);
    }
    values
}

fn report_missing(reader: Reader<'_>, name: &str, at: Span) {
    let message = format!("the pipeline parameter `{name}` has no default and no value is given");
    reader.report(
        error(code::MISSING_ARGUMENT, at, message)
            .help(format!("give a value, `{name}=VALUE`, or add a `default`")),
    );
}

fn node(value: &ParameterValue, at: Span) -> Node {
    match value {
        ParameterValue::Boolean(value) => Node::scalar(at, value.to_string(), false),
        ParameterValue::Integer(value) => Node::scalar(at, value.to_string(), false),
        ParameterValue::String(text) => Node::scalar(at, text.as_str(), true),
        ParameterValue::Text(text) => Node::scalar(at, text.as_str(), false),
    }
}
