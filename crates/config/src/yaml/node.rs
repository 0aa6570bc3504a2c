//! The tree. Nodes are shared: an alias costs a pointer, not a copy.

use std::rc::Rc;

use indexmap::IndexMap;

use super::{Home, Span};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) home: Home,
    pub(crate) value: Value,
    /// Nodes in this tree, itself included, with aliases expanded.
    pub(crate) nodes: usize,
    /// Levels in this tree, itself included.
    pub(crate) height: usize,
    /// Whether a text in this tree may hold `<< … >>` that is not resolved yet.
    pub(crate) templated: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Rc<Vec<Node>>),
    Mapping(Rc<Mapping>),
    /// What a text becomes that refers to something wrong. That has been reported, so nothing is
    /// said about it any more.
    Wrong,
}

/// A scalar as written, without quotes and indentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: Rc<str>,
    /// Whether it was quoted, a block, or tagged `!!str`: then it is text, whatever it looks like.
    pub(crate) quoted: bool,
}

/// A mapping in the order of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapping {
    pub(crate) entries: IndexMap<Rc<str>, Entry>,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// What a scalar means by itself: YAML 1.2 core schema, with the words that YAML 1.1 and so
/// CircleCI take for booleans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plain<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(&'a str),
}

impl Mapping {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    pub(crate) fn get_index(&self, at: usize) -> Option<&Node> {
        self.entries.get_index(at).map(|(_, entry)| &entry.value)
    }

    /// The entry, unless its value is null: `steps:` with nothing behind it counts as not there.
    pub(crate) fn present(&self, key: &str) -> Option<&Node> {
        self.get(key).filter(|node| !node.is_null())
    }

    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.get(key).map(|entry| entry.key_span)
    }
}

impl Node {
    pub(crate) fn scalar(span: Span, text: impl Into<Rc<str>>, quoted: bool) -> Self {
        let text = text.into();
        let templated = text.contains("<<");
        let value = Value::Scalar(Scalar { text, quoted });
        Self {
            span,
            home: Home::default(),
            value,
            nodes: 1,
            height: 1,
            templated,
        }
    }

    pub(crate) fn sequence(span: Span, items: Vec<Node>) -> Self {
        let (mut nodes, mut height, mut templated) = (1_usize, 0, false);
        for item in &items {
            nodes = nodes.saturating_add(item.nodes);
            height = height.max(item.height);
            templated |= item.templated;
        }
        Self {
            span,
            home: Home::default(),
            value: Value::Sequence(Rc::new(items)),
            nodes,
            height: height + 1,
            templated,
        }
    }

    pub(crate) fn mapping(span: Span, mapping: Mapping) -> Self {
        let (mut nodes, mut height, mut templated) = (1_usize, 0, false);
        for (key, entry) in &mapping.entries {
            nodes = nodes.saturating_add(1).saturating_add(entry.value.nodes);
            height = height.max(entry.value.height);
            templated |= entry.value.templated || key.contains("<<");
        }
        let value = Value::Mapping(Rc::new(mapping));
        Self {
            span,
            home: Home::default(),
            value,
            nodes,
            height: height + 1,
            templated,
        }
    }

    /// The same node, using the names of another package.
    pub(crate) fn at_home(self, home: Home) -> Self {
        Self { home, ..self }
    }

    /// The same tree, all of it using the names of another package.
    pub(crate) fn moved(&self, home: Home) -> Self {
        let value = match &self.value {
            Value::Scalar(scalar) => Value::Scalar(scalar.clone()),
            Value::Sequence(items) => {
                Value::Sequence(Rc::new(items.iter().map(|item| item.moved(home)).collect()))
            }
            Value::Mapping(mapping) => {
                let moved = mapping.entries.iter().map(|(key, entry)| {
                    let value = entry.value.moved(home);
                    (key.clone(), Entry { value, ..*entry })
                });
                Value::Mapping(Rc::new(Mapping {
                    entries: moved.collect(),
                }))
            }
            Value::Wrong => Value::Wrong,
        };
        Self {
            home,
            value,
            ..*self
        }
    }

    pub(crate) fn null(span: Span) -> Self {
        Self::scalar(span, "", false)
    }

    pub(crate) fn wrong(span: Span) -> Self {
        Self {
            value: Value::Wrong,
            ..Self::null(span)
        }
    }

    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self.value, Value::Wrong)
    }

    pub(crate) fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(crate) fn as_mapping(&self) -> Option<&Rc<Mapping>> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.as_scalar()
            .is_some_and(|scalar| scalar.plain() == Plain::Null)
    }

    /// What it is, with its article, for "must be a list, not …".
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Wrong => "wrong",
            Value::Scalar(scalar) => match scalar.plain() {
                Plain::Null => "empty",
                Plain::Boolean(_) => "a boolean",
                Plain::Integer(_) => "an integer",
                Plain::Float(_) => "a number",
                Plain::Text(_) => "text",
            },
        }
    }
}

impl Scalar {
    pub(crate) fn plain(&self) -> Plain<'_> {
        let text = &*self.text;
        if self.quoted {
            return Plain::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                return Plain::Boolean(true);
            }
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
                return Plain::Boolean(false);
            }
            ".nan" | ".NaN" | ".NAN" => return Plain::Float(f64::NAN),
            _ => {}
        }
        // Rust also reads `inf` and `nan` as numbers, YAML does not.
        let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        if numeric {
            if let Ok(integer) = text.parse() {
                return Plain::Integer(integer);
            }
            if let Ok(float) = text.parse() {
                return Plain::Float(float);
            }
        }
        Plain::Text(text)
    }

    /// The boolean it is where a boolean must be: any spelling of YAML 1.1.
    pub(crate) fn boolean(&self) -> Option<bool> {
        if self.quoted {
            return None;
        }
        match self.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_yaml_says() {
        let plain = |text: &str| {
            format!(
                "{:?}",
                Scalar {
                    text: text.into(),
                    quoted: false
                }
                .plain()
            )
        };
        assert_eq!(plain("~"), "Null");
        assert_eq!(plain("True"), "Boolean(true)");
        assert_eq!(plain("yes"), "Boolean(true)");
        assert_eq!(plain("Off"), "Boolean(false)");
        assert_eq!(plain("n"), "Text(\"n\")");
        assert_eq!(plain("-12"), "Integer(-12)");
        assert_eq!(plain("1.10"), "Float(1.1)");
        assert_eq!(plain("1.2.3"), "Text(\"1.2.3\")");
        assert_eq!(plain("infinity"), "Text(\"infinity\")");
        assert_eq!(
            Scalar {
                text: "1".into(),
                quoted: true
            }
            .plain(),
            Plain::Text("1")
        );
    }
}
