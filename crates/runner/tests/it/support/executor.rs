//! An executor without processes. Scripts are lines of a small language of its own.
//!
//! `print TEXT`, `bytes N`, `env NAME`, `exit N`, `sleep SECONDS`, `gate NAME` (waits until the
//! test opens it), `hang` (until stopped), `stubborn` (until killed), `broken user|host`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::process::ProcessHandle;
use outrider_executor::*;
use outrider_model::AttemptId;
use outrider_model::report::{Exit, Usage};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What the test sees and decides.
#[derive(Default)]
pub struct World {
    state: Mutex<WorldState>,
    changed: Notify,
}

#[derive(Default)]
pub struct WorldState {
    open: BTreeSet<String>,
    /// Scripts that run or ran, with their environments.
    pub execs: Vec<ExecRequest>,
    pub live: BTreeSet<AttemptId>,
    pub recovered: Vec<Handle>,
    pub counters: BTreeMap<String, u32>,
    /// Why nothing can be prepared.
    pub broken: Option<Fault>,
    /// Why no task can start now.
    pub obstacle: Option<&'static str>,
    /// What `prepare` says of itself.
    pub progress: Option<&'static str>,
    /// What runs beside steps: it writes its name, waits for the gate of its name, and fails.
    pub services: Vec<Service>,
    /// The variables of an image.
    pub image: Option<BTreeMap<String, String>>,
    /// What the runner asked for.
    pub requests: Vec<PrepareRequest>,
    /// `prepare` waits for the gate `prepare`.
    pub slow_prepare: bool,
}

impl World {
    pub fn with<T>(&self, f: impl FnOnce(&mut WorldState) -> T) -> T {
        let answer = f(&mut self.state.lock().unwrap());
        self.changed.notify_waiters();
        answer
    }

    pub fn open(&self, gate: &str) {
        self.with(|state| state.open.insert(gate.to_owned()));
    }

    pub async fn until(&self, mut condition: impl FnMut(&WorldState) -> bool) {
        loop {
            let changed = self.changed.notified();
            if condition(&self.state.lock().unwrap()) {
                return;
            }
            changed.await;
        }
    }

    pub async fn running(&self, script: &str) {
        self.until(|state| state.execs.iter().any(|exec| exec.script == script))
            .await;
    }

    pub fn scripts(&self) -> Vec<String> {
        self.with(|state| state.execs.iter().map(|exec| exec.script.clone()).collect())
    }
}

pub struct Scripted {
    pub world: Arc<World>,
    pub root: PathBuf,
}

struct Place {
    world: Arc<World>,
    attempt: AttemptId,
    directory: PathBuf,
    services: Vec<Service>,
    image: Option<BTreeMap<String, String>>,
    term: CancellationToken,
    kill: CancellationToken,
}

#[async_trait]
impl Executor for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }

    async fn obstacle(&self) -> Option<ExecutorError> {
        let obstacle = self.world.with(|state| {
            *state.counters.entry("obstacle".into()).or_default() += 1;
            state.obstacle
        })?;
        Some(ExecutorError::infrastructure(obstacle, None))
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        self.world
            .with(|state| state.requests.push(request.clone()));
        if let Some(said) = self.world.with(|state| state.progress) {
            request.progress.write(said.into()).await;
        }
        if self.world.with(|state| state.slow_prepare) {
            self.world
                .with(|state| *state.counters.entry("preparing".into()).or_default() += 1);
            self.world
                .until(|state| state.open.contains("prepare"))
                .await;
        }
        match self.world.with(|state| state.broken) {
            Some(Fault::User) => return Err(ExecutorError::user("no such image", None)),
            Some(Fault::Infrastructure) => {
                return Err(ExecutorError::infrastructure("the disk is full", None));
            }
            None => {}
        }
        let directory = self.root.join(request.attempt.to_string());
        std::fs::create_dir_all(&directory).unwrap();
        self.world.with(|state| state.live.insert(request.attempt));
        Ok(Arc::new(Place {
            world: Arc::clone(&self.world),
            attempt: request.attempt,
            directory,
            services: self.world.with(|state| state.services.clone()),
            image: self.world.with(|state| state.image.clone()),
            term: CancellationToken::new(),
            kill: CancellationToken::new(),
        }))
    }

    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        self.world.with(|state| {
            state.recovered.push(handle.clone());
            if let Handle::Process(process) = handle {
                state.live.remove(&process.attempt);
            }
        });
        Ok(())
    }
}

impl Place {
    async fn line(
        &self,
        line: &str,
        request: &ExecRequest,
        output: &Arc<dyn Output>,
    ) -> Result<Option<Exit>, ExecutorError> {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match word {
            "" => {}
            "print" => output.write(format!("{rest}\n").into()).await,
            "env" => {
                let value = request
                    .environment
                    .get(rest)
                    .map_or("unset", String::as_str);
                output.write(format!("{rest}={value}\n").into()).await;
            }
            "bytes" => {
                for piece in noise(rest.parse().unwrap()).chunks(60_000) {
                    output.write(Bytes::copy_from_slice(piece)).await;
                }
            }
            "exit" => return Ok(Some(Exit::Code(rest.parse().unwrap()))),
            "sleep" => tokio::time::sleep(Duration::from_secs(rest.parse().unwrap())).await,
            "gate" => self.world.until(|state| state.open.contains(rest)).await,
            "flaky" => {
                // Fails that often, then passes.
                let tries = self.world.with(|state| {
                    let tries = state.counters.entry(request.script.clone()).or_default();
                    *tries += 1;
                    *tries
                });
                let fails = tries <= rest.parse::<u32>().unwrap();
                return Ok(fails.then_some(Exit::Code(3)));
            }
            "hang" => std::future::pending().await,
            "broken" if rest == "user" => return Err(ExecutorError::user("no such shell", None)),
            "broken" => return Err(ExecutorError::infrastructure("the host is ill", None)),
            other => panic!("the test's executor does not know `{other}`"),
        }
        Ok(None)
    }

    async fn script(
        &self,
        request: &ExecRequest,
        output: &Arc<dyn Output>,
    ) -> Result<Exit, ExecutorError> {
        for line in request.script.lines() {
            if let Some(exit) = self.line(line, request, output).await? {
                return Ok(exit);
            }
        }
        Ok(Exit::Code(0))
    }
}

#[async_trait]
impl Environment for Place {
    fn handle(&self) -> Handle {
        Handle::Process(ProcessHandle {
            attempt: self.attempt,
            directory: self.directory.clone(),
            cgroup: None,
        })
    }

    fn variables(&self) -> Option<&BTreeMap<String, String>> {
        self.image.as_ref()
    }

    fn services(&self) -> &[Service] {
        &self.services
    }

    async fn follow_service(&self, index: usize, output: Arc<dyn Output>) -> Option<Exit> {
        let name = &self.services[index].name;
        output.write(format!("{name} is up\n").into()).await;
        tokio::select! {
            () = self.world.until(|state| state.open.contains(name)) => Some(Exit::Code(1)),
            () = self.kill.cancelled() => {
                output.write(format!("{name} is gone\n").into()).await;
                None
            }
        }
    }

    fn files(&self) -> Files<'_> {
        Files::Here(&self.directory)
    }

    fn resolve(&self, path: &str) -> PathBuf {
        match path.strip_prefix('~') {
            Some(below) => self.directory.join(below.trim_start_matches('/')),
            None if path == "." => self.directory.join("project"),
            None => self.directory.join("project").join(path),
        }
    }

    async fn exec(
        &self,
        request: ExecRequest,
        output: Arc<dyn Output>,
    ) -> Result<ExecResult, ExecutorError> {
        if self.term.is_cancelled() {
            return Err(ExecutorError::infrastructure("stopped", None));
        }
        self.world.with(|state| state.execs.push(request.clone()));
        let stubborn = request.script.starts_with("stubborn");
        let exit = tokio::select! {
            biased;
            () = self.kill.cancelled() => Exit::Signal(9),
            () = self.term.cancelled(), if !stubborn => Exit::Signal(15),
            exit = async {
                if stubborn { std::future::pending().await } else { self.script(&request, &output).await }
            } => exit?,
        };
        let usage = Usage {
            peak_rss_bytes: 4096,
            cpu: Duration::from_millis(5),
        };
        Ok(ExecResult {
            exit,
            usage: Some(usage),
            out_of_memory: request.script.contains("greedy").then_some(64 << 20),
        })
    }

    async fn stop(&self, grace: Duration) -> Result<(), ExecutorError> {
        self.term.cancel();
        tokio::time::sleep(grace.min(Duration::from_millis(50))).await;
        self.kill.cancel();
        Ok(())
    }

    async fn cleanup(&self) -> Result<(), ExecutorError> {
        self.kill.cancel();
        self.world.with(|state| state.live.remove(&self.attempt));
        let _ = std::fs::remove_dir_all(&self.directory);
        Ok(())
    }
}

/// Bytes that are not UTF-8, and differ at every place.
pub fn noise(count: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_u32;
    (0..count)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x.to_le_bytes()[1]
        })
        .collect()
}
