//! Tokens: what they look like, and how they are kept.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::Random;

/// A secret that a caller presents. Never printed whole; the store only ever sees its [`TokenHash`].
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// SHA-256 of a token: what the store keeps. Tokens have 160 random bits, so no salt and no slow
/// hash is needed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl Token {
    /// A new token such as `outrider_class_3f…`: a readable prefix that secret scanners can find,
    /// and 40 hexadecimal digits.
    pub fn generate(kind: &str, random: &dyn Random) -> Self {
        let mut bytes = [0; 20];
        random.fill(&mut bytes);
        let mut text = format!("outrider_{kind}_");
        for byte in bytes {
            text.push_str(&format!("{byte:02x}"));
        }
        Self(text)
    }

    /// The token that somebody presented.
    pub fn presented(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: to show once to its owner, or to send to the server.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The first characters, enough to recognise a token and useless to guess it.
    pub fn hint(&self) -> String {
        let keep = self.0.rfind('_').map_or(0, |at| at + 5);
        self.0.chars().take(keep).collect()
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}…)", self.hint())
    }
}

impl TokenHash {
    /// The hash with these bytes, as read from the store.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Whoever has it may continue a pipeline, once: the jobs of a setup config get one for each
/// attempt. It is sent to the runner and shown to the job, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ContinuationKey(Token);

impl ContinuationKey {
    /// A new key.
    pub fn generate(random: &dyn Random) -> Self {
        Self(Token::generate("continuation", random))
    }

    /// The key that somebody presented.
    pub fn presented(text: impl Into<String>) -> Self {
        Self(Token::presented(text))
    }

    /// The secret itself: for the job, or to send to the server.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> TokenHash {
        self.0.hash()
    }
}

impl fmt::Debug for ContinuationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContinuationKey(…)")
    }
}

impl serde::Serialize for ContinuationKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

impl<'de> serde::Deserialize<'de> for ContinuationKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::presented)
    }
}

/// The secret half of a lease: whoever holds it may write for that attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken([u8; 16]);

impl LeaseToken {
    /// A new lease token.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// What the store keeps of it: the first half of its SHA-256.
    pub fn hash(&self) -> [u8; 16] {
        let digest: [u8; 32] = Sha256::digest(self.0).into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        half
    }
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseToken(…)")
    }
}

/// The text was not a lease token.
#[derive(Debug, thiserror::Error)]
#[error("a lease token is 32 hexadecimal digits")]
pub struct InvalidLeaseToken;

impl std::str::FromStr for LeaseToken {
    type Err = InvalidLeaseToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits);
        number
            .map(|n| Self(n.to_be_bytes()))
            .ok_or(InvalidLeaseToken)
    }
}

impl serde::Serialize for LeaseToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for LeaseToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fives;
    impl Random for Fives {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0x55);
        }
    }

    #[test]
    fn a_token_never_prints_its_secret() {
        let token = Token::generate("class", &Fives);
        assert_eq!(token.reveal().len(), "outrider_class_".len() + 40);
        assert_eq!(format!("{token:?}"), "Token(outrider_class_5555…)");
        assert_eq!(format!("{:?}", token.hash()), "TokenHash(…)");
    }

    #[test]
    fn a_continuation_key_never_prints_its_secret() {
        let key = ContinuationKey::generate(&Fives);
        assert!(key.reveal().starts_with("outrider_continuation_5555"));
        assert_eq!(format!("{key:?}"), "ContinuationKey(…)");
    }

    #[test]
    fn a_lease_token_survives_the_wire() {
        let token = LeaseToken::generate(&Fives);
        assert_eq!(token.to_string().parse::<LeaseToken>().unwrap(), token);
        assert!(
            "+5555555555555555555555555555555"
                .parse::<LeaseToken>()
                .is_err()
        );
    }
}
