//! A tree of values, and its text.

use super::scalar::{self, Style};

/// A value.
pub(super) enum Yaml {
    Text(String),
    /// A scalar without quotes, as it was read.
    Plain(String),
    Boolean(bool),
    Integer(u32),
    List(Vec<Self>),
    Map(Map),
}

/// A mapping in its order.
#[derive(Default)]
pub(super) struct Map {
    entries: Vec<Entry>,
}

struct Entry {
    comment: Option<String>,
    key: String,
    value: Yaml,
}

impl Map {
    /// A mapping of one entry.
    pub(super) fn of(key: &str, value: impl Into<Yaml>) -> Self {
        let mut map = Self::default();
        map.add(key, value);
        map
    }

    pub(super) fn add(&mut self, key: impl Into<String>, value: impl Into<Yaml>) {
        self.entries.push(Entry {
            comment: None,
            key: key.into(),
            value: value.into(),
        });
    }

    /// Adds an entry with a comment above it.
    pub(super) fn add_with_comment(&mut self, comment: String, key: &str, value: Yaml) {
        self.entries.push(Entry {
            comment: Some(comment),
            key: key.to_owned(),
            value,
        });
    }

    /// Adds an entry if there is a value.
    pub(super) fn add_some<T: Into<Yaml>>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    /// Adds a mapping of texts or a list if it holds something.
    pub(super) fn add_filled(&mut self, key: &str, value: impl Into<Yaml>) {
        let value = value.into();
        if !value.is_empty() {
            self.add(key, value);
        }
    }
}

impl Yaml {
    /// A list of texts.
    pub(super) fn texts(texts: &[String]) -> Self {
        Self::List(texts.iter().map(|text| text.as_str().into()).collect())
    }

    /// Whether it is a list or a mapping that holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::List(items) => items.is_empty(),
            Self::Map(map) => map.entries.is_empty(),
            _ => false,
        }
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Yaml {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Map> for Yaml {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<&indexmap::IndexMap<String, String>> for Yaml {
    fn from(texts: &indexmap::IndexMap<String, String>) -> Self {
        let mut map = Map::default();
        for (key, text) in texts {
            map.add(key, text);
        }
        Self::Map(map)
    }
}

/// The text of a document.
pub(super) fn write(map: &Map) -> String {
    let mut text = String::new();
    write_map(map, 0, &mut text);
    text
}

/// Keys longer than this stand behind a `?`: YAML looks no further for the colon.
const LONGEST_KEY: usize = 1_000;

/// Writes entries, each on a line of its own that begins at a column. The first one begins where
/// the text ends.
fn write_map(map: &Map, column: usize, out: &mut String) {
    for (index, entry) in map.entries.iter().enumerate() {
        if index > 0 {
            out.push_str(&" ".repeat(column));
        }
        if let Some(comment) = &entry.comment {
            *out += &format!("{comment}\n{}", " ".repeat(column));
        }
        let key = scalar::line(&entry.key);
        if key.len() > LONGEST_KEY {
            *out += &format!("? {key}\n{}:", " ".repeat(column));
        } else {
            *out += &format!("{key}:");
        }
        write_value(&entry.value, column, out);
    }
}

/// Writes the value behind a key that begins at a column, with its line's end.
fn write_value(value: &Yaml, column: usize, out: &mut String) {
    match value {
        _ if value.is_empty() => write_inline(value, column, out),
        Yaml::Map(map) => {
            *out += &format!("\n{}", " ".repeat(column + 2));
            write_map(map, column + 2, out);
        }
        // As CircleCI writes them, the dashes of a list stand below its key.
        Yaml::List(items) => {
            out.push('\n');
            for item in items {
                *out += &format!("{}-", " ".repeat(column));
                write_item(item, column, out);
            }
        }
        _ => write_inline(value, column, out),
    }
}

/// Writes an item behind its dash.
fn write_item(item: &Yaml, column: usize, out: &mut String) {
    match item {
        Yaml::Map(map) if !item.is_empty() => {
            out.push(' ');
            write_map(map, column + 2, out);
        }
        Yaml::List(items) if !item.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                match index {
                    0 => out.push_str(" -"),
                    _ => *out += &format!("{}-", " ".repeat(column + 2)),
                }
                write_item(item, column + 2, out);
            }
        }
        _ => write_inline(item, column, out),
    }
}

/// Writes a scalar, or something empty, behind a key or a dash.
fn write_inline(value: &Yaml, column: usize, out: &mut String) {
    match value {
        Yaml::Text(text) => match scalar::value(text) {
            Style::Line(line) => *out += &format!(" {line}\n"),
            Style::Block(header, lines) => {
                *out += &format!(" {header}\n");
                for line in lines {
                    let indent = if line.is_empty() { 0 } else { column + 2 };
                    *out += &format!("{}{line}\n", " ".repeat(indent));
                }
            }
        },
        Yaml::Plain(text) if text.is_empty() => out.push('\n'),
        Yaml::Plain(text) => *out += &format!(" {text}\n"),
        Yaml::Boolean(value) => *out += &format!(" {value}\n"),
        Yaml::Integer(value) => *out += &format!(" {value}\n"),
        Yaml::List(_) => *out += " []\n",
        Yaml::Map(_) => *out += " {}\n",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diagnostic::Sink;
    use crate::sources::Sources;
    use crate::yaml::{Node, Plain, Value, parse};
    use crate::{Limits, Orbs, SourceFile};

    /// What the compiler reads.
    fn read(text: &str) -> Node {
        let source = SourceFile::new("", text);
        let orbs = Orbs::new();
        let sources = Sources::new(&source, &orbs);
        let sink = Sink::new(&sources, 10);
        let document = parse(sources.config(), &Limits::default(), &sink);
        let errors = sink.finish();
        assert!(errors.is_empty(), "{errors}\n{text}");
        document.expect("a document").root
    }

    /// Whether a tree is what was written.
    fn same(node: &Node, written: &Yaml) -> bool {
        match (&node.value, written) {
            (Value::Scalar(scalar), Yaml::Text(text)) => {
                *scalar.text == **text && matches!(scalar.plain(), Plain::Text(_))
            }
            (Value::Sequence(items), Yaml::List(list)) => {
                items.len() == list.len() && items.iter().zip(list).all(|(a, b)| same(a, b))
            }
            (Value::Mapping(mapping), Yaml::Map(map)) => {
                let mut pairs = mapping.entries.iter().zip(&map.entries);
                mapping.entries.len() == map.entries.len()
                    && pairs
                        .all(|((key, entry), it)| **key == it.key && same(&entry.value, &it.value))
            }
            _ => false,
        }
    }

    fn check(text: &str) -> Result<(), TestCaseError> {
        let mut map = Map::of("a", text);
        map.add(
            "b",
            Yaml::List(vec![text.into(), Map::of("c", text).into()]),
        );
        map.add(
            "d",
            Map::of("e", Yaml::List(vec![text.into(), "end".into()])),
        );
        if !["a", "b", "d"].contains(&text) {
            map.add(text, Map::of(text, text));
        }
        let written = write(&map);
        prop_assert!(same(&read(&written), &map.into()), "{text:?}:\n{written}");
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_text_is_read_as_it_was(text in any::<String>()) {
            check(&text)?;
        }

        #[test]
        fn any_script_is_read_as_it_was(text in "[ \t\n\r#:'\"\\\\|>\\-?&*!%@`{}\\[\\],ab0.~=<é😀\u{85}\u{2028}\u{feff}\0]{0,24}") {
            check(&text)?;
        }

        #[test]
        fn any_lines_are_read_as_they_were(text in "([ \t]{0,3}[a#:-]{0,2}[ \t]{0,2}\n){0,5}[ \t]{0,3}[a-]{0,3}\n{0,3}") {
            check(&text)?;
        }

        #[test]
        fn what_looks_like_something_else_is_read_as_text(
            text in "[-+]?[0-9._:exobT]{0,12}|(?i)(yes|no|on|off|y|n|true|false|null|~|\\.nan|[-+]?\\.inf|=|<<)"
        ) {
            check(&text)?;
        }
    }

    #[test]
    fn a_long_key_is_read_as_it_was() {
        let key = "k".repeat(5_000);
        let map = Map::of(
            "a",
            Map::of(&key, Map::of(&key, Yaml::List(vec!["x".into()]))),
        );
        assert!(same(&read(&write(&map)), &map.into()));
    }
}
