//! Where a store is, as people write it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;

/// Where blobs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a folder: `/var/lib/outrider/blobs`, or `file:///var/lib/outrider/blobs`.
    Folder(PathBuf),
    /// In a bucket: `s3://BUCKET/PREFIX?region=…&endpoint=…`.
    Bucket(Bucket),
    /// In memory, until the process ends: `memory:`.
    Memory,
}

/// A bucket, and how to talk to it. It has no secrets: these come from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What the names of all objects start with; may be empty. Neither starts nor ends with a slash.
    pub prefix: String,
    /// `region=`, else the environment says it.
    pub region: Option<String>,
    /// `endpoint=`, else the environment says it, else it is Amazon's.
    pub endpoint: Option<Url>,
    /// `path_style=`: whether the bucket stands in the path and not in the host's name. Without it,
    /// that is so for endpoints that are not Amazon's.
    pub path_style: Option<bool>,
    /// `allow_http=`: whether the endpoint may be without TLS. On loopback it always may.
    pub allow_http: bool,
    /// `signed_urls=`: whether others get signed URLs, and talk to the bucket themselves.
    pub signed_urls: bool,
}

/// The text is not a location. The message never repeats it: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    /// Nothing, or something else than the known schemes.
    #[error("a location is a folder, `s3://BUCKET/PREFIX` or `memory:`")]
    Unknown,
    /// Credentials in the text.
    #[error(
        "a location holds no credentials: others see them\nput them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Credentials,
    /// Not a bucket's name.
    #[error("a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens")]
    BucketName,
    /// A prefix that would have to be escaped.
    #[error("a prefix has letters, digits, and `.`, `_`, `-`, in parts that slashes separate")]
    Prefix,
    /// An option that is not known, stands twice, or has no such value.
    #[error(
        "`{0}` is not an option, or not with this value\nthe options are region=, endpoint=, path_style=, allow_http= and signed_urls="
    )]
    Option(String),
    /// An endpoint is something else.
    #[error("an endpoint looks like https://s3.example.com:9000")]
    Endpoint,
    /// Data and signatures in the clear.
    #[error(
        "the endpoint is not encrypted: everybody on the way could read and change blobs\nuse https, or add `allow_http=true` if the network is yours alone"
    )]
    Insecure,
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("s3", _)) => bucket(text).map(Self::Bucket),
            Some(("file", _)) => folder(text).map(Self::Folder),
            Some((_, rest)) if rest.starts_with("//") => Err(InvalidLocation::Unknown),
            _ if text.is_empty() => Err(InvalidLocation::Unknown),
            _ => Ok(Self::Folder(PathBuf::from(text))),
        }
    }
}

fn folder(text: &str) -> Result<PathBuf, InvalidLocation> {
    let url = Url::parse(text).map_err(|_| InvalidLocation::Unknown)?;
    let plain = url.query().is_none() && url.fragment().is_none();
    let path = url.to_file_path().map_err(|()| InvalidLocation::Unknown)?;
    plain.then_some(path).ok_or(InvalidLocation::Unknown)
}

fn bucket(text: &str) -> Result<Bucket, InvalidLocation> {
    let url = Url::parse(text).map_err(|_| InvalidLocation::BucketName)?;
    without_credentials(&url)?;
    if url.port().is_some() || url.fragment().is_some() {
        return Err(InvalidLocation::BucketName);
    }
    let mut bucket = Bucket {
        name: bucket_name(url.host_str().unwrap_or_default())?,
        prefix: prefix(url.path())?,
        region: None,
        endpoint: None,
        path_style: None,
        allow_http: false,
        signed_urls: true,
    };
    let mut seen = Vec::new();
    for (key, value) in url.query_pairs() {
        if seen.contains(&key) {
            return Err(InvalidLocation::Option(key.into_owned()));
        }
        option(&mut bucket, &key, &value)?;
        seen.push(key);
    }
    if let Some(endpoint) = &bucket.endpoint {
        bucket.may_use(endpoint)?;
    }
    Ok(bucket)
}

fn option(bucket: &mut Bucket, key: &str, value: &str) -> Result<(), InvalidLocation> {
    let wrong = || InvalidLocation::Option(key.to_owned());
    let flag = || value.parse::<bool>().map_err(|_| wrong());
    match key {
        "region" if is_region(value) => bucket.region = Some(value.to_owned()),
        "endpoint" => bucket.endpoint = Some(endpoint(value)?),
        "path_style" => bucket.path_style = Some(flag()?),
        "allow_http" => bucket.allow_http = flag()?,
        "signed_urls" => bucket.signed_urls = flag()?,
        _ => return Err(wrong()),
    }
    Ok(())
}

/// It becomes part of signatures and of host names.
pub(crate) fn is_region(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.bytes().all(fits)
}

fn bucket_name(name: &str) -> Result<String, InvalidLocation> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    let good = (3..=63).contains(&name.len()) && name.bytes().all(fits) && !name.contains("..");
    good.then(|| name.to_owned())
        .ok_or(InvalidLocation::BucketName)
}

fn prefix(path: &str) -> Result<String, InvalidLocation> {
    let prefix = path.trim_start_matches('/');
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let part =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(fits);
    let good = prefix.is_empty() || prefix.split('/').all(part);
    good.then(|| prefix.to_owned())
        .ok_or(InvalidLocation::Prefix)
}

/// The URL of a server that speaks S3.
pub(crate) fn endpoint(text: &str) -> Result<Url, InvalidLocation> {
    let url = Url::parse(text).map_err(|_| InvalidLocation::Endpoint)?;
    without_credentials(&url)?;
    let good = matches!(url.scheme(), "http" | "https")
        && url.query().is_none()
        && url.fragment().is_none();
    good.then_some(url).ok_or(InvalidLocation::Endpoint)
}

fn without_credentials(url: &Url) -> Result<(), InvalidLocation> {
    let none = url.username().is_empty() && url.password().is_none();
    none.then_some(()).ok_or(InvalidLocation::Credentials)
}

impl Bucket {
    /// Whether this endpoint is safe enough.
    pub(crate) fn may_use(&self, endpoint: &Url) -> Result<(), InvalidLocation> {
        let safe = endpoint.scheme() == "https" || self.allow_http || is_loopback(endpoint);
        safe.then_some(()).ok_or(InvalidLocation::Insecure)
    }
}

/// Whether a URL leads to this host only.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = |address: IpAddr| address.is_loopback();
    host == "localhost" || address.parse().is_ok_and(loopback)
}

/// As it is written: there are no secrets in it.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Bucket(bucket) => bucket.fmt(f),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        options.extend(self.region.iter().map(|region| format!("region={region}")));
        let endpoint = self.endpoint.iter();
        options
            .extend(endpoint.map(|url| format!("endpoint={}", url.as_str().trim_end_matches('/'))));
        options.extend(self.path_style.map(|style| format!("path_style={style}")));
        options.extend(self.allow_http.then(|| "allow_http=true".to_owned()));
        options.extend((!self.signed_urls).then(|| "signed_urls=false".to_owned()));
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let question = if options.is_empty() { "" } else { "?" };
        write!(
            f,
            "s3://{}{slash}{}{question}{}",
            self.name,
            self.prefix,
            options.join("&")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_as_it_is_written() {
        for text in [
            "/var/lib/outrider/blobs",
            "blobs",
            "memory:",
            "s3://blobs",
            "s3://blobs/ci/one?region=eu-central-1",
            "s3://blobs?region=auto&endpoint=https://s3.example.com:9000&path_style=false",
            "s3://blobs/ci?endpoint=http://minio:9000&allow_http=true&signed_urls=false",
            "s3://blobs?endpoint=http://127.0.0.1:9000",
            "s3://blobs?endpoint=http://[::1]:9000",
        ] {
            let location: Location = text.parse().expect(text);
            assert_eq!(location.to_string(), text);
        }
    }

    #[test]
    fn there_are_other_ways_to_write_it() {
        let same = [
            ("file:///var/lib/my%20blobs", "/var/lib/my blobs"),
            ("s3://blobs/", "s3://blobs"),
            ("s3://blobs/ci/", "s3://blobs/ci"),
            (
                "s3://blobs?endpoint=https%3A%2F%2Fs3.example.com%2F",
                "s3://blobs?endpoint=https://s3.example.com",
            ),
        ];
        for (written, meant) in same {
            assert_eq!(written.parse::<Location>(), meant.parse(), "{written}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_location_is_said() {
        for (text, error) in [
            ("", InvalidLocation::Unknown),
            ("gs://blobs", InvalidLocation::Unknown),
            ("file://host/blobs", InvalidLocation::Unknown),
            ("s3://B_", InvalidLocation::BucketName),
            ("s3:///prefix", InvalidLocation::BucketName),
            ("s3://blobs:9000", InvalidLocation::BucketName),
            ("s3://blobs/a//b", InvalidLocation::Prefix),
            ("s3://blobs/a%20b", InvalidLocation::Prefix),
            (
                "s3://blobs?regoin=x",
                InvalidLocation::Option("regoin".to_owned()),
            ),
            (
                "s3://blobs?region=a&region=b",
                InvalidLocation::Option("region".to_owned()),
            ),
            (
                "s3://blobs?allow_http=1",
                InvalidLocation::Option("allow_http".to_owned()),
            ),
            (
                "s3://blobs?endpoint=s3.example.com",
                InvalidLocation::Endpoint,
            ),
            (
                "s3://blobs?endpoint=http://s3.example.com",
                InvalidLocation::Insecure,
            ),
        ] {
            assert_eq!(text.parse::<Location>(), Err(error), "{text}");
        }
    }

    #[test]
    fn credentials_are_refused_and_not_repeated() {
        for text in [
            "s3://key:hunter2@blobs",
            "s3://blobs?endpoint=https://key:hunter2@s3.example.com",
            "s3://blobs?secret_access_key=hunter2",
        ] {
            let error = text.parse::<Location>().expect_err(text);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
