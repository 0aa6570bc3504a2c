//! How commands find their server.

use std::path::PathBuf;

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
        env = "OUTRIDER_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub url: String,
    /// The token. Prefer the environment: others on this host can see arguments.
    #[arg(
        long,
        env = "OUTRIDER_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<String>,
    /// A file that holds the token.
    #[arg(long, env = "OUTRIDER_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A PEM file with certificates to trust besides the system's.
    #[arg(long, env = "OUTRIDER_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

impl ConnectionArgs {
    /// The client for this server.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.settings()?)?)
    }

    /// How to reach it, and as whom.
    pub fn settings(&self) -> Result<ClientSettings, Failure> {
        let ca_certificates = self.ca_file.as_ref().map(read).transpose()?;
        Ok(ClientSettings {
            url: self.url.clone(),
            token: self.find_token()?,
            ca_certificates,
        })
    }

    fn find_token(&self) -> Result<Token, Failure> {
        if let Some(token) = &self.token {
            return Ok(Token::presented(token.trim()));
        }
        let path = self.token_file.as_ref().ok_or_else(|| {
            Failure::new(code::NOT_ALLOWED, "there is no token").advise(
                "Set OUTRIDER_TOKEN, or name a file with --token-file. A server keeps its admin token \
                 in the file admin-token of its data folder.",
            )
        })?;
        let bytes = read(path)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Failure::new(
                code::BAD_SETTINGS,
                format!("{} does not hold a token", path.display()),
            )
        })?;
        Ok(Token::presented(text.trim()))
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::new(
            code::NOT_FOUND,
            format!("cannot read {}: {error}", path.display()),
        )
    })
}
