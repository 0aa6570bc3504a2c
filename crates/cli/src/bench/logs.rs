//! `outrider bench logs`

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::Output;
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_runner::redact::{Redacted, Redactor, Secret};
use serde_json::json;
use tokio::time::Instant;

use super::platform::Platform;
use super::table::{self, Figure, rounded};
use super::{BenchArgs, floors};
use crate::failure::Failure;

/// How many bytes the file has that a step prints again and again.
const FILE: usize = 100_000_000;

/// How much of it a step writes at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// How often the same is measured with and without secrets.
const TURNS: usize = 3;

/// A script that writes so many lines of one length as fast as a shell can: with `cat`, from a file
/// that is in memory.
fn script(folder: &Path, line: usize, bytes: usize) -> std::io::Result<String> {
    let file = folder.join(format!("lines-{line}"));
    let whole = bytes.min(FILE) / line * line;
    std::fs::write(&file, text(line, whole))?;
    let path = file.display().to_string();
    Ok(format!(
        "cat {}\n",
        vec![path; (bytes / whole).max(1)].join(" ")
    ))
}

/// Lines of words that are never the same.
fn text(line: usize, bytes: usize) -> Vec<u8> {
    let mut random = SmallRandom(1);
    let mut text: Vec<u8> = (0..bytes).map(|_| random.letter(LETTERS)).collect();
    let ends = text.iter_mut().skip(line - 1).step_by(line);
    ends.for_each(|byte| *byte = b'\n');
    text
}

/// As often as in logs, words end.
const LETTERS: &[u8; 64] = b"etaoinsrhldcumfpgwybvkxjqzETAOINSRHLDCUMFPGWYBVKXJQZ0123456     ";

/// Enough to make texts that do not repeat (xorshift).
struct SmallRandom(u64);

impl SmallRandom {
    const fn letter(&mut self, letters: &[u8; 64]) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        letters[(self.0 >> 58) as usize]
    }
}

/// As many secrets as a large task has, of 40 characters.
fn secrets() -> Vec<Secret> {
    let mut random = SmallRandom(2);
    let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
    let mut secret = || {
        let value: String = (0..40)
            .map(|_| char::from(random.letter(letters)))
            .collect();
        Secret::new(value)
    };
    (0..20).map(|_| secret()).collect()
}

/// Takes what is left of a log, and forgets it.
struct Nowhere;

#[async_trait]
impl Output for Nowhere {
    async fn write(&self, _: Bytes) {}
}

/// How long the redactor alone takes for a hundred megabytes, as steps write them.
async fn redactor_alone() -> f64 {
    let redactor = Arc::new(Redactor::default());
    redactor.add(&secrets());
    let output = Redacted::new(Arc::new(Nowhere), redactor);
    let text = Bytes::from(text(100, FILE));
    let started = Instant::now();
    for at in (0..text.len()).step_by(CHUNK) {
        let end = text.len().min(at + CHUNK);
        output.write(text.slice(at..end)).await;
    }
    output.flush().await;
    started.elapsed().as_secs_f64()
}

/// One runner, of which tasks have these secrets.
async fn platform(secrets: Vec<Secret>) -> Result<Platform, Failure> {
    let mut platform = Platform::start().await?;
    platform.secrets = secrets;
    platform.start_runners(1, 1, |number, folder| {
        let name = format!("bench-{}-{number}", std::process::id());
        Arc::new(ProcessExecutor::new(ProcessSettings::new(
            folder.join("work"),
            name,
        )))
    })?;
    seconds(&platform, "echo hello").await?;
    Ok(platform)
}

/// The same output by turns without secrets and with them: the best time of each.
async fn by_turns(plain: &Platform, masked: &Platform, command: &str) -> Result<[f64; 2], Failure> {
    let mut best = [f64::INFINITY; 2];
    for _ in 0..TURNS {
        for (best, platform) in best.iter_mut().zip([plain, masked]) {
            *best = best.min(seconds(platform, command).await?);
        }
    }
    Ok(best)
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
    let (plain, masked) = (platform(Vec::new()).await?, platform(secrets()).await?);
    let [bulk_seconds, masked_seconds] = by_turns(&plain, &masked, &bulk).await?;
    let short_seconds = seconds(&plain, &short).await? * scale as f64;
    plain.end().await;
    masked.end().await;
    let alone = FILE as f64 / redactor_alone().await / 1e6;

    let speed = |seconds: f64| bytes as f64 / seconds / 1e6;
    let (here, bare) = (speed(bulk_seconds), speed(bulk_floor));
    let short_floor = short_floor * scale as f64;
    if args.json {
        crate::show::json(&json!({ "logs": {
            "mb_per_second": rounded(here),
            "million_lines_seconds": rounded(short_seconds),
            "masked_mb_per_second": rounded(speed(masked_seconds)),
            "masked_ratio": rounded(bulk_seconds / masked_seconds),
            "redactor_mb_per_second": rounded(alone),
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
        Figure {
            name: "the first again, with 20 secrets of 40 bytes to mask",
            value: format!("{:.0} MB/s", speed(masked_seconds)),
            floor: format!("without secrets {here:.0} MB/s"),
            ratio: Some(bulk_seconds / masked_seconds),
            target: "0.9 of it",
        },
        Figure {
            name: "the redactor alone",
            value: format!("{alone:.0} MB/s"),
            floor: String::new(),
            ratio: None,
            target: "",
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
    platform.seen.wait_for(before + 1).await?;
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
