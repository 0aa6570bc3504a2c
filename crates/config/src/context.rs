//! What every part of a compilation needs at hand.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;

use indexmap::IndexSet;

use crate::diagnostic::{Draft, Sink, code, did_you_mean, error, list};
use crate::expand::Values;
use crate::regex::{Regex, TooHard};
use crate::sources::Sources;
use crate::yaml::{self, Document, Span};
use crate::{Options, OrbReference};

/// One compilation.
pub(crate) struct Context<'a> {
    pub(crate) sources: &'a Sources<'a>,
    pub(crate) options: &'a Options,
    sink: Sink<'a>,
    missing_orbs: RefCell<IndexSet<OrbReference>>,
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
    /// The values of the pipeline parameters, once they are known.
    pub(crate) pipeline_parameters: OnceCell<Values>,
    /// Regular expressions that were compiled, so that none is compiled twice.
    regexes: RefCell<HashMap<String, Result<Regex, String>>>,
}

/// What a regular expression counts towards the limit of expansion when it is compiled, and when
/// it is tried: few configs have more than a dozen, and a few can be made to take long.
const REGEX_COST: usize = 128 * 1024;
const MATCH_COST: usize = 8 * 1024;

impl<'a> Context<'a> {
    pub(crate) fn new(sources: &'a Sources<'a>, options: &'a Options) -> Self {
        let sink = Sink::new(sources, options.limits.diagnostics);
        Self {
            sources,
            options,
            sink,
            missing_orbs: RefCell::default(),
            trail: RefCell::default(),
            spent: Cell::new(0),
            compared: Cell::new(0),
            stopped: Cell::new(false),
            templates: Cell::new(true),
            pipeline_parameters: OnceCell::new(),
            regexes: RefCell::default(),
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
        yaml::parse(self.sources.config(), &self.options.limits, &self.sink)
    }

    /// Whether a limit was passed: nothing more will be said.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Notes an orb that somebody has to supply, and says how.
    pub(crate) fn report_missing_orb(&self, reference: &OrbReference, span: Span) {
        self.missing_orbs.borrow_mut().insert(reference.clone());
        let help = match reference {
            OrbReference::Registry {
                namespace, name, ..
            } => format!(
                "run once with network access, so that it is fetched and kept, or put its source \
                 into `DIR/{namespace}/{name}.yml` and give `--orbs DIR`"
            ),
            OrbReference::Url(_) => "run once with network access and with \
                 `--orb-url-prefix`, so that it is fetched and kept, or put its source here as an \
                 inline orb"
                .to_owned(),
        };
        let message = format!("the orb {reference} is not at hand");
        self.report(error(code::ORB_NOT_AT_HAND, span, message).help(help));
    }

    pub(crate) fn sink(&self) -> &Sink<'a> {
        &self.sink
    }

    pub(crate) fn into_missing_orbs(self) -> IndexSet<OrbReference> {
        self.missing_orbs.into_inner()
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, span: Span) -> usize {
        self.sources.locate(span).line
    }

    /// The line before that of a place; empty before the first one.
    pub(crate) fn line_before(&self, span: Span) -> &'a str {
        let config = self.sources.config().text;
        let before = config.get(..span.start as usize).unwrap_or_default();
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

    /// The regular expression in a text at a place. What is wrong with it is reported.
    pub(crate) fn regex(&self, text: &str, place: impl Fn() -> Span) -> Option<Regex> {
        let known = self.regexes.borrow().get(text).cloned();
        let compiled = match known {
            Some(compiled) => compiled,
            None if !self.spend(REGEX_COST, place()) => return None,
            None => {
                let compiled = Regex::new(text);
                let mut regexes = self.regexes.borrow_mut();
                regexes.entry(text.to_owned()).or_insert(compiled).clone()
            }
        };
        match compiled {
            Ok(regex) => Some(regex),
            Err(reason) => {
                let message = format!("`{text}` is no regular expression: {reason}");
                self.report(error(code::BAD_PATTERN, place(), message).help(
                    "write it as Java has it; a `\\` in double quotes must be doubled, one in \
                     single quotes must not",
                ));
                None
            }
        }
    }

    /// Whether the whole of a text matches.
    pub(crate) fn matches(&self, regex: &Regex, text: &str, span: Span) -> Option<bool> {
        if !self.spend(MATCH_COST + text.len(), span) {
            return None;
        }
        match regex.matches(text) {
            Ok(matches) => Some(matches),
            Err(TooHard) => {
                self.report_too_hard(regex.as_str(), span);
                None
            }
        }
    }

    /// Says that a regular expression takes too long.
    pub(crate) fn report_too_hard(&self, pattern: &str, span: Span) {
        let message = format!("it takes too long to find out whether `{pattern}` matches");
        self.report(
            error(code::BAD_PATTERN, span, message)
                .help("make it simpler: no repetition in a repetition, such as `(a+)+`"),
        );
    }

    /// Narrows the place of a text to a piece of it, if the piece is there as it stands.
    pub(crate) fn narrow(&self, span: Span, piece: &str) -> Span {
        self.find(span, piece).unwrap_or(span)
    }

    /// The place of a piece of the text at a place, if the piece is there as it stands.
    pub(crate) fn find(&self, span: Span, piece: &str) -> Option<Span> {
        if self.stopped.get() {
            return None;
        }
        let at = self.sources.slice(span)?.find(piece)?;
        let start = span.start + u32::try_from(at).ok()?;
        let end = start + u32::try_from(piece.len()).ok()?;
        Some(Span { start, end })
    }
}
