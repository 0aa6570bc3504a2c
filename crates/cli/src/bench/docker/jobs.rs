//! Jobs in containers, through a whole platform.

use std::io;
use std::path::Path;
use std::sync::Arc;

use outrider_executor::Executor;
use outrider_executor::docker::{DockerExecutor, DockerSettings, Warm};
use tokio::time::{Duration, Instant, sleep};

use super::super::child::this_program;
use super::super::platform::{CLASS, Platform};
use crate::docker_args::DockerArgs;
use crate::failure::Failure;

/// How long a container may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What the runner calls itself: others may measure on the same Engine.
pub fn runner_name() -> String {
    format!("bench-{}", std::process::id())
}

/// A platform whose runner has so many slots.
pub async fn platform(slots: usize) -> Result<Platform, Failure> {
    let (platform, _) = start(slots, Warm::default()).await?;
    Ok(platform)
}

/// A platform whose runner has one slot and containers that wait, and what asks for those.
pub async fn warm_platform(
    image: &str,
    containers: usize,
) -> Result<(Platform, Arc<DockerExecutor>), Failure> {
    let images = vec![image.to_owned()];
    start(1, Warm { containers, images }).await
}

async fn start(slots: usize, warm: Warm) -> Result<(Platform, Arc<DockerExecutor>), Failure> {
    let program = this_program()?;
    let platform = Platform::start().await?;
    let usual = DockerArgs::default();
    let owners = platform.folder().join("owners");
    let executor = Arc::new(DockerExecutor::new(DockerSettings {
        warm,
        ..usual.settings(&runner_name(), &program, &owners)
    }));
    platform.start_runners(1, slots, |_, _: &Path| {
        Arc::clone(&executor) as Arc<dyn Executor>
    })?;
    Ok((platform, executor))
}

/// Waits until so many containers wait.
pub async fn wait_for_warm(executor: &DockerExecutor, containers: usize) -> Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    while executor.waiting().len() < containers {
        if Instant::now() > end {
            return Err(Failure::internal(
                "keep containers ready",
                io::Error::from(io::ErrorKind::TimedOut),
            ));
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Milliseconds from the submission of a job to the moment at which the first byte of its output is
/// durable on the server. Each job is submitted when the host is `ready`.
pub async fn first_bytes(
    platform: &Platform,
    image: &str,
    count: usize,
    ready: impl AsyncFn() -> Result<(), Failure>,
) -> Result<Vec<f64>, Failure> {
    let mut times = Vec::with_capacity(count);
    // One more, so that the image, the program's volume and all connections are there.
    for number in 0..=count {
        ready().await?;
        platform.seen.take_first_byte();
        let before = platform.seen.finished();
        let started = Instant::now();
        platform
            .submit_config(job(image, 1, &["echo hello"]))
            .await?;
        platform.seen.wait_for(before + 1).await?;
        if let Some(at) = platform.seen.take_first_byte().filter(|_| number > 0) {
            times.push((at - started).as_secs_f64() * 1e3);
        }
    }
    Ok(times)
}

/// Milliseconds that each further step takes: the difference between jobs of many steps and of one,
/// by step.
pub async fn further_steps(
    platform: &Platform,
    image: &str,
    jobs: usize,
    steps: usize,
) -> Result<Vec<f64>, Failure> {
    let many = vec!["true"; steps + 1];
    let mut times = Vec::with_capacity(jobs);
    for _ in 0..jobs {
        let one = whole(platform, job(image, 1, &["true"])).await?;
        let all = whole(platform, job(image, 1, &many)).await?;
        times.push((all - one) * 1e3 / steps as f64);
    }
    Ok(times)
}

/// Seconds from the submission of a config with so many tasks to the end of the last.
pub async fn at_once(platform: &Platform, image: &str, tasks: usize) -> Result<f64, Failure> {
    let before = platform.seen.finished();
    let started = Instant::now();
    platform
        .submit_config(job(image, tasks, &["echo hello"]))
        .await?;
    platform.seen.wait_for(before + tasks as u64).await?;
    Ok(started.elapsed().as_secs_f64())
}

async fn whole(platform: &Platform, config: String) -> Result<f64, Failure> {
    let before = platform.seen.finished();
    let started = Instant::now();
    platform.submit_config(config).await?;
    platform.seen.wait_for(before + 1).await?;
    Ok(started.elapsed().as_secs_f64())
}

/// A config with one job in a container.
pub fn job(image: &str, parallelism: usize, commands: &[&str]) -> String {
    let image = serde_json::Value::from(image);
    let mut config = format!(
        "version: 2.1\njobs:\n  build:\n    docker: [{{image: {image}}}]\n    \
         resource_class: {CLASS}\n    parallelism: {parallelism}\n    steps:\n"
    );
    for command in commands {
        let command = serde_json::Value::from(*command);
        config.push_str(&format!(
            "      - run: {{name: bench, command: {command}}}\n"
        ));
    }
    config
}
