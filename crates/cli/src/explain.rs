//! `outrider explain`

use std::process::ExitCode;

use clap::Args;
use outrider_api::jobs::Explanation;
use outrider_model::TaskId;

use crate::connection::ConnectionArgs;
use crate::failure::Failure;

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
    println!(
        "{} #{}: {}",
        task.job_name, task.task.index, task.task.status
    );
    println!("  why:  {}", explanation.summary);
    println!("  do:   {}", explanation.advice);
    for (number, attempt) in task.attempts.iter().enumerate() {
        let outcome = attempt
            .outcome
            .map_or("not ended", outrider_model::Outcome::as_str);
        println!(
            "  attempt {} on {}: {outcome}, claimed {}",
            number + 1,
            attempt.runner,
            attempt.claimed_at
        );
        if let Some(reason) = &attempt.reason {
            println!("    {reason}");
        }
    }
}
