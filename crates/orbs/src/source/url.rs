//! Orbs that a config names by where they lie.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use outrider_config::OrbReference;
use reqwest::Url;
use reqwest::header::LOCATION;

use super::{Found, Kind, Miss, Source, Wanted};
use crate::files;
use crate::http::{self, Network};
use crate::settings::InvalidSettings;

/// How often an answer may lead elsewhere.
const REDIRECTS: usize = 5;

/// The start of URLs that orbs may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPrefix(Url);

impl UrlPrefix {
    /// Whether a URL is this one or lies below it.
    fn allows(&self, url: &Url) -> bool {
        let below = url
            .path()
            .strip_prefix(self.0.path())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.is_folder());
        self.0.origin() == url.origin() && below
    }

    fn is_folder(&self) -> bool {
        self.0.path().ends_with('/')
    }
}

impl FromStr for UrlPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = address(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a prefix ends before `?` and `#`".to_owned());
        }
        Ok(Self(url))
    }
}

impl fmt::Display for UrlPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A URL that may be asked at all, if a prefix allows it.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("it is no URL: {error}"))?;
    if url.scheme() != "https" {
        return Err("an orb is fetched over https only".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no credentials are sent: take them out of the URL".to_owned());
    }
    // A server may read these as the parts of a path that they stand for.
    let path = url.path().to_ascii_lowercase();
    if ["%2e", "%2f", "%5c"].iter().any(|code| path.contains(code)) {
        return Err("its path has an encoded dot or slash: write it as it is".to_owned());
    }
    Ok(url)
}

/// Fetches orbs from URLs that are allowed.
#[derive(Clone, Debug)]
pub struct UrlOrbs {
    client: reqwest::Client,
    allowed: Vec<UrlPrefix>,
}

impl UrlOrbs {
    /// Fetches from below these prefixes.
    ///
    /// # Errors
    ///
    /// The certificates cannot be used.
    pub fn new(allowed: Vec<UrlPrefix>, network: &Network) -> Result<Self, InvalidSettings> {
        let client = http::client(network, allowed.iter().map(|prefix| &prefix.0))?;
        Ok(Self { client, allowed })
    }

    fn check(&self, text: &str) -> Result<Url, Miss> {
        let url =
            address(text).map_err(|problem| Miss::Unusable(format!("is not asked: {problem}")))?;
        if self.allowed.iter().any(|prefix| prefix.allows(&url)) {
            return Ok(url);
        }
        let text = http::printable(text);
        Err(Miss::Absent(format!(
            "is not asked: no prefix allows {text}"
        )))
    }

    async fn fetch(&self, start: &str) -> Result<String, Miss> {
        let mut url = self.check(start)?;
        for _ in 0..=REDIRECTS {
            let response = http::send(self.client.get(url.clone()))
                .await
                .map_err(Miss::Absent)?;
            let status = response.status();
            if status.is_success() {
                let body = http::body(response, files::LARGEST).await;
                let text = body.map_err(Miss::Unusable)?;
                return files::text(text)
                    .map_err(|problem| Miss::Unusable(format!("sent what {problem}")));
            }
            let next = response
                .headers()
                .get(LOCATION)
                .filter(|_| status.is_redirection())
                .and_then(|location| url.join(location.to_str().ok()?).ok())
                .ok_or_else(|| Miss::Absent(format!("answered HTTP {status}")))?;
            url = self.check(next.as_str())?;
        }
        let problem = format!("leads on more than {REDIRECTS} times");
        Err(Miss::Unusable(problem))
    }
}

#[async_trait]
impl Source for UrlOrbs {
    fn name(&self) -> String {
        "its URL".to_owned()
    }

    async fn find(&self, wanted: &Wanted) -> Result<Found, Miss> {
        let OrbReference::Url(url) = &wanted.reference else {
            return Err(Miss::Absent("is not asked: it has a version".to_owned()));
        };
        Ok(Found {
            name: None,
            text: self.fetch(url).await?,
            resolved: Some(wanted.reference.clone()),
        })
    }

    fn kind(&self) -> Kind {
        Kind::Remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(prefix: &str, url: &str) -> bool {
        let prefix: UrlPrefix = prefix.parse().unwrap();
        address(url).is_ok_and(|url| prefix.allows(&url))
    }

    #[test]
    fn a_prefix_ends_where_a_part_of_the_path_ends() {
        for url in [
            "https://a.test/orbs",
            "https://a.test/orbs/x.yml",
            "https://A.test:443/orbs/x.yml?v=1",
        ] {
            assert!(allows("https://a.test/orbs", url), "{url}");
        }
        assert!(allows("https://a.test", "https://a.test/x.yml"));
        assert!(allows("https://a.test/orbs/", "https://a.test/orbs/x.yml"));
        for url in [
            "https://a.test/orbs-of-others/x.yml",
            "https://a.test.evil.test/orbs/x.yml",
            "https://a.test:8443/orbs/x.yml",
            "https://a.test/orbs/../x.yml",
            "https://a.test/orbs/%2e%2e/x.yml",
            "https://a.test/orbs/..%2fx.yml",
            "https://me:secret@a.test/orbs/x.yml",
            "http://a.test/orbs/x.yml",
        ] {
            assert!(!allows("https://a.test/orbs", url), "{url}");
        }
    }

    #[test]
    fn a_prefix_is_a_whole_https_url() {
        for text in [
            "a.test",
            "http://a.test",
            "https://a.test/?x",
            "https://a@a.test",
            "https://",
        ] {
            assert!(text.parse::<UrlPrefix>().is_err(), "{text}");
        }
    }
}
