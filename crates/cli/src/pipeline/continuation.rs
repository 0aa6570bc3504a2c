//! `outrider pipeline continue`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use outrider_api::client::{Client, ClientSettings};
use outrider_api::continuation::{ContinuePipeline, Message};
use outrider_config::SourceFile;
use outrider_model::secret::{ContinuationKey, Token};
use serde_json::Value;

use crate::args::key_value;
use crate::connection::read_certificates;
use crate::failure::{Failure, code};
use crate::orbs::{OrbArgs, on_the_wire};

/// With what to go on.
#[derive(Args)]
pub struct ContinueArgs {
    /// The config.
    #[arg(value_name = "FILE")]
    config: PathBuf,
    /// A pipeline parameter; repeat it for more. What reads as a boolean or an integer is one.
    #[arg(short, long = "parameter", value_parser = key_value, value_name = "KEY=VALUE")]
    parameter: Vec<(String, String)>,
    /// Pipeline parameters as a JSON object; for example for a string that reads as a number.
    #[arg(long, value_name = "JSON")]
    parameters: Option<String>,
    /// The server's URL; the runner sets it.
    #[arg(
        long,
        help_heading = "Server",
        env = "OUTRIDER_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    url: String,
    /// A PEM file with certificates to trust besides the system's.
    #[arg(
        long,
        help_heading = "Server",
        env = "OUTRIDER_CA_FILE",
        value_name = "FILE"
    )]
    ca_file: Option<PathBuf>,
    /// The key; the runner sets it. Use the environment: others on this host can see arguments.
    #[arg(
        long,
        help_heading = "Server",
        env = "CIRCLE_CONTINUATION_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    key: Option<String>,
    #[command(flatten)]
    orbs: OrbArgs,
}

impl ContinueArgs {
    /// Sends it.
    pub async fn run(self) -> Result<Message, Failure> {
        let key = self.key.as_deref().filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| {
            Failure::new(code::NOT_ALLOWED, "there is no continuation key").advise(
                "Only jobs of a config with `setup: true` have one, in CIRCLE_CONTINUATION_KEY: \
                 call this in a step of such a job.",
            )
        })?;
        let name = self.config.display().to_string();
        let source = SourceFile::new(name, crate::run::read_config(&self.config)?);
        let orbs = self.orbs.resolve(&source, Some(&self.config)).await?;
        let request = ContinuePipeline {
            continuation_key: ContinuationKey::presented(key),
            configuration: source.text,
            parameters: self.parameters()?,
            orbs: on_the_wire(&orbs),
        };
        let certificates = self.ca_file.as_deref().map(read_certificates).transpose()?;
        let client = Client::new(&ClientSettings {
            url: self.url.clone(),
            // The server asks for no token here: the key is in the body.
            token: Token::presented("none"),
            ca_certificates: certificates,
        })?;
        Ok(client.continue_pipeline(&request).await?)
    }

    fn parameters(&self) -> Result<BTreeMap<String, Value>, Failure> {
        let wrong = |problem: &dyn std::fmt::Display| {
            let message = format!("--parameters is not a JSON object: {problem}");
            Failure::new(code::BAD_SETTINGS, message)
                .advise("Write for example --parameters '{\"deploy\": true}'.")
        };
        let mut parameters: BTreeMap<String, Value> = match &self.parameters {
            Some(text) => serde_json::from_str(text).map_err(|error| wrong(&error))?,
            None => BTreeMap::new(),
        };
        let named = self.parameter.iter();
        parameters.extend(named.map(|(name, value)| (name.clone(), typed(value))));
        Ok(parameters)
    }
}

/// A value of the type that it reads as.
fn typed(text: &str) -> Value {
    let number = || text.parse::<i64>().map(Value::from);
    let boolean = text.parse::<bool>().map(Value::from);
    boolean
        .or_else(|_| number())
        .unwrap_or_else(|_| Value::from(text))
}
