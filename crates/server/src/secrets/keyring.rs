//! The keys that seal secrets: AES-256-GCM of `ring`, which TLS uses too.
//!
//! A sealed secret is a nonce of 12 random bytes and what the cipher makes of the value. Random
//! nonces are safe for 2^32 sealings a key; a server has thousands of secrets. Whose the secret is,
//! its name and its facts are authenticated with it: a row that was moved to another owner, or whose
//! host was changed, does not open.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use outrider_model::Random;
use outrider_store::{Sealed, SealedSecret, SecretId, SecretKind, SecretOwner};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// How many bytes a key has.
const KEY_LEN: usize = 32;

/// What a key's id is derived for.
const ID_CONTEXT: &str = "Outrider 2026 id of a key that seals secrets";

/// The keys of a server. The first one seals, all of them open.
pub struct Keyring {
    first: Key,
    others: Vec<Key>,
}

struct Key {
    id: String,
    key: LessSafeKey,
}

/// Why a text makes no keyring.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no key in it.
    #[error("there is no key in it")]
    Empty,
    /// A line is no key. What stands there is not said.
    #[error("line {0} is no key: a key is 32 bytes, in base64 or hexadecimal")]
    Malformed(usize),
}

/// Why a secret does not open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The server does not have the key.
    #[error("it is sealed with the key {0}, which the server does not have")]
    KeyLost(String),
    /// It is not what was sealed here.
    #[error("it is damaged, or was moved here from elsewhere")]
    Damaged,
}

/// A new key, as [`Keyring::parse`] reads it.
pub fn new_key(random: &dyn Random) -> Zeroizing<String> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    random.fill(&mut *key);
    Zeroizing::new(STANDARD.encode(key.as_slice()))
}

impl Keyring {
    /// Reads keys: one a line, the newest first; what follows a `#` is passed over.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().zip(1..).filter_map(|(line, number)| {
            let key = line.split('#').next().unwrap_or_default().trim();
            (!key.is_empty()).then_some((key, number))
        });
        let mut keys =
            lines.map(|(key, number)| Key::parse(key).ok_or(KeyError::Malformed(number)));
        Ok(Self {
            first: keys.next().ok_or(KeyError::Empty)??,
            others: keys.collect::<Result<_, _>>()?,
        })
    }

    /// One new key, which nobody else has.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        random.fill(&mut *bytes);
        Self {
            first: Key::new(&bytes),
            others: Vec::new(),
        }
    }

    /// The ids of the keys, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys().map(|key| key.id.as_str())
    }

    /// The id of the key that seals.
    pub fn sealing_id(&self) -> &str {
        &self.first.id
    }

    /// Seals a value.
    pub fn seal(
        &self,
        id: &SecretId,
        facts: Option<&str>,
        value: &[u8],
        random: &dyn Random,
    ) -> Sealed {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut text = Zeroizing::new(value.to_vec());
        let sealed = self.first.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(about(id, facts)),
            &mut text,
        );
        let tag = sealed.expect("a value is shorter than 64 GiB");
        Sealed {
            key_id: self.first.id.clone(),
            bytes: [&nonce, text.as_slice(), tag.as_ref()].concat(),
        }
    }

    /// Opens what was sealed.
    pub fn open(&self, secret: &SealedSecret) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let Sealed { key_id, bytes } = &secret.sealed;
        let key = self.keys().find(|key| key.id == *key_id);
        let key = key.ok_or_else(|| OpenError::KeyLost(key_id.clone()))?;
        let (nonce, text) = bytes.split_first_chunk().ok_or(OpenError::Damaged)?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = key.key.open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(about(&secret.id, secret.facts.as_deref())),
            &mut text,
        );
        let length = opened.map_err(|_| OpenError::Damaged)?.len();
        text.truncate(length);
        Ok(text)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Key {
    fn new(bytes: &[u8; KEY_LEN]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("a key of the right length");
        let id = blake3::derive_key(ID_CONTEXT, bytes);
        Self {
            id: id[..6].iter().map(|byte| format!("{byte:02x}")).collect(),
            key: LessSafeKey::new(key),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(hexadecimal(text).or_else(|| STANDARD.decode(text).ok())?);
        let bytes: &[u8; KEY_LEN] = bytes.as_slice().try_into().ok()?;
        Some(Self::new(bytes))
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.len() == 2 * KEY_LEN && text.bytes().all(|c| c.is_ascii_hexdigit());
    let pairs = digits.then(|| text.as_bytes().chunks(2))?;
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect()
}

/// What is authenticated with a secret: each part with its length, so that no two say the same.
fn about(id: &SecretId, facts: Option<&str>) -> Vec<u8> {
    let (owner, name) = match &id.owner {
        SecretOwner::Project(name) => ("project", name),
        SecretOwner::Context(name) => ("context", name),
    };
    let kind = match id.kind {
        SecretKind::Variable => "variable",
        SecretKind::SshKey => "ssh-key",
    };
    let parts = [owner, name, kind, &id.name, facts.unwrap_or_default()];
    let mut about = b"outrider secret 1".to_vec();
    for part in parts {
        about.extend((part.len() as u64).to_le_bytes());
        about.extend(part.as_bytes());
    }
    about
}

#[cfg(test)]
mod tests {
    use outrider_service::OsRandom;

    use super::*;

    fn id(owner: SecretOwner, kind: SecretKind, name: &str) -> SecretId {
        let name = name.to_owned();
        SecretId { owner, kind, name }
    }

    fn of_project(project: &str, name: &str) -> SecretId {
        let owner = SecretOwner::Project(project.to_owned());
        id(owner, SecretKind::Variable, name)
    }

    fn sealed(keyring: &Keyring, id: SecretId, facts: Option<&str>) -> SealedSecret {
        let sealed = keyring.seal(&id, facts, b"hunter2", &OsRandom::new());
        SealedSecret {
            id,
            facts: facts.map(str::to_owned),
            sealed,
        }
    }

    #[test]
    fn what_is_sealed_opens_again_and_shows_nothing() {
        let keyring = Keyring::generate(&OsRandom::new());
        let one = sealed(&keyring, of_project("acme/shop", "TOKEN"), None);
        let two = sealed(&keyring, of_project("acme/shop", "TOKEN"), None);
        assert_ne!(one.sealed, two.sealed, "each has its own nonce");
        assert_eq!(one.sealed.bytes.len(), NONCE_LEN + 7 + 16);
        assert!(!one.sealed.bytes.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(keyring.open(&one).unwrap().as_slice(), b"hunter2");
        assert!(!format!("{keyring:?}{one:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_opens_only_where_it_was_sealed() {
        let keyring = Keyring::generate(&OsRandom::new());
        let secret = sealed(&keyring, of_project("acme/shop", "TOKEN"), Some("{}"));
        let context = SecretOwner::Context("acme/shop".to_owned());
        let shop = SecretOwner::Project("acme/shop".to_owned());
        let elsewhere = [
            of_project("acme/else", "TOKEN"),
            of_project("acme/shop", "OTHER"),
            of_project("acme/sho", "pTOKEN"),
            id(context, SecretKind::Variable, "TOKEN"),
            id(shop, SecretKind::SshKey, "TOKEN"),
        ];
        for id in elsewhere {
            let moved = SealedSecret {
                id,
                ..secret.clone()
            };
            assert_eq!(keyring.open(&moved), Err(OpenError::Damaged), "{moved:?}");
        }
        let mut changed = secret;
        changed.facts = Some("{\"host\":\"evil.example\"}".to_owned());
        assert_eq!(keyring.open(&changed), Err(OpenError::Damaged));
    }

    #[test]
    fn no_bit_and_no_length_can_be_changed() {
        let keyring = Keyring::generate(&OsRandom::new());
        let secret = sealed(&keyring, of_project("acme/shop", "TOKEN"), None);
        for at in 0..secret.sealed.bytes.len() {
            let mut changed = secret.clone();
            changed.sealed.bytes[at] ^= 1;
            assert_eq!(keyring.open(&changed), Err(OpenError::Damaged), "byte {at}");
            changed.sealed.bytes = secret.sealed.bytes[..at].to_vec();
            assert_eq!(
                keyring.open(&changed),
                Err(OpenError::Damaged),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, new) = (new_key(&OsRandom::new()), new_key(&OsRandom::new()));
        let before = Keyring::parse(&old).unwrap();
        let secret = sealed(&before, of_project("acme/shop", "TOKEN"), None);
        let both = Keyring::parse(&format!("# newest first\n{}\n\n{} # 2025\n", *new, *old));
        let both = both.unwrap();
        assert_eq!(both.ids().count(), 2);
        assert_eq!(both.open(&secret).unwrap().as_slice(), b"hunter2");
        let after = Keyring::parse(&new).unwrap();
        assert_eq!(both.sealing_id(), after.sealing_id());
        assert_eq!(
            after.open(&secret),
            Err(OpenError::KeyLost(before.sealing_id().to_owned()))
        );
    }

    #[test]
    fn a_key_is_32_bytes_in_one_of_two_spellings() {
        let hexadecimal = Keyring::parse(&"0f".repeat(32)).unwrap();
        let base64 = Keyring::parse(&STANDARD.encode([15; 32])).unwrap();
        assert_eq!(hexadecimal.sealing_id(), base64.sealing_id());
        assert_eq!(Keyring::parse("# none\n").unwrap_err(), KeyError::Empty);
        for wrong in ["hunter2", &"0f".repeat(31), &STANDARD.encode([15; 33])] {
            let error = Keyring::parse(&format!("\n{wrong}")).unwrap_err();
            assert_eq!(error, KeyError::Malformed(2));
            assert!(!error.to_string().contains(wrong));
        }
    }
}
