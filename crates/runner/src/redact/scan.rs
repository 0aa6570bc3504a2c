//! Finds what is to be masked in a piece of text.

use std::collections::BTreeMap;
use std::ops::Range;

use super::automaton::{Automaton, ROOT, State};
use super::escape::{self, ESC, Escape};
use super::filter::Filter;
use super::needle::{Gaps, Kind, SURE};

/// So many bytes that are not seen end a secret that has begun: bytes are not held back for more.
pub const MOST_UNSEEN: usize = 1024;

/// All that is looked for.
pub struct Pattern {
    automaton: Automaton,
    filter: Option<Filter>,
}

/// What was found in a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What is to be masked: in order, and apart from each other.
    pub regions: Vec<Range<usize>>,
    /// From here on the text may be the beginning of something.
    pub open: usize,
}

impl Pattern {
    /// Looks for these needles.
    pub fn new(needles: &BTreeMap<Vec<u8>, Gaps>) -> Self {
        Self {
            automaton: Automaton::new(needles),
            filter: Filter::new(needles),
        }
    }

    /// Looks through a text. If it is the `last`, nothing in it is a beginning.
    pub fn scan(&self, text: &[u8], last: bool) -> Found {
        let mut scan = Scan {
            automaton: &self.automaton,
            text,
            last,
            seen: Reader::default(),
            found: Found {
                regions: Vec::new(),
                open: text.len(),
            },
        };
        match &self.filter {
            Some(filter) => scan.read_where(filter),
            None => _ = scan.read(0, text.len()),
        }
        scan.found
    }
}

struct Scan<'a> {
    automaton: &'a Automaton,
    text: &'a [u8],
    last: bool,
    /// Reads the text without escape sequences.
    seen: Reader,
    found: Found,
}

impl Scan<'_> {
    /// Reads where the filter says that something may begin, and around all that is not seen: there
    /// the bytes of a window need not stand side by side.
    fn read_where(&mut self, filter: &Filter) {
        let (mut at, mut unseen) = (0, 0);
        while at < self.text.len() {
            if unseen <= at {
                let next = memchr::memchr2(ESC, b'\r', &self.text[at..]);
                unseen = next.map_or(self.text.len(), |next| at + next);
            }
            let (begin, until) = filter
                .find(&self.text[..unseen], at)
                .unwrap_or_else(|| (at.max((unseen + 1).saturating_sub(filter.window())), unseen));
            at = self.read(begin, until + 1);
        }
    }

    /// Reads from a place where nothing has begun, until there is another after `until`.
    fn read(&mut self, begin: usize, until: usize) -> usize {
        // What an escape sequence says is read as text, too: a secret in a title is a leak.
        let mut raw: Option<Reader> = None;
        let mut escapes: Vec<Range<usize>> = Vec::new();
        let (mut at, mut seen_from) = (begin, begin);
        self.seen.reset();
        while let Some(&byte) = self.text.get(at) {
            let is_idle = self.seen.is_idle() && raw.as_ref().is_none_or(Reader::is_idle);
            if is_idle && at >= until.max(seen_from) {
                return at;
            }
            if byte == ESC && at >= seen_from {
                let end = self.escape_end(at);
                if end > at {
                    raw.get_or_insert_with(|| self.seen.clone());
                    escapes.push(at..end);
                    seen_from = end;
                }
            }
            let from_raw = raw
                .as_mut()
                .and_then(|raw| raw.read(self.automaton, at, byte));
            if let Some(start) = from_raw {
                self.mask(start..at + 1);
            }
            if at >= seen_from
                && let Some(start) = self.seen.read(self.automaton, at, byte)
            {
                self.mask(start..at + 1);
            }
            at += 1;
        }
        if !self.last {
            self.leave_open(raw.as_ref(), &escapes);
        }
        at
    }

    /// Where the escape sequence ends that begins here. What is cut goes on in the next text.
    fn escape_end(&mut self, at: usize) -> usize {
        match escape::read(&self.text[at..], self.last) {
            Escape::Whole(length) => at + length,
            Escape::None => at,
            Escape::Cut => {
                self.found.open = self.found.open.min(at);
                self.text.len()
            }
        }
    }

    /// The text ends: what has begun is open. An escape sequence is never cut in two, or its rest
    /// would be read as text.
    fn leave_open(&mut self, raw: Option<&Reader>, escapes: &[Range<usize>]) {
        let end = self.text.len();
        for reader in raw.into_iter().chain([&self.seen]) {
            let begun = reader.begun(self.automaton, end).unwrap_or(end);
            self.found.open = self.found.open.min(begun);
        }
        if let Some(escape) = escapes.iter().find(|it| it.contains(&self.found.open)) {
            self.found.open = escape.start;
        }
    }

    /// Masks a region that ends where the text has been read to.
    fn mask(&mut self, mut region: Range<usize>) {
        while let Some(before) = self.found.regions.pop_if(|it| it.end > region.start) {
            region.start = region.start.min(before.start);
        }
        self.found.regions.push(region);
    }
}

/// Reads a text, and knows where what it has read stands.
#[derive(Clone, Default)]
struct Reader {
    state: State,
    /// The visible bytes since the last time that nothing was begun.
    places: Vec<Place>,
    is_after_blank: bool,
}

#[derive(Clone, Copy)]
struct Place {
    at: usize,
    is_after_blank: bool,
}

impl Reader {
    fn reset(&mut self) {
        self.state = ROOT;
        self.places.clear();
        self.is_after_blank = false;
    }

    const fn is_idle(&self) -> bool {
        self.state == ROOT
    }

    /// Reads a byte. Where the longest needle begins that ends with it.
    fn read(&mut self, automaton: &Automaton, at: usize, byte: u8) -> Option<usize> {
        match Kind::of(byte) {
            Kind::Nothing => None,
            Kind::Blank => {
                self.is_after_blank = true;
                self.go(automaton.after_blank(self.state));
                None
            }
            Kind::Visible => self.read_visible(automaton, at, byte),
        }
    }

    fn read_visible(&mut self, automaton: &Automaton, at: usize, byte: u8) -> Option<usize> {
        if self.has_lost(at) {
            self.go(ROOT);
        }
        let state = automaton.step(self.state, byte);
        let is_after_blank = std::mem::take(&mut self.is_after_blank);
        self.places.push(Place { at, is_after_blank });
        let mut matches = automaton.matches(state);
        let longest = matches.find(|(length, gaps)| self.is_allowed(*length, *gaps));
        let start = longest.map(|(length, _)| self.place(length));
        self.go(automaton.alive(state));
        start
    }

    fn go(&mut self, state: State) {
        self.state = state;
        if state == ROOT {
            self.places.clear();
        }
    }

    /// Whether the last so many visible bytes have blanks only where they may.
    fn is_allowed(&self, length: usize, gaps: Gaps) -> bool {
        let places = &self.places[self.places.len() - length..];
        let unsure = places.iter().enumerate().take(SURE).skip(1);
        unsure
            .filter(|(_, place)| place.is_after_blank)
            .all(|(after, _)| gaps.allows(after))
    }

    /// Where the last so many visible bytes begin.
    fn place(&self, length: usize) -> usize {
        self.places[self.places.len() - length].at
    }

    /// Whether too much that is not seen stands before this place.
    fn has_lost(&self, at: usize) -> bool {
        let last = self.places.last();
        last.is_some_and(|last| at - last.at > MOST_UNSEEN)
    }

    /// Where that begins which can still become a needle, if the text goes on at `end`.
    fn begun(&self, automaton: &Automaton, end: usize) -> Option<usize> {
        let is_begun = !self.is_idle() && !self.has_lost(end);
        is_begun.then(|| self.place(automaton.depth(self.state)))
    }
}
