//! The tables of `docs/config.md`.

use super::places;
use super::words::{slug, state, value};
use crate::syntax::place::Place;

/// The keys of one kind of mapping, for people.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name as part of an address: `job`, `image-of-docker`.
    pub slug: String,
    /// In Markdown, with a line's end.
    pub markdown: String,
}

/// A table for each kind of mapping, from the top of a config downwards.
pub fn tables() -> Vec<Table> {
    let table = |place: &'static Place| Table {
        slug: slug(place),
        markdown: markdown(place),
    };
    places().into_iter().map(table).collect()
}

fn markdown(place: &'static Place) -> String {
    let mut text = format!(
        "<a id=\"keys-{}\"></a>\n\n| key of {} | value | what it is | state |\n|---|---|---|---|\n",
        slug(place),
        place.name
    );
    for key in place.keys {
        let (value, state) = (value(&key.shape), state(key.support));
        text += &format!("| `{}` | {value} | {} | {state} |\n", key.name, key.about);
    }
    text
}
