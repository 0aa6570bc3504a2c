//! Logic statements: `and`, `or`, `not`, `equal`, and values that count as true or false.

use crate::diagnostic::{code, did_you_mean, error};
use crate::syntax::Reader;
use crate::yaml::{Mapping, Node, Plain, Value};

const OPERATORS: &[&str] = &["and", "or", "not", "equal", "matches"];

/// Whether a statement holds. `None` if it is wrong, which has been reported, or if a lenient
/// reader cannot know.
pub(super) fn holds(reader: Reader<'_>, node: &Node) -> Option<bool> {
    if !reader.cx.spend(1, node.span) {
        return None;
    }
    match &node.value {
        Value::Scalar(_) if reader.unknown(node) => None,
        Value::Scalar(scalar) => Some(match scalar.plain() {
            Plain::Null => false,
            Plain::Boolean(value) => value,
            Plain::Integer(value) => value != 0,
            Plain::Float(value) => value != 0.0 && !value.is_nan(),
            Plain::Text(text) => !text.is_empty(),
        }),
        Value::Sequence(items) => Some(!items.is_empty()),
        Value::Mapping(mapping) => operator(reader, node, mapping),
    }
}

fn operator(reader: Reader<'_>, node: &Node, mapping: &Mapping) -> Option<bool> {
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
        let items = reader.sequence(&entry.value, &format!("`{name}`"))?;
        let held: Vec<_> = items.iter().map(|item| holds(reader, item)).collect();
        held.into_iter().collect()
    };
    match &**name {
        "and" => operands().map(|held| held.into_iter().all(|one| one)),
        "or" => operands().map(|held| held.into_iter().any(|one| one)),
        "not" => holds(reader, &entry.value).map(|held| !held),
        "equal" => {
            let items = reader.sequence(&entry.value, "`equal`")?;
            if !reader.cx.spend(entry.value.nodes, entry.key_span) {
                return None;
            }
            Some(items.windows(2).all(|pair| same(&pair[0], &pair[1])))
        }
        "matches" => {
            reader.not_supported(entry.key_span, "`matches`");
            None
        }
        _ => {
            let help = did_you_mean(name, OPERATORS.iter().copied());
            let message = format!("there is no operator `{name}`");
            reader.report(
                error(code::UNKNOWN_KEY, entry.key_span, message).help(
                    help.unwrap_or_else(|| "there are `and`, `or`, `not` and `equal`".into()),
                ),
            );
            None
        }
    }
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
