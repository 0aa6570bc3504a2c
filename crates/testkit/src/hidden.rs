//! Environments that hide their files from the runner, as containers do, although they are processes
//! of this host.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::process::ProcessExecutor;
use outrider_executor::{
    Environment, ExecRequest, ExecResult, Executor, ExecutorError, Files, Finding, Handle, Inside,
    Output, PrepareRequest, Tool, ToolRequest,
};

/// How a tool is started, with the variables of its environment.
pub type StartTool = Arc<
    dyn Fn(ToolRequest, &BTreeMap<String, String>) -> Result<Tool, ExecutorError> + Send + Sync,
>;

/// Makes such environments.
pub struct HiddenFiles {
    /// Runs their steps.
    pub processes: ProcessExecutor,
    /// For what the runner does on the host in a step's place.
    pub host: Option<ProcessExecutor>,
    /// What every step sees, besides `HOME`.
    pub variables: BTreeMap<String, String>,
    /// Starts their tools.
    pub start_tool: StartTool,
}

#[async_trait]
impl Executor for HiddenFiles {
    fn name(&self) -> &'static str {
        "hidden"
    }

    async fn check(&self) -> Vec<Finding> {
        self.processes.check().await
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        let environment = self.processes.prepare(request).await?;
        let mut variables = self.variables.clone();
        let home = environment.resolve("~").to_string_lossy().into_owned();
        variables.insert("HOME".to_owned(), home);
        Ok(Arc::new(Place {
            environment,
            variables,
            start_tool: Arc::clone(&self.start_tool),
        }))
    }

    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        self.processes.recover(handle).await
    }

    fn host(&self) -> Option<&dyn Executor> {
        Some(self.host.as_ref()?)
    }
}

struct Place {
    environment: Arc<dyn Environment>,
    variables: BTreeMap<String, String>,
    start_tool: StartTool,
}

#[async_trait]
impl Environment for Place {
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
impl Inside for Place {
    async fn write_file(&self, path: &Path, mode: u32, bytes: Bytes) -> Result<(), ExecutorError> {
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(path))?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(mode);
            options.open(path)?.write_all(&bytes)
        };
        write().map_err(failed)
    }

    async fn exists(&self, path: &Path) -> Result<bool, ExecutorError> {
        Ok(path.symlink_metadata().is_ok())
    }

    async fn remove(&self, path: &Path) -> Result<(), ExecutorError> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    async fn start_tool(
        &self,
        request: ToolRequest,
        _: Arc<dyn Output>,
    ) -> Result<Tool, ExecutorError> {
        (self.start_tool)(request, &self.variables)
    }
}

/// The host itself does not do what it should.
pub fn failed(error: io::Error) -> ExecutorError {
    ExecutorError::infrastructure("cannot reach what is inside", error)
}
