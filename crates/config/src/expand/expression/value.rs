//! What an expression is made of, and what it gives.

use crate::yaml::{Node, Plain, Span};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

impl Value {
    /// A scalar's value; nothing for lists and mappings.
    pub(crate) fn of(node: &Node) -> Option<Self> {
        Some(match node.as_scalar()?.plain() {
            Plain::Null => Self::Null,
            Plain::Boolean(value) => Self::Boolean(value),
            Plain::Integer(value) => Self::Integer(value),
            Plain::Float(value) => Self::Float(value),
            Plain::Text(text) => Self::Text(text.to_owned()),
        })
    }

    /// The value as a scalar.
    pub(crate) fn node(&self, span: Span) -> Node {
        match self {
            Self::Null => Node::null(span),
            Self::Boolean(value) => Node::scalar(span, value.to_string(), false),
            Self::Integer(value) => Node::scalar(span, value.to_string(), false),
            Self::Float(value) => Node::scalar(span, value.to_string(), false),
            Self::Text(text) => Node::scalar(span, text.as_str(), true),
        }
    }

    /// Whether it counts as true.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Boolean(value) => *value,
            Self::Integer(value) => *value != 0,
            Self::Float(value) => *value != 0.0 && !value.is_nan(),
            Self::Text(text) => !text.is_empty(),
        }
    }

    /// Values of different types are never equal; all numbers are of one type.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a == b,
            _ => self == other,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for "…, not a number".
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
        }
    }
}
