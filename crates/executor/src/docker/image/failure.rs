//! Why a pull failed, and whose fault it is.

use bollard::errors::Error;

use super::auth::Login;
use super::reference::Reference;
use crate::docker::answer::{is_full, told};
use crate::{ExecutorError, Fault};

/// Why a pull failed. All that wait for the same pull get a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub kind: Kind,
    pub message: String,
}

/// What can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The job's author must change something.
    User,
    /// The Engine's disk is full.
    DiskFull,
    /// It may work the next time.
    Passing,
}

impl Failure {
    /// Sorts what the Engine said.
    pub fn of(reference: &Reference, login: Option<&Login>, error: &Error) -> Self {
        let (status, said) = match error {
            Error::DockerResponseServerError {
                status_code,
                message,
            } => (Some(*status_code), message.clone()),
            Error::DockerStreamError { error } => (None, error.clone()),
            other => (None, told(other)),
        };
        let said = login.map_or_else(|| said.clone(), |login| login.redact(&said));
        let (kind, advice) = sort(status, &said);
        let advice = advice.map(|it| format!("\n{it}")).unwrap_or_default();
        Self {
            kind,
            message: format!("cannot pull {reference}: {said}{advice}"),
        }
    }
}

impl From<Failure> for ExecutorError {
    fn from(failure: Failure) -> Self {
        Self {
            fault: match failure.kind {
                Kind::User => Fault::User,
                Kind::DiskFull | Kind::Passing => Fault::Infrastructure,
            },
            message: failure.message,
            source: None,
        }
    }
}

const LOG_IN: &str = "check the name, and the `auth` of the image: registries also say this of \
                      images that the user may not see";

/// Engines put the registry's answer into texts, with statuses that say little.
fn sort(status: Option<u16>, said: &str) -> (Kind, Option<&'static str>) {
    let said = said.to_ascii_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    if is_full(&said) {
        return (
            Kind::DiskFull,
            Some("the Engine's disk is full: free some space there"),
        );
    }
    if says(&["toomanyrequests", "too many requests"]) {
        return (
            Kind::Passing,
            Some("the registry limits how often it is asked: log in with `auth`, or wait"),
        );
    }
    if says(&[
        "no matching manifest",
        "does not match the specified platform",
    ]) {
        return (
            Kind::User,
            Some("there is no such image for the Engine's processor: choose another one"),
        );
    }
    if says(&["manifest unknown", "manifest for ", "name unknown"]) {
        return (
            Kind::User,
            Some("check the name and the tag or digest of the image"),
        );
    }
    let refused = [
        "unauthorized",
        "denied",
        "no basic auth",
        "incorrect username",
        "authentication required",
    ];
    if says(&refused) || matches!(status, Some(401 | 403 | 404)) {
        return (Kind::User, Some(LOG_IN));
    }
    if says(&["server gave http response to https client", "x509:"]) {
        return (
            Kind::Passing,
            Some(
                "the Engine does not trust the registry: see `certs.d`, and `insecure-registries` of \
                 Docker or `insecure` in Podman's registries.conf",
            ),
        );
    }
    match status {
        Some(400) => (Kind::User, None),
        _ => (Kind::Passing, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, sort};

    #[test]
    fn faults_are_told_apart() {
        let kind = |status, said| sort(status, said).0;
        assert_eq!(
            kind(Some(500), "Get https://a/v2/: no basic auth credentials"),
            Kind::User
        );
        assert_eq!(
            kind(Some(404), "manifest for a:b not found: manifest unknown"),
            Kind::User
        );
        assert_eq!(kind(Some(404), "pull access denied for a"), Kind::User);
        assert_eq!(
            kind(None, "write /x: no space left on device"),
            Kind::DiskFull
        );
        assert_eq!(
            kind(Some(500), "dial tcp: lookup a: no such host"),
            Kind::Passing
        );
        assert_eq!(
            kind(Some(500), "dial tcp 127.0.0.1:1: connection refused"),
            Kind::Passing
        );
        assert_eq!(
            kind(None, "received unexpected HTTP status: 502 Bad Gateway"),
            Kind::Passing
        );
        assert_eq!(
            kind(Some(500), "toomanyrequests: You have reached"),
            Kind::Passing
        );
    }
}
