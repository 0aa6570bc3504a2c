//! How commands find their server.

use std::path::{Path, PathBuf};

use clap::Args;
use outrider_api::client::{Client, ClientSettings};
use outrider_model::secret::Token;

use crate::failure::{Failure, code};

/// Which server, and as whom.
#[derive(Args, Clone)]
pub struct ConnectionArgs {
    /// The server's URL.
    #[arg(
        long,
        help_heading = "Server",
        env = "OUTRIDER_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub url: String,
    /// The token. Prefer the environment: others on this host can see arguments.
    #[arg(
        long,
        help_heading = "Server",
        env = "OUTRIDER_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<String>,
    /// A file that holds the token.
    #[arg(
        long,
        help_heading = "Server",
        env = "OUTRIDER_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub token_file: Option<PathBuf>,
    /// A PEM file with certificates to trust besides the system's.
    #[arg(
        long,
        help_heading = "Server",
        env = "OUTRIDER_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,
}

impl ConnectionArgs {
    /// The client for this server.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.settings()?)?)
    }

    /// How to reach it, and as whom.
    pub fn settings(&self) -> Result<ClientSettings, Failure> {
        let ca_certificates = self
            .ca_file
            .as_ref()
            .map(|path| read_certificates(path))
            .transpose()?;
        Ok(ClientSettings {
            url: self.url.clone(),
            token: self.find_token()?,
            ca_certificates,
        })
    }

    fn find_token(&self) -> Result<Token, Failure> {
        // An empty variable is what `export OUTRIDER_TOKEN=$(…)` leaves when the command failed.
        let given = self.token.as_deref().map(str::trim);
        if let Some(token) = given.filter(|token| !token.is_empty()) {
            return Ok(Token::presented(token));
        }
        let path = self.token_file.as_ref().ok_or_else(|| {
            Failure::new(code::NOT_ALLOWED, "there is no token").advise(
                "Set OUTRIDER_TOKEN, or name a file with --token-file. A server keeps its admin token \
                 in the file admin-token of its data folder.",
            )
        })?;
        let bytes = read(path, "--token-file names a file that holds a token.")?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        if text.trim().is_empty() {
            let message = format!("{} does not hold a token", path.display());
            return Err(Failure::new(code::BAD_SETTINGS, message)
                .advise("Write the token into it, as one line of text."));
        }
        Ok(Token::presented(text.trim()))
    }
}

/// The certificates that a PEM file holds.
pub fn read_certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    const ADVICE: &str = "--ca-file names certificates in PEM form.";
    let bytes = read(path, ADVICE)?;
    if String::from_utf8_lossy(&bytes).contains("BEGIN CERTIFICATE") {
        return Ok(bytes);
    }
    let message = format!("{} holds no certificate", path.display());
    Err(Failure::new(code::BAD_SETTINGS, message).advise(ADVICE))
}

fn read(path: &Path, advice: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::new(
            code::NOT_FOUND,
            format!("cannot read {}: {error}", path.display()),
        )
        .advise(advice)
    })
}
