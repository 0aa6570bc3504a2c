//! What every part of a compilation needs at hand.

use std::cell::{Cell, RefCell};

use crate::Options;
use crate::diagnostic::{Draft, Sink, code, did_you_mean, error, list};
use crate::yaml::{self, Document, Span};

/// One compilation.
pub(crate) struct Context<'a> {
    pub(crate) text: &'a str,
    pub(crate) options: &'a Options,
    sink: Sink<'a>,
    /// Uses that led to the definition that is being expanded, the innermost last.
    trail: RefCell<Vec<Span>>,
    spent: Cell<usize>,
    /// Names that were compared for suggestions.
    compared: Cell<usize>,
    /// Whether a limit was passed, that of diagnostics included: then nothing is expanded any more,
    /// and what is half expanded is not worth a word.
    stopped: Cell<bool>,
    /// Whether the config's version knows `<< … >>`.
    pub(crate) templates: Cell<bool>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(text: &'a str, options: &'a Options, sink: Sink<'a>) -> Self {
        Self {
            text,
            options,
            sink,
            trail: RefCell::default(),
            spent: Cell::new(0),
            compared: Cell::new(0),
            stopped: Cell::new(false),
            templates: Cell::new(true),
        }
    }

    /// Says what is wrong; inside a definition that is being expanded also for which use.
    pub(crate) fn report(&self, draft: Draft) {
        if self.stopped.get() {
            return;
        }
        let used = self.trail.borrow().last().copied();
        self.sink.push(match used {
            Some(span) => draft.label(span, "used here"),
            None => draft,
        });
        if self.sink.is_full() {
            self.stopped.set(true);
        }
    }

    /// What to do about a name that is not there: the one that was probably meant, or all there
    /// are. `None` where enough has been said already: looking for names costs time.
    pub(crate) fn hint<'n>(
        &self,
        word: &str,
        names: impl Iterator<Item = &'n str> + Clone,
        otherwise: impl FnOnce(String) -> String,
    ) -> Option<String> {
        const COMPARISONS: usize = 1_000_000;
        let compared = self.compared.get().saturating_add(names.clone().count());
        if self.stopped.get() || compared > COMPARISONS {
            return None;
        }
        self.compared.set(compared);
        Some(did_you_mean(word, names.clone()).unwrap_or_else(|| otherwise(list(names))))
    }

    /// The tree of the source.
    pub(crate) fn parse(&self) -> Option<Document> {
        yaml::parse(self.text, &self.options.limits, &self.sink)
    }

    /// Whether a limit was passed: nothing more will be said.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, span: Span) -> usize {
        self.sink.line(span)
    }

    /// The line before that of a place; empty before the first one.
    pub(crate) fn line_before(&self, span: Span) -> &'a str {
        let before = self.text.get(..span.start as usize).unwrap_or_default();
        before.lines().rev().nth(1).unwrap_or_default()
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
        let limit = self.options.limits.expansion;
        self.spent.set(self.spent.get().saturating_add(amount));
        if self.spent.get() > limit {
            let message = format!("parameters and commands expand to more than {limit} bytes");
            self.stop(error(code::EXPANSION_TOO_LARGE, span, message).help(
                "commands that call commands multiply: call fewer of them, or split the config",
            ));
        }
        !self.stopped.get()
    }

    /// Says which limit was passed, and ends all expansion.
    pub(crate) fn stop(&self, draft: Draft) {
        self.report(draft);
        self.stopped.set(true);
    }

    /// Narrows the place of a text to a piece of it, if the piece is there as it stands.
    pub(crate) fn narrow(&self, span: Span, piece: &str) -> Span {
        if self.stopped.get() {
            return span;
        }
        let found = self
            .text
            .get(span.start as usize..span.end as usize)
            .and_then(|written| written.find(piece));
        match found
            .and_then(|at| u32::try_from(at).ok())
            .zip(u32::try_from(piece.len()).ok())
        {
            Some((at, length)) => Span {
                start: span.start + at,
                end: span.start + at + length,
            },
            None => span,
        }
    }
}
