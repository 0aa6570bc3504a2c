//! For which machine an image is, and which one the Engine has.

use std::fmt;

/// An operating system and a processor, in the words of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Platform {
    system: String,
    processor: String,
}

impl Platform {
    pub fn new(system: Option<String>, processor: Option<String>) -> Self {
        Self {
            system: system.unwrap_or_default(),
            processor: processor.unwrap_or_default(),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.system, self.processor)
    }
}

/// What an Engine says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// What it runs on.
    pub platform: Platform,
    pub is_podman: bool,
}

/// Whether an Engine can run an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Good,
    /// If its host emulates the processor.
    Emulated,
    Never,
}

/// What is not said fits everywhere.
pub(super) fn fit(engine: &Platform, image: &Platform) -> Fit {
    let differs = |has: &str, wants: &str| !has.is_empty() && !wants.is_empty() && has != wants;
    if differs(&engine.system, &image.system) {
        return Fit::Never;
    }
    // 64-bit processors run the programs of their 32-bit forerunners.
    let native = matches!(
        (engine.processor.as_str(), image.processor.as_str()),
        ("amd64", "386") | ("arm64", "arm")
    );
    if !native && differs(&engine.processor, &image.processor) {
        return Fit::Emulated;
    }
    Fit::Good
}

#[cfg(test)]
mod tests {
    use super::{Fit, Platform, fit};

    #[test]
    fn other_processors_may_be_emulated_and_other_systems_not() {
        let platform = |system: &str, processor: &str| {
            Platform::new(Some(system.to_owned()), Some(processor.to_owned()))
        };
        let engine = platform("linux", "amd64");
        assert_eq!(fit(&engine, &platform("linux", "amd64")), Fit::Good);
        assert_eq!(fit(&engine, &platform("linux", "386")), Fit::Good);
        assert_eq!(fit(&engine, &platform("", "")), Fit::Good);
        assert_eq!(fit(&engine, &platform("linux", "arm64")), Fit::Emulated);
        assert_eq!(fit(&engine, &platform("windows", "amd64")), Fit::Never);
    }
}
