//! `outrider bench logs`

use std::sync::Arc;

use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use serde_json::json;
use tokio::time::Instant;

use super::platform::Platform;
use super::table::{self, Figure, rounded};
use super::{BenchArgs, floors};
use crate::failure::Failure;

/// Lines of 100 bytes, as fast as a shell pipeline writes them.
fn lines(bytes: u64) -> String {
    format!("yes {} | head -c {bytes} || true\n", "x".repeat(99))
}

/// Short lines, 58 bytes each.
fn short_lines(count: u64) -> String {
    format!("yes {} | head -n {count} || true\n", "y".repeat(57))
}

/// Measures and prints.
pub async fn run(args: BenchArgs) -> Result<(), Failure> {
    let scale = if args.quick { 10 } else { 1 };
    let bulk = lines(1_000_000_000 / scale);
    let short = short_lines(1_000_000 / scale);
    let (bulk_floor, bytes) = floor(&bulk).await?;
    let (short_floor, _) = floor(&short).await?;
    let platform = Platform::start().await?;
    platform.start_runners(1, 1, |number, folder| {
        let name = format!("bench-{}-{number}", std::process::id());
        Arc::new(ProcessExecutor::new(ProcessSettings::new(folder.join("work"), name)))
    })?;
    seconds(&platform, "echo hello").await?;
    let bulk_seconds = seconds(&platform, &bulk).await?;
    let short_seconds = seconds(&platform, &short).await? * scale as f64;
    platform.end().await;

    let speed = |seconds: f64| bytes as f64 / seconds / 1e6;
    let (here, bare) = (speed(bulk_seconds), speed(bulk_floor));
    let short_floor = short_floor * scale as f64;
    if args.json {
        crate::show::json(&json!({ "logs": {
            "mb_per_second": rounded(here),
            "million_lines_seconds": rounded(short_seconds),
            "floors": {
                "pipe_mb_per_second": rounded(bare),
                "million_lines_seconds": rounded(short_floor),
            },
        }}));
        return Ok(());
    }
    let figures = [
        Figure {
            name: "one step's output, shell to durable log",
            value: format!("{here:.0} MB/s"),
            floor: format!("bare pipe read {bare:.0} MB/s"),
            ratio: Some(here / bare),
            target: "250 MB/s",
        },
        Figure {
            name: "1,000,000 lines of 58 bytes, the same way",
            value: format!("{short_seconds:.2} s"),
            floor: format!("bare pipe read {short_floor:.2} s"),
            ratio: Some(short_seconds / short_floor),
            target: "0.5 s",
        },
    ];
    table::print("logs", &figures);
    Ok(())
}

/// From the submission of the task to the acknowledgement of its end: the server has checked the
/// hash of the whole log by then.
async fn seconds(platform: &Platform, command: &str) -> Result<f64, Failure> {
    let before = platform.seen.finished();
    let started = Instant::now();
    platform.submit(1, command).await?;
    platform.seen.wait_for(before + 1).await;
    Ok(started.elapsed().as_secs_f64())
}

async fn floor(command: &str) -> Result<(f64, u64), Failure> {
    let command = command.to_owned();
    let measured = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir()?;
        floors::pipe_read(folder.path(), &command)
    });
    let measured = measured.await.map_err(|error| Failure::internal("measure a floor", error))?;
    measured.map_err(|error| Failure::internal("measure a floor", error))
}
