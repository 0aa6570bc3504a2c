//! An executor whose environments hide their files from the runner, as containers do: processes of
//! this host, and tools that are the real program.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_executor::*;
use outrider_model::report::Exit;
use outrider_runner::{Runner, RunnerSettings};
use outrider_service::{OsRandom, Shutdown, SystemClock, Tasks};
use tokio::process::Command;

use crate::common::{OUTRIDER, World};

/// How the tool is called: the program, and what comes before its arguments.
pub type Program = Arc<Mutex<Vec<String>>>;

/// A runner in this process.
pub struct ContainedRunner {
    shutdown: Shutdown,
    tasks: Tasks,
    /// Of tools that start from now on.
    pub program: Program,
}

impl ContainedRunner {
    /// Takes the work of this world.
    pub async fn start(world: &World) -> Self {
        let program = Program::new(Mutex::new(vec![OUTRIDER.to_owned()]));
        let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
        let path = std::env::vars().filter(|(name, _)| name == "PATH");
        let settings = RunnerSettings {
            inherited_environment: path.collect(),
            stop_grace: Duration::from_secs(1),
            ..RunnerSettings::new("contained", world.path("contained").join("spool"))
        };
        let client = Arc::new(world.client(&world.class_token().await));
        let work = world.path("contained").join("work");
        let process = ProcessSettings::new(work, world.runner_name("contained"));
        let executor = Contained {
            processes: ProcessExecutor::new(process),
            program: Arc::clone(&program),
        };
        let runner = Runner::new(
            settings,
            Arc::clone(&client) as _,
            client,
            Arc::new(executor),
            Arc::new(SystemClock),
            Arc::new(OsRandom::new()),
        );
        drop(tasks.spawn(runner.run(shutdown.clone())));
        Self {
            shutdown,
            tasks,
            program,
        }
    }

    /// From now on this script is what runs as a tool.
    pub fn replace_tool(&self, script: &str) {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        *self.program.lock().unwrap() = words.into();
    }

    /// The real tool again.
    pub fn restore_tool(&self) {
        *self.program.lock().unwrap() = vec![OUTRIDER.to_owned()];
    }

    /// Ends it.
    pub async fn end(self) {
        self.shutdown.stop();
        self.tasks.ended().await;
    }
}

struct Contained {
    processes: ProcessExecutor,
    program: Program,
}

#[async_trait]
impl Executor for Contained {
    fn name(&self) -> &'static str {
        "contained"
    }

    async fn check(&self) -> Vec<Finding> {
        self.processes.check().await
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        let environment = self.processes.prepare(request).await?;
        let home = environment.resolve("~").to_string_lossy().into_owned();
        Ok(Arc::new(Container {
            environment,
            variables: BTreeMap::from([("HOME".to_owned(), home)]),
            program: Arc::clone(&self.program),
        }))
    }

    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        self.processes.recover(handle).await
    }
}

struct Container {
    environment: Arc<dyn Environment>,
    variables: BTreeMap<String, String>,
    program: Program,
}

#[async_trait]
impl Environment for Container {
    fn handle(&self) -> Handle {
        self.environment.handle()
    }

    fn files(&self) -> Files<'_> {
        Files::Inside(self)
    }

    fn variables(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.variables)
    }

    fn resolve(&self, path: &str) -> PathBuf {
        self.environment.resolve(path)
    }

    async fn exec(
        &self,
        request: ExecRequest,
        output: Arc<dyn Output>,
    ) -> Result<ExecResult, ExecutorError> {
        self.environment.exec(request, output).await
    }

    async fn stop(&self, grace: Duration) -> Result<(), ExecutorError> {
        self.environment.stop(grace).await
    }

    async fn cleanup(&self) -> Result<(), ExecutorError> {
        self.environment.cleanup().await
    }
}

#[async_trait]
impl Inside for Container {
    async fn write_file(&self, path: &Path, mode: u32, bytes: Bytes) -> Result<(), ExecutorError> {
        std::fs::create_dir_all(path.parent().unwrap()).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let mut file = options.open(path).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)
    }

    async fn exists(&self, path: &Path) -> Result<bool, ExecutorError> {
        Ok(path.symlink_metadata().is_ok())
    }

    async fn remove(&self, path: &Path) -> Result<(), ExecutorError> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    async fn start_tool(
        &self,
        request: ToolRequest,
        _: Arc<dyn Output>,
    ) -> Result<Tool, ExecutorError> {
        let program = self.program.lock().unwrap().clone();
        let mut command = Command::new(&program[0]);
        command
            .args(&program[1..])
            .args(request.arguments)
            .env_clear()
            .envs(&self.variables)
            .envs(request.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let ended = async move {
            let status = child.wait().await.map_err(failed)?;
            Ok(ExecResult {
                exit: status.code().map_or(Exit::Signal(9), Exit::Code),
                usage: None,
                // What is killed here stands for what the kernel kills for its memory.
                out_of_memory: status.signal().map(|_| 64 << 20),
            })
        };
        Ok(Tool {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            ended: Box::pin(ended),
        })
    }
}

fn failed(error: std::io::Error) -> ExecutorError {
    ExecutorError::infrastructure("cannot reach what is inside", error)
}
