//! What a step that moves data needs, wherever it runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use outrider_executor::Output;
use outrider_model::plan::Trigger;
use outrider_service::Clock;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::blobs::TaskBlobs;
use super::place::Places;
use crate::attempt::StepContext;
use crate::redact::Redactor;

/// What the step knows of its task. All of it may be seen by the job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataTask {
    /// The number of the job in its project.
    pub job_number: u64,
    /// What triggered the pipeline.
    pub trigger: Trigger,
    /// The index of the step.
    pub step: u32,
    /// What steps see.
    pub variables: Arc<BTreeMap<String, String>>,
    /// Where its paths are.
    pub places: Places,
    /// The fingerprint of the key that opens the repository; empty without one.
    pub checkout_key: String,
    /// Where what is known of files is remembered that outlive the attempt.
    pub lasting_trees: Option<PathBuf>,
}

/// A step that moves data, and what it works with.
#[derive(Clone)]
pub struct DataContext {
    /// What it knows of its task.
    pub task: Arc<DataTask>,
    /// The blob store, as the task sees it.
    pub blobs: Arc<TaskBlobs>,
    /// Masks what others would see.
    pub redactor: Arc<Redactor>,
    /// Where its lines go.
    pub output: Arc<dyn Output>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Ends it.
    pub stop: CancellationToken,
}

impl DataTask {
    /// What this step may know, with its paths here.
    pub fn of(context: &StepContext, places: Places) -> Self {
        let payload = &context.task.payload;
        let key = context.secrets.ssh_keys.first();
        Self {
            job_number: payload.job_number,
            trigger: payload.trigger.clone(),
            step: context.step,
            variables: Arc::clone(&context.variables),
            places,
            checkout_key: key.map_or_else(String::new, |key| key.fingerprint.clone()),
            lasting_trees: None,
        }
    }
}

impl DataContext {
    /// On this host, where the files are.
    pub fn here(context: &StepContext, places: Places) -> Self {
        let lasting_trees = context.workshop.settings.trees.clone();
        let task = DataTask {
            lasting_trees,
            ..DataTask::of(context, places)
        };
        Self {
            task: Arc::new(task),
            blobs: context.blobs(),
            redactor: Arc::clone(&context.redactor),
            output: Arc::clone(&context.output) as _,
            clock: Arc::clone(&context.workshop.clock),
            stop: context.stop.clone(),
        }
    }
}
