//! YAML as a tree that knows where everything stands in the source.

mod merge;
mod node;
mod offsets;
mod parse;

pub(crate) use node::{Entry, Mapping, Node, Plain, Scalar, Value};
pub(crate) use parse::{Document, parse};

/// A range of bytes of the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Whose names a node uses: the number of a package, 0 for the config itself. It stays with a node
/// wherever parameters carry it, so that `steps` that are handed to an orb still mean the commands
/// of who handed them over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Home(pub(crate) u16);

impl Span {
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}
