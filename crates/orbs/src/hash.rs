//! What an orb's text holds, in 32 bytes.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

const SCHEME: &str = "sha256:";

/// The SHA-256 of an orb's text, so that `sha256sum` can check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of this text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Its digits alone.
    pub fn digits(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.digits())
    }
}

/// A text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is `sha256:` and 64 hexadecimal digits")]
pub struct InvalidHash;

impl FromStr for ContentHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let digits = text.strip_prefix(SCHEME).ok_or(InvalidHash)?.as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(InvalidHash);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = digit(pair[0]).ok_or(InvalidHash)?;
            let low = digit(pair[1]).ok_or(InvalidHash)?;
            *byte = u8::try_from(16 * high + low).map_err(|_| InvalidHash)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_sha256sum_says() {
        let hash = ContentHash::of("abc");
        let said = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), said);
        assert_eq!(said.parse(), Ok(hash));
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "sha256:", "sha256:ab", "md5:ab", &"é".repeat(32)] {
            assert_eq!(text.parse::<ContentHash>(), Err(InvalidHash), "{text}");
        }
        let long = format!("sha256:{}g", "0".repeat(63));
        assert_eq!(long.parse::<ContentHash>(), Err(InvalidHash));
    }
}
