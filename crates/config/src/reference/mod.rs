//! The language as the table of keys has it, for editors and for people.

mod schema;
mod tables;
mod words;

pub use schema::schema;
pub use tables::{Table, tables};

use crate::syntax::keys::{GROUP_USE, LOGIC, STEPS, TOP};
use crate::syntax::place::{Place, Shape};

/// All places, from the top of a config downwards. A use of a job group stands where a job stands;
/// only its name tells them apart.
fn places() -> Vec<&'static Place> {
    let mut found = vec![&TOP, &GROUP_USE];
    let mut next = 0;
    while let Some(place) = found.get(next).copied() {
        for key in place.keys {
            reach(&key.shape, &mut found);
        }
        next += 1;
    }
    found
}

/// Adds the places that a value may be.
fn reach(shape: &'static Shape, found: &mut Vec<&'static Place>) {
    let place = match shape {
        Shape::Keys(place) | Shape::Open(place) => place,
        Shape::Steps => &STEPS,
        Shape::Condition => &LOGIC,
        Shape::List(inner) | Shape::Named(inner) | Shape::Single(inner) => {
            return reach(inner, found);
        }
        Shape::OneOf(all) => return all.iter().for_each(|one| reach(one, found)),
        Shape::Any
        | Shape::Text
        | Shape::Scalar
        | Shape::Boolean
        | Shape::Integer(..)
        | Shape::Choice(_) => return,
    };
    if !found.iter().any(|known| known.name == place.name) {
        found.push(place);
    }
}

#[cfg(test)]
mod tests {
    use super::words::slug;
    use super::*;

    #[test]
    fn a_place_is_known_by_its_name() {
        let names: Vec<_> = places().iter().map(|place| place.name).collect();
        for name in ["the config", "a job", "`run`", "a condition", "a filter"] {
            assert!(names.contains(&name), "{name} is not reached");
        }
        for place in places() {
            let same = places().into_iter().filter(|one| slug(one) == slug(place));
            assert_eq!(same.count(), 1, "two places are called {}", slug(place));
            for key in place.keys {
                let same = place.keys.iter().filter(|one| one.name == key.name);
                assert_eq!(same.count(), 1, "{} of {}", key.name, place.name);
            }
        }
    }
}
