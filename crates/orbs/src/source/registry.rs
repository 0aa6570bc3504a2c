//! The registry of orbs, asked as CircleCI's own tools ask it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use async_trait::async_trait;
use outrider_config::{OrbReference, OrbVersion};
use outrider_model::secret::Token;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

use super::{Found, Kind, Miss, Source, Wanted, parts};
use crate::files;
use crate::http::{self, Network};
use crate::lock::stands_for;
use crate::settings::InvalidSettings;

/// The public registry.
pub const DEFAULT_REGISTRY: &str = "https://circleci.com";

/// Below the registry's host.
const PATH: &str = "/graphql-unstable";

const QUERY: &str = "query($orbVersionRef: String!) \
    { orbVersion(orbVersionRef: $orbVersionRef) { version source } }";

/// The largest answer: an orb whose every byte is escaped.
const LARGEST_ANSWER: u64 = 6 * files::LARGEST + 64 * 1024;

/// Asks a registry.
#[derive(Clone, Debug)]
pub struct Registry {
    client: reqwest::Client,
    url: Url,
    token: Option<HeaderValue>,
    /// Why it did not answer. It is not asked again, so that many orbs wait no longer than one.
    away: OnceLock<String>,
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    #[serde(default)]
    errors: Vec<Complaint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    orb_version: Option<Release>,
}

#[derive(Deserialize)]
struct Release {
    version: String,
    source: String,
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

impl Registry {
    /// Asks the registry at this URL. The token is for orbs that are not public; it goes nowhere
    /// else.
    ///
    /// # Errors
    ///
    /// The URL is none that may be asked, or token or certificates cannot be used.
    pub fn new(
        url: &str,
        token: Option<&Token>,
        network: &Network,
    ) -> Result<Self, InvalidSettings> {
        let url = Url::parse(url)
            .map_err(|error| InvalidSettings(format!("the registry {url} is no URL: {error}")))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && http::is_loopback(&url)) {
            let problem = format!("the registry {url} is not asked without encryption: use https");
            return Err(InvalidSettings(problem));
        }
        let token = token.map(header).transpose()?;
        Ok(Self {
            client: http::client(network, std::iter::once(&url))?,
            url,
            token,
            away: OnceLock::new(),
        })
    }

    /// The folder of this registry in a cache: two registries may have different orbs of one name.
    /// No namespace has such a name.
    pub(crate) fn cache_folder(&self, root: &Path) -> PathBuf {
        if self.url.as_str().trim_end_matches('/') == DEFAULT_REGISTRY {
            return root.to_owned();
        }
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!("_{port}"));
        root.join(format!("@{host}{}", port.unwrap_or_default()))
    }

    async fn ask(&self, reference: &OrbReference) -> Result<Answer, Miss> {
        let url = format!("{}{PATH}", self.url.as_str().trim_end_matches('/'));
        let body = serde_json::json!({
            "query": QUERY,
            "variables": { "orbVersionRef": reference.to_string() },
        });
        let mut request = self.client.post(url).json(&body);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if let Some(reason) = self.away.get() {
            return Err(Miss::Absent(reason.clone()));
        }
        let response = http::send(request)
            .await
            .map_err(|reason| Miss::Absent(self.away.get_or_init(|| reason).clone()))?;
        let status = response.status();
        if !status.is_success() {
            return Err(Miss::Absent(format!("answered HTTP {status}")));
        }
        let body = http::body(response, LARGEST_ANSWER)
            .await
            .map_err(Miss::Absent)?;
        serde_json::from_slice(&body).map_err(|error| {
            Miss::Absent(format!(
                "answered what is not a registry's answer: {}",
                http::printable(&error.to_string())
            ))
        })
    }
}

fn header(token: &Token) -> Result<HeaderValue, InvalidSettings> {
    let mut value = HeaderValue::from_str(token.reveal()).map_err(|_| {
        InvalidSettings("the registry's token has characters that no token has".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl Answer {
    /// The orb, if the answer has the one that was asked for.
    fn orb(self, wanted: &OrbReference) -> Result<Found, Miss> {
        let Some(release) = self.data.and_then(|data| data.orb_version) else {
            return Err(Miss::Absent(match self.errors.first() {
                Some(error) => format!("says: {}", http::printable(&error.message)),
                None => format!("has no {wanted} that it shows to you"),
            }));
        };
        let version = http::printable(&release.version);
        let resolved = resolved(wanted, &release.version)
            .ok_or_else(|| Miss::Unusable(format!("answered version {version}, not {wanted}")))?;
        let text = files::text(release.source.into_bytes())
            .map_err(|problem| Miss::Unusable(format!("sent an orb that {problem}")))?;
        Ok(Found {
            name: None,
            resolved: Some(resolved),
            text,
        })
    }
}

/// The version that was answered, if it is one that was asked for.
fn resolved(wanted: &OrbReference, version: &str) -> Option<OrbReference> {
    let (namespace, name, asked) = parts(wanted)?;
    if matches!(asked, OrbVersion::Dev(_)) {
        return Some(wanted.clone());
    }
    let resolved = OrbReference::Registry {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        version: version.parse().ok()?,
    };
    let exact = matches!(version.parse(), Ok(OrbVersion::Exact(..)));
    (exact && stands_for(&resolved, wanted)).then_some(resolved)
}

#[async_trait]
impl Source for Registry {
    fn name(&self) -> String {
        format!("the registry {}", self.url.as_str().trim_end_matches('/'))
    }

    async fn find(&self, wanted: &Wanted) -> Result<Found, Miss> {
        if parts(&wanted.reference).is_none() {
            return Err(Miss::Absent("is not asked: it has no version".to_owned()));
        }
        self.ask(&wanted.reference).await?.orb(&wanted.reference)
    }

    fn kind(&self) -> Kind {
        Kind::Remote
    }
}
