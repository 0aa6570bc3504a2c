//! Resource class names, `namespace/name`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a resource class: the label by which a job asks for a kind of runner.
///
/// The whole name matches `^[a-z0-9_-]+/[a-zA-Z0-9:_+-]+$`, as in CircleCI. No dot: dots separate
/// an executor prefix such as `runner.acme/linux`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClassName(String);

/// The text does not name a resource class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a resource class name: write namespace/name, with a-z 0-9 _ - before the slash \
     and a-z A-Z 0-9 : _ + - after it, for example acme/linux"
)]
pub struct InvalidClassName(String);

impl ClassName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash.
    pub fn namespace(&self) -> &str {
        self.0
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }
}

impl FromStr for ClassName {
    type Err = InvalidClassName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.split_once('/').is_some_and(|(namespace, name)| {
            let plain = |c: u8| c.is_ascii_digit() || c == b'_' || c == b'-';
            !namespace.is_empty()
                && !name.is_empty()
                && text.len() <= 256
                && namespace
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || plain(c))
                && name
                    .bytes()
                    .all(|c| c.is_ascii_alphabetic() || plain(c) || c == b':' || c == b'+')
        });
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidClassName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ClassName {
    type Error = InvalidClassName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ClassName> for String {
    fn from(name: ClassName) -> Self {
        name.0
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_circleci_accepts() {
        for name in ["acme/linux", "a_b-1/X:y+z_0-9"] {
            assert!(name.parse::<ClassName>().is_ok(), "{name}");
        }
        for name in [
            "",
            "acme",
            "/x",
            "a/",
            "A/x",
            "a/x.y",
            "a/b/c",
            "a/x y",
            "runner.a/b",
        ] {
            assert!(name.parse::<ClassName>().is_err(), "{name}");
        }
    }
}
