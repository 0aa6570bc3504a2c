//! A server and runners in this process, over loopback HTTP, as in real life.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outrider_api::client::{Client, ClientSettings};
use outrider_api::pipelines::{SubmitPipeline, SubmittedPipeline};
use outrider_api::tokens::{CreateToken, TokenScope};
use outrider_blobs::Location;
use outrider_executor::Executor;
use outrider_model::secret::Token;
use outrider_model::{ClassName, Random};
use outrider_runner::{Runner, RunnerSettings, Secret};
use outrider_server::{DataSettings, Keyring, Parts, Server, ServerSettings, Timings};
use outrider_service::{OsRandom, Shutdown, SystemClock, Tasks};

use super::tap::{Seen, Tap};
use crate::failure::Failure;
use crate::orbs::ServerOrbs;
use crate::{local_runner, server};

/// The class of all measured tasks.
pub const CLASS: &str = "outrider/bench";

/// A server with its data in a temporary folder, and what runs against it.
pub struct Platform {
    /// Speaks to the server as an administrator.
    pub client: Client,
    /// What runners mask.
    pub secrets: Vec<Secret>,
    /// What runners had acknowledged.
    pub seen: Arc<Seen>,
    data: tempfile::TempDir,
    token: Token,
    url: String,
    server: Tasks,
    shutdown: Shutdown,
    runners: Tasks,
    runner_shutdown: Shutdown,
}

impl Platform {
    /// Starts the server.
    pub async fn start() -> Result<Self, Failure> {
        let data =
            tempfile::tempdir().map_err(|e| Failure::cannot_write("a temporary folder", e))?;
        let random: Arc<dyn Random> = Arc::new(OsRandom::new());
        let shutdown = Shutdown::new();
        let store = server::open_store(data.path(), &random, None)?;
        let orbs = Arc::new(ServerOrbs::default());
        let keyring = Keyring::generate(random.as_ref());
        let blobs = server::open_blobs(&Location::Folder(data.path().join("blobs")))?;
        let parts = Parts {
            orbs,
            store,
            blobs,
            clock: Arc::new(SystemClock),
            random,
            keyring,
            crash: None,
        };
        let settings = ServerSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            log_directory: data.path().join("logs"),
            tls: None,
            behind_tls_proxy: false,
            timings: Timings::default(),
            default_class: class()?,
            every_job_in: None,
            contexts_must_exist: true,
            webhook: None,
            data: DataSettings::default(),
        };
        let server = Server::bind(parts, settings, shutdown.clone()).await?;
        let request = CreateToken {
            scope: TokenScope::Admin {},
            nickname: "bench".to_owned(),
        };
        let admin = server.core().create_token(&request).await;
        let admin = admin
            .map_err(|error| Failure::internal("make a token", error))?
            .token;
        let token = local_runner::class_token(server.core(), &class()?).await?;
        let url = server.url();
        let client = connect(&url, Token::presented(admin))?;
        let tasks = Tasks::new();
        tasks.spawn(server.run());
        Ok(Self {
            client,
            secrets: Vec::new(),
            seen: Arc::default(),
            data,
            token,
            url,
            server: tasks,
            shutdown,
            runners: Tasks::new(),
            runner_shutdown: Shutdown::new(),
        })
    }

    /// The folder of all that it writes.
    pub fn folder(&self) -> &Path {
        self.data.path()
    }

    /// Starts runners, each with its own connection and spool.
    pub fn start_runners(
        &self,
        count: usize,
        slots: usize,
        executor: impl Fn(usize, &Path) -> Arc<dyn Executor>,
    ) -> Result<(), Failure> {
        for number in 0..count {
            let folder = self.data.path().join(format!("runner-{number}"));
            let client = connect(&self.url, self.token.clone())?;
            let settings = RunnerSettings {
                slots,
                secrets: self.secrets.clone(),
                ..RunnerSettings::new(format!("bench-{number}"), folder.join("spool"))
            };
            let runner = Runner::new(
                settings,
                Arc::new(Tap::new(client.clone(), Arc::clone(&self.seen))),
                Arc::new(client),
                executor(number, &folder),
                Arc::new(SystemClock),
                Arc::new(OsRandom::new()),
            );
            let shutdown = self.runner_shutdown.clone();
            self.runners.spawn(async move {
                if let Err(error) = runner.run(shutdown).await {
                    eprintln!("a runner failed: {error}");
                }
            });
        }
        Ok(())
    }

    /// Submits a job of so many tasks.
    pub async fn submit(
        &self,
        parallelism: u32,
        command: &str,
    ) -> Result<SubmittedPipeline, Failure> {
        submit(&self.client, parallelism, command).await
    }

    /// Submits a config.
    pub async fn submit_config(&self, config: String) -> Result<SubmittedPipeline, Failure> {
        submit_config(&self.client, config).await
    }

    /// Ends the runners, then the server.
    pub async fn end(self) {
        self.runner_shutdown.stop();
        let _ = tokio::time::timeout(Duration::from_secs(20), self.runners.ended()).await;
        self.shutdown.drain();
        let _ = tokio::time::timeout(Duration::from_secs(20), self.server.ended()).await;
    }
}

/// Submits a job of so many tasks.
pub async fn submit(
    client: &Client,
    parallelism: u32,
    command: &str,
) -> Result<SubmittedPipeline, Failure> {
    let command = serde_json::Value::from(command);
    let config = format!(
        "version: 2.1\njobs:\n  build:\n    machine: true\n    resource_class: {CLASS}\n    \
         parallelism: {parallelism}\n    steps:\n      - run: {{name: bench, command: {command}}}\n"
    );
    submit_config(client, config).await
}

/// Submits a config.
pub async fn submit_config(client: &Client, config: String) -> Result<SubmittedPipeline, Failure> {
    let request = SubmitPipeline {
        config,
        project: "outrider/bench".to_owned(),
        ..SubmitPipeline::default()
    };
    Ok(client.submit_pipeline(&request, None).await?)
}

/// The class of all measured tasks, as a name.
pub fn class() -> Result<ClassName, Failure> {
    CLASS
        .parse()
        .map_err(|error: outrider_model::InvalidClassName| Failure::internal("name a class", error))
}

fn connect(url: &str, token: Token) -> Result<Client, Failure> {
    Ok(Client::new(&ClientSettings {
        url: url.to_owned(),
        token,
        ca_certificates: None,
    })?)
}
