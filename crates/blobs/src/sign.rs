//! URLs with which somebody else may write or read one object for a while.
//!
//! This is Amazon's Signature Version 4 in a query. The length of an upload is a part of what is
//! signed, so nobody can fill the bucket with another one.

use std::fmt::{self, Write as _};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use object_store::aws::{AwsCredential, AwsCredentialProvider};
use outrider_model::Timestamp;
use reqwest::Url;
use sha2::{Digest, Sha256};

use crate::error::{BlobsError, StoreError};

/// From when on, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// The caller's clock.
    pub from: Timestamp,
    /// At most a week.
    pub lasts: Duration,
}

/// Whoever has it may do one thing with one object for a while. Printing it shows no signature.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl {
    /// The URL.
    pub url: String,
    /// Headers that the request must have, just so.
    pub headers: Vec<(String, String)>,
    /// Not after this.
    pub expires_at: Timestamp,
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.url.split('?').next().unwrap_or_default();
        write!(f, "SignedUrl({shown}?…)")
    }
}

/// Signs URLs of a bucket.
pub struct Signer {
    /// Ends with a slash.
    pub bucket: Url,
    pub region: String,
    pub credentials: AwsCredentialProvider,
}

/// What may be done.
#[derive(Clone, Copy, Debug)]
pub enum Permit {
    /// Write so many bytes.
    Put { size: u64 },
    /// Read them, or a part of them.
    Get,
}

impl Signer {
    /// A URL for the object with this key.
    pub async fn sign(
        &self,
        permit: Permit,
        key: &str,
        validity: Validity,
    ) -> Result<SignedUrl, BlobsError> {
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(StoreError::from)?;
        let mut url = self.bucket.clone();
        url.set_path(&format!("{}{key}", self.bucket.path()));
        let headers = match permit {
            Permit::Put { size } => vec![("content-length".to_owned(), size.to_string())],
            Permit::Get => Vec::new(),
        };
        let request = Request {
            method: match permit {
                Permit::Put { .. } => "PUT",
                Permit::Get => "GET",
            },
            url: &url,
            headers: &headers,
        };
        Ok(SignedUrl {
            url: request.sign(&credential, &self.region, validity),
            headers,
            expires_at: validity.from + validity.lasts,
        })
    }
}

/// A request that is to be signed. The names of its headers are in lower case and come before
/// `host` in the alphabet.
struct Request<'a> {
    method: &'a str,
    url: &'a Url,
    headers: &'a [(String, String)],
}

impl Request<'_> {
    fn sign(&self, credential: &AwsCredential, region: &str, validity: Validity) -> String {
        let at = compact(validity.from);
        let day = at.get(..8).unwrap_or_default();
        let scope = format!("{day}/{region}/s3/aws4_request");
        let query = self.query(credential, &scope, &at, validity.lasts);
        let canonical = sha256(&self.canonical(&query));
        let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{canonical}");
        let key = [day, region, "s3", "aws4_request"].into_iter().fold(
            format!("AWS4{}", credential.secret_key).into_bytes(),
            |key, word| hmac(&key, word),
        );
        let signature = hex(&hmac(&key, &text));
        format!("{}?{query}&X-Amz-Signature={signature}", self.url)
    }

    /// All that is signed and stands in the URL, in alphabetic order.
    fn query(&self, credential: &AwsCredential, scope: &str, at: &str, lasts: Duration) -> String {
        let who = format!("{}/{scope}", credential.key_id);
        let seconds = lasts.as_secs().to_string();
        let names = self.signed_headers();
        let token = credential.token.as_deref();
        let parts = [
            ("Algorithm", Some("AWS4-HMAC-SHA256")),
            ("Credential", Some(who.as_str())),
            ("Date", Some(at)),
            ("Expires", Some(seconds.as_str())),
            ("Security-Token", token),
            ("SignedHeaders", Some(names.as_str())),
        ];
        let present = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let written = present.map(|(name, value)| format!("X-Amz-{name}={}", escaped(value)));
        written.collect::<Vec<_>>().join("&")
    }

    /// The one form of the request that both sides compute.
    fn canonical(&self, query: &str) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let host = match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let headers = self.headers.iter();
        let headers: String = headers
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        format!(
            "{}\n{}\n{query}\n{headers}host:{host}\n\n{}\nUNSIGNED-PAYLOAD",
            self.method,
            self.url.path(),
            self.signed_headers(),
        )
    }

    fn signed_headers(&self) -> String {
        let names = self.headers.iter().map(|(name, _)| name.as_str());
        names.chain(["host"]).collect::<Vec<_>>().join(";")
    }
}

/// `20260131T120000Z`.
fn compact(at: Timestamp) -> String {
    let text = at.to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    let kept = seconds.chars().filter(|c| !matches!(c, '-' | ':'));
    kept.chain(['Z']).collect()
}

/// As RFC 3986 escapes a value.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte));
            }
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in Amazon's description of query authentication.
    #[test]
    fn the_signature_of_the_published_example_comes_out() {
        let credential = AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let request = Request {
            method: "GET",
            url: &"https://examplebucket.s3.amazonaws.com/test.txt"
                .parse()
                .unwrap(),
            headers: &[],
        };
        let validity = Validity {
            from: "2013-05-24T00:00:00Z".parse().unwrap(),
            lasts: Duration::from_secs(86_400),
        };
        let url = request.sign(&credential, "us-east-1", validity);
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(
            url.ends_with(&format!("&X-Amz-Signature={signature}")),
            "{url}"
        );
        assert!(
            url.contains(
                "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            ),
            "{url}"
        );
    }

    #[test]
    fn a_signed_url_never_prints_its_signature() {
        let signed = SignedUrl {
            url: "https://host/bucket/key?X-Amz-Signature=hunter2".to_owned(),
            headers: Vec::new(),
            expires_at: Timestamp::default(),
        };
        assert_eq!(
            format!("{signed:?}"),
            "SignedUrl(https://host/bucket/key?…)"
        );
    }
}
