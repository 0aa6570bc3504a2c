//! Reads values of a given type out of the tree, and says so where there are others.

use std::rc::Rc;

use indexmap::IndexMap;

use crate::context::Context;
use crate::diagnostic::{Draft, code, error, is_near};
use crate::yaml::{Mapping, Node, Plain, Scalar, Span, Value};

/// Reads definitions, either as they stand or expanded.
///
/// A definition as it stands may hold `<< parameters.x >>` where a value will be. A *lenient*
/// reader takes that for any value; what it reads is good for checking only.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) cx: &'a Context<'a>,
    pub(crate) lenient: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn report(self, draft: Draft) {
        self.cx.report(draft);
    }

    /// Whether a node stands for a value that is not known yet, or never will be.
    pub(crate) fn unknown(self, node: &Node) -> bool {
        let later = || self.lenient && self.cx.templates.get() && node.templated;
        node.is_wrong() || node.as_scalar().is_some() && later()
    }

    fn wrong_type(self, node: &Node, what: &str, wanted: &str) {
        if !self.unknown(node) {
            let message = format!("{what} must be {wanted}, not {}", node.kind());
            self.report(error(code::WRONG_TYPE, node.span, message));
        }
    }

    pub(crate) fn mapping<'n>(self, node: &'n Node, what: &str) -> Option<&'n Rc<Mapping>> {
        let mapping = node.as_mapping();
        if mapping.is_none() {
            self.wrong_type(node, what, "a mapping");
        }
        mapping
    }

    pub(crate) fn sequence<'n>(self, node: &'n Node, what: &str) -> Option<&'n Rc<Vec<Node>>> {
        if let Value::Sequence(items) = &node.value {
            return Some(items);
        }
        self.wrong_type(node, what, "a list");
        None
    }

    /// The value of a key that must be there.
    pub(crate) fn required<'n>(
        self,
        node: Option<&'n Node>,
        key: &str,
        of: Span,
    ) -> Option<&'n Node> {
        if node.is_none() {
            self.report(
                error(code::MISSING_KEY, of, format!("`{key}` is missing"))
                    .help(format!("add `{key}:` with a value")),
            );
        }
        node
    }

    /// The value of a key that must be there. That a key has nearly its name has been reported, and
    /// is enough.
    pub(crate) fn required_key<'n>(
        self,
        mapping: &'n Mapping,
        key: &str,
        of: Span,
    ) -> Option<&'n Node> {
        let node = mapping.present(key);
        let misspelt = |name: &Rc<str>| **name != *key && is_near(name, key);
        if node.is_none() && mapping.entries.keys().any(misspelt) {
            return None;
        }
        self.required(node, key, of)
    }

    /// Any scalar that is there, as written: `1.10` stays `1.10`.
    pub(crate) fn text(self, node: &Node, what: &str) -> Option<String> {
        match node.as_scalar() {
            Some(scalar) if scalar.plain() != Plain::Null => self
                .cx
                .spend(scalar.text.len(), node.span)
                .then(|| scalar.text.to_string()),
            _ => {
                self.wrong_type(node, what, "text");
                None
            }
        }
    }

    /// A text that is not empty either.
    pub(crate) fn name(self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?;
        if text.trim().is_empty() {
            self.report(error(
                code::BAD_VALUE,
                node.span,
                format!("{what} must not be empty"),
            ));
            return None;
        }
        Some(text)
    }

    /// A text; an empty one counts as not there, as where a parameter has no value.
    pub(crate) fn optional(self, node: &Node, what: &str) -> Option<String> {
        self.text(node, what).filter(|text| !text.trim().is_empty())
    }

    pub(crate) fn boolean(self, node: &Node, what: &str) -> Option<bool> {
        let boolean = node.as_scalar().and_then(Scalar::boolean);
        if boolean.is_none() {
            self.wrong_type(node, what, "`true` or `false`");
        }
        boolean
    }

    /// An integer within bounds. Quotes do not matter: parameters of type `string` carry some.
    pub(crate) fn integer(self, node: &Node, what: &str, bounds: (u32, u32)) -> Option<u32> {
        let Some(integer) = node
            .as_scalar()
            .and_then(|scalar| scalar.text.parse::<i64>().ok())
        else {
            self.wrong_type(node, what, "an integer");
            return None;
        };
        let (least, most) = bounds;
        let within = u32::try_from(integer)
            .ok()
            .filter(|value| (least..=most).contains(value));
        if within.is_none() {
            let message = format!("{what} must be from {least} to {most}, not {integer}");
            self.report(error(code::BAD_VALUE, node.span, message));
        }
        within
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(self, node: &Node, what: &str, all: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        let found = all
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() && !self.unknown(node) {
            let words: Vec<_> = all.iter().map(|(word, _)| *word).collect();
            let message = format!("{what} cannot be `{text}`");
            let choices = || {
                format!(
                    "it is one of {}",
                    crate::diagnostic::list(words.iter().copied())
                )
            };
            let help = crate::diagnostic::did_you_mean(&text, words.iter().copied());
            self.report(
                error(code::BAD_VALUE, node.span, message).help(help.unwrap_or_else(choices)),
            );
        }
        found
    }

    /// `environment`: a mapping, or a list of mappings and `KEY=value`. Null is the empty text.
    pub(crate) fn environment(self, node: &Node) -> IndexMap<String, String> {
        let mut variables = IndexMap::new();
        match &node.value {
            Value::Mapping(mapping) => self.variables(mapping, &mut variables),
            Value::Sequence(items) => {
                for item in items.iter() {
                    match (
                        &item.value,
                        item.as_scalar().and_then(|text| text.text.split_once('=')),
                    ) {
                        (Value::Mapping(mapping), _) => self.variables(mapping, &mut variables),
                        (_, Some((name, value))) => {
                            self.variable(name, item.span, value, &mut variables);
                        }
                        _ => self.wrong_type(
                            item,
                            "an entry of `environment`",
                            "`NAME=value` or `NAME: value`",
                        ),
                    }
                }
            }
            Value::Scalar(_) if node.is_null() => {}
            Value::Scalar(scalar) if scalar.text.contains('=') => {
                if let Some((name, value)) = scalar.text.split_once('=') {
                    self.variable(name, node.span, value, &mut variables);
                }
            }
            Value::Scalar(_) | Value::Wrong => {
                self.wrong_type(node, "`environment`", "a mapping");
            }
        }
        variables
    }

    fn variables(self, mapping: &Mapping, into: &mut IndexMap<String, String>) {
        for (name, entry) in &mapping.entries {
            match entry.value.as_scalar() {
                Some(scalar) => {
                    let value = if scalar.plain() == Plain::Null {
                        ""
                    } else {
                        &*scalar.text
                    };
                    self.variable(name, entry.key_span, value, into);
                }
                None => self.wrong_type(&entry.value, &format!("variable `{name}`"), "text"),
            }
        }
    }

    fn variable(self, name: &str, span: Span, value: &str, into: &mut IndexMap<String, String>) {
        let bad = |c: char| c == '=' || c == '\0' || c.is_whitespace();
        let templated = self.lenient && name.contains("<<");
        if !templated && (name.is_empty() || name.contains(bad) || value.contains('\0')) {
            let message = format!("`{name}` cannot be an environment variable");
            self.report(
                error(code::BAD_ENVIRONMENT_NAME, span, message)
                    .help("use letters, digits and `_`, for example `RUST_LOG`"),
            );
        } else if self.cx.spend(name.len() + value.len(), span) {
            into.insert(name.to_owned(), value.to_owned());
        }
    }
}
