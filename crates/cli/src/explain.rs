//! `outrider explain`

use std::process::ExitCode;

use clap::Args;
use outrider_api::client::{Client, ClientError};
use outrider_api::error::ErrorCode;
use outrider_api::jobs::Explanation;
use outrider_model::{JobId, Outcome, PipelineId, Status, TaskId};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, code};
use crate::show::{self, say};

/// What to explain.
#[derive(Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The id of a task, a job or a pipeline. Of a job or a pipeline all that has not passed is
    /// explained.
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Explains it.
pub async fn run(args: ExplainArgs) -> Result<ExitCode, Failure> {
    let client = args.connection.client()?;
    let explanations = explanations(&client, args.id).await?;
    match (&explanations[..], args.json) {
        ([only], true) => show::json(only),
        (several, true) => show::json(&several),
        ([], false) => say!("all of it has passed"),
        (several, false) => print_all(several),
    }
    Ok(ExitCode::SUCCESS)
}

/// Of the task of this id, or of all that has not passed of the job or pipeline of this id.
async fn explanations(client: &Client, task: TaskId) -> Result<Vec<Explanation>, Failure> {
    // Ids of all kinds look alike.
    let id = task.to_string();
    let unknown = || {
        Failure::new(
            code::NOT_FOUND,
            format!("there is no task, job or pipeline {id}"),
        )
        .advise("Check the id; `outrider pipeline list` shows what there is.")
    };
    if let Some(explanation) = there(client.explain(task).await)? {
        return Ok(vec![explanation]);
    }
    let job: JobId = id.parse().map_err(|_| unknown())?;
    if let Some(job) = there(client.job(job).await)? {
        return explain_all(
            client,
            unfinished(job.tasks.iter().map(|it| (it.id, it.status))),
        )
        .await;
    }
    let pipeline: PipelineId = id.parse().map_err(|_| unknown())?;
    let pipeline = there(client.pipeline(pipeline).await)?.ok_or_else(unknown)?;
    let jobs = pipeline.workflows.iter().flat_map(|it| &it.jobs);
    let mut tasks = vec![];
    for job in unfinished(jobs.map(|job| (job.id, job.status))) {
        let detail = client.job(job).await?;
        tasks.extend(unfinished(detail.tasks.iter().map(|it| (it.id, it.status))));
    }
    explain_all(client, tasks).await
}

/// What was found, if it was.
fn there<T>(answer: Result<T, ClientError>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == Some(ErrorCode::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn unfinished<T>(all: impl Iterator<Item = (T, Status)>) -> Vec<T> {
    all.filter(|(_, status)| *status != Status::Finished(Outcome::Passed))
        .map(|(id, _)| id)
        .collect()
}

async fn explain_all(client: &Client, tasks: Vec<TaskId>) -> Result<Vec<Explanation>, Failure> {
    let mut explanations = vec![];
    for task in tasks {
        explanations.push(client.explain(task).await?);
    }
    Ok(explanations)
}

/// Prints them; of several tasks of a job that have the same reason only the first.
fn print_all(explanations: &[Explanation]) {
    let same = |a: &Explanation, b: &Explanation| {
        a.task.job_name == b.task.job_name && a.summary == b.summary
    };
    for group in explanations.chunk_by(same) {
        print(&group[0]);
        if let [_, _, ..] = group {
            say!("  the same for {} more of its tasks", group.len() - 1);
        }
    }
}

fn print(explanation: &Explanation) {
    let task = &explanation.task;
    say!(
        "{} {}, index {}: {}",
        show::sign(task.task.status),
        task.job_name,
        task.task.index,
        show::status(task.task.status)
    );
    say!(
        "  why:  {}",
        show::hanging(&explanation.summary, "        ")
    );
    say!("  do:   {}", explanation.advice);
    for (number, attempt) in task.attempts.iter().enumerate() {
        let outcome = attempt.outcome.map_or("not ended", |outcome| {
            show::status(Status::Finished(outcome))
        });
        say!(
            "  attempt {} on {}: {outcome}, claimed {}",
            number + 1,
            attempt.runner,
            attempt.claimed_at
        );
        if let Some(reason) = &attempt.reason {
            say!("    {}", show::hanging(reason, "    "));
        }
    }
}
