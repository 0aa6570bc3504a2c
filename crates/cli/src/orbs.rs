//! Where the orbs of a config come from, for all commands that compile one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::Args;
use outrider_api::ErrorCode;
use outrider_api::pipelines::OrbSource as SentOrb;
use outrider_config::{Options, OrbReference, Orbs, SourceFile};
use outrider_model::ClassName;
use outrider_model::secret::Token;
use outrider_orbs::{
    DEFAULT_REGISTRY, InvalidSettings, Network, Resolution, ResolveError, Resolver, Settings,
    UrlPrefix,
};
use outrider_server::{ApiError, OrbSource};

use crate::failure::{Failure, code};
use crate::show::hint;

/// Where orbs come from.
#[derive(Args, Clone)]
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
        let resolution = self.look(source, &Orbs::new(), config).await?;
        for warning in &resolution.warnings {
            hint!("warning: {warning}");
        }
        for unresolved in &resolution.unresolved {
            hint!("{unresolved}\n  {}", unresolved.advice());
        }
        Ok(resolution.orbs)
    }

    /// Looks for the orbs that a config needs besides those that are given.
    async fn look(
        &self,
        source: &SourceFile,
        given: &Orbs,
        config: Option<&Path>,
    ) -> Result<Resolution, Failure> {
        let missing = missing(source, given)?;
        // Most configs need none: then the settings may be what they are.
        if missing(&Orbs::new()).is_empty() {
            return Ok(Resolution::default());
        }
        let lock = config.map(|path| path.with_file_name("orbs.lock"));
        let resolver = Resolver::new(&self.settings()?)?;
        Ok(resolver.resolve(lock.as_deref(), missing).await?)
    }

    fn settings(&self) -> Result<Settings, Failure> {
        check_folders(&self.orb_directories)?;
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

fn check_folders(directories: &[PathBuf]) -> Result<(), Failure> {
    match directories.iter().find(|path| !path.is_dir()) {
        None => Ok(()),
        Some(path) => {
            let message = format!("{} is not a folder", path.display());
            Err(Failure::new(code::NOT_FOUND, message)
                .advise("--orbs names a folder that holds orbs."))
        }
    }
}

/// The orbs that a server has without asking anybody: those of its folders, and those in the
/// program.
#[derive(Default)]
pub struct ServerOrbs {
    directories: Vec<PathBuf>,
}

impl ServerOrbs {
    /// The orbs of these folders.
    pub fn new(directories: &[PathBuf]) -> Result<Self, Failure> {
        check_folders(directories)?;
        Ok(Self {
            directories: directories.to_vec(),
        })
    }
}

#[async_trait]
impl OrbSource for ServerOrbs {
    async fn find(&self, config: &SourceFile, given: &Orbs) -> Result<Orbs, ApiError> {
        let missing = missing(config, given)?;
        let resolution = Resolver::of_folders(&self.directories)
            .resolve(None, missing)
            .await;
        Ok(resolution.map_err(Failure::from)?.orbs)
    }
}

/// The orbs of the server in `outrider run`: it gets those of a continuation from where the run
/// gets orbs, and holds them by the same lock file.
pub struct RunOrbs {
    args: OrbArgs,
    config: PathBuf,
}

impl RunOrbs {
    /// The orbs of a run of a config. What was chosen anew for the config itself stays chosen.
    pub fn new(args: &OrbArgs, config: PathBuf) -> Self {
        let args = OrbArgs {
            update_orbs: false,
            ..args.clone()
        };
        Self { args, config }
    }
}

#[async_trait]
impl OrbSource for RunOrbs {
    async fn find(&self, config: &SourceFile, given: &Orbs) -> Result<Orbs, ApiError> {
        let resolution = self.args.look(config, given, Some(&self.config)).await?;
        // Nobody else would have it: this says what was tried.
        match resolution.unresolved.first() {
            None => Ok(resolution.orbs),
            Some(unresolved) => Err(ApiError::new(
                ErrorCode::InvalidConfig,
                format!("{unresolved}\n  {}", unresolved.advice()),
            )),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::new(ErrorCode::InvalidConfig, failure.text())
    }
}

/// Which orbs a config needs besides those that are given and those that were found.
fn missing<'a>(
    source: &'a SourceFile,
    given: &'a Orbs,
) -> Result<impl Fn(&Orbs) -> Vec<OrbReference> + use<'a>, Failure> {
    let options = Options::new(any_class()?);
    Ok(move |found: &Orbs| {
        let given = given.iter().chain(found);
        let orbs = given.map(|(reference, orb)| (reference.clone(), orb.clone()));
        let options = Options {
            orbs: orbs.collect(),
            ..options.clone()
        };
        outrider_config::missing_orbs(source, &options)
    })
}

/// Orbs as a request carries them.
pub fn on_the_wire(orbs: &Orbs) -> BTreeMap<String, SentOrb> {
    let sent = orbs.iter().map(|(reference, orb)| {
        let source = SentOrb {
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
