//! Environments that hide their files from the runner, as containers do: processes of this host,
//! whose tools run in this process. The git of their steps is the host's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_executor::*;
use outrider_model::report::Exit;
use outrider_runner::inside::code;
use outrider_service::Tasks;
use tokio::net::unix::pipe::Sender;

use super::rig::Rig;

/// A rig with such an executor, whose runner keeps mirrors.
pub fn rig() -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let processes = |name: &str| {
        let mut settings = ProcessSettings::new(directory.path().join(name), "anna");
        settings.cgroups = false;
        ProcessExecutor::new(settings)
    };
    let executor = Arc::new(Hidden {
        inside: processes("inside"),
        host: processes("host"),
    });
    let mut rig = Rig::with_executor(directory, Arc::default(), executor);
    rig.settings.mirrors = Some(rig.directory.path().join("mirrors"));
    rig
}

/// How many places for work on the host there are.
pub fn left_on_host(rig: &Rig) -> usize {
    let entries = std::fs::read_dir(rig.directory.path().join("host"));
    let names = entries.into_iter().flatten().flatten();
    let attempts = names.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    attempts.count()
}

struct Hidden {
    inside: ProcessExecutor,
    host: ProcessExecutor,
}

#[async_trait]
impl Executor for Hidden {
    fn name(&self) -> &'static str {
        "hidden"
    }

    async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        let environment = self.inside.prepare(request).await?;
        let home = environment.resolve("~").to_string_lossy().into_owned();
        let path = std::env::vars().filter(|(name, _)| name == "PATH");
        let variables = path.chain([("HOME".to_owned(), home)]).collect();
        Ok(Arc::new(Place {
            environment,
            variables,
        }))
    }

    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        self.inside.recover(handle).await
    }

    fn host(&self) -> Option<&dyn Executor> {
        Some(&self.host)
    }
}

struct Place {
    environment: Arc<dyn Environment>,
    variables: BTreeMap<String, String>,
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
    async fn write_file(&self, path: &Path, _: u32, bytes: Bytes) -> Result<(), ExecutorError> {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        Ok(())
    }

    async fn exists(&self, path: &Path) -> Result<bool, ExecutorError> {
        Ok(path.symlink_metadata().is_ok())
    }

    async fn remove(&self, path: &Path) -> Result<(), ExecutorError> {
        let _ = std::fs::remove_dir_all(path);
        Ok(())
    }

    async fn start_tool(
        &self,
        request: ToolRequest,
        _: Arc<dyn Output>,
    ) -> Result<Tool, ExecutorError> {
        let arguments: Vec<OsString> = request.arguments.into_iter().map(Into::into).collect();
        assert_eq!(arguments[0], code::VERB);
        let (input, stdin) = std::io::pipe().unwrap();
        let (stdout, output) = tokio::io::duplex(64 * 1024);
        let running =
            Tasks::new().spawn(async move { code::run(&arguments[1..], input, output).await });
        Ok(Tool {
            stdin: Box::new(Sender::from_owned_fd(stdin.into()).unwrap()),
            stdout: Box::new(stdout),
            ended: Box::pin(async {
                let ended = running.await.unwrap();
                Ok(ExecResult {
                    exit: Exit::Code(ended.is_err().into()),
                    usage: None,
                    out_of_memory: None,
                })
            }),
        })
    }
}
