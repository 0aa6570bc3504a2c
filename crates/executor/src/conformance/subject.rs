//! What a case works with.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_model::AttemptId;
use outrider_model::plan::EnvironmentKind;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use super::Lookout;
use crate::{
    Environment, ExecRequest, ExecResult, Executor, ExecutorError, Output, PrepareRequest,
};

/// How long a condition may take to become true, on a machine that is busy with other things.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The language of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// bash, with the tools of coreutils and util-linux.
    Shell,
    /// That of the [fake](crate::fake::Command).
    Fake,
}

/// An executor under test. Everything it needs lives as long as this.
pub struct Subject {
    /// The executor.
    pub executor: Arc<dyn Executor>,
    /// What its scripts are written in.
    pub dialect: Dialect,
    lookout: Arc<dyn Lookout>,
    kind: EnvironmentKind,
    pub(super) kept: Vec<Box<dyn Any + Send>>,
}

impl Subject {
    /// An executor, and how what it makes is seen from outside.
    pub fn new(
        executor: impl Executor + 'static,
        dialect: Dialect,
        lookout: impl Lookout + 'static,
    ) -> Self {
        Self {
            executor: Arc::new(executor),
            dialect,
            lookout: Arc::new(lookout),
            kind: EnvironmentKind::Machine { image: None },
            kept: Vec::new(),
        }
    }

    /// What its environments are made for.
    #[must_use]
    pub fn of_kind(mut self, kind: EnvironmentKind) -> Self {
        self.kind = kind;
        self
    }

    /// Keeps something until the case is over, a temporary directory for example.
    #[must_use]
    pub fn keep(mut self, thing: impl Any + Send) -> Self {
        self.kept.push(Box::new(thing));
        self
    }

    /// Prepares an environment for a new attempt in slot 0.
    pub async fn prepare(&self) -> Arc<dyn Environment> {
        self.prepare_in(0).await
    }

    /// Prepares an environment for a new attempt.
    pub async fn prepare_in(&self, slot: usize) -> Arc<dyn Environment> {
        let request = PrepareRequest::new(new_attempt(), slot, self.kind.clone(), "~/project");
        self.executor.prepare(request).await.expect("prepare")
    }

    /// The script in the executor's language.
    pub fn script(&self, shell: &str, fake: &str) -> String {
        match self.dialect {
            Dialect::Shell => shell.to_owned(),
            Dialect::Fake => fake.to_owned(),
        }
    }

    /// A request in the default shell, with nothing but a `PATH`, that starts in the job's working
    /// directory.
    pub fn request(&self, environment: &dyn Environment, script: String) -> ExecRequest {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        ExecRequest {
            shell: ["/bin/bash", "-eo", "pipefail"].map(str::to_owned).to_vec(),
            script,
            environment: BTreeMap::from([("PATH".to_owned(), path.to_owned())]),
            working_directory: environment.resolve("."),
        }
    }

    /// Runs a script to its end; returns how it ended and what it wrote.
    pub async fn exec(
        &self,
        environment: &dyn Environment,
        shell: &str,
        fake: &str,
    ) -> (ExecResult, Vec<u8>) {
        let request = self.request(environment, self.script(shell, fake));
        let recorder = Recorder::new();
        let output: Arc<dyn Output> = Arc::clone(&recorder) as _;
        let exec = environment.exec(request, output);
        let result = timeout(DEADLINE, exec)
            .await
            .expect("exec ends")
            .expect("exec");
        (result, recorder.bytes())
    }

    /// Starts a script and goes on.
    pub fn start(
        &self,
        environment: &Arc<dyn Environment>,
        request: ExecRequest,
    ) -> (Arc<Recorder>, JoinHandle<Result<ExecResult, ExecutorError>>) {
        let recorder = Recorder::new();
        let output: Arc<dyn Output> = Arc::clone(&recorder) as _;
        let environment = Arc::clone(environment);
        let exec = async move { environment.exec(request, output).await };
        (recorder, TaskTracker::new().spawn(exec))
    }

    /// The live processes of an environment that have this mark.
    pub async fn marked(&self, environment: &dyn Environment, mark: &str) -> Vec<u32> {
        self.lookout.marked(&environment.handle(), mark).await
    }

    /// What there is of an environment. Nothing, after `cleanup` or `recover`.
    pub async fn remains(&self, environment: &dyn Environment) -> Vec<String> {
        self.lookout.remains(&environment.handle()).await
    }
}

/// An id that no other attempt has.
pub fn new_attempt() -> AttemptId {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let own = u64::from(std::process::id());
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&own.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    AttemptId::from_bytes(bytes)
}

/// Waits until something is so.
///
/// # Panics
///
/// If it is not so within [`DEADLINE`].
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "it never came true that {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// An output that keeps everything.
#[derive(Debug, Default)]
pub struct Recorder {
    bytes: Mutex<Vec<u8>>,
}

impl Recorder {
    /// An empty one.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How much was written so far.
    pub fn len(&self) -> usize {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether nothing was written so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this text was written.
    pub fn contains(&self, text: &str) -> bool {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }

    /// Waits until this text was written.
    pub async fn wait_for(&self, text: &str) {
        until(&format!("the output contains {text:?}"), || {
            self.contains(text)
        })
        .await;
    }
}

#[async_trait]
impl Output for Recorder {
    async fn write(&self, bytes: Bytes) {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(&bytes);
    }
}
