//! The server and the runner of one run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outrider_api::client::{Client, ClientSettings};
use outrider_api::tokens::{CreateToken, TokenScope};
use outrider_blobs::Location;
use outrider_model::secret::Token;
use outrider_model::{PipelineId, Random};
use outrider_server::{Core, DataSettings, Keyring, Parts, Server, ServerSettings, Timings};
use outrider_service::{OsRandom, Shutdown, SystemClock, Tasks};

use super::folders::RunFolders;
use super::{RunArgs, class};
use crate::failure::Failure;
use crate::local_runner::{self, LocalRunner};
use crate::orbs::RunOrbs;
use crate::server::open_blobs;
use crate::show::hint;

/// What was started ends within this time after the pipeline, or is ended.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// Everything that a run starts.
pub struct Platform {
    pub client: Client,
    server: Tasks,
    runners: Tasks,
    failed: tokio::sync::watch::Receiver<bool>,
    shutdown: Shutdown,
    runner_shutdown: Shutdown,
}

impl Platform {
    pub async fn start(
        args: &RunArgs,
        folders: &mut RunFolders,
        environment: BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let shutdown = Shutdown::new();
        let runner_shutdown = Shutdown::new();
        let random: Arc<dyn Random> = Arc::new(OsRandom::new());
        let orbs = Arc::new(RunOrbs::new(&args.orbs, args.config_path()));
        let store = folders.open_store(&random).await?;
        // What stays in a folder after the run does not tell its secrets.
        let keyring = Keyring::generate(random.as_ref());
        let blobs = open_blobs(&Location::Folder(folders.data().join("blobs")))?;
        let parts = Parts {
            orbs,
            store,
            blobs,
            clock: Arc::new(SystemClock),
            random,
            keyring,
            crash: None,
        };
        let settings = settings(folders.work())?;
        let server = Server::bind(parts, settings, shutdown.clone()).await?;
        let client = admin_client(server.core(), server.url()).await?;
        let token = local_runner::class_token(server.core(), &class()?).await?;
        let url = server.url();
        let tasks = Tasks::new();
        tasks.spawn(server.run());

        let runners = Tasks::new();
        let (fail, failed) = tokio::sync::watch::channel(false);
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let settings = local_runner::Settings {
            slots: args.runners.unwrap_or_else(|| processors.max(2)),
            environment,
            executor: args.executor,
            docker: args.docker.clone(),
            hurry: Some(runner_shutdown.clone()),
            kept: Some(folders.data().join("runner")),
            ..local_runner::Settings::new("local", folders.work().join("runner"), url, token)
        };
        let runner = local_runner::start(settings, runner_shutdown.clone())?;
        runners.spawn(watch_runner(runner, fail));
        Ok(Self {
            client,
            server: tasks,
            runners,
            failed,
            shutdown,
            runner_shutdown,
        })
    }

    /// The first interrupt cancels the pipeline, so that it ends in order; the second one returns.
    pub fn cancel_when_interrupted(
        &self,
        pipeline: PipelineId,
    ) -> impl Future<Output = ()> + use<> {
        let client = self.client.clone();
        let signals = Shutdown::new();
        let listening = signals.clone();
        async move {
            let cancel = async {
                listening.draining().await;
                hint!("canceling; interrupt again to stop at once");
                let _ = client.cancel_pipeline(pipeline).await;
                listening.stopping().await;
            };
            tokio::select! {
                () = cancel => {}
                _ = async { signals.listen_to_signals().await.ok(); std::future::pending::<()>().await } => {}
            }
        }
    }

    pub async fn runner_failed(&self) {
        let mut failed = self.failed.clone();
        if failed.wait_for(|failed| *failed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends the runner, then the server. Nothing is left running.
    pub async fn end(self) -> Result<(), Failure> {
        self.runner_shutdown.drain();
        if tokio::time::timeout(Duration::from_millis(200), self.runners.ended())
            .await
            .is_err()
        {
            self.runner_shutdown.stop();
            let _ = tokio::time::timeout(END_TIMEOUT, self.runners.ended()).await;
        }
        self.shutdown.drain();
        if tokio::time::timeout(END_TIMEOUT, self.server.ended())
            .await
            .is_err()
        {
            self.shutdown.stop();
        }
        Ok(())
    }
}

async fn watch_runner(runner: LocalRunner, fail: tokio::sync::watch::Sender<bool>) {
    if let Err(failure) = runner.ended().await {
        failure.report();
        fail.send_replace(true);
    }
}

fn settings(data: &Path) -> Result<ServerSettings, Failure> {
    Ok(ServerSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        log_directory: data.join("logs"),
        tls: None,
        behind_tls_proxy: false,
        timings: Timings {
            drain: Duration::from_secs(2),
            ..Timings::default()
        },
        default_class: class()?,
        every_job_in: Some(class()?),
        contexts_must_exist: false,
        webhook: None,
        data: DataSettings::default(),
    })
}

async fn admin_client(core: &Core, url: String) -> Result<Client, Failure> {
    let request = CreateToken {
        scope: TokenScope::Admin {},
        nickname: "you".to_owned(),
    };
    let created = core.create_token(&request).await;
    let created = created.map_err(|error| Failure::internal("make a token", error))?;
    let token = Token::presented(created.token);
    Ok(Client::new(&ClientSettings {
        url,
        token,
        ca_certificates: None,
    })?)
}
