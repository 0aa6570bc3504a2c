//! `outrider job`

use std::io::Write;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use outrider_api::client::Client;
use outrider_api::jobs::{JobDetail, LogEnd, LogPiece, LogQuery, Task};
use outrider_api::pipelines::Job;
use outrider_model::{JobId, TaskId};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, code};
use crate::show::{self, Table, say};

/// What to do with a job.
#[derive(Subcommand)]
pub enum JobVerb {
    /// Show a job and its tasks.
    Show(JobArgs),
    /// Print a job's output.
    Logs(LogsArgs),
    /// Let an approval job pass that is on hold.
    Approve(JobArgs),
    /// End a job: what has not started never does, what runs is stopped.
    Cancel(JobArgs),
}

/// Which job.
#[derive(Args)]
pub struct JobArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Its id, from `outrider pipeline show`.
    job: JobId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which output.
#[derive(Args)]
pub struct LogsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The job's id, from `outrider pipeline show`.
    job: JobId,
    /// Follow the output to its end.
    #[arg(short, long)]
    follow: bool,
    /// Only the task with this index, from 0.
    #[arg(long, value_name = "N")]
    index: Option<u32>,
}

/// Does it.
pub async fn run(verb: JobVerb) -> Result<ExitCode, Failure> {
    match verb {
        JobVerb::Show(args) => {
            let detail = args.connection.client()?.job(args.job).await?;
            if args.json {
                show::json(&detail);
            } else {
                print(&detail);
            }
        }
        JobVerb::Logs(args) => logs(args).await?,
        JobVerb::Approve(args) => {
            let detail = args.connection.client()?.approve_job(args.job).await?;
            if args.json {
                show::json(&detail);
            } else {
                say!("{}", approved(&detail.job));
            }
        }
        JobVerb::Cancel(args) => {
            let canceled = args.connection.client()?.cancel_job(args.job).await?;
            if args.json {
                show::json(&canceled);
            } else {
                say!("{}", show::canceled(&canceled));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(detail: &JobDetail) {
    let job = &detail.job;
    say!(
        "{} {} #{}: {}",
        show::sign(job.status),
        job.name,
        job.number,
        show::status(job.status)
    );
    match &job.class {
        Some(class) => say!("class {class}"),
        None => say!("type {}", job.job_type.as_str()),
    }
    if let Some(by) = &job.approved_by {
        say!("approved by {by}");
    }
    if let Some(reason) = &job.reason {
        say!("{}\n  {}", show::hanging(reason, "  "), reason.advice());
    }
    let mut table = Table::new(["TASK", "INDEX", "STATUS"]);
    for task in &detail.tasks {
        table.row([
            task.id.to_string(),
            task.index.to_string(),
            show::status(task.status).to_owned(),
        ]);
    }
    table.print("It has no tasks.");
}

/// Whose approval counts: that of whoever came first.
fn approved(job: &Job) -> String {
    match &job.approved_by {
        Some(by) => format!("{} is approved by {by}", job.name),
        None => format!("{} is approved", job.name),
    }
}

async fn logs(args: LogsArgs) -> Result<(), Failure> {
    let client = args.connection.client()?;
    let detail = client.job(args.job).await?;
    let wanted = |task: &&Task| args.index.is_none_or(|index| task.index == index);
    let tasks: Vec<_> = detail.tasks.iter().filter(wanted).collect();
    if tasks.is_empty() {
        let last = detail.tasks.len().saturating_sub(1);
        return Err(
            Failure::new(code::NOT_FOUND, "the job has no task with this index")
                .advise(format!("Its tasks have the indexes 0 to {last}.")),
        );
    }
    let heading = tasks.len() > 1;
    for task in tasks {
        if heading {
            say!(
                "==> {}, index {} of 0 to {} <==",
                detail.job.name,
                task.index,
                detail.job.parallelism.saturating_sub(1)
            );
        }
        if args.follow {
            follow(&client, task.id).await?;
        } else {
            copy(&client, task.id).await?;
        }
    }
    Ok(())
}

async fn copy(client: &Client, task: TaskId) -> Result<(), Failure> {
    let mut response = client.log(task, &LogQuery::default()).await?;
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|error| {
            Failure::new(code::UNAVAILABLE, format!("the log broke off: {error}"))
        })?;
        match chunk {
            Some(bytes) if write(&bytes)? => {}
            _ => return Ok(()),
        }
    }
}

/// Follows a log; where the connection breaks it goes on where it was.
async fn follow(client: &Client, task: TaskId) -> Result<(), Failure> {
    let mut query = LogQuery {
        attempt: None,
        offset: Some(0),
    };
    loop {
        let mut stream = client.follow_log(task, &query).await?;
        loop {
            match stream.next().await {
                Ok(Some(event)) if event.event == "end" => {
                    let end: LogEnd = parse(&event.data)?;
                    if let Some(mark) = end.mark {
                        write(format!("\n{mark}\n").as_bytes())?;
                    }
                    return Ok(());
                }
                Ok(Some(event)) => {
                    let piece: LogPiece = parse(&event.data)?;
                    let bytes = STANDARD.decode(piece.base64);
                    let bytes = bytes.map_err(|error| Failure::internal("read the log", error))?;
                    if !write(&bytes)? {
                        return Ok(());
                    }
                    query.offset = event.id.parse().ok().or(query.offset);
                }
                Ok(None) => break,
                Err(error) if error.is_transient() => break,
                Err(error) => return Err(error.into()),
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

fn parse<T: serde::de::DeserializeOwned>(data: &str) -> Result<T, Failure> {
    serde_json::from_str(data).map_err(|error| Failure::internal("read an event", error))
}

/// Tells whether somebody still reads.
fn write(bytes: &[u8]) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::cannot_write("the output", error)),
    }
}
