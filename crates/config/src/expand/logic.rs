//! Logic statements: `and`, `or`, `not`, `equal`, and values that count as true or false.

use super::expression;
use crate::diagnostic::{code, did_you_mean, error, list, warning};
use crate::syntax::{MATCHES, Reader};
use crate::yaml::{Mapping, Node, Span, Value};

const OPERATORS: &[&str] = &["and", "or", "not", "equal", "matches"];

/// Whether a statement holds. `None` if it is wrong, which has been reported, or if a lenient
/// reader cannot know.
pub(super) fn holds(reader: Reader<'_>, node: &Node) -> Option<bool> {
    statement(reader, node, 0)
}

fn statement(reader: Reader<'_>, node: &Node, depth: usize) -> Option<bool> {
    let limit = reader.cx.options.limits.condition_depth;
    if depth > limit {
        let message = format!("conditions nest more than {limit} levels deep");
        reader.report(error(code::TOO_DEEP, node.span, message).help("write fewer in each other"));
        return None;
    }
    if !reader.cx.spend(1, node.span) || reader.unknown(node) {
        return None;
    }
    match &node.value {
        Value::Scalar(_) => expression::Value::of(node).map(|value| value.holds()),
        Value::Sequence(items) => Some(!items.is_empty()),
        Value::Mapping(mapping) if mapping.entries.is_empty() => Some(false),
        Value::Mapping(mapping) => operator(reader, node, mapping, depth + 1),
        Value::Wrong => None,
    }
}

fn operator(reader: Reader<'_>, node: &Node, mapping: &Mapping, depth: usize) -> Option<bool> {
    let (Some((name, entry)), 1) = (mapping.entries.first(), mapping.entries.len()) else {
        let message = format!("a condition is one operator, not {}", mapping.entries.len());
        reader.report(
            error(code::WRONG_TYPE, node.span, message)
                .help("combine several with `and:` or `or:`"),
        );
        return None;
    };
    // Every operand is looked at, so that all errors are found.
    let operands = || -> Option<Vec<bool>> {
        let items = operands(reader, name, &entry.value)?;
        let held: Vec<_> = items
            .iter()
            .map(|item| statement(reader, item, depth))
            .collect();
        held.into_iter().collect()
    };
    match &**name {
        "and" => operands().map(|held| held.into_iter().all(|one| one)),
        "or" => operands().map(|held| held.into_iter().any(|one| one)),
        "not" => statement(reader, &entry.value, depth).map(|held| !held),
        "equal" => equal(reader, &entry.value),
        "matches" => matches(reader, &entry.value),
        _ => unknown_operator(reader, name, entry.key_span),
    }
}

/// A mapping that is no operator counts as true in CircleCI, as all that is not empty does.
fn unknown_operator(reader: Reader<'_>, name: &str, span: Span) -> Option<bool> {
    let message = format!("there is no operator `{name}`");
    if let Some(help) = did_you_mean(name, OPERATORS.iter().copied()) {
        reader.report(error(code::UNKNOWN_KEY, span, message).help(help));
        return None;
    }
    let all = list(OPERATORS.iter().copied());
    reader.report(warning(code::UNKNOWN_KEY, span, message).help(format!(
        "this counts as true, as in CircleCI; there is {all}"
    )));
    Some(true)
}

/// What an operator is given: at least one thing.
fn operands<'n>(reader: Reader<'_>, name: &str, node: &'n Node) -> Option<&'n [Node]> {
    let items = reader.sequence(node, &format!("`{name}`"))?;
    if items.is_empty() {
        let message = format!("`{name}` is given nothing");
        let help = "list at least one condition or value";
        reader.report(error(code::BAD_VALUE, node.span, message).help(help));
        return None;
    }
    Some(items)
}

fn equal(reader: Reader<'_>, node: &Node) -> Option<bool> {
    let items = operands(reader, "equal", node)?;
    if !reader.cx.spend(node.nodes, node.span) || items.iter().any(|item| reader.unknown(item)) {
        return None;
    }
    Some(items.windows(2).all(|pair| same(&pair[0], &pair[1])))
}

/// `matches: {pattern, value}`: the pattern must match the whole value.
fn matches(reader: Reader<'_>, node: &Node) -> Option<bool> {
    let mapping = reader.mapping(node, "`matches`")?;
    reader.check_keys(mapping, &MATCHES);
    let pattern = reader.required(mapping.get("pattern"), "pattern", node.span)?;
    let value = reader.required(mapping.get("value"), "value", node.span)?;
    if reader.unknown(pattern) || reader.unknown(value) {
        return None;
    }
    let regex = reader
        .cx
        .regex(&reader.text(pattern, "`pattern`")?, || pattern.span)?;
    let value = match value.is_null() {
        true => String::new(),
        false => reader.text(value, "`value`")?,
    };
    reader.cx.matches(&regex, &value, pattern.span)
}

/// Equal values of one type: 1 is not "1".
fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(a), Value::Scalar(b)) => a.plain() == b.plain(),
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b))
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.entries.len() == b.entries.len()
                && a.entries
                    .iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(&a.value, b)))
        }
        _ => false,
    }
}
