//! Names of images, as Docker reads them.

use std::fmt;

use crate::ExecutorError;

/// Where an image is, in full.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::docker) struct Reference {
    /// The registry's host, with its port if it has one.
    pub registry: String,
    /// The path there.
    pub path: String,
    /// Which of the images there.
    pub version: Version,
}

/// Which image of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::docker) enum Version {
    /// The one that has this tag now.
    Tag(String),
    /// The one with this content.
    Digest(String),
}

/// The registry of images that name none.
pub(super) const DOCKER_HUB: &str = "docker.io";

impl Reference {
    /// Reads what a config has.
    pub fn parse(text: &str) -> Result<Self, ExecutorError> {
        let wrong = |why: &str| {
            let message = format!("{text:?} is not the name of an image: {why}");
            ExecutorError::user(message, None)
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let (registry, path) = split_registry(name);
        if !is_path(&path) {
            return Err(wrong(
                "a repository has lower-case letters and digits, and between them . _ - /",
            ));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(
                "a tag has up to 128 letters, digits, and _ . - after the first",
            ));
        }
        // With a digest the tag says nothing, for Docker too.
        let version = match digest {
            Some(digest) if is_digest(digest) => Version::Digest(digest.to_owned()),
            Some(_) => return Err(wrong("a digest is sha256: and 64 hexadecimal digits")),
            None => Version::Tag(tag.unwrap_or("latest").to_owned()),
        };
        Ok(Self {
            registry,
            path,
            version,
        })
    }

    /// The repository without a tag or digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.registry, self.path)
    }

    /// The tag or digest alone.
    pub fn version(&self) -> &str {
        match &self.version {
            Version::Tag(version) | Version::Digest(version) => version,
        }
    }
}

impl fmt::Display for Reference {
    /// In full: never to be taken for the id of an image.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.version {
            Version::Tag(_) => ':',
            Version::Digest(_) => '@',
        };
        write!(f, "{}{sign}{}", self.repository(), self.version())
    }
}

/// The first part is a host if it looks like one.
fn split_registry(name: &str) -> (String, String) {
    let is_host = |part: &str| {
        part.contains(['.', ':'])
            || part == "localhost"
            || part.contains(|letter: char| letter.is_ascii_uppercase())
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if is_host(first) => (first, path),
        _ => (DOCKER_HUB, name),
    };
    let registry = match registry {
        "index.docker.io" => DOCKER_HUB,
        other => other,
    };
    if registry == DOCKER_HUB && !path.contains('/') {
        return (registry.to_owned(), format!("library/{path}"));
    }
    (registry.to_owned(), path.to_owned())
}

fn is_path(path: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let separates = |separator: &str| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    };
    path.split('/').all(|part| {
        part.starts_with(is_word) && part.ends_with(is_word) && part.split(is_word).all(separates)
    })
}

fn is_tag(tag: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    tag.len() <= 128
        && tag.starts_with(is_word)
        && tag
            .chars()
            .all(|letter| is_word(letter) || matches!(letter, '.' | '-'))
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        hex.len() == 64 && hex.bytes().all(is_hex)
    })
}

#[cfg(test)]
mod tests {
    use super::Reference;

    fn full(text: &str) -> String {
        Reference::parse(text).expect("a name").to_string()
    }

    #[test]
    fn what_is_left_out_is_added() {
        assert_eq!(full("postgres"), "docker.io/library/postgres:latest");
        assert_eq!(full("postgres:16"), "docker.io/library/postgres:16");
        assert_eq!(full("cimg/go:1.22"), "docker.io/cimg/go:1.22");
        assert_eq!(full("index.docker.io/a"), "docker.io/library/a:latest");
        assert_eq!(full("ghcr.io/a/b__c"), "ghcr.io/a/b__c:latest");
        assert_eq!(full("localhost/a"), "localhost/a:latest");
        assert_eq!(full("127.0.0.1:5000/a:b"), "127.0.0.1:5000/a:b");
        assert_eq!(full("host:5000/a"), "host:5000/a:latest");
    }

    #[test]
    fn a_digest_stands_above_a_tag() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let expected = format!("docker.io/library/a@{digest}");
        assert_eq!(full(&format!("a@{digest}")), expected);
        assert_eq!(full(&format!("a:1@{digest}")), expected);
    }

    #[test]
    fn what_no_image_is_called_is_refused() {
        for text in [
            "",
            ":",
            "a:",
            "A",
            "a b",
            "a/",
            "/a",
            "a//b",
            "a@b",
            "-a",
            "a.",
            "a..b",
            "a:-b",
            "a@sha256:00",
            "a___b",
            "$IMAGE",
            "a\nb",
        ] {
            let error = Reference::parse(text).expect_err(text);
            assert!(
                error.message.contains("is not the name of an image"),
                "{error}"
            );
        }
    }
}
