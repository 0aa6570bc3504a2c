//! What every part of a compilation needs at hand.

use std::cell::{Cell, RefCell};

use crate::diagnostic::{Draft, Sink, code, error};
use crate::Options;
use crate::yaml::{self, Document, Span};

/// One compilation.
pub(crate) struct Context<'a> {
    pub(crate) text: &'a str,
    pub(crate) options: &'a Options,
    sink: Sink<'a>,
    /// Uses that led to the definition that is being expanded, the innermost last.
    trail: RefCell<Vec<Span>>,
    spent: Cell<usize>,
    /// Whether the config's version knows `<< … >>`.
    pub(crate) templates: Cell<bool>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(text: &'a str, options: &'a Options, sink: Sink<'a>) -> Self {
        Self { text, options, sink, trail: RefCell::default(), spent: Cell::new(0), templates: Cell::new(true) }
    }

    /// Says what is wrong; inside a definition that is being expanded also for which use.
    pub(crate) fn report(&self, draft: Draft) {
        let used = self.trail.borrow().last().copied();
        self.sink.push(match used {
            Some(span) => draft.label(span, "used here"),
            None => draft,
        });
    }

    /// The tree of the source.
    pub(crate) fn parse(&self) -> Option<Document> {
        yaml::parse(self.text, &self.options.limits, &self.sink)
    }

    pub(crate) fn errors(&self) -> usize {
        self.sink.errors()
    }

    pub(crate) fn into_sink(self) -> Sink<'a> {
        self.sink
    }

    /// Does something on behalf of the use at `span`.
    pub(crate) fn used_at<T>(&self, span: Span, body: impl FnOnce() -> T) -> T {
        self.trail.borrow_mut().push(span);
        let result = body();
        self.trail.borrow_mut().pop();
        result
    }

    /// Accounts for what is about to be made; false once the limit is passed, which stops all
    /// expansion.
    pub(crate) fn spend(&self, amount: usize, span: Span) -> bool {
        let before = self.spent.get();
        let limit = self.options.limits.expansion;
        let after = before.saturating_add(amount);
        self.spent.set(after);
        if after > limit && before <= limit {
            let message = format!("parameters and commands expand to more than {limit} bytes");
            self.report(
                error(code::EXPANSION_TOO_LARGE, span, message)
                    .help("commands that call commands multiply: call fewer of them, or split the config"),
            );
        }
        after <= limit
    }

    /// Narrows the place of a text to a piece of it, if the piece is there as it stands.
    pub(crate) fn narrow(&self, span: Span, piece: &str) -> Span {
        let found = self
            .text
            .get(span.start as usize..span.end as usize)
            .and_then(|written| written.find(piece));
        match found.and_then(|at| u32::try_from(at).ok()).zip(u32::try_from(piece.len()).ok()) {
            Some((at, length)) => Span { start: span.start + at, end: span.start + at + length },
            None => span,
        }
    }
}
