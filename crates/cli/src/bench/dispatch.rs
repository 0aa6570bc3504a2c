//! `outrider bench dispatch`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outrider_executor::Executor;
use outrider_executor::fake::FakeExecutor;
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use serde_json::json;
use tokio::time::Instant;

use super::platform::{self, Platform};
use super::table::{self, Figure, percentile, rounded};
use super::{BenchArgs, floors};
use crate::failure::Failure;

/// As the runners of the measured lives: many, each with room for several.
const RUNNERS: usize = 8;
const SLOTS: usize = 32;
/// Tasks of one submitted job.
const TASKS_PER_JOB: u32 = 100;
/// Scripts that run at once, here and in the bare loop.
const AT_ONCE: usize = 4;
/// So many submissions are under way at once.
const SUBMITTERS: usize = 4;

/// Measures and prints.
pub async fn run(args: BenchArgs) -> Result<(), Failure> {
    let tenth = |whole: u64| if args.quick { whole / 10 } else { whole };
    let folder = tempfile::tempdir().map_err(|e| Failure::cannot_write("a temporary folder", e))?;
    let echoes = floors::echoes_per_second(RUNNERS).await?;
    let syncs = floor(folder.path(), floors::syncs_per_second).await?;
    let (plain, queued, million) = lives(tenth(60_000), tenth(1_000_000)).await?;
    let count = tenth(4_000) as usize;
    let spawns = floor(folder.path(), move |f| {
        floors::spawns_per_second(f, count, AT_ONCE)
    })
    .await?;
    let steps = shell_steps(tenth(4_000)).await?;
    let probes = tenth(500) as usize;
    let mut bare = floor(folder.path(), move |f| floors::first_byte_ms(f, probes)).await?;
    let mut first_byte = first_bytes(probes).await?;

    let (p50, p99) = (
        percentile(&mut first_byte, 0.5),
        percentile(&mut first_byte, 0.99),
    );
    let (bare50, bare99) = (percentile(&mut bare, 0.5), percentile(&mut bare, 0.99));
    if args.json {
        crate::show::json(&json!({ "dispatch": {
            "tasks_per_second": rounded(plain),
            "with_1m_queued_ratio": rounded(million / plain),
            "queued_tasks": queued,
            "shell_step_ratio": rounded(steps / spawns),
            "shell_steps_per_second": rounded(steps),
            "first_byte_ms": { "p50": rounded(p50), "p99": rounded(p99) },
            "floors": {
                "axum_echoes_per_second": rounded(echoes),
                "syncs_per_second": rounded(syncs),
                "shell_spawns_per_second": rounded(spawns),
                "first_byte_ms": { "p50": rounded(bare50), "p99": rounded(bare99) },
            },
        }}));
        return Ok(());
    }
    let figures = [
        Figure {
            name: "whole durable lives, fake executor",
            value: format!("{plain:.0} tasks/s"),
            floor: format!("bare axum echo {echoes:.0}/s, fsync {syncs:.0}/s"),
            ratio: Some(plain / echoes),
            target: "5,000 tasks/s",
        },
        Figure {
            name: "the same with many queued",
            value: format!("{million:.0} tasks/s at {queued} queued"),
            floor: format!("without {plain:.0} tasks/s"),
            ratio: Some(million / plain),
            target: "ratio 0.8",
        },
        Figure {
            name: "lives with a real shell step",
            value: format!("{steps:.0} tasks/s"),
            floor: format!("bare spawn loop {spawns:.0}/s"),
            ratio: Some(steps / spawns),
            target: "ratio 0.6",
        },
        Figure {
            name: "queued to first byte, p50",
            value: format!("{p50:.2} ms"),
            floor: format!("bare spawn to first byte {bare50:.2} ms"),
            ratio: Some(p50 / bare50),
            target: "4 ms",
        },
        Figure {
            name: "queued to first byte, p99",
            value: format!("{p99:.2} ms"),
            floor: format!("bare spawn to first byte {bare99:.2} ms"),
            ratio: Some(p99 / bare99),
            target: "15 ms",
        },
    ];
    table::print("dispatch", &figures);
    Ok(())
}

async fn floor<T: Send + 'static>(
    folder: &Path,
    measure: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let folder = folder.to_owned();
    let measured = tokio::task::spawn_blocking(move || measure(&folder)).await;
    let measured = measured.map_err(|error| Failure::internal("measure a floor", error))?;
    measured.map_err(|error| Failure::internal("measure a floor", error))
}

fn fake(_: usize, _: &Path) -> Arc<dyn Executor> {
    Arc::new(FakeExecutor::without_history())
}

fn processes(number: usize, folder: &Path) -> Arc<dyn Executor> {
    let name = format!("bench-{}-{number}", std::process::id());
    Arc::new(ProcessExecutor::new(ProcessSettings::new(
        folder.join("work"),
        name,
    )))
}

/// Lives a second, first with an almost empty queue, then with a long one; and how long that was.
async fn lives(count: u64, queue: u64) -> Result<(f64, u64, f64), Failure> {
    let platform = Platform::start().await?;
    platform.start_runners(RUNNERS, SLOTS, fake)?;
    // A first round, so that connections, caches and statements are there.
    timed_lives(&platform, count / 10).await?;
    let plain = timed_lives(&platform, count).await?;
    platform.end().await;

    let platform = Platform::start().await?;
    fill(&platform, queue).await?;
    let depth = platform
        .client
        .queue()
        .await?
        .items
        .iter()
        .map(|depth| depth.queued)
        .sum();
    platform.start_runners(RUNNERS, SLOTS, fake)?;
    timed_lives(&platform, count / 10).await?;
    let million = timed_lives(&platform, count).await?;
    platform.end().await;
    Ok((plain, depth, million))
}

/// So many tasks are submitted, and as many lives end meanwhile.
async fn timed_lives(platform: &Platform, count: u64) -> Result<f64, Failure> {
    let before = platform.seen.finished();
    let started = Instant::now();
    let (submitted, ended) = tokio::join!(
        submit_all(platform, count, TASKS_PER_JOB),
        platform.seen.wait_for(before + count)
    );
    submitted?;
    ended?;
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

async fn submit_all(platform: &Platform, count: u64, per_job: u32) -> Result<(), Failure> {
    let jobs = count.div_ceil(u64::from(per_job));
    let tasks = outrider_service::Tasks::new();
    let lanes: Vec<_> = (0..SUBMITTERS as u64)
        .map(|lane| {
            let client = platform.client.clone();
            tasks.spawn(async move {
                for _ in (lane..jobs).step_by(SUBMITTERS) {
                    platform::submit(&client, per_job, "print hello").await?;
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for lane in lanes {
        lane.await
            .map_err(|error| Failure::internal("submit", error))??;
    }
    Ok(())
}

async fn fill(platform: &Platform, count: u64) -> Result<(), Failure> {
    submit_all(platform, count, 500).await
}

/// Lives a second of tasks whose step is `/bin/true` in the default shell.
async fn shell_steps(count: u64) -> Result<f64, Failure> {
    let platform = Platform::start().await?;
    platform.start_runners(1, AT_ONCE, processes)?;
    submit_steps(&platform, count / 10).await?;
    platform.seen.wait_for(count / 10).await?;
    let before = platform.seen.finished();
    submit_steps(&platform, count).await?;
    let started = Instant::now();
    platform.seen.wait_for(before + count).await?;
    let rate = count as f64 / started.elapsed().as_secs_f64();
    platform.end().await;
    Ok(rate)
}

async fn submit_steps(platform: &Platform, count: u64) -> Result<(), Failure> {
    let mut left = u32::try_from(count).unwrap_or(u32::MAX);
    while left > 0 {
        let now = left.min(TASKS_PER_JOB);
        platform.submit(now, "/bin/true").await?;
        left -= now;
    }
    Ok(())
}

/// Milliseconds from the submission of a task, sent to an idle platform, to the moment at which the
/// first byte of its step is durable on the server and acknowledged.
async fn first_bytes(count: usize) -> Result<Vec<f64>, Failure> {
    let platform = Platform::start().await?;
    platform.start_runners(1, 1, processes)?;
    let mut times = Vec::with_capacity(count);
    for number in 0..count + 20 {
        // The runner waits in a parked claim again.
        tokio::time::sleep(Duration::from_millis(5)).await;
        platform.seen.take_first_byte();
        let before = platform.seen.finished();
        let started = Instant::now();
        platform.submit(1, "echo hello").await?;
        platform.seen.wait_for(before + 1).await?;
        if let Some(at) = platform.seen.take_first_byte().filter(|_| number >= 20) {
            times.push((at - started).as_secs_f64() * 1e3);
        }
    }
    platform.end().await;
    Ok(times)
}
