//! `outrider queue`

use std::process::ExitCode;

use clap::Args;

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::show::Table;

/// Which server.
#[derive(Args)]
pub struct QueueArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Shows it.
pub async fn run(args: QueueArgs) -> Result<ExitCode, Failure> {
    let queue = args.connection.client()?.queue().await?;
    if args.json {
        crate::show::json(&queue);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(["CLASS", "QUEUED", "RUNNING", "LONGEST QUEUED SINCE"]);
    for depth in &queue.items {
        table.row([
            depth.class.to_string(),
            depth.queued.to_string(),
            depth.running.to_string(),
            depth
                .oldest_queued_at
                .map_or_else(String::new, |at| at.to_string()),
        ]);
    }
    table
        .print("There is no resource class. `outrider token create --class acme/linux` makes one.");
    Ok(ExitCode::SUCCESS)
}
