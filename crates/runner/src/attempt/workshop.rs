//! What tasks have in common.

use std::path::PathBuf;
use std::sync::Arc;

use outrider_api::runner::HeldLease;
use outrider_executor::Executor;
use outrider_model::Random;
use outrider_model::claim::ClaimedTask;
use outrider_service::Clock;

use crate::data::blobs::TaskBlobs;
use crate::{DataApi, RunnerSettings, ServerApi};

/// What all tasks of a runner share.
pub struct Workshop {
    /// What the owner decided.
    pub settings: RunnerSettings,
    /// The server.
    pub api: Arc<dyn ServerApi>,
    /// Runs steps.
    pub executor: Arc<dyn Executor>,
    /// Where the data of tasks goes.
    pub data: Arc<dyn DataApi>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// For pauses between tries.
    pub random: Arc<dyn Random>,
    /// The shell of steps that name none.
    pub shell: Vec<String>,
    /// The folder with the helper, which comes first on the `PATH` of steps.
    pub helper: Option<PathBuf>,
}

impl Workshop {
    /// The blob store, as a task sees it.
    pub fn blobs(&self, task: &ClaimedTask) -> Arc<TaskBlobs> {
        let by = HeldLease {
            task: task.task,
            lease: task.lease,
        };
        let (data, random) = (Arc::clone(&self.data), Arc::clone(&self.random));
        Arc::new(TaskBlobs::new(data, by, random))
    }
}
