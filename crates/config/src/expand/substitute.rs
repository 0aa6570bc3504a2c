//! Puts values in the place of references.

use std::rc::Rc;

use indexmap::IndexMap;

use super::template::{Piece, pieces, sole_reference};
use crate::context::Context;
use crate::diagnostic::{code, error, warning};
use crate::options::{PipelineValue, PipelineValues};
use crate::yaml::{Entry, Mapping, Node, Span, Value};

/// The values of parameters by name.
pub(crate) type Values = IndexMap<Rc<str>, Option<Node>>;

/// What names stand for in one pass.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// The first pass: pipeline values and these pipeline parameters.
    Pipeline(&'a Values),
    /// The second pass: these parameters.
    Parameters(&'a Values),
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
            let node = join(cx, *key_span, key, scope);
            node.as_scalar()
                .map_or_else(|| key.clone(), |scalar| scalar.text.clone())
        } else {
            key.clone()
        };
        let value = substitute(cx, value, scope);
        cx.spend(16, *key_span);
        if result
            .entries
            .insert(
                key.clone(),
                Entry {
                    key_span: *key_span,
                    value,
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

fn scalar_text(cx: &Context<'_>, node: &Node, text: &str, quoted: bool, scope: Scope<'_>) -> Node {
    if let Some((whole, inside)) = sole_reference(text) {
        match resolve(cx, node.span, whole, inside, scope) {
            Resolved::Value(value) if value.as_scalar().is_none() => return value,
            // The place of a value is where it is used.
            Resolved::Value(value) => {
                return Node {
                    span: node.span,
                    ..value
                };
            }
            Resolved::Keep => return node.clone(),
            Resolved::Nothing => return Node::null(node.span),
        }
    }
    let mut joined = join(cx, node.span, text, scope);
    if let Value::Scalar(scalar) = &mut joined.value {
        scalar.quoted = quoted || text.contains(">>");
    }
    joined.at_home(node.home)
}

/// A text with its references replaced by the texts of their values.
fn join(cx: &Context<'_>, span: Span, text: &str, scope: Scope<'_>) -> Node {
    let first_pass = matches!(scope, Scope::Pipeline(_));
    let mut joined = String::new();
    if !cx.spend(text.len(), span) {
        return Node::scalar(span, "", true);
    }
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => joined.push_str(text),
            // The second pass takes the backslash away.
            Piece::Escaped if first_pass => joined.push_str("\\<<"),
            Piece::Escaped => joined.push_str("<<"),
            Piece::Open => {
                joined.push_str("<<");
                if !first_pass {
                    report_open(cx, span);
                }
            }
            Piece::Reference { whole, inside } => match resolve(cx, span, whole, inside, scope) {
                Resolved::Keep => joined.push_str(whole),
                Resolved::Nothing => {}
                Resolved::Value(value) => match value.as_scalar() {
                    Some(scalar) => joined.push_str(&scalar.text),
                    None => report_structure(cx, cx.narrow(span, whole), inside, &value),
                },
            },
        }
        if joined.len() > cx.options.limits.expansion {
            break;
        }
    }
    cx.spend(joined.len(), span);
    let mut node = Node::scalar(span, joined, true);
    node.templated &= first_pass;
    node
}

fn resolve(cx: &Context<'_>, span: Span, whole: &str, inside: &str, scope: Scope<'_>) -> Resolved {
    let at = || cx.narrow(span, whole);
    let root = inside.split(['.', ' ']).next().unwrap_or(inside);
    let is_name = !inside.contains(|c: char| c.is_whitespace() || "=<>!()'\"".contains(c));
    match (scope, root) {
        (Scope::Pipeline(_), "pipeline") | (Scope::Parameters(_), "parameters") if !is_name => {
            report_expression(cx, at());
            Resolved::Nothing
        }
        (Scope::Pipeline(parameters), "pipeline") => pipeline(cx, span, at, inside, parameters),
        (Scope::Pipeline(_), _) => Resolved::Keep,
        (Scope::Parameters(values), "parameters") => {
            let name = inside.trim_start_matches("parameters.");
            match values.get(name) {
                Some(Some(value)) => Resolved::Value(value.clone()),
                Some(None) => Resolved::Nothing,
                None => {
                    report_undefined(
                        cx,
                        at(),
                        name,
                        values.keys().map(|name| &**name),
                        "parameters",
                    );
                    Resolved::Nothing
                }
            }
        }
        (Scope::Parameters(_), _) => {
            report_unknown(cx, at(), root, inside, is_name);
            Resolved::Nothing
        }
    }
}

fn pipeline(
    cx: &Context<'_>,
    span: Span,
    at: impl Fn() -> Span,
    inside: &str,
    parameters: &Values,
) -> Resolved {
    let name = inside.trim_start_matches("pipeline.");
    // Inserted values must not be read again by the second pass.
    let inserted = |text: &str, quoted| {
        Resolved::Value(Node::scalar(span, text.replace("<<", "\\<<"), quoted))
    };
    if let Some(parameter) = name.strip_prefix("parameters.") {
        return match parameters.get(parameter) {
            Some(Some(value)) => value.as_scalar().map_or(Resolved::Nothing, |scalar| {
                inserted(&scalar.text, scalar.quoted)
            }),
            Some(None) => Resolved::Nothing,
            None => {
                let names = parameters.keys().map(|name| &**name);
                report_undefined(cx, at(), parameter, names, "pipeline.parameters");
                Resolved::Nothing
            }
        };
    }
    match cx.options.values.get(name) {
        Some(PipelineValue::Text(text)) => inserted(&text, true),
        Some(PipelineValue::Literal(text)) => inserted(&text, false),
        None => {
            let message = format!("there is no pipeline value `{inside}`");
            let all = |all| format!("the values are {all}");
            let help = cx.hint(name, PipelineValues::names(), all);
            cx.report(error(code::UNKNOWN_REFERENCE, at(), message).maybe_help(help));
            Resolved::Nothing
        }
    }
}

/// Says that a parameter is not declared.
fn report_undefined<'n>(
    cx: &Context<'_>,
    span: Span,
    name: &str,
    declared: impl Iterator<Item = &'n str> + Clone,
    prefix: &str,
) {
    let what = if prefix == "parameters" {
        "parameter"
    } else {
        "pipeline parameter"
    };
    let empty = declared.clone().next().is_none();
    let help = cx.hint(name, declared, |all| match prefix {
        _ if !empty => format!("declared here: {all}"),
        "parameters" => {
            "declare it under `parameters`, or write `<< pipeline.parameters.… >>` for \
                         one of the pipeline"
                .to_owned()
        }
        _ => "declare it under `parameters` at the top level".to_owned(),
    });
    let message = format!("{what} `{name}` is not declared");
    cx.report(error(code::UNDEFINED_PARAMETER, span, message).maybe_help(help));
}

fn report_unknown(cx: &Context<'_>, span: Span, root: &str, inside: &str, is_name: bool) {
    if root == "matrix" {
        let message = "`<< matrix.… >>` is not supported yet";
        cx.report(error(code::NOT_SUPPORTED, span, message).help("write the jobs out one by one"));
    } else if root == "pipeline" {
        let message = format!("`{inside}` is not visible in an orb");
        cx.report(
            error(code::UNKNOWN_REFERENCE, span, message)
                .help("declare a parameter, and hand the value over where the orb is used"),
        );
    } else if !is_name {
        report_expression(cx, span);
    } else {
        let message = format!("`<< {inside} >>` refers to nothing");
        cx.report(error(code::UNKNOWN_REFERENCE, span, message).help(
            "refer to `parameters.…` or `pipeline.…`; for a plain `<<`, as in a here-document, \
             write `\\<<`",
        ));
    }
}

fn report_expression(cx: &Context<'_>, span: Span) {
    let message = "an expression in `<< >>` is not supported yet";
    cx.report(error(code::NOT_SUPPORTED, span, message).help(
        "refer to one parameter or value; for conditions use `equal`, `and`, `or` and `not`",
    ));
}

fn report_open(cx: &Context<'_>, span: Span) {
    let at = cx.narrow(span, "<<");
    cx.report(
        warning(
            code::UNESCAPED_HEREDOC,
            at,
            "`<<` opens no reference and is taken as it stands",
        )
        .help("CircleCI refuses this: write `\\<<`"),
    );
}

fn report_structure(cx: &Context<'_>, span: Span, inside: &str, value: &Node) {
    let message = format!(
        "`{inside}` is {} and cannot be part of a text",
        value.kind()
    );
    cx.report(error(code::WRONG_TYPE, span, message).help("it can only stand alone"));
}
