//! `outrider bench logs`

use std::path::Path;
use std::sync::Arc;

use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use serde_json::json;
use tokio::time::Instant;

use super::platform::Platform;
use super::table::{self, Figure, rounded};
use super::{BenchArgs, floors};
use crate::failure::Failure;

/// How many bytes the file has that a step prints again and again.
const FILE: usize = 100_000_000;

/// A script that writes so many lines of one length as fast as a shell can: with `cat`, from a file
/// that is in memory.
fn script(folder: &Path, line: usize, bytes: usize) -> std::io::Result<String> {
    let file = folder.join(format!("lines-{line}"));
    let whole = bytes.min(FILE) / line * line;
    let mut text = vec![b'x'; whole];
    text.iter_mut()
        .skip(line - 1)
        .step_by(line)
        .for_each(|byte| *byte = b'\n');
    std::fs::write(&file, text)?;
    let path = file.display().to_string();
    Ok(format!(
        "cat {}\n",
        vec![path; (bytes / whole).max(1)].join(" ")
    ))
}

/// Measures and prints.
pub async fn run(args: BenchArgs) -> Result<(), Failure> {
    let scale = if args.quick { 10 } else { 1 };
    let folder = tempfile::tempdir().map_err(|e| Failure::cannot_write("a temporary folder", e))?;
    let write = |line, bytes| {
        script(folder.path(), line, bytes).map_err(|e| Failure::cannot_write("a temporary file", e))
    };
    let bulk = write(100, 1_000_000_000 / scale)?;
    let short = write(58, 58_000_000 / scale)?;
    let (bulk_floor, bytes) = floor(&bulk).await?;
    let (short_floor, _) = floor(&short).await?;
    let platform = Platform::start().await?;
    platform.start_runners(1, 1, |number, folder| {
        let name = format!("bench-{}-{number}", std::process::id());
        Arc::new(ProcessExecutor::new(ProcessSettings::new(
            folder.join("work"),
            name,
        )))
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
    let measured = measured
        .await
        .map_err(|error| Failure::internal("measure a floor", error))?;
    measured.map_err(|error| Failure::internal("measure a floor", error))
}
