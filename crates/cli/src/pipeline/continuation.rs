//! `outrider pipeline continue` and `finish`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use outrider_api::client::{Client, ClientError, ClientSettings};
use outrider_api::continuation::{ContinuePipeline, Message};
use outrider_config::SourceFile;
use outrider_model::secret::{ContinuationKey, Token};
use serde_json::Value;

use crate::args::key_value;
use crate::connection::read_certificates;
use crate::failure::{Failure, code};
use crate::orbs::{OrbArgs, on_the_wire};

/// What a pipeline goes on with where nothing is left to do.
const NOTHING: &str = "{version: 2, jobs: {}, workflows: {version: 2}}";

/// With what to go on.
#[derive(Args)]
pub struct ContinueArgs {
    /// The config.
    #[arg(value_name = "FILE")]
    config: PathBuf,
    /// A pipeline parameter; repeat it for more. What reads as a boolean or an integer is one.
    #[arg(short, long = "parameter", value_parser = key_value, value_name = "KEY=VALUE")]
    parameter: Vec<(String, String)>,
    /// Pipeline parameters as a JSON object, or a file that holds one.
    #[arg(long, value_name = "JSON|FILE")]
    parameters: Option<String>,
    /// A pipeline parameter that gets the lines of a file, separated by commas; repeat it for more.
    #[arg(long, value_parser = key_value, value_name = "KEY=FILE")]
    list: Vec<(String, String)>,
    #[command(flatten)]
    call: CallArgs,
    #[command(flatten)]
    orbs: OrbArgs,
}

/// How to end a pipeline.
#[derive(Args)]
pub struct FinishArgs {
    #[command(flatten)]
    call: CallArgs,
}

/// Where the pipeline is.
#[derive(Args)]
struct CallArgs {
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
}

impl ContinueArgs {
    /// Sends it.
    pub async fn run(self) -> Result<Message, Failure> {
        let name = self.config.display().to_string();
        let source = SourceFile::new(name, crate::run::read_config(&self.config)?);
        let mut request = ContinuePipeline {
            continuation_key: key()?,
            configuration: source.text.clone(),
            parameters: self.parameters()?,
            orbs: BTreeMap::new(),
        };
        let client = self.call.client()?;
        match client.continue_pipeline(&request).await {
            Err(ClientError::Refused { detail, .. }) if !detail.missing_orbs.is_empty() => {
                let orbs = self.orbs.resolve(&source, lock_folder()).await?;
                request.orbs = on_the_wire(&orbs);
                Ok(client.continue_pipeline(&request).await?)
            }
            answer => Ok(answer?),
        }
    }

    fn parameters(&self) -> Result<BTreeMap<String, Value>, Failure> {
        let mut parameters = match &self.parameters {
            Some(given) => object(given)?,
            None => BTreeMap::new(),
        };
        let named = self.parameter.iter();
        parameters.extend(named.map(|(name, value)| (name.clone(), typed(value))));
        for (name, file) in &self.list {
            let lines: Vec<_> = read(file)?.lines().map(str::to_owned).collect();
            parameters.insert(name.clone(), Value::from(lines.join(",")));
        }
        Ok(parameters)
    }
}

impl FinishArgs {
    /// Sends it.
    pub async fn run(self) -> Result<Message, Failure> {
        let request = ContinuePipeline {
            continuation_key: key()?,
            configuration: NOTHING.to_owned(),
            parameters: BTreeMap::new(),
            orbs: BTreeMap::new(),
        };
        Ok(self.call.client()?.continue_pipeline(&request).await?)
    }
}

impl CallArgs {
    fn client(&self) -> Result<Client, Failure> {
        let certificates = self.ca_file.as_deref().map(read_certificates).transpose()?;
        Ok(Client::new(&ClientSettings {
            url: self.url.clone(),
            // The server asks for no token here: the key is in the body.
            token: Token::presented("none"),
            ca_certificates: certificates,
        })?)
    }
}

/// The key that the runner gave the job. It is no flag: others on the host can see arguments.
fn key() -> Result<ContinuationKey, Failure> {
    let key = std::env::var_os("CIRCLE_CONTINUATION_KEY").unwrap_or_default();
    match key.to_str() {
        Some(key) if !key.is_empty() => Ok(ContinuationKey::presented(key)),
        _ => Err(
            Failure::new(code::NOT_ALLOWED, "there is no continuation key").advise(
                "Only jobs of a config with `setup: true` have one, in CIRCLE_CONTINUATION_KEY: \
                 call this in a step of such a job.",
            ),
        ),
    }
}

/// The project's config, which the lock file lies beside. What the pipeline goes on with may have
/// been made just now, anywhere.
fn lock_folder() -> Option<&'static Path> {
    let config = Path::new(".circleci/config.yml");
    config.is_file().then_some(config)
}

/// A JSON object that is given as it is, or as the name of a file.
fn object(given: &str) -> Result<BTreeMap<String, Value>, Failure> {
    let text = match Path::new(given).is_file() {
        true => read(given)?,
        false => given.to_owned(),
    };
    serde_json::from_str(&text).map_err(|problem| {
        let message = format!("--parameters is not a JSON object: {problem}");
        Failure::new(code::BAD_SETTINGS, message)
            .advise("Write for example --parameters '{\"deploy\": true}', or name a file.")
    })
}

fn read(file: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::new(code::NOT_FOUND, format!("cannot read {file}: {error}"))
            .advise("Name a file of UTF-8 text that an earlier step has written.")
    })
}

/// A value of the type that it reads as.
fn typed(text: &str) -> Value {
    let number = || text.parse::<i64>().map(Value::from);
    let boolean = text.parse::<bool>().map(Value::from);
    boolean
        .or_else(|_| number())
        .unwrap_or_else(|_| Value::from(text))
}
