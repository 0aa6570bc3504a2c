//! Where the orbs of a config come from, for all commands that compile one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use outrider_api::pipelines::OrbSource;
use outrider_config::{Options, Orbs, SourceFile};
use outrider_model::ClassName;
use outrider_model::secret::Token;
use outrider_orbs::{
    DEFAULT_REGISTRY, InvalidSettings, Network, ResolveError, Resolver, Settings, UrlPrefix,
};

use crate::failure::{Failure, code};
use crate::show::hint;

/// Where orbs come from.
#[derive(Args)]
#[command(next_help_heading = "Orbs")]
pub struct OrbArgs {
    /// A folder of orbs, asked before all others; repeat it for more. It holds
    /// NAMESPACE/ORB/1.2.3.yml, or NAMESPACE/ORB.yml for every version.
    #[arg(long = "orbs", value_name = "DIR")]
    orb_directories: Vec<PathBuf>,
    /// Allow orbs that a config names by a URL, below this one; repeat it for more.
    #[arg(
        long = "orb-url-prefix",
        env = "OUTRIDER_ORB_URL_PREFIXES",
        value_delimiter = ',',
        value_name = "URL"
    )]
    orb_url_prefixes: Vec<UrlPrefix>,
    /// The registry of orbs.
    #[arg(
        long,
        env = "OUTRIDER_ORB_REGISTRY",
        default_value = DEFAULT_REGISTRY,
        value_name = "URL"
    )]
    orb_registry: String,
    /// A file that holds a token of the registry, for orbs that are not public.
    #[arg(long, env = "OUTRIDER_ORB_TOKEN_FILE", value_name = "FILE")]
    orb_token_file: Option<PathBuf>,
    /// A PEM file with certificates to trust for orbs, besides the system's.
    #[arg(long, env = "OUTRIDER_ORB_CA_FILE", value_name = "FILE")]
    orb_ca_file: Option<PathBuf>,
    /// Ask nobody over the network for orbs.
    #[arg(long, env = "OUTRIDER_OFFLINE")]
    offline: bool,
    /// Choose the versions of orbs anew, and accept what they hold now.
    #[arg(long)]
    update_orbs: bool,
}

impl OrbArgs {
    /// Gets the orbs that a config needs. The lock file lies beside the config; one that is no file
    /// has none. An orb that cannot be had is told of here, and by the compiler at its place.
    pub async fn resolve(
        &self,
        source: &SourceFile,
        config: Option<&Path>,
    ) -> Result<Orbs, Failure> {
        let options = Options::new(any_class()?);
        let missing = |orbs: &Orbs| {
            let orbs = orbs.clone();
            let options = Options {
                orbs,
                ..options.clone()
            };
            outrider_config::missing_orbs(source, &options)
        };
        // Most configs need none: then the settings may be what they are.
        if missing(&Orbs::new()).is_empty() {
            return Ok(Orbs::new());
        }
        let lock = config.map(|path| path.with_file_name("orbs.lock"));
        let resolver = Resolver::new(&self.settings()?)?;
        let resolution = resolver.resolve(lock.as_deref(), missing).await?;
        for warning in &resolution.warnings {
            hint!("warning: {warning}");
        }
        for unresolved in &resolution.unresolved {
            hint!("{unresolved}\n  {}", unresolved.advice());
        }
        Ok(resolution.orbs)
    }

    fn settings(&self) -> Result<Settings, Failure> {
        if let Some(path) = self.orb_directories.iter().find(|path| !path.is_dir()) {
            let message = format!("{} is not a folder", path.display());
            return Err(Failure::new(code::NOT_FOUND, message)
                .advise("--orbs names a folder that holds orbs."));
        }
        let token = self.orb_token_file.as_ref().map(|path| token(path));
        let certificates = self.orb_ca_file.as_ref().map(|path| read(path));
        Ok(Settings {
            directories: self.orb_directories.clone(),
            cache: crate::paths::orb_cache(),
            url_prefixes: self.orb_url_prefixes.clone(),
            registry: self.orb_registry.clone(),
            token: token.transpose()?,
            offline: self.offline,
            update: self.update_orbs,
            network: Network {
                ca_certificates: certificates.transpose()?,
                ..Network::default()
            },
            ..Settings::default()
        })
    }
}

/// Orbs as a request carries them.
pub fn on_the_wire(orbs: &Orbs) -> BTreeMap<String, OrbSource> {
    let sent = orbs.iter().map(|(reference, orb)| {
        let source = OrbSource {
            name: orb.name.clone(),
            text: orb.text.clone(),
        };
        (reference.to_string(), source)
    });
    sent.collect()
}

/// What a config needs does not depend on where its jobs run.
fn any_class() -> Result<ClassName, Failure> {
    "outrider/any"
        .parse()
        .map_err(|error: outrider_model::InvalidClassName| Failure::internal("name a class", error))
}

fn token(path: &Path) -> Result<Token, Failure> {
    let text = String::from_utf8(read(path)?).unwrap_or_default();
    if text.trim().is_empty() {
        let message = format!("{} does not hold a token", path.display());
        return Err(Failure::new(code::BAD_SETTINGS, message)
            .advise("Write the registry's token into it, as one line of text."));
    }
    Ok(Token::presented(text.trim()))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        Failure::new(code::NOT_FOUND, message).advise("Check the settings for orbs.")
    })
}

impl From<InvalidSettings> for Failure {
    fn from(error: InvalidSettings) -> Self {
        Self::new(code::BAD_SETTINGS, error).advise("Check the settings for orbs.")
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        let text = error.to_string();
        let (message, advice) = text.split_once('\n').unwrap_or((&text, ""));
        Self::new(code::INVALID_CONFIG, message).advise(advice)
    }
}
