//! What the table of keys is made of, and what is said about a key that stands in it or does not.

use super::Reader;
use crate::diagnostic::{code, did_you_mean, error, list, warning};
use crate::yaml::{Mapping, Span};

/// A kind of mapping: what it is called, and its keys.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    /// Whether a key that nobody knows, and that is not near a known one, does no harm. Real
    /// configs have many of them where CircleCI does not look.
    pub(crate) ignores_unknown: bool,
    pub(crate) keys: &'static [Key],
}

/// A key of a place.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) support: Support,
    /// What it is for, as a fragment.
    pub(crate) about: &'static str,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It does what it does in CircleCI.
    Works,
    /// It works, but not quite as in CircleCI: how, as a fragment.
    Differs(&'static str),
    /// It is for people; nothing changes with it.
    Inert,
    /// It means something in CircleCI's cloud only: a warning says so.
    NoEffect,
    /// It would change what runs, and Outrider will not do it: the reason, and what to do instead,
    /// as a fragment. An error says so.
    Refused(&'static str),
}
use Support::{Differs, Inert, NoEffect, Refused, Works};

impl Support {
    /// Whether it does something.
    pub(crate) const fn works(self) -> bool {
        matches!(self, Works | Differs(_))
    }
}

/// What may stand behind a key.
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// A scalar; it is taken as written.
    Text,
    /// A scalar, or nothing.
    Scalar,
    /// `true` or `false`.
    Boolean,
    /// An integer from one number to another.
    Integer(u32, u32),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static Self),
    /// A mapping of names.
    Named(&'static Self),
    /// A mapping of a single name.
    Single(&'static Self),
    /// A mapping with the keys of a place.
    Keys(&'static Place),
    /// A mapping with the keys of a place, and others that the config defines.
    Open(&'static Place),
    /// A list of steps: those that are built in, and commands.
    Steps,
    /// A value, or a mapping that says what must hold.
    Condition,
    /// One of several.
    OneOf(&'static [Self]),
}

impl Place {
    pub(crate) fn support(&self, key: &str) -> Option<Support> {
        self.keys
            .iter()
            .find(|one| one.name == key)
            .map(|one| one.support)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|one| one.name)
    }
}

impl Reader<'_> {
    /// Reports every key of a mapping that does not belong there.
    pub(crate) fn check_keys(self, mapping: &Mapping, place: &Place) {
        for (key, entry) in &mapping.entries {
            match place.support(key) {
                Some(support) => self.check_support(key, entry.key_span, support),
                None => self.unknown_key(key, entry.key_span, place),
            }
        }
    }

    pub(crate) fn check_support(self, key: &str, span: Span, support: Support) {
        match support {
            Works | Differs(_) | Inert => {}
            Refused(reason) => self.refused(span, &format!("`{key}`"), reason),
            NoEffect => self.report(
                warning(
                    code::NO_EFFECT,
                    span,
                    format!("`{key}` has no effect on your own runners"),
                )
                .help("it means something in CircleCI's cloud only; you can leave it"),
            ),
        }
    }

    pub(crate) fn unknown_key(self, key: &str, span: Span, place: &Place) {
        if self.cx.is_stopped() {
            return;
        }
        if place.ignores_unknown && did_you_mean(key, place.names()).is_none() {
            let message = format!("{} has no key `{key}`", place.name);
            self.report(
                warning(code::UNKNOWN_KEY, span, message)
                    .help("it is ignored, as in CircleCI; you can remove it"),
            );
            return;
        }
        let Place { name, .. } = place;
        let working = || place.keys.iter().filter(|one| one.support.works());
        let all = || format!("{name} takes {}", list(working().map(|one| one.name)));
        self.report(
            error(
                code::UNKNOWN_KEY,
                span,
                format!("{name} has no key `{key}`"),
            )
            .help(did_you_mean(key, place.names()).unwrap_or_else(all)),
        );
    }

    /// Refuses a part of the language that will not be done.
    pub(crate) fn refused(self, span: Span, what: &str, reason: &str) {
        self.report(
            error(
                code::NOT_SUPPORTED,
                span,
                format!("{what} is not supported"),
            )
            .help(reason),
        );
    }
}
