//! A second interrupt does not wait: the time that steps have from TERM to KILL ends with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use outrider_executor::{
    Environment, ExecRequest, ExecResult, Executor, ExecutorError, Files, Finding, Handle, Output,
    PrepareRequest, Service,
};
use outrider_model::report::Exit;
use outrider_service::Shutdown;

/// An executor whose environments end at once when somebody is in a hurry. It knows no obstacle:
/// somebody watches, and is told at once what a task cannot do.
pub struct Hurried {
    executor: Arc<dyn Executor>,
    hurry: Shutdown,
}

impl Hurried {
    /// Ends what `executor` runs at once when `hurry` stops.
    pub fn new(executor: Arc<dyn Executor>, hurry: Shutdown) -> Self {
        Self { executor, hurry }
    }
}

#[async_trait]
impl Executor for Hurried {
    fn name(&self) -> &'static str {
        self.executor.name()
    }

    async fn check(&self) -> Vec<Finding> {
        self.executor.check().await
    }

    fn begin(&self) {
        self.executor.begin();
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        let environment = self.executor.prepare(request).await?;
        let hurry = self.hurry.clone();
        Ok(Arc::new(HurriedEnvironment { environment, hurry }))
    }

    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        self.executor.recover(handle).await
    }

    fn host(&self) -> Option<&dyn Executor> {
        self.executor.host()
    }

    async fn end(&self) {
        self.executor.end().await;
    }
}

struct HurriedEnvironment {
    environment: Arc<dyn Environment>,
    hurry: Shutdown,
}

#[async_trait]
impl Environment for HurriedEnvironment {
    fn handle(&self) -> Handle {
        self.environment.handle()
    }

    fn files(&self) -> Files<'_> {
        self.environment.files()
    }

    fn variables(&self) -> Option<&BTreeMap<String, String>> {
        self.environment.variables()
    }

    fn default_shell(&self) -> Option<&[String]> {
        self.environment.default_shell()
    }

    fn helper_directory(&self) -> Option<&Path> {
        self.environment.helper_directory()
    }

    fn docker_socket(&self) -> Option<&Path> {
        self.environment.docker_socket()
    }

    fn services(&self) -> &[Service] {
        self.environment.services()
    }

    async fn follow_service(&self, index: usize, output: Arc<dyn Output>) -> Option<Exit> {
        self.environment.follow_service(index, output).await
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
        let at_once = async {
            self.hurry.stopping().await;
            self.environment.stop(Duration::ZERO).await
        };
        tokio::select! {
            ended = self.environment.stop(grace) => ended,
            ended = at_once => ended,
        }
    }

    async fn cleanup(&self) -> Result<(), ExecutorError> {
        self.environment.cleanup().await
    }
}
