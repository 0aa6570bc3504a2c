//! HTTP for strangers: bounded in time and size, and without credentials of its own.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, Url, redirect};

use crate::settings::InvalidSettings;

/// How the network is used.
#[derive(Clone, Debug)]
pub struct Network {
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long an answer may take as a whole.
    pub timeout: Duration,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_certificates: Option<Vec<u8>>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(20),
            ca_certificates: None,
        }
    }
}

/// A client for these hosts. It follows no redirects: whoever calls decides where they may lead.
pub fn client<'a>(
    network: &Network,
    mut hosts: impl Iterator<Item = &'a Url>,
) -> Result<reqwest::Client, InvalidSettings> {
    outrider_api::client::use_ring();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("outrider/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .http1_only()
        .connect_timeout(network.connect_timeout)
        .timeout(network.timeout);
    if hosts.all(is_loopback) {
        builder = builder.no_proxy();
    }
    if let Some(pem) = &network.ca_certificates {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)
            .map_err(|error| InvalidSettings(format!("the CA file cannot be read: {error}")))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder
        .build()
        .map_err(|error| InvalidSettings(format!("no HTTP client: {}", reason(&error))))
}

/// Whether a URL leads to this host only.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = |address: IpAddr| address.is_loopback();
    host == "localhost" || address.parse().is_ok_and(loopback)
}

/// Sends a request. An error is a fragment.
pub async fn send(request: RequestBuilder) -> Result<Response, String> {
    request.send().await.map_err(|error| reason(&error))
}

/// The body of an answer, up to a limit.
pub async fn body(mut response: Response, limit: u64) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > limit {
            return Err(format!("sent more than {limit} bytes"));
        }
    }
    Ok(body)
}

/// Why there was no answer.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => "did not take the connection in time".to_owned(),
        (true, false) => "did not answer in time".to_owned(),
        (false, true) => format!("cannot be reached: {cause}"),
        (false, false) => format!("broke off: {cause}"),
    }
}

/// What a stranger says, safe for a terminal and of a length that people read.
pub fn printable(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(200).map(plain).collect()
}
