//! Orbs that are not in the config itself: how they are named, and those at hand.
//!
//! Compilation reads nothing from disk or network. Whoever calls it asks
//! [`missing_orbs`](crate::missing_orbs) what a config needs, gets it from where it can, adds it to [`Options::orbs`](crate::Options), and asks
//! again, since orbs may use orbs.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;

/// What stands behind an alias in `orbs`, if it is text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrbReference {
    /// `namespace/orb@version`.
    Registry {
        /// Whose it is.
        namespace: String,
        /// Its name there.
        name: String,
        /// Which one.
        version: OrbVersion,
    },
    /// `https://…`, the source itself.
    Url(String),
}

/// Which version of an orb.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrbVersion {
    /// `1.2.3`
    Exact(u64, u64, u64),
    /// `1.2`: the newest patch.
    Minor(u64, u64),
    /// `1`: the newest minor version.
    Major(u64),
    /// `volatile`: the newest of all.
    Volatile,
    /// `dev:…`
    Dev(String),
}

/// A text that names no orb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOrbReference {
    /// What is wrong with it, as a fragment.
    pub reason: &'static str,
}

impl fmt::Display for InvalidOrbReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for InvalidOrbReference {}

impl FromStr for OrbReference {
    type Err = InvalidOrbReference;

    fn from_str(text: &str) -> Result<Self, InvalidOrbReference> {
        let refuse = |reason| Err(InvalidOrbReference { reason });
        if text.starts_with("https://") {
            return Ok(Self::Url(text.to_owned()));
        }
        if text.starts_with("http://") {
            return refuse("an orb is fetched over https only");
        }
        let Some((path, version)) = text.split_once('@') else {
            return refuse("the version is missing");
        };
        let Some((namespace, name)) = path.split_once('/') else {
            return refuse("the namespace is missing");
        };
        let word = |text: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !text.is_empty() && text.chars().all(allowed)
        };
        if !word(namespace) || !word(name) {
            return refuse("namespace and name have letters, digits, `-` and `_` only");
        }
        Ok(Self::Registry {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            version: version.parse()?,
        })
    }
}

impl FromStr for OrbVersion {
    type Err = InvalidOrbReference;

    fn from_str(text: &str) -> Result<Self, InvalidOrbReference> {
        const WRONG: InvalidOrbReference = InvalidOrbReference {
            reason: "the version is none of 1.2.3, 1.2, 1, volatile and dev:NAME",
        };
        if text == "volatile" {
            return Ok(Self::Volatile);
        }
        if let Some(label) = text.strip_prefix("dev:") {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
            let valid = label.chars().all(allowed) && !label.contains("..");
            return valid.then(|| Self::Dev(label.to_owned())).ok_or(WRONG);
        }
        let number = |part: &str| {
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| digits)
        };
        let numbers: Option<Vec<u64>> = text.split('.').map(number).collect();
        match numbers.as_deref() {
            Some(&[major]) => Ok(Self::Major(major)),
            Some(&[major, minor]) => Ok(Self::Minor(major, minor)),
            Some(&[major, minor, patch]) => Ok(Self::Exact(major, minor, patch)),
            _ => Err(WRONG),
        }
    }
}

impl fmt::Display for OrbReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry {
                namespace,
                name,
                version,
            } => write!(f, "{namespace}/{name}@{version}"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl fmt::Display for OrbVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(major, minor, patch) => write!(f, "{major}.{minor}.{patch}"),
            Self::Minor(major, minor) => write!(f, "{major}.{minor}"),
            Self::Major(major) => write!(f, "{major}"),
            Self::Volatile => f.write_str("volatile"),
            Self::Dev(label) => write!(f, "dev:{label}"),
        }
    }
}

/// The source of an orb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orb {
    /// How people know it: `circleci/node@5.1.0`, with the version that was found.
    pub name: String,
    /// Its YAML.
    pub text: String,
}

/// The orbs at hand, by how configs name them.
pub type Orbs = IndexMap<OrbReference, Orb>;
