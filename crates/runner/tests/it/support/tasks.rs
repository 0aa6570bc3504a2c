//! Tasks to run.

use std::time::Duration;

use outrider_model::claim::{ClaimedTask, TaskPayload};
use outrider_model::plan::{EnvironmentKind, JobSpec, RunStep, Step, Trigger, When};
use outrider_model::secret::LeaseToken;
use outrider_model::{AttemptId, JobId, PipelineId, Random, TaskId, Timestamp, WorkflowId};
use outrider_service::OsRandom;

/// A `run` step with the usual settings.
pub fn run(command: &str) -> RunStep {
    RunStep {
        name: command.lines().next().unwrap_or_default().to_owned(),
        command: command.to_owned(),
        shell: None,
        environment: Default::default(),
        background: false,
        working_directory: None,
        no_output_timeout: Duration::from_secs(600),
        when: When::OnSuccess,
        max_auto_reruns: 0,
        auto_rerun_delay: Duration::ZERO,
    }
}

pub fn when(when: When, command: &str) -> RunStep {
    RunStep {
        when,
        ..run(command)
    }
}

/// A claimed task with these steps.
pub fn task(steps: impl IntoIterator<Item = RunStep>) -> ClaimedTask {
    task_of(steps.into_iter().map(Step::Run).collect())
}

pub fn task_of(steps: Vec<Step>) -> ClaimedTask {
    let random = OsRandom::new();
    let now = Timestamp::from_millis(1_767_225_600_000);
    let random: &dyn Random = &random;
    ClaimedTask {
        continuation_key: None,
        task: TaskId::new(now, random),
        attempt: AttemptId::new(now, random),
        lease: LeaseToken::generate(random),
        index: 0,
        payload: TaskPayload {
            pipeline: PipelineId::new(now, random),
            pipeline_number: 7,
            workflow: WorkflowId::new(now, random),
            workflow_name: "main".to_owned(),
            job: JobId::new(now, random),
            job_name: "build".to_owned(),
            job_number: 42,
            parallelism: 2,
            secrets: false,
            trigger: Trigger {
                project: "acme/shop".to_owned(),
                ..Trigger::default()
            },
            spec: JobSpec {
                environment_kind: EnvironmentKind::Machine { image: None },
                shell: None,
                working_directory: "~/project".to_owned(),
                environment: Default::default(),
                steps,
                resource_class: None,
                retry_when_lost: false,
                cache_retention_days: None,
            },
        },
    }
}
