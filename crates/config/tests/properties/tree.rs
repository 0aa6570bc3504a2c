//! YAML as a tree that can be changed before it is written.

use super::dice::Dice;

#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// As it stands: `true`, `3`, `<< parameters.x >>`.
    Raw(String),
    /// Text, in quotes.
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

pub fn raw(text: impl Into<String>) -> Tree {
    Tree::Raw(text.into())
}

pub fn text(text: impl Into<String>) -> Tree {
    Tree::Text(text.into())
}

pub fn map<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    let entries = entries.into_iter();
    Tree::Map(
        entries
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

impl Tree {
    pub fn add(&mut self, key: impl Into<String>, value: Tree) {
        match self {
            Self::Map(entries) => entries.push((key.into(), value)),
            other => panic!("{other:?} has no keys"),
        }
    }

    /// The text of a config.
    pub fn written(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, indent: usize) {
        let start = "  ".repeat(indent);
        match self {
            Self::Raw(text) => *out += &format!(" {text}\n"),
            Self::Text(text) => *out += &format!(" {}\n", serde_json::to_string(text).unwrap()),
            Self::List(items) if items.is_empty() => *out += " []\n",
            Self::Map(entries) if entries.is_empty() => *out += " {}\n",
            Self::List(items) => {
                *out += "\n";
                for item in items {
                    *out += &format!("{start}-");
                    item.write(out, indent + 1);
                }
            }
            Self::Map(entries) => {
                *out += "\n";
                for (key, value) in entries {
                    *out += &format!("{start}{key}:");
                    value.write(out, indent + 1);
                }
            }
        }
    }

    /// The same with the keys of all mappings in another order.
    pub fn shuffled(&self, dice: &mut Dice<'_>) -> Self {
        match self {
            Self::List(items) => Self::List(items.iter().map(|item| item.shuffled(dice)).collect()),
            Self::Map(entries) => {
                let mut left: Vec<_> = entries.iter().collect();
                let mut shuffled = vec![];
                while !left.is_empty() {
                    let (key, value) = left.swap_remove(dice.below(left.len()));
                    shuffled.push((key.clone(), value.shuffled(dice)));
                }
                Self::Map(shuffled)
            }
            scalar => scalar.clone(),
        }
    }

    /// Spoils one place.
    pub fn damage(&mut self, dice: &mut Dice<'_>) {
        let within = match self {
            Self::List(items) if !items.is_empty() => {
                let at = dice.below(items.len());
                Some(&mut items[at])
            }
            Self::Map(entries) if !entries.is_empty() => {
                let at = dice.below(entries.len());
                if dice.one_in(12) {
                    entries[at].0 += "x";
                    return;
                }
                if dice.one_in(12) {
                    entries.remove(at);
                    return;
                }
                Some(&mut entries[at].1)
            }
            _ => None,
        };
        match within {
            Some(within) if !dice.one_in(8) => within.damage(dice),
            _ => *self = spoiled(dice),
        }
    }
}

/// What fits in few places.
fn spoiled(dice: &mut Dice<'_>) -> Tree {
    match dice.below(9) {
        0 => raw("~"),
        1 => raw("-1"),
        2 => text("<< parameters.nothing >>"),
        3 => text("é << pipeline.nothing >> 🦀"),
        4 => Tree::List(vec![]),
        5 => Tree::Map(vec![]),
        6 => Tree::List(vec![raw("banana")]),
        7 => map([("banana", raw("1.5"))]),
        _ => text("/(/"),
    }
}
