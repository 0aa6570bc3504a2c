//! Private SSH keys: as much of their format as it takes to know what a key is called, and that it
//! can be used. Read are the two forms that `ssh-keygen` writes: OpenSSH's own, which has the public
//! key in clear (PROTOCOL.key of OpenSSH), and PEM of RSA keys (PKCS#1), out of which it is made.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A private key that can be used as it is.
pub struct PrivateKey {
    /// As `ssh-add` reads it.
    pub text: Zeroizing<String>,
    /// `SHA256:` and the base64 of the public key's hash.
    pub fingerprint: String,
    /// MD5 of the public key, in hexadecimal with colons.
    pub fingerprint_md5: String,
    /// The public key, in one line.
    pub public_key: String,
}

/// What is no secret about an SSH key.
#[derive(Debug, Serialize, Deserialize)]
pub struct SshKeyFacts {
    /// MD5 of the public key.
    pub fingerprint_md5: String,
    /// The public key, in one line.
    pub public_key: String,
    /// The host that it is for; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Why a text is no SSH key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// It is a public key.
    #[error("this is a public key: the private one is needed, which is in the file without `.pub`")]
    Public,
    /// Nobody could type the passphrase.
    #[error(
        "the key has a passphrase, which nobody could type in a job. Take it off a copy of the key: \
         `ssh-keygen -p -N '' -f COPY`"
    )]
    Encrypted,
    /// Another format.
    #[error(
        "this is no SSH key in OpenSSH's format, nor an RSA key in PEM. Bring a copy of the key into \
         it: `ssh-keygen -p -N '' -f COPY`"
    )]
    Unknown,
    /// It breaks off, or is not what it says.
    #[error("the key is damaged. Was it copied whole, from the first line to the last?")]
    Damaged,
}

impl PrivateKey {
    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, SshKeyError> {
        if text.trim_start().starts_with("ssh-") || text.trim_start().starts_with("ecdsa-") {
            return Err(SshKeyError::Public);
        }
        let (label, body) = framed(text).ok_or(SshKeyError::Unknown)?;
        if body.contains("ENCRYPTED") || label.contains("ENCRYPTED") {
            return Err(SshKeyError::Encrypted);
        }
        let packed: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        let decoded = STANDARD.decode(packed.as_bytes());
        let bytes = Zeroizing::new(decoded.map_err(|_| SshKeyError::Damaged)?);
        let public = match label {
            "OPENSSH PRIVATE KEY" => openssh(&bytes)?,
            "RSA PRIVATE KEY" => Public {
                blob: rsa_blob(&bytes).ok_or(SshKeyError::Damaged)?,
                comment: String::new(),
            },
            _ => return Err(SshKeyError::Unknown),
        };
        Self::new(text, &public).ok_or(SshKeyError::Damaged)
    }

    fn new(text: &str, public: &Public) -> Option<Self> {
        let kind = Reader(&public.blob).text()?;
        let md5 = Md5::digest(&public.blob);
        let md5: Vec<String> = md5.iter().map(|byte| format!("{byte:02x}")).collect();
        let sha256 = STANDARD_NO_PAD.encode(Sha256::digest(&public.blob));
        let line = format!(
            "{kind} {} {}",
            STANDARD.encode(&public.blob),
            public.comment
        );
        // OpenSSH wants an end of line after the last line.
        let lines = text.trim().lines().map(|line| format!("{}\n", line.trim()));
        Some(Self {
            text: Zeroizing::new(lines.collect()),
            fingerprint: format!("SHA256:{sha256}"),
            fingerprint_md5: md5.join(":"),
            public_key: line.trim().to_owned(),
        })
    }
}

/// A public key.
struct Public {
    /// As it goes over the wire.
    blob: Vec<u8>,
    comment: String,
}

/// What stands between the lines that frame a key, and what they say it is.
fn framed(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    Some((label, body))
}

/// A key in OpenSSH's own format.
fn openssh(bytes: &[u8]) -> Result<Public, SshKeyError> {
    let rest = bytes.strip_prefix(b"openssh-key-v1\0");
    let mut reader = Reader(rest.ok_or(SshKeyError::Damaged)?);
    let cipher = reader.text().ok_or(SshKeyError::Damaged)?;
    if cipher != "none" {
        return Err(SshKeyError::Encrypted);
    }
    unencrypted(reader).ok_or(SshKeyError::Damaged)
}

/// What follows the name of the cipher, where that is none.
fn unencrypted(mut reader: Reader<'_>) -> Option<Public> {
    let (_kdf, _options) = (reader.bytes()?, reader.bytes()?);
    let (1, blob) = (reader.number()?, reader.bytes()?) else {
        return None;
    };
    let mut private = Reader(reader.bytes()?);
    let (check, again) = (private.number()?, private.number()?);
    let kind = private.text()?;
    if check != again || kind != Reader(blob).text()? {
        return None;
    }
    // How many parts a key has, the public ones included.
    let parts = match kind {
        "ssh-ed25519" => 2,
        "ssh-rsa" => 6,
        _ if kind.starts_with("ecdsa-sha2-") => 3,
        _ => return None,
    };
    for _ in 0..parts {
        private.bytes()?;
    }
    let comment = private.text()?.replace(char::is_control, " ");
    Some(Public {
        blob: blob.to_vec(),
        comment,
    })
}

/// The public key of an RSA key in PKCS#1: SEQUENCE { version, modulus, public exponent, … }.
fn rsa_blob(bytes: &[u8]) -> Option<Vec<u8>> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let (key, _) = der(SEQUENCE, bytes)?;
    let (_version, rest) = der(INTEGER, key)?;
    let (modulus, rest) = der(INTEGER, rest)?;
    let (exponent, rest) = der(INTEGER, rest)?;
    // What makes it a private key.
    let (_private, _) = der(INTEGER, rest)?;
    let mut blob = Vec::new();
    for part in [b"ssh-rsa".as_slice(), exponent, modulus] {
        blob.extend(u32::try_from(part.len()).ok()?.to_be_bytes());
        blob.extend(part);
    }
    Some(blob)
}

/// The value of this tag at the front, and what follows it.
fn der(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        ..=0x7f => (usize::from(*length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            let fold = |sum, digit: &u8| sum << 8 | usize::from(*digit);
            (digits.iter().fold(0, fold), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    (*found == tag).then_some((value, rest))
}

/// Reads what SSH writes: numbers of 4 bytes, and bytes with their length before them.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn keygen(folder: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("ssh-keygen");
        let done = command.current_dir(folder).args(arguments).output();
        let done = done.expect("ssh-keygen, which is needed for these tests, is in openssh-client");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// A key that `ssh-keygen` makes, with what it says of it.
    fn made(arguments: &[&str]) -> (String, [String; 3]) {
        let folder = tempfile::tempdir().unwrap();
        let fixed = ["-q", "-C", "ann@example.com", "-f", "key"];
        keygen(folder.path(), &[&fixed, arguments].concat());
        let text = std::fs::read_to_string(folder.path().join("key")).unwrap();
        let fingerprint = |hash| {
            let told = keygen(folder.path(), &["-l", "-E", hash, "-f", "key.pub"]);
            told.split(' ').nth(1).unwrap().to_owned()
        };
        let public = std::fs::read_to_string(folder.path().join("key.pub")).unwrap();
        let public = public.trim().to_owned();
        (text, [fingerprint("sha256"), fingerprint("md5"), public])
    }

    #[test]
    fn keys_are_called_what_ssh_keygen_calls_them() {
        let kinds: [&[&str]; 4] = [
            &["-t", "ed25519"],
            &["-t", "ecdsa", "-b", "384"],
            &["-t", "rsa", "-b", "2048"],
            &["-t", "rsa", "-b", "2048", "-m", "PEM"],
        ];
        for kind in kinds {
            let (text, [sha256, md5, public]) = made(&[kind, &["-N", ""]].concat());
            let windows = format!("\r\n  {}", text.replace('\n', "\r\n"));
            for text in [&text, &windows] {
                let key = PrivateKey::parse(text).unwrap();
                assert_eq!(key.fingerprint, sha256, "{kind:?}");
                assert_eq!(format!("MD5:{}", key.fingerprint_md5), md5, "{kind:?}");
                // PEM has no comment.
                assert!(
                    public.starts_with(&key.public_key),
                    "{public}: {}",
                    key.public_key
                );
                assert!(key.text.ends_with("-----\n") && !key.text.contains('\r'));
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_advice() {
        let refusal = |text: &str| PrivateKey::parse(text).err();
        let (_, [_, _, public]) = made(&["-t", "ed25519", "-N", ""]);
        assert_eq!(refusal(&public), Some(SshKeyError::Public));
        let locked: [&[&str]; 3] = [
            &["-t", "ed25519"],
            &["-t", "rsa", "-b", "2048", "-m", "PEM"],
            &["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
        ];
        for kind in locked {
            let (text, _) = made(&[kind, &["-N", "hunter2"]].concat());
            assert_eq!(refusal(&text), Some(SshKeyError::Encrypted), "{kind:?}");
        }
        let (text, _) = made(&["-t", "ecdsa", "-N", "", "-m", "PEM"]);
        assert_eq!(refusal(&text), Some(SshKeyError::Unknown));
        assert_eq!(refusal("hunter2"), Some(SshKeyError::Unknown));
    }

    #[test]
    fn a_key_that_breaks_off_is_damaged_and_never_a_panic() {
        for kind in [
            ["-t", "ed25519", "-m", "RFC4716"],
            ["-t", "rsa", "-m", "PEM"],
        ] {
            let (text, _) = made(&[kind.as_slice(), &["-N", ""]].concat());
            let (label, body) = framed(&text).unwrap();
            let body: String = body.split_whitespace().collect();
            let bytes = STANDARD.decode(body).unwrap();
            // The end of a key in PEM is not looked at.
            for length in 0..bytes.len().min(200) {
                let body = STANDARD.encode(&bytes[..length]);
                let cut = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
                let error = PrivateKey::parse(&cut).err();
                assert_eq!(error, Some(SshKeyError::Damaged), "{kind:?} at {length}");
            }
        }
    }
}
