//! What is said about references that stand for nothing.

use super::substitute::root;
use super::template::first_open;
use crate::context::Context;
use crate::diagnostic::{code, error, warning};
use crate::yaml::{Node, Span};

/// Says that a parameter is not declared.
pub(super) fn report_undefined<'n>(
    cx: &Context<'_>,
    span: Span,
    name: &str,
    declared: impl Iterator<Item = &'n str> + Clone,
    prefix: &str,
) {
    let empty = declared.clone().next().is_none();
    let help = cx.hint(name, declared, |all| match prefix {
        "matrix" => format!("it has {all}"),
        _ if !empty => format!("declared here: {all}"),
        "parameters" => {
            "declare it under `parameters`, or write `<< pipeline.parameters.… >>` for \
                         one of the pipeline"
                .to_owned()
        }
        _ => "declare it under `parameters` at the top level".to_owned(),
    });
    let message = match prefix {
        "matrix" => format!("the matrix has no parameter `{name}`"),
        "parameters" => format!("parameter `{name}` is not declared"),
        _ => format!("pipeline parameter `{name}` is not declared"),
    };
    cx.report(error(code::UNDEFINED_PARAMETER, span, message).maybe_help(help));
}

pub(super) fn report_unknown(cx: &Context<'_>, span: Span, name: &str) {
    if root(name) == "pipeline" {
        let message = format!("`{name}` is not visible in an orb");
        cx.report(
            error(code::UNKNOWN_REFERENCE, span, message)
                .help("declare a parameter, and hand the value over where the orb is used"),
        );
        return;
    }
    let in_brackets = cx
        .sources
        .slice(span)
        .is_some_and(|text| text.contains("<<"));
    let message = match in_brackets {
        true => format!("`<< {name} >>` refers to nothing"),
        false => format!("`{name}` refers to nothing"),
    };
    let help = match root(name) {
        "matrix" => {
            "only a job of a workflow that has a `matrix` can refer to it; a job gets the values \
             as its `parameters`"
        }
        _ if in_brackets => {
            "refer to `parameters.…` or `pipeline.…`; for a plain `<<`, as in a here-document, \
             write `\\<<`"
        }
        _ => "refer to `pipeline.…`, and put texts in quotes",
    };
    cx.report(error(code::UNKNOWN_REFERENCE, span, message).help(help));
}

pub(super) fn report_open_section(cx: &Context<'_>, span: Span, whole: &str) {
    let message = format!("the section `{whole}` has no end");
    let end = whole.replacen(['#', '^'], "/", 1);
    cx.report(error(code::UNKNOWN_REFERENCE, span, message).help(format!("put `{end}` behind it")));
}

pub(super) fn report_open(cx: &Context<'_>, span: Span) {
    if cx.is_stopped() {
        return;
    }
    let written = cx.sources.slice(span).unwrap_or_default();
    let at = match first_open(written).and_then(|at| u32::try_from(at).ok()) {
        Some(at) => Span {
            start: span.start + at,
            end: span.start + at + 2,
        },
        None => span,
    };
    cx.report(
        warning(
            code::UNESCAPED_HEREDOC,
            at,
            "`<<` opens no reference and is taken as it stands",
        )
        .help("CircleCI refuses this: write `\\<<`"),
    );
}

pub(super) fn report_structure(cx: &Context<'_>, span: Span, inside: &str, value: &Node) {
    let message = format!(
        "`{inside}` is {} and cannot be part of a text",
        value.kind()
    );
    cx.report(error(code::WRONG_TYPE, span, message).help("it can only stand alone"));
}
