//! Configs that were right once: every golden case and every fixture, changed in a few places.
//!
//! `OUTRIDER_CASES=100000 cargo test -p outrider-config --test hostile` tries that many.

use std::sync::LazyLock;

use outrider_config::{ExpandedConfig, Options, SourceFile, compile, expand, process};
use proptest::prelude::*;

use super::cases::cases;
use super::fixtures::fixtures;
use super::load::load;
use super::places::check_places;
use super::support::options;

/// A change to a text, made of numbers so that proptest can shrink it.
#[derive(Clone, Debug)]
enum Mutation {
    ReplaceByte(usize, u8),
    Insert(usize, &'static str),
    Delete(usize, usize),
    Truncate(usize),
    SwapWords(usize, usize),
    /// A word in the place of another.
    CopyWord(usize, usize),
    SwapLines(usize, usize),
    DuplicateLine(usize),
    Indent(usize, usize),
    /// A line with all that stands below it.
    DeleteBlock(usize),
    /// The block of a line, put before another line at the indentation of that one.
    MoveBlock(usize, usize),
    CopyBlock(usize, usize),
    /// A block of another config.
    Graft(usize, usize, usize),
}

const PIECES: &[&str] = &[
    "<<",
    ">>",
    "<< parameters.x >>",
    "<<# parameters.x >>",
    "<</ parameters.x >>",
    "<< pipeline.id >>",
    "<< matrix.x >>",
    "<< not pipeline.id or 1 >>",
    "\\",
    "\n",
    "  ",
    "\t",
    ": ",
    "- ",
    "*a ",
    "&a ",
    "<<: *a\n",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "|",
    "!!str ",
    "\0",
    "é",
    "🦀",
    "~",
    "---\n",
    "\u{feff}",
    "%",
    "? ",
    "0",
    "-1",
    "1e999",
    "99999999999999999999",
    "\r",
    "\u{85}",
    "\u{2028}",
    "/(a+)+$/",
    "a/b",
    "when",
    "steps",
    "matrix",
];

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<usize>;
    let bytes = prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::ReplaceByte(at, byte)),
        (at(), prop::sample::select(PIECES)).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (at(), 1..40_usize).prop_map(|(at, length)| Mutation::Delete(at, length)),
        at().prop_map(Mutation::Truncate),
    ];
    let words = prop_oneof![
        (at(), at()).prop_map(|(a, b)| Mutation::SwapWords(a, b)),
        (at(), at()).prop_map(|(from, to)| Mutation::CopyWord(from, to)),
    ];
    let lines = prop_oneof![
        (at(), at()).prop_map(|(a, b)| Mutation::SwapLines(a, b)),
        at().prop_map(Mutation::DuplicateLine),
        (at(), 0..8_usize).prop_map(|(at, spaces)| Mutation::Indent(at, spaces)),
    ];
    let blocks = prop_oneof![
        at().prop_map(Mutation::DeleteBlock),
        (at(), at()).prop_map(|(from, to)| Mutation::MoveBlock(from, to)),
        (at(), at()).prop_map(|(from, to)| Mutation::CopyBlock(from, to)),
        (at(), at(), at()).prop_map(|(config, from, to)| Mutation::Graft(config, from, to)),
    ];
    prop_oneof![1 => bytes, 2 => words, 1 => lines, 3 => blocks]
}

/// The configs that are changed, with what their callers say.
static CONFIGS: LazyLock<Vec<(String, Options)>> = LazyLock::new(|| {
    let all = fixtures(&["cases", "fixtures"]);
    let loaded = all.iter().map(|path| load(path));
    loaded
        .map(|(source, options)| (source.text, tight(options)))
        .collect()
});

fn mutate(text: &str, mutations: &[Mutation]) -> String {
    mutations
        .iter()
        .fold(text.to_owned(), |text, mutation| match *mutation {
            Mutation::ReplaceByte(..)
            | Mutation::Insert(..)
            | Mutation::Delete(..)
            | Mutation::Truncate(_) => change_bytes(text, mutation),
            Mutation::SwapWords(a, b) => change_words(&text, a, b, true),
            Mutation::CopyWord(from, to) => change_words(&text, from, to, false),
            _ => change_lines(&text, mutation),
        })
}

fn change_bytes(text: String, mutation: &Mutation) -> String {
    let mut bytes = text.into_bytes();
    let at = |at: usize| at % (bytes.len() + 1);
    match *mutation {
        Mutation::ReplaceByte(place, byte) if !bytes.is_empty() => {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        Mutation::Insert(place, piece) => {
            let place = at(place);
            bytes.splice(place..place, piece.bytes());
        }
        Mutation::Delete(place, length) => {
            let place = at(place);
            let end = (place + length).min(bytes.len());
            bytes.drain(place..end);
        }
        Mutation::Truncate(place) => bytes.truncate(at(place)),
        _ => {}
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Puts a word in the place of another, and that one in its place too if they swap.
fn change_words(text: &str, from: usize, to: usize, swap: bool) -> String {
    let inside = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    // Words and what is between them, in turns.
    let mut parts: Vec<&str> = text
        .split_inclusive(|c| !inside(c))
        .flat_map(|part| match part.char_indices().next_back() {
            Some((at, last)) if !inside(last) => [&part[..at], &part[at..]],
            _ => [part, ""],
        })
        .collect();
    let words: Vec<usize> = (0..parts.len())
        .step_by(2)
        .filter(|at| !parts[*at].is_empty())
        .collect();
    if !words.is_empty() {
        let (from, to) = (words[from % words.len()], words[to % words.len()]);
        let word = parts[from];
        if swap {
            parts[from] = parts[to];
        }
        parts[to] = word;
    }
    parts.concat()
}

fn change_lines(text: &str, mutation: &Mutation) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let count = lines.len();
    match *mutation {
        Mutation::SwapLines(a, b) => lines.swap(a % count, b % count),
        Mutation::DuplicateLine(line) => lines.insert(line % count, lines[line % count].clone()),
        Mutation::Indent(line, spaces) => {
            let line = &mut lines[line % count];
            *line = format!("{}{}", " ".repeat(spaces), line.trim_start());
        }
        Mutation::DeleteBlock(line) => drop(lines.drain(block(&lines, line % count))),
        Mutation::MoveBlock(from, to) => {
            let moved: Vec<_> = lines.drain(block(&lines, from % count)).collect();
            insert(&mut lines, to, &moved);
        }
        Mutation::CopyBlock(from, to) => {
            let copied = lines[block(&lines, from % count)].to_vec();
            insert(&mut lines, to, &copied);
        }
        Mutation::Graft(config, from, to) => {
            let other = CONFIGS[config % CONFIGS.len()].0.lines().map(str::to_owned);
            let other: Vec<_> = other.collect();
            if !other.is_empty() {
                let range = block(&other, from % other.len());
                insert(&mut lines, to, &other[range]);
            }
        }
        _ => {}
    }
    lines.join("\n")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// A line and the lines below it that stand further in.
fn block(lines: &[String], start: usize) -> std::ops::Range<usize> {
    let deeper = |line: &&String| indent(line) > indent(&lines[start]) || line.is_empty();
    start..start + 1 + lines[start + 1..].iter().take_while(deeper).count()
}

fn insert(lines: &mut Vec<String>, to: usize, block: &[String]) {
    let to = to % (lines.len() + 1);
    let there = lines.get(to).map_or(0, |line| indent(line));
    let here = block.first().map_or(0, |line| indent(line));
    let moved = block.iter().map(|line| {
        let spaces = (indent(line) + there).saturating_sub(here);
        format!("{}{}", " ".repeat(spaces), line.trim_start_matches(' '))
    });
    let moved: Vec<_> = moved.collect();
    lines.splice(to..to, moved);
}

/// Limits as small as the fixtures allow, so that a mutation that explodes ends soon.
fn tight(mut options: Options) -> Options {
    options.values.git_branch.get_or_insert("main".to_owned());
    let limits = &mut options.limits;
    limits.nodes = limits.nodes.min(20_000);
    limits.expansion = limits.expansion.min(2_000_000);
    limits.jobs = limits.jobs.min(500);
    options
}

/// Compiles a config and holds that what comes out is sound and within the limits.
fn try_out(source: &SourceFile, options: &Options) {
    let diagnostics = match compile(source, options) {
        Ok(compiled) => {
            let workflows = &compiled.plan.workflows;
            assert!(!workflows.is_empty() && workflows.iter().all(|it| !it.jobs.is_empty()));
            let jobs: usize = workflows.iter().map(|it| it.jobs.len()).sum();
            assert!(jobs <= options.limits.jobs, "{jobs} jobs");
            let bytes = serde_json::to_string(&compiled.plan).unwrap().len();
            assert!(
                bytes <= 2 * options.limits.expansion,
                "a plan of {bytes} bytes"
            );
            compiled.warnings
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            errors
        }
    };
    assert!(diagnostics.len() <= options.limits.diagnostics);
    check_places(source, &diagnostics);
    if let Ok(config) = expand(source, options) {
        check_process(&config);
    }
}

/// The expanded form of what compiles compiles to itself.
fn check_process(config: &ExpandedConfig) {
    if config.expanded.workflows.is_empty() {
        return;
    }
    let once = process(&config.expanded);
    let source = SourceFile::new("config.yml", once);
    match expand(&source, &options()) {
        Ok(again) => assert_eq!(process(&again.expanded), source.text),
        Err(errors) => panic!("{}\n{}", errors.render(&source, false), source.text),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(2_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn broken_configs_never_panic(
        index in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        let (text, options) = index.get(CONFIGS.as_slice());
        let text = mutate(text, &mutations);
        let source = SourceFile::new("config.yml", text);
        // The text says more than the numbers that it was made of.
        let tried = std::panic::catch_unwind(|| try_out(&source, options));
        prop_assert!(tried.is_ok(), "{}", source.text);
    }
}
