//! Puts values in the place of references.

use std::collections::HashSet;
use std::rc::Rc;

use indexmap::IndexMap;

use super::expression::{self, Placer};
use super::template::{Piece, pieces, sole_reference};
use super::unresolved::{
    report_open, report_open_section, report_structure, report_undefined, report_unknown,
};
use crate::context::Context;
use crate::diagnostic::{code, error};
use crate::options::{PipelineValue, PipelineValues};
use crate::yaml::{Entry, Home, Mapping, Node, Span, Value};

/// The values of parameters by name.
pub(crate) type Values = IndexMap<Rc<str>, Option<Node>>;

/// What names stand for in one pass.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// The first pass: pipeline values and pipeline parameters.
    Pipeline,
    /// The second pass over a definition: these parameters.
    Parameters(&'a Values),
    /// The second pass over a job of a workflow: the values of its matrix, if it has one.
    Workflow(Option<&'a Values>),
}

/// Where a text stands, and in which package.
#[derive(Clone, Copy)]
struct At {
    span: Span,
    home: Home,
}

/// What became of a reference.
enum Resolved {
    /// It belongs to the other pass.
    Keep,
    /// It stands for this.
    Value(Node),
    /// It stands for nothing, which has been reported or will be.
    Nothing,
}

/// A tree with all references of a scope resolved.
pub(crate) fn substitute(cx: &Context<'_>, node: &Node, scope: Scope<'_>) -> Node {
    if !node.templated || !cx.templates.get() || !cx.spend(16, node.span) {
        return node.clone();
    }
    let result = match &node.value {
        Value::Scalar(scalar) => return scalar_text(cx, node, &scalar.text, scalar.quoted, scope),
        Value::Sequence(items) => {
            cx.spend(items.len(), node.span);
            let items = items
                .iter()
                .map(|item| substitute(cx, item, scope))
                .collect();
            Node::sequence(node.span, items).at_home(node.home)
        }
        Value::Mapping(mapping) => {
            Node::mapping(node.span, entries(cx, mapping, scope)).at_home(node.home)
        }
        Value::Wrong => return node.clone(),
    };
    // Steps that are passed through commands nest deeper than what was written.
    if result.height > 4 * cx.options.limits.depth {
        let message = "parameters nest too deep here";
        cx.stop(
            error(code::TOO_DEEP, node.span, message).help("pass fewer steps through commands"),
        );
        return Node::null(node.span);
    }
    result
}

fn entries(cx: &Context<'_>, mapping: &Mapping, scope: Scope<'_>) -> Mapping {
    let mut result = Mapping::default();
    for (key, Entry { key_span, value }) in &mapping.entries {
        let key = if key.contains("<<") {
            let at = At {
                span: *key_span,
                home: value.home,
            };
            let node = join(cx, at, key, scope);
            node.as_scalar()
                .map_or_else(|| key.clone(), |scalar| scalar.text.clone())
        } else {
            key.clone()
        };
        let mut resolved = substitute(cx, value, scope);
        if &*key == "environment" && matches!(scope, Scope::Pipeline) {
            resolved = with_nil(value, resolved);
        }
        cx.spend(16, *key_span);
        if result
            .entries
            .insert(
                key.clone(),
                Entry {
                    key_span: *key_span,
                    value: resolved,
                },
            )
            .is_some()
        {
            let message = format!("key `{key}` is there twice");
            cx.report(error(code::DUPLICATE_KEY, *key_span, message).help("remove one of the two"));
        }
    }
    result
}

/// Variables as CircleCI sets them: one that is nothing but an empty value of the pipeline is the
/// text `<nil>`.
fn with_nil(written: &Node, resolved: Node) -> Node {
    let (Value::Mapping(before), Value::Mapping(after)) = (&written.value, &resolved.value) else {
        return resolved;
    };
    let is_value = |node: &Node| {
        let text = node.as_scalar().map(|scalar| &*scalar.text);
        let reference = text.and_then(sole_reference);
        reference.is_some_and(|(_, name)| root(name) == "pipeline")
    };
    let is_empty = |node: &Node| {
        node.as_scalar()
            .is_some_and(|scalar| scalar.text.is_empty())
    };
    let mut variables = Mapping::clone(after);
    for (was, is) in before.entries.values().zip(variables.entries.values_mut()) {
        if is_value(&was.value) && is_empty(&is.value) {
            is.value = Node::scalar(is.value.span, "<nil>", true);
        }
    }
    Node::mapping(resolved.span, variables).at_home(resolved.home)
}

fn scalar_text(cx: &Context<'_>, node: &Node, text: &str, quoted: bool, scope: Scope<'_>) -> Node {
    let at = At {
        span: node.span,
        home: node.home,
    };
    if let Some((whole, inside)) = sole_reference(text) {
        match resolve(cx, at, whole, inside, scope) {
            Resolved::Value(value) if value.as_scalar().is_none() => return value,
            // The place of a value is where it is used.
            Resolved::Value(value) => {
                return Node {
                    span: node.span,
                    ..value
                };
            }
            Resolved::Keep => return node.clone(),
            Resolved::Nothing => return Node::wrong(node.span),
        }
    }
    let mut joined = join(cx, at, text, scope);
    if let Value::Scalar(scalar) = &mut joined.value {
        scalar.quoted = quoted || text.contains(">>");
    }
    joined.at_home(node.home)
}

/// A text with its references replaced by the texts of their values.
fn join(cx: &Context<'_>, at: At, text: &str, scope: Scope<'_>) -> Node {
    let span = at.span;
    let first_pass = matches!(scope, Scope::Pipeline);
    let mut joined = String::new();
    if !cx.spend(text.len(), span) {
        return Node::scalar(span, "", true);
    }
    let pieces = pieces(text);
    // Ends of sections that belong to the other pass.
    let mut kept = HashSet::new();
    let (mut wrong, mut open) = (false, false);
    let mut next = 0;
    while let Some(piece) = pieces.get(next) {
        next += 1;
        match piece {
            Piece::Text(text) => joined.push_str(text),
            // The second pass takes the backslash away.
            Piece::Escaped if first_pass => joined.push_str("\\<<"),
            Piece::Escaped => joined.push_str("<<"),
            Piece::Open => {
                joined.push_str("<<");
                open |= !first_pass;
            }
            Piece::Reference { whole, inside } => match resolve(cx, at, whole, inside, scope) {
                Resolved::Keep => joined.push_str(whole),
                Resolved::Nothing => wrong = true,
                Resolved::Value(value) => match value.as_scalar() {
                    Some(scalar) => joined.push_str(&scalar.text),
                    None => {
                        report_structure(cx, cx.narrow(span, whole), inside, &value);
                        wrong = true;
                    }
                },
            },
            Piece::Section {
                whole, end: None, ..
            } => {
                report_open_section(cx, cx.narrow(span, whole), whole);
                wrong = true;
            }
            Piece::Section {
                whole,
                name,
                inverted,
                end: Some(end),
            } => match resolve(cx, at, whole, name, scope) {
                Resolved::Keep => {
                    joined.push_str(whole);
                    kept.insert(*end);
                }
                Resolved::Value(value) if counts(&value) == *inverted => next = end + 1,
                Resolved::Value(_) => {}
                Resolved::Nothing => wrong = true,
            },
            Piece::End { whole, .. } if kept.contains(&(next - 1)) => joined.push_str(whole),
            Piece::End { .. } => {}
        }
        if joined.len() > cx.options.limits.expansion {
            break;
        }
    }
    cx.spend(joined.len(), span);
    if open {
        report_open(cx, span);
    }
    if wrong {
        return Node::wrong(span);
    }
    let mut node = Node::scalar(span, joined, true);
    node.templated &= first_pass;
    node
}

/// Whether a value counts as true.
fn counts(value: &Node) -> bool {
    expression::Value::of(value).is_none_or(|value| value.holds())
}

fn resolve(cx: &Context<'_>, at: At, whole: &str, inside: &str, scope: Scope<'_>) -> Resolved {
    let is_name = !inside.contains(|c: char| c.is_whitespace() || "=<>!()'\"".contains(c));
    let first_pass = matches!(scope, Scope::Pipeline);
    let resolved = match is_name {
        true if first_pass && root(inside) != "pipeline" => Resolved::Keep,
        true => lookup(cx, at.home, inside, scope, &|| cx.narrow(at.span, whole))
            .map_or(Resolved::Nothing, Resolved::Value),
        false if first_pass && expression::is_local(inside) => Resolved::Keep,
        false => evaluate(cx, inside, at.span, at.home, scope).map_or(Resolved::Nothing, |value| {
            Resolved::Value(value.node(at.span).at_home(at.home))
        }),
    };
    match resolved {
        Resolved::Value(value) if first_pass => Resolved::Value(escaped(value)),
        resolved => resolved,
    }
}

/// What an expression gives. What is wrong with it is reported.
pub(super) fn evaluate(
    cx: &Context<'_>,
    text: &str,
    span: Span,
    home: Home,
    scope: Scope<'_>,
) -> Option<expression::Value> {
    expression::value(cx, text, span, |name, place| {
        let node = lookup(cx, home, name, scope, place)?;
        let value = expression::Value::of(&node);
        if value.is_none() {
            report_structure(cx, place(), name, &node);
        }
        value
    })
}

pub(super) fn root(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// What was inserted by the first pass must not be read again by the second.
fn escaped(node: Node) -> Node {
    match &node.value {
        Value::Scalar(scalar) if scalar.text.contains("<<") => {
            Node::scalar(node.span, scalar.text.replace("<<", "\\<<"), scalar.quoted)
        }
        _ => node,
    }
}

/// What a name stands for. That it stands for nothing has been reported, or will be.
fn lookup(
    cx: &Context<'_>,
    home: Home,
    name: &str,
    scope: Scope<'_>,
    place: Placer<'_>,
) -> Option<Node> {
    let nothing = Values::new();
    let (values, prefix) = match (scope, root(name)) {
        (_, "pipeline") if home == Home::default() => return pipeline(cx, name, place),
        (Scope::Parameters(values), "parameters") => (values, "parameters"),
        (Scope::Workflow(_), "parameters") => (&nothing, "parameters"),
        (Scope::Workflow(Some(values)), "matrix") => (values, "matrix"),
        _ => {
            report_unknown(cx, place(), name);
            return None;
        }
    };
    let key = name.strip_prefix(prefix).unwrap_or(name);
    let key = key.strip_prefix('.').unwrap_or(key);
    let value = values.get(key);
    if value.is_none() {
        report_undefined(cx, place(), key, values.keys().map(|key| &**key), prefix);
    }
    value.cloned().flatten().filter(|value| !value.is_wrong())
}

fn pipeline(cx: &Context<'_>, name: &str, place: Placer<'_>) -> Option<Node> {
    let inside = name.strip_prefix("pipeline.").unwrap_or(name);
    if let Some(parameter) = inside.strip_prefix("parameters.") {
        let nothing = Values::new();
        let parameters = cx.pipeline_parameters.get().unwrap_or(&nothing);
        let value = parameters.get(parameter);
        if value.is_none() {
            let names = parameters.keys().map(|name| &**name);
            report_undefined(cx, place(), parameter, names, "pipeline.parameters");
        }
        return value.cloned().flatten();
    }
    match cx.options.values.get(inside) {
        // The place of a value is where it is used, which its user knows.
        Some(PipelineValue::Text(text)) => Some(Node::scalar(Span::default(), text, true)),
        Some(PipelineValue::Literal(text)) => Some(Node::scalar(Span::default(), text, false)),
        None => {
            let message = format!("there is no pipeline value `{name}`");
            let names: Vec<_> = PipelineValues::names()
                .map(|name| format!("pipeline.{name}"))
                .collect();
            let all = |all| format!("the values are {all}");
            let help = cx.hint(name, names.iter().map(String::as_str), all);
            cx.report(error(code::UNKNOWN_REFERENCE, place(), message).maybe_help(help));
            None
        }
    }
}
