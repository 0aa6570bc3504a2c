//! What goes wrong with a blob store, and what a person can do about it.

use std::error::Error;
use std::fmt;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

use crate::body::BadBody;

/// Why a blob could not be stored or had.
#[derive(Debug, thiserror::Error)]
pub enum BlobsError {
    /// There is no such blob.
    #[error("there is no blob at {0}")]
    Missing(String),
    /// The blob is shorter than that.
    #[error("the blob at {0} has no such bytes")]
    OutOfRange(String),
    /// The sender's fault: the blob was not stored.
    #[error(transparent)]
    Body(#[from] BadBody),
    /// The store's fault: it may work again later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store does not work.
#[derive(Debug, thiserror::Error)]
#[error("the blob store {trouble}")]
pub struct StoreError {
    /// What is wrong.
    pub trouble: Trouble,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No room.
    Full,
    /// It is there, and does not let us.
    Denied,
    /// A folder or disk that was there is gone.
    FolderGone,
    /// No such bucket.
    NoBucket,
    /// It does not know us.
    BadCredentials,
    /// We have nothing to show.
    NoCredentials,
    /// The bucket lies in another region.
    WrongRegion,
    /// Its clock and ours differ too much.
    ClockSkew,
    /// No connection.
    Unreachable,
    /// No answer in time.
    Silent,
    /// It gave back something else than it was given.
    Forgetful,
    /// Anything else.
    Other,
}

impl Trouble {
    /// What a person can do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Full => "make room on its disk, or raise its quota",
            Self::Denied => {
                "a folder must be writable by the server's user; a bucket's policy must allow \
                 s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket"
            }
            Self::FolderGone => "is its disk mounted? The server makes the folder at its start",
            Self::NoBucket => "make the bucket, or correct its name or endpoint in the location",
            Self::BadCredentials => {
                "correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
            }
            Self::NoCredentials => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the host a role"
            }
            Self::WrongRegion => {
                "name the bucket's region: `?region=…` in the location, or AWS_REGION"
            }
            Self::ClockSkew => "set the clock of this host, for example with NTP",
            Self::Unreachable => "check the endpoint, the network and the certificate",
            Self::Silent => "the store or the network is too slow or stuck: look there",
            Self::Forgetful => "is it really S3? Is a cache in between?",
            Self::Other => "the store's own log may say more",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "is full",
            Self::Denied => "denies access",
            Self::FolderGone => "has lost a folder",
            Self::NoBucket => "has no such bucket",
            Self::BadCredentials => "does not accept the credentials",
            Self::NoCredentials => "needs credentials",
            Self::WrongRegion => "is in another region",
            Self::ClockSkew => "says that the clocks differ too much",
            Self::Unreachable => "cannot be reached",
            Self::Silent => "did not answer in time",
            Self::Forgetful => "does not give back what it was given",
            Self::Other => "failed",
        })
    }
}

impl StoreError {
    pub(crate) fn new(trouble: Trouble, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            trouble,
            source: source.into(),
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        let trouble = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Trouble::Denied,
            io::ErrorKind::NotFound => Trouble::FolderGone,
            _ => Trouble::Other,
        };
        Self::new(trouble, error)
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        Self::new(trouble(&error), error)
    }
}

impl From<io::Error> for BlobsError {
    fn from(error: io::Error) -> Self {
        Self::Store(error.into())
    }
}

/// S3 says it with a code, if there is a body at all; the status and the connection say the rest.
fn trouble(error: &object_store::Error) -> Trouble {
    let text = error.to_string();
    if let Some(known) = code(&text).and_then(of_code) {
        return known;
    }
    if text.contains("credential") {
        return Trouble::NoCredentials;
    }
    match (http(error), error) {
        (Some(HttpErrorKind::Timeout), _) => Trouble::Silent,
        (Some(_), _) => Trouble::Unreachable,
        (None, object_store::Error::PermissionDenied { .. }) => Trouble::Denied,
        (None, object_store::Error::Unauthenticated { .. }) => Trouble::BadCredentials,
        (None, _) if text.contains("redirect") => Trouble::WrongRegion,
        (None, _) => Trouble::Other,
    }
}

/// The error code in an answer of S3.
fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    Some(rest.split_once("</Code>")?.0)
}

fn of_code(code: &str) -> Option<Trouble> {
    Some(match code {
        "NoSuchBucket" => Trouble::NoBucket,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => Trouble::Denied,
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken" => {
            Trouble::BadCredentials
        }
        "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => Trouble::WrongRegion,
        "RequestTimeTooSkewed" => Trouble::ClockSkew,
        "XMinioStorageFull" | "QuotaExceeded" => Trouble::Full,
        _ => return None,
    })
}

/// How the connection failed, if it was that.
fn http(error: &object_store::Error) -> Option<HttpErrorKind> {
    let mut cause = error.source();
    while let Some(deeper) = cause {
        if let Some(http) = deeper.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        cause = deeper.source();
    }
    None
}
