//! Expressions: `pipeline.git.branch == "main" and not pipeline.parameters.skip`.
//!
//! A `filters` or a workflow's `when` may be one as it stands; elsewhere they are in `<< >>`.

mod evaluate;
mod lexer;
mod parser;
mod value;

use std::ops::Range;

pub(crate) use value::Value;

use crate::context::Context;
use crate::diagnostic::{code, error};
use crate::regex::Regex;
use crate::yaml::Span;
use evaluate::{Failure, evaluate};
use parser::{Parser, Resolve};

/// What is wrong with an expression, and where in it.
#[derive(Debug)]
struct Fault {
    range: Range<usize>,
    message: String,
    help: String,
}

impl Fault {
    fn new(range: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            help: help.into(),
        }
    }

    /// The same fault in a text that starts earlier.
    fn moved(mut self, by: usize) -> Self {
        self.range = self.range.start + by..self.range.end + by;
        self
    }
}

/// Finds the place of a name in the source. That takes time, so it is done only if something is to
/// be said about it.
pub(super) type Placer<'a> = &'a dyn Fn() -> Span;

/// What an expression gives. `span` is the place of a text that holds the expression, `lookup` says
/// what a name stands for and reports those that stand for nothing.
pub(super) fn value(
    cx: &Context<'_>,
    text: &str,
    span: Span,
    lookup: impl Fn(&str, Placer<'_>) -> Option<Value>,
) -> Option<Value> {
    if !cx.spend(8 * text.len(), span) {
        return None;
    }
    let place = Place { cx, text, span };
    let tree = match tree(place, lookup) {
        Ok(tree) => tree,
        Err(fault) => {
            let at = place.of(fault.range);
            cx.report(error(code::BAD_EXPRESSION, at, fault.message).help(fault.help));
            return None;
        }
    };
    let matcher = |regex: &Regex, text: &str| cx.matches(regex, text, span);
    match evaluate(&tree, &matcher) {
        Ok(value) => Some(value),
        Err(Failure::Reported) => None,
        Err(Failure::Type { range, message }) => {
            cx.report(
                error(code::BAD_EXPRESSION, place.of(range), message)
                    .help("compare values of one type, or use `==`, which takes all"),
            );
            None
        }
    }
}

fn tree(
    place: Place<'_>,
    lookup: impl Fn(&str, Placer<'_>) -> Option<Value>,
) -> Result<parser::Tree, Fault> {
    let tokens = lexer::tokens(place.text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        end: place.text.len(),
        levels: place.cx.options.limits.condition_depth,
        resolve: &Names { place, lookup },
    };
    parser.whole()
}

/// Whether an expression speaks of what only a definition or a matrix knows.
pub(super) fn is_local(text: &str) -> bool {
    let local = |name: &str| name.starts_with("parameters.") || name.starts_with("matrix.");
    lexer::tokens(text).is_ok_and(|tokens| {
        tokens
            .iter()
            .any(|token| matches!(token.kind, lexer::Kind::Name(name) if local(name)))
    })
}

/// Where an expression stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    cx: &'a Context<'a>,
    text: &'a str,
    span: Span,
}

impl Place<'_> {
    /// The place of a part of the expression, as far as it can be found: lines of a YAML text may
    /// be indented, folded or escaped in the source.
    fn of(self, range: Range<usize>) -> Span {
        let line_start = self.text[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        let Some(found) = self.cx.find(self.span, line.trim()) else {
            return self.span;
        };
        let within = |at: usize| {
            let at = at.saturating_sub(line_start + indent);
            found.start + u32::try_from(at).unwrap_or_default()
        };
        Span {
            start: within(range.start),
            end: within(range.end),
        }
    }
}

/// Names and regular expressions, with their places in the source.
struct Names<'a, F> {
    place: Place<'a>,
    lookup: F,
}

impl<F: Fn(&str, Placer<'_>) -> Option<Value>> Resolve for Names<'_, F> {
    fn name(&self, name: &str, at: Range<usize>) -> Option<Value> {
        (self.lookup)(name, &|| self.place.of(at.clone()))
    }

    fn regex(&self, text: &str, at: Range<usize>) -> Option<Regex> {
        self.place.cx.regex(text, || self.place.of(at.clone()))
    }
}
