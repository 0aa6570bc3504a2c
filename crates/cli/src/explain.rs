//! `outrider explain`

use std::process::ExitCode;

use clap::Args;
use outrider_api::jobs::Explanation;
use outrider_model::{Status, TaskId};

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::show::{self, say};

/// Which task.
#[derive(Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Its id, from `outrider job show`.
    task: TaskId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Explains it.
pub async fn run(args: ExplainArgs) -> Result<ExitCode, Failure> {
    let explanation = args.connection.client()?.explain(args.task).await?;
    if args.json {
        crate::show::json(&explanation);
    } else {
        print(&explanation);
    }
    Ok(ExitCode::SUCCESS)
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
    say!("  why:  {}", explanation.summary);
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
            say!("    {reason}");
        }
    }
}
