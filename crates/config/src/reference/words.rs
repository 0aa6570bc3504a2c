//! The table in words.

use crate::syntax::keys::{LOGIC, STEPS};
use crate::syntax::place::{Key, Place, Shape, Support};

/// The name of a place as part of an address: `an image of docker` is `image-of-docker`.
pub(super) fn slug(place: &Place) -> String {
    let name = ["the ", "an ", "a "]
        .into_iter()
        .find_map(|article| place.name.strip_prefix(article))
        .unwrap_or(place.name);
    name.replace('`', "").replace([' ', '_'], "-")
}

/// What becomes of a key.
pub(super) fn state(support: Support) -> String {
    match support {
        Support::Works => "works".to_owned(),
        Support::Differs(how) => format!("works differently: {how}"),
        Support::Inert => "for people only".to_owned(),
        Support::NoEffect => "no effect on your own runners: a warning says so".to_owned(),
        Support::Refused(why) => format!("refused: {why}"),
    }
}

/// What an editor shows of a key.
pub(super) fn description(key: &Key) -> String {
    match key.support {
        Support::Works => sentence(key.about),
        support => format!("{} {}", sentence(key.about), sentence(&state(support))),
    }
}

fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{first}{}.", letters.as_str())
}

/// What may stand behind a key; places link to their tables.
pub(super) fn value(shape: &'static Shape) -> String {
    match shape {
        Shape::Any => "anything".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Scalar => "text or nothing".to_owned(),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Integer(least, most) => format!("{least} to {most}"),
        Shape::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Shape::List(inner) => format!("list of: {}", value(inner)),
        Shape::Named(inner) => format!("names, each with: {}", value(inner)),
        Shape::Single(inner) => format!("one name with: {}", value(inner)),
        Shape::Keys(place) => link(place),
        Shape::Open(place) => format!("{} and parameters", link(place)),
        Shape::Steps => format!("list of: {}", link(&STEPS)),
        Shape::Condition => format!("text or {}", link(&LOGIC)),
        Shape::OneOf(all) => {
            let words: Vec<_> = all.iter().map(value).collect();
            words.join(", or ")
        }
    }
}

fn link(place: &Place) -> String {
    format!("[{}](#keys-{})", place.name, slug(place))
}
