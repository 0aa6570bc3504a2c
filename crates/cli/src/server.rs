//! `outrider server`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use outrider_blobs::{Blobs, Location, Patience};
use outrider_model::secret::Token;
use outrider_model::{ClassName, Random};
use outrider_server::{DataSettings, Parts, Server, ServerSettings, Timings, TlsFiles, Webhook};
use outrider_service::{OsRandom, Shutdown, SystemClock, Tasks, crash};
use outrider_store::Store;
use outrider_store::sqlite::{SqliteOptions, SqliteStore};

use crate::args::{bytes, duration};
use crate::docker_args::DockerArgs;
use crate::failure::{Failure, code};
use crate::local_runner::{self, LocalRunner};
use crate::orbs::ServerOrbs;
use crate::paths;
use crate::secret_key::SecretKeyArgs;
use crate::show::{self, say};

/// How to serve.
#[derive(Args)]
pub struct ServerArgs {
    /// Where to listen. Other than loopback only with TLS.
    #[arg(
        long,
        env = "OUTRIDER_LISTEN",
        default_value = "127.0.0.1:8080",
        value_parser = address,
        value_name = "ADDR"
    )]
    listen: SocketAddr,
    /// The folder of all data [default: ~/.local/share/outrider/server].
    #[arg(long, env = "OUTRIDER_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the bytes of caches, workspaces, artifacts and test results lie: a folder, or
    /// s3://BUCKET/PREFIX [default: the folder blobs of the data].
    #[arg(long, env = "OUTRIDER_BLOBS", value_name = "LOCATION")]
    blobs: Option<Location>,
    #[command(flatten)]
    data_limits: DataArgs,
    /// The certificate chain (PEM), to speak TLS.
    #[arg(
        long,
        env = "OUTRIDER_TLS_CERT",
        requires = "tls_key",
        value_name = "FILE"
    )]
    tls_cert: Option<PathBuf>,
    /// The private key (PEM).
    #[arg(
        long,
        env = "OUTRIDER_TLS_KEY",
        requires = "tls_cert",
        value_name = "FILE"
    )]
    tls_key: Option<PathBuf>,
    /// A proxy in front of this server speaks TLS: listen to others without.
    #[arg(long, env = "OUTRIDER_BEHIND_TLS_PROXY")]
    behind_tls_proxy: bool,
    /// Run a runner in this process too, for the default class.
    #[arg(long, env = "OUTRIDER_WITH_RUNNER")]
    with_runner: bool,
    /// How many tasks that runner runs at once.
    #[arg(long, env = "OUTRIDER_SLOTS", default_value_t = 2, value_name = "N")]
    slots: usize,
    /// Where jobs are queued that name no class, or one without a namespace such as `medium`.
    #[arg(
        long,
        env = "OUTRIDER_DEFAULT_CLASS",
        default_value = "outrider/default",
        value_name = "CLASS"
    )]
    default_class: ClassName,
    /// A folder of orbs for configs that come without them; repeat it for more. It holds
    /// NAMESPACE/ORB/1.2.3.yml, or NAMESPACE/ORB.yml for every version.
    #[arg(long, env = "OUTRIDER_ORBS", value_delimiter = ',', value_name = "DIR")]
    orbs: Vec<PathBuf>,
    #[command(flatten)]
    secret_key: SecretKeyArgs,
    /// Gets a POST when a job or a pipeline ends.
    #[arg(long, env = "OUTRIDER_WEBHOOK_URL", value_name = "URL")]
    webhook_url: Option<String>,
    /// A file with the secret that signs these.
    #[arg(
        long,
        env = "OUTRIDER_WEBHOOK_SECRET_FILE",
        requires = "webhook_url",
        value_name = "FILE"
    )]
    webhook_secret_file: Option<PathBuf>,
    /// How long a runner may stay silent between its claim and its first step.
    #[arg(long, env = "OUTRIDER_CLAIM_LEASE", default_value = "20s", value_parser = duration)]
    claim_lease: Duration,
    /// How long a runner may stay silent while steps run.
    #[arg(long, env = "OUTRIDER_RUNNING_LEASE", default_value = "5m", value_parser = duration)]
    running_lease: Duration,
    /// For how long after a start no lease ends, so that runners can renew first.
    #[arg(long, env = "OUTRIDER_STARTUP_GRACE", default_value = "60s", value_parser = duration)]
    startup_grace: Duration,
    #[command(flatten)]
    docker: DockerArgs,
    /// Kill this process at a crash point: for tests of what survives.
    #[arg(long, env = "OUTRIDER_CRASH_AT", hide = true)]
    crash_at: Option<String>,
}

/// How long data of jobs is kept, and how much of it.
#[derive(Args)]
struct DataArgs {
    /// How many days caches and workspaces are kept.
    #[arg(
        long,
        env = "OUTRIDER_CACHE_DAYS",
        default_value_t = 15,
        value_name = "DAYS"
    )]
    cache_days: u32,
    /// How many days artifacts and test results are kept.
    #[arg(
        long,
        env = "OUTRIDER_ARTIFACT_DAYS",
        default_value_t = 30,
        value_name = "DAYS"
    )]
    artifact_days: u32,
    /// How much a project may keep before its least used caches go, for example 50GiB [default:
    /// any].
    #[arg(long, env = "OUTRIDER_DATA_QUOTA", value_parser = bytes, value_name = "SIZE")]
    data_quota: Option<u64>,
    /// How much stays free on the disk of the blobs: the least used caches go for it [default: 5 %
    /// of the disk, at least 1GiB].
    #[arg(long, env = "OUTRIDER_MIN_FREE_SPACE", value_parser = bytes, value_name = "SIZE")]
    min_free_space: Option<u64>,
}

impl DataArgs {
    fn settings(&self) -> DataSettings {
        let days = |days: u32| Duration::from_secs(u64::from(days) * 24 * 3_600);
        DataSettings {
            cache_retention: days(self.cache_days),
            workspace_retention: days(self.cache_days),
            artifact_retention: days(self.artifact_days),
            results_retention: days(self.artifact_days),
            project_quota: self.data_quota,
            min_free_space: self.min_free_space,
        }
    }
}

/// Serves until it is told to end.
pub async fn run(args: ServerArgs) -> Result<ExitCode, Failure> {
    let orbs = Arc::new(ServerOrbs::new(&args.orbs)?);
    let data = args.data.clone().map_or_else(paths::server_data, Ok)?;
    paths::private_directory(&data)?;
    let shutdown = Shutdown::new();
    let random: Arc<dyn Random> = Arc::new(OsRandom::new());
    let crash = args.crash_at.as_deref().map(crash::hook);
    let store = open_store(&data, &random, crash.clone())?;
    let keyring = args.secret_key.keyring(&data, random.as_ref())?;
    let blobs = args.blobs.clone();
    let location = blobs.unwrap_or_else(|| Location::Folder(data.join("blobs")));
    let blobs = open_blobs(&location)?;
    blobs.check(random.as_ref()).await?;
    let parts = Parts {
        orbs,
        store,
        blobs,
        clock: Arc::new(SystemClock),
        random: Arc::clone(&random),
        keyring,
        crash,
    };
    let mut server = Server::bind(parts, args.settings(&data)?, shutdown.clone()).await?;
    let (admin, is_new) = admin_token(&data, random.as_ref())?;
    server.core().adopt_admin_token(&admin).await?;
    server.core().log_sealing_keys().await?;
    announce(&server, &data, is_new.then_some(&admin));

    let tasks = Tasks::new();
    let signals = shutdown.clone();
    tasks.spawn(async move { signals.listen_to_signals().await });
    let runner = match args.with_runner {
        true => Some(
            args.start_runner(&mut server, &data, shutdown.child())
                .await?,
        ),
        false => None,
    };
    server.run().await;
    if let Some(runner) = runner {
        runner.ended().await?;
    }
    Ok(ExitCode::SUCCESS)
}

impl ServerArgs {
    fn settings(&self, data: &Path) -> Result<ServerSettings, Failure> {
        let tls = self.tls_cert.clone().zip(self.tls_key.clone());
        let secret = self
            .webhook_secret_file
            .as_ref()
            .map(|path| read_secret(path))
            .transpose()?;
        Ok(ServerSettings {
            listen: self.listen,
            log_directory: data.join("logs"),
            tls: tls.map(|(certificates, key)| TlsFiles { certificates, key }),
            behind_tls_proxy: self.behind_tls_proxy,
            timings: Timings {
                claim_lease: self.claim_lease,
                running_lease: self.running_lease,
                startup_grace: self.startup_grace,
                ..Timings::default()
            },
            default_class: self.default_class.clone(),
            every_job_in: None,
            contexts_must_exist: true,
            webhook: self.webhook_url.clone().map(|url| Webhook { url, secret }),
            data: self.data_limits.settings(),
        })
    }

    async fn start_runner(
        &self,
        server: &mut Server,
        data: &Path,
        shutdown: Shutdown,
    ) -> Result<LocalRunner, Failure> {
        let url = server.url_on_this_host().await?;
        let token = local_runner::class_token(server.core(), &self.default_class).await?;
        let settings = local_runner::Settings {
            slots: self.slots,
            docker: self.docker.clone(),
            ..local_runner::Settings::new("local", data.join("runner"), url, token)
        };
        let runner = local_runner::start(settings, shutdown)?;
        say!(
            "A runner in this process takes {} of the class {}.",
            show::tasks_at_once(self.slots),
            self.default_class
        );
        Ok(runner)
    }
}

/// An address to listen on. Names are not resolved: what they mean may change.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an IP address and a port, for example 127.0.0.1:8080 or [::1]:8080".to_owned()
    })
}

/// Opens the store in this folder, or makes it.
pub fn open_store(
    data: &Path,
    random: &Arc<dyn Random>,
    crash: Option<crash::CrashHook>,
) -> Result<Arc<dyn Store>, Failure> {
    let options = SqliteOptions {
        crash,
        ..SqliteOptions::new(Arc::clone(random))
    };
    Ok(Arc::new(SqliteStore::open(data, options)?))
}

/// Opens the blob store.
pub fn open_blobs(location: &Location) -> Result<Blobs, Failure> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(Blobs::open(
        location,
        &environment.collect(),
        Patience::default(),
    )?)
}

/// The admin token that the data folder keeps, and whether it was made just now.
fn admin_token(data: &Path, random: &dyn Random) -> Result<(Token, bool), Failure> {
    let path = data.join("admin-token");
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok((Token::presented(text.trim()), false)),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::cannot_write(path.display(), error))
        }
        _ => {
            let token = Token::generate("admin", random);
            write_secret(&path, token.reveal())?;
            Ok((token, true))
        }
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error| Failure::cannot_write(path.display(), error))
}

fn read_secret(path: &Path) -> Result<Token, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            code::NOT_FOUND,
            format!("cannot read {}: {error}", path.display()),
        )
    })?;
    Ok(Token::presented(text.trim()))
}

/// A server that listens on all addresses is reached by its host's name.
fn url_for_commands(server: &Server) -> String {
    let url = server.url();
    let all = ["://0.0.0.0:", "://[::]:"];
    all.iter().fold(url, |url, all| {
        url.replace(all, &format!("://{}:", local_runner::hostname()))
    })
}

fn announce(server: &Server, data: &Path, new_token: Option<&Token>) {
    say!(
        "Outrider serves {} (data in {})",
        server.url(),
        data.display()
    );
    match new_token {
        Some(token) => {
            say!("Admin token, shown this once: {}", token.reveal());
            say!("It is also in {}.", data.join("admin-token").display());
            say!(
                "For commands: export OUTRIDER_URL={} OUTRIDER_TOKEN=…",
                url_for_commands(server)
            );
        }
        None => say!(
            "The admin token is in {}.",
            data.join("admin-token").display()
        ),
    }
}
