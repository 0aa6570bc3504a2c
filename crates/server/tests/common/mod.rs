//! A server on a free port, with its store in a folder that goes away.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outrider_api::client::{Client, ClientSettings};
use outrider_api::pipelines::{SubmitPipeline, SubmittedPipeline};
use outrider_api::runner::{ClaimRequest, RunnerIdentity};
use outrider_api::tokens::{CreateToken, TokenScope};
use outrider_blobs::{Blobs, Environment, Location, Patience};
use outrider_model::claim::ClaimedTask;
use outrider_model::report::{Finished, LogHash, Report};
use outrider_model::secret::Token;
use outrider_model::{Outcome, Random, RunnerId};
use outrider_server::{
    Core, DataSettings, Keyring, NoOrbs, Parts, Server, ServerSettings, Timings,
};
use outrider_service::crash::CrashHook;
use outrider_service::{Clock, OsRandom, Shutdown, SystemClock, Tasks};
use outrider_store::sqlite::{SqliteOptions, SqliteStore};

pub struct World {
    pub store: Arc<SqliteStore>,
    pub admin: Client,
    pub runner: Client,
    pub url: String,
    pub shutdown: Shutdown,
    pub tasks: Tasks,
    pub id: RunnerId,
    pub core: Arc<Core>,
    tokens: [Token; 2],
    data: tempfile::TempDir,
}

pub const CONFIG: &str = "
version: 2.1
jobs:
  build:
    machine: true
    resource_class: acme/linux
    steps:
      - run: echo hello
";

impl World {
    pub async fn start() -> Self {
        Self::start_as(Options::default()).await
    }

    pub async fn start_with(timings: Timings) -> Self {
        let options = Options {
            timings,
            ..Options::default()
        };
        Self::start_as(options).await
    }

    pub async fn start_as(options: Options) -> Self {
        let data = tempfile::tempdir().unwrap();
        let random: Arc<dyn Random> = Arc::new(OsRandom::new());
        let store =
            SqliteStore::open(data.path(), SqliteOptions::new(Arc::clone(&random))).unwrap();
        let store = Arc::new(store);
        let keyring = Keyring::generate(random.as_ref());
        let token = Token::generate("admin", random.as_ref());
        let served = serve(&store, &data, options, keyring, &token).await;
        let admin = client(&served.url, token.clone());
        let scope = TokenScope::Class {
            class: "acme/linux".parse().unwrap(),
        };
        let request = CreateToken {
            scope,
            nickname: String::new(),
        };
        let runner_token = Token::presented(admin.create_token(&request).await.unwrap().token);
        let runner = client(&served.url, runner_token.clone());
        let id = RunnerId::new(SystemClock.now(), random.as_ref());
        Self {
            store,
            admin,
            runner,
            url: served.url,
            shutdown: served.shutdown,
            tasks: served.tasks,
            id,
            core: served.core,
            tokens: [token, runner_token],
            data,
        }
    }

    /// Another server in the place of this one, with the same store and other keys.
    pub async fn serve_again(&mut self, keyring: Keyring) {
        self.shutdown.stop();
        let [admin, runner] = &self.tokens;
        let options = Options::default();
        let served = serve(&self.store, &self.data, options, keyring, admin).await;
        self.admin = client(&served.url, admin.clone());
        self.runner = client(&served.url, runner.clone());
        (self.url, self.shutdown, self.tasks) = (served.url, served.shutdown, served.tasks);
        self.core = served.core;
    }

    pub async fn submit(&self, config: &str) -> SubmittedPipeline {
        self.admin
            .submit_pipeline(&submission(config), None)
            .await
            .unwrap()
    }

    pub const fn admin_token(&self) -> &Token {
        &self.tokens[0]
    }

    /// The files of the blob store.
    pub fn objects(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.data.path().join("blobs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => files.push(path),
                }
            }
        }
        files
    }

    pub fn claim_request(&self, wait_ms: u64) -> ClaimRequest {
        let runner = RunnerIdentity {
            id: self.id,
            name: "box".to_owned(),
            hostname: "box.example".to_owned(),
            version: "1".to_owned(),
            slots: 2,
        };
        ClaimRequest {
            runner,
            slots: 2,
            wait_ms,
        }
    }

    pub async fn claim_one(&self) -> ClaimedTask {
        let mut claimed = self
            .runner
            .claim(&self.claim_request(10_000))
            .await
            .unwrap();
        assert_eq!(claimed.tasks.len(), 1);
        claimed.tasks.remove(0)
    }
}

/// How a server is for a test.
pub struct Options {
    pub timings: Timings,
    pub data: DataSettings,
    /// Called at points in the middle of something.
    pub crash: Option<CrashHook>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timings: Timings {
                startup_grace: Duration::ZERO,
                ..Timings::default()
            },
            data: DataSettings {
                min_free_space: Some(0),
                ..DataSettings::default()
            },
            crash: None,
        }
    }
}

struct Served {
    core: Arc<Core>,
    url: String,
    shutdown: Shutdown,
    tasks: Tasks,
}

async fn serve(
    store: &Arc<SqliteStore>,
    data: &tempfile::TempDir,
    options: Options,
    keyring: Keyring,
    admin: &Token,
) -> Served {
    let parts = Parts {
        orbs: Arc::new(NoOrbs),
        store: Arc::clone(store) as _,
        blobs: Blobs::open(
            &Location::Folder(data.path().join("blobs")),
            &Environment::new(),
            Patience::default(),
        )
        .unwrap(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom::new()),
        keyring,
        crash: options.crash,
    };
    let settings = ServerSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        log_directory: data.path().join("logs"),
        tls: None,
        behind_tls_proxy: false,
        timings: options.timings,
        default_class: "acme/default".parse().unwrap(),
        every_job_in: None,
        contexts_must_exist: true,
        webhook: None,
        data: options.data,
    };
    let shutdown = Shutdown::new();
    let server = Server::bind(parts, settings, shutdown.clone())
        .await
        .unwrap();
    server.core().adopt_admin_token(admin).await.unwrap();
    let url = server.url();
    let core = Arc::clone(server.core());
    let tasks = Tasks::new();
    tasks.spawn(server.run());
    Served {
        core,
        url,
        shutdown,
        tasks,
    }
}

pub fn submission(config: &str) -> SubmitPipeline {
    SubmitPipeline {
        config: config.to_owned(),
        project: "acme/shop".to_owned(),
        ..SubmitPipeline::default()
    }
}

pub fn client(url: &str, token: Token) -> Client {
    Client::new(&ClientSettings {
        url: url.to_owned(),
        token,
        ca_certificates: None,
    })
    .unwrap()
}

pub fn passed(task: &ClaimedTask, log: &[u8]) -> Report {
    Report {
        finished: Some(Finished {
            outcome: Outcome::Passed,
            reason: None,
            log_length: log.len() as u64,
            log_hash: LogHash(*blake3::hash(log).as_bytes()),
        }),
        ..Report::empty(task.task, task.lease)
    }
}
