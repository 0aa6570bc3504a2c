//! Runs steps in containers of a Docker Engine.

pub mod care;
pub mod image;
pub mod service;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use outrider_model::AttemptId;
use serde::{Deserialize, Serialize};

pub use self::settings::{DockerSettings, ImageCare, Limits, Privileges, PullPolicy, Warm};
use crate::{Environment, Executor, ExecutorError, Finding, Handle, PrepareRequest};

/// Finds the containers of an attempt again: by their label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerHandle {
    /// Whose they are.
    pub attempt: AttemptId,
}

/// Runs steps in containers.
pub struct DockerExecutor {
    settings: DockerSettings,
}

impl DockerExecutor {
    /// An executor that has not touched anything yet.
    pub const fn new(settings: DockerSettings) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl Executor for DockerExecutor {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }

    async fn prepare(&self, _: PrepareRequest) -> Result<Arc<dyn Environment>, ExecutorError> {
        let message = format!("{} cannot run containers", self.settings.runner_name);
        Err(ExecutorError::infrastructure(message, None))
    }

    async fn recover(&self, _: &Handle) -> Result<(), ExecutorError> {
        Ok(())
    }
}
