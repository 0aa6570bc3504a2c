//! `outrider bench docker`

mod floors;
mod jobs;

use clap::Args;
use serde_json::json;

use self::floors::{DockerCommand, Runs};
use super::table::{self, Figure, percentile, rounded};
use super::{BenchArgs, child, memory};
use crate::failure::Failure;

/// Jobs that run at once.
const AT_ONCE: usize = 20;
/// How often that is done, in turns with its floor: a round differs from the next by a tenth.
const ROUNDS: usize = 5;
/// Steps of a job with many.
const STEPS: usize = 50;
/// Containers that wait.
const WARM: usize = 2;

/// How to measure.
#[derive(Args)]
pub struct DockerBenchArgs {
    #[command(flatten)]
    bench: BenchArgs,
    /// The image of all containers. It needs `sh`, `echo`, `true` and `sleep`.
    #[arg(long, default_value = "busybox", value_name = "IMAGE")]
    image: String,
    /// Docker's own command, whose runs are the floor.
    #[arg(long, default_value = "docker", value_name = "PROGRAM")]
    docker: String,
}

/// All that was measured, in milliseconds unless it says otherwise.
struct Measured {
    docker_runs: Runs,
    docker_execs: Vec<f64>,
    bare: Vec<f64>,
    docker_at_once_s: f64,
    cold: Vec<f64>,
    steps: Vec<f64>,
    warm: Vec<f64>,
    at_once_s: f64,
    left_behind: usize,
    rss_mb: f64,
}

/// Measures and prints.
pub async fn run(args: DockerBenchArgs) -> Result<(), Failure> {
    let measured = measure(&args).await?;
    if args.bench.json {
        crate::show::json(&as_json(measured));
    } else {
        table::print("docker", &figures(measured));
    }
    Ok(())
}

async fn measure(args: &DockerBenchArgs) -> Result<Measured, Failure> {
    let docker = DockerCommand {
        program: args.docker.clone(),
        image: args.image.clone(),
    };
    let (few, many) = if args.bench.quick { (3, 10) } else { (20, 100) };
    let image = args.image.as_str();
    // One that does not count, so that the image is there.
    blocking(&docker, |docker| docker.runs(1)).await?;
    let docker_runs = blocking(&docker, move |docker| docker.runs(few)).await?;
    let docker_execs = blocking(&docker, move |docker| docker.execs(few)).await?;
    let bare = blocking(&docker, move |_| floors::bare_processes(many)).await?;

    let platform = jobs::platform(AT_ONCE).await?;
    let cold = jobs::first_bytes(&platform, image, few, async || Ok(())).await?;
    let steps = jobs::further_steps(&platform, image, few.min(10), STEPS).await?;
    let (mut docker_at_once, mut at_once) = (Vec::new(), Vec::new());
    for _ in 0..if args.bench.quick { 1 } else { ROUNDS } {
        docker_at_once.push(blocking(&docker, |docker| docker.runs_at_once(AT_ONCE)).await?);
        at_once.push(jobs::at_once(&platform, image, AT_ONCE).await?);
    }
    platform.end().await;

    let (platform, executor) = jobs::warm_platform(image, WARM).await?;
    let ready = async || jobs::wait_for_warm(&executor, WARM).await;
    let warm = jobs::first_bytes(&platform, image, many, ready).await?;
    platform.end().await;
    let left_behind = blocking(&docker, |docker| {
        docker.containers_of(&format!("outrider.runner={}", jobs::runner_name()))
    });
    Ok(Measured {
        docker_runs,
        docker_execs,
        bare,
        docker_at_once_s: percentile(&mut docker_at_once, 0.5),
        cold,
        steps,
        warm,
        at_once_s: percentile(&mut at_once, 0.5),
        left_behind: left_behind.await?,
        rss_mb: busy_rss(image).await?,
    })
}

/// Megabytes of a runner, as a process of its own, while it runs many containers.
async fn busy_rss(image: &str) -> Result<f64, Failure> {
    let folder = tempfile::tempdir().map_err(|e| Failure::cannot_write("a temporary folder", e))?;
    let server = child::Server::start(folder.path()).await?;
    let token = server.class_token().await?;
    let data = folder.path().join("runner").display().to_string();
    let slots = AT_ONCE.to_string();
    let token = child::write_token(folder.path(), &token)?;
    let runner = child::Process::start(&[
        "runner",
        "start",
        "--url",
        &server.url,
        "--token-file",
        &token,
        "--data",
        &data,
        "--slots",
        &slots,
        "--executor",
        "docker",
    ])?;
    let config = jobs::job(image, AT_ONCE, &["echo hello; sleep 1000"]);
    super::platform::submit_config(&server.client, config).await?;
    server.wait_for_running(AT_ONCE).await?;
    let rss = memory::settled_rss(&runner).await? / 1024.0;
    runner.end().await?;
    Ok(rss)
}

async fn blocking<T: Send + 'static>(
    docker: &DockerCommand,
    work: impl FnOnce(&DockerCommand) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let docker = docker.clone();
    let done = tokio::task::spawn_blocking(move || work(&docker)).await;
    done.map_err(|error| Failure::internal("measure a floor", error))?
}

fn as_json(mut m: Measured) -> serde_json::Value {
    let run_first = percentile(&mut m.docker_runs.first_byte, 0.5);
    let run_whole = percentile(&mut m.docker_runs.whole, 0.5);
    let cold = percentile(&mut m.cold, 0.5);
    json!({ "docker": {
        "cold_ratio": rounded(cold / run_first),
        "cold_first_byte_ms": rounded(cold),
        "step_ms_p50": rounded(percentile(&mut m.steps, 0.5)),
        "warm_first_byte_ms": {
            "p50": rounded(percentile(&mut m.warm, 0.5)),
            "p99": rounded(percentile(&mut m.warm, 0.99)),
        },
        "twenty_jobs_ratio": rounded(m.at_once_s / m.docker_at_once_s),
        "left_behind": m.left_behind,
        "runner_rss_mb": rounded(m.rss_mb),
        "floors": {
            "docker_run_first_byte_ms": rounded(run_first),
            "docker_run_ms": rounded(run_whole),
            "docker_exec_ms": rounded(percentile(&mut m.docker_execs, 0.5)),
            "bare_process_ms": rounded(percentile(&mut m.bare, 0.5)),
            "twenty_docker_runs_s": rounded(m.docker_at_once_s),
        },
    }})
}

fn figures(mut m: Measured) -> [Figure; 6] {
    let run_first = percentile(&mut m.docker_runs.first_byte, 0.5);
    let run_whole = percentile(&mut m.docker_runs.whole, 0.5);
    let exec = percentile(&mut m.docker_execs, 0.5);
    let bare = percentile(&mut m.bare, 0.5);
    let cold = percentile(&mut m.cold, 0.5);
    let step = percentile(&mut m.steps, 0.5);
    let (warm50, warm99) = (percentile(&mut m.warm, 0.5), percentile(&mut m.warm, 0.99));
    let figure = |name, value, floor, ratio, target| Figure {
        name,
        value,
        floor,
        ratio,
        target,
    };
    let run = format!("`docker run` to first byte {run_first:.0} ms, whole {run_whole:.0} ms");
    [
        figure(
            "cold: queued to first byte, p50",
            format!("{cold:.0} ms"),
            run.clone(),
            Some(cold / run_first),
            "ratio 1.05",
        ),
        figure(
            "each further step, p50",
            format!("{step:.2} ms"),
            format!("`docker exec` {exec:.0} ms, bare process {bare:.2} ms"),
            Some(step / exec),
            "10 ms",
        ),
        figure(
            "warm: queued to first byte, p50",
            format!("{warm50:.1} ms"),
            run.clone(),
            Some(warm50 / run_first),
            "25 ms",
        ),
        figure(
            "warm: queued to first byte, p99",
            format!("{warm99:.1} ms"),
            run,
            Some(warm99 / run_first),
            "100 ms",
        ),
        figure(
            "20 jobs at once",
            format!("{:.2} s, {} left behind", m.at_once_s, m.left_behind),
            format!("20 `docker run` {:.2} s", m.docker_at_once_s),
            Some(m.at_once_s / m.docker_at_once_s),
            "ratio 1",
        ),
        figure(
            "runner with 20 containers, RSS",
            format!("{:.1} MB", m.rss_mb),
            "see `outrider bench idle`".to_owned(),
            None,
            "30 MB",
        ),
    ]
}
