//! From what the store knows to what goes over the wire.

use outrider_api::jobs::{Attempt, JobDetail, Task, TaskDetail};
use outrider_api::pipelines::{Job, Pipeline, PipelineDetail, Workflow};
use outrider_api::runners::{QueueDepth, Runner};
use outrider_api::tokens::{Token, TokenScope};
use outrider_store as store;

pub fn pipeline(summary: store::PipelineSummary) -> Pipeline {
    Pipeline {
        id: summary.id,
        number: summary.number,
        trigger: summary.trigger,
        status: summary.status,
        created_at: summary.created_at,
        finished_at: summary.finished_at,
    }
}

pub fn pipeline_detail(detail: store::PipelineDetail) -> PipelineDetail {
    PipelineDetail {
        pipeline: pipeline(detail.summary),
        workflows: detail.workflows.into_iter().map(workflow).collect(),
    }
}

fn workflow(detail: store::WorkflowDetail) -> Workflow {
    Workflow {
        id: detail.id,
        name: detail.name,
        status: detail.status,
        jobs: detail.jobs.into_iter().map(job).collect(),
    }
}

fn job(summary: store::JobSummary) -> Job {
    Job {
        id: summary.id,
        pipeline: summary.pipeline,
        name: summary.name,
        number: summary.number,
        status: summary.status,
        job_type: summary.job_type,
        class: summary.class.map(|class| class.to_string()),
        requires: summary.requires,
        parallelism: summary.parallelism,
        tasks_finished: summary.tasks_finished,
        reason: summary.reason,
        queued_at: summary.queued_at,
        started_at: summary.started_at,
        finished_at: summary.finished_at,
        approved_by: summary.approved_by,
    }
}

pub fn job_detail(detail: store::JobDetail) -> JobDetail {
    JobDetail {
        job: job(detail.summary),
        tasks: detail
            .tasks
            .into_iter()
            .map(|summary| task(&summary))
            .collect(),
    }
}

fn task(summary: &store::TaskSummary) -> Task {
    Task {
        id: summary.id,
        job: summary.job,
        index: summary.index,
        status: summary.status,
        attempt: summary.attempt,
    }
}

pub fn task_detail(detail: store::TaskDetail) -> TaskDetail {
    TaskDetail {
        task: task(&detail.summary),
        pipeline: detail.pipeline,
        job_name: detail.job_name,
        class: detail.class.map(|class| class.to_string()),
        attempts: detail.attempts.into_iter().map(attempt).collect(),
    }
}

fn attempt(detail: store::AttemptDetail) -> Attempt {
    Attempt {
        id: detail.id,
        runner: detail.runner,
        claimed_at: detail.claimed_at,
        started_at: detail.started_at,
        ended_at: detail.ended_at,
        outcome: detail.outcome,
        reason: detail.reason,
        log_length: detail.log_length,
        steps: detail.steps,
        spans: detail.spans,
    }
}

pub fn runner(record: store::RunnerRecord) -> Runner {
    Runner {
        id: record.contact.id,
        class: record.contact.class,
        name: record.contact.name,
        hostname: record.contact.hostname,
        version: record.contact.version,
        slots: record.contact.slots,
        running: record.running,
        first_contact: record.first_contact,
        last_contact: record.last_contact,
    }
}

pub fn queue_depth(depth: store::QueueDepth) -> QueueDepth {
    QueueDepth {
        class: depth.class,
        queued: depth.queued,
        running: depth.running,
        oldest_queued_at: depth.oldest_queued_at,
    }
}

pub fn token(record: store::TokenRecord) -> Token {
    Token {
        id: record.id,
        scope: match record.scope {
            store::TokenScope::Admin => TokenScope::Admin {},
            store::TokenScope::Class { class } => TokenScope::Class { class },
        },
        nickname: record.nickname,
        hint: record.hint,
        created_at: record.created_at,
        revoked_at: record.revoked_at,
    }
}
