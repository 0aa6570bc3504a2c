//! Merge keys: `<<: *defaults`, `<<: [*a, *b]`.

use super::{Entry, Mapping, Node, Value};
use crate::diagnostic::{Sink, code, error};

/// Adds what `<<` names to a mapping. Keys of the mapping itself win, then the first merged one.
pub(super) fn merge(sink: &Sink<'_>, mapping: &mut Mapping, merged: &[Node]) {
    for node in merged {
        match &node.value {
            Value::Mapping(source) => add(mapping, source),
            Value::Sequence(sources) => {
                for source in sources.iter() {
                    match &source.value {
                        Value::Mapping(source) => add(mapping, source),
                        _ => refuse(sink, source),
                    }
                }
            }
            Value::Scalar(_) | Value::Wrong => refuse(sink, node),
        }
    }
}

fn add(mapping: &mut Mapping, source: &Mapping) {
    for (key, Entry { key_span, value }) in &source.entries {
        let entry = || Entry {
            key_span: *key_span,
            value: value.clone(),
        };
        mapping.entries.entry(key.clone()).or_insert_with(entry);
    }
}

fn refuse(sink: &Sink<'_>, node: &Node) {
    sink.push(
        error(
            code::BAD_MERGE,
            node.span,
            format!("`<<` merges mappings, not {}", node.kind()),
        )
        .help("write `<<: *anchor`, where `&anchor` names a mapping, or a list of such aliases"),
    );
}
