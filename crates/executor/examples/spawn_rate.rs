//! What the process executor costs: scripts per second beside a bare loop that spawns the same
//! shell, and output per second beside a bare read of a pipe. Run it in a release build:
//!
//! ```text
//! cargo run --release -p outrider-executor --example spawn_rate
//! ```

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_executor::{ExecRequest, Executor, Output, PrepareRequest};
use outrider_model::AttemptId;
use outrider_model::plan::EnvironmentKind;
use tokio::time::Instant;

const SCRIPTS: u64 = 1000;
const AT_ONCE: u64 = 4;
const ROUNDS: u64 = 3;
const SHELL: [&str; 3] = ["/bin/bash", "-eo", "pipefail"];
const OUTPUT: &str = "head -c 2000000000 /dev/zero\n";

#[derive(Default)]
struct Counting {
    bytes: AtomicU64,
}

#[async_trait]
impl Output for Counting {
    async fn write(&self, bytes: Bytes) {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}

#[tokio::main]
async fn main() {
    let place = std::env::temp_dir().join(format!("outrider-spawn-rate-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a directory below the temporary one");
    for cgroups in [true, false] {
        let name = format!("spawn-rate-{}", std::process::id());
        let settings = ProcessSettings {
            cgroups,
            ..ProcessSettings::new(place.join("work"), name)
        };
        let executor = Arc::new(ProcessExecutor::new(settings));
        println!("cgroups: {cgroups}");
        for round in 0..ROUNDS {
            measure_scripts(&executor, &place, round * SCRIPTS * 2).await;
        }
        for round in 0..ROUNDS {
            measure_output(&executor, &place, 1_000_000 + round).await;
        }
        println!("  missing: {:?}", executor.cgroups_missing());
    }
    std::fs::remove_dir_all(&place).expect("nothing else is there");
}

async fn measure_scripts(executor: &Arc<ProcessExecutor>, place: &Path, first: u64) {
    let bare = bare_scripts(place);
    let start = Instant::now();
    let lanes = (0..AT_ONCE).map(|lane| {
        let executor = Arc::clone(executor);
        tokio_util::task::TaskTracker::new().spawn(async move {
            for number in (lane..SCRIPTS).step_by(AT_ONCE as usize) {
                let output = Arc::new(Counting::default());
                run(
                    &executor,
                    lane as usize,
                    first + number,
                    "/bin/true\n",
                    output,
                )
                .await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.expect("no script fails");
    }
    let ours = SCRIPTS as f64 / start.elapsed().as_secs_f64();
    println!(
        "  scripts/s: {ours:.0}, bare {bare:.0}, ratio {:.2}",
        ours / bare
    );
}

fn bare_scripts(place: &Path) -> f64 {
    let script = place.join("true.sh");
    std::fs::write(&script, "/bin/true\n").expect("written");
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                for _ in 0..SCRIPTS / AT_ONCE {
                    let output = bare(&script).output().expect("spawned");
                    assert!(output.status.success());
                }
            });
        }
    });
    SCRIPTS as f64 / start.elapsed().as_secs_f64()
}

fn bare(script: &Path) -> Command {
    let mut command = Command::new(SHELL[0]);
    command
        .args(&SHELL[1..])
        .arg(script)
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

async fn measure_output(executor: &ProcessExecutor, place: &Path, number: u64) {
    let bare = bare_output(place);
    let output = Arc::new(Counting::default());
    let start = Instant::now();
    run(executor, 0, number, OUTPUT, Arc::clone(&output)).await;
    let bytes = output.bytes.load(Ordering::Relaxed) as f64;
    let ours = bytes / start.elapsed().as_secs_f64() / 1e6;
    println!(
        "  output: {ours:.0} MB/s, bare {bare:.0} MB/s, ratio {:.2}",
        ours / bare
    );
}

fn bare_output(place: &Path) -> f64 {
    let script = place.join("output.sh");
    std::fs::write(&script, OUTPUT).expect("written");
    let start = Instant::now();
    let mut child = bare(&script).spawn().expect("spawned");
    let mut pipe = child.stdout.take().expect("piped");
    let (mut buffer, mut total) = (vec![0; 256 << 10], 0);
    loop {
        match pipe.read(&mut buffer).expect("read") {
            0 => break,
            count => total += count,
        }
    }
    child.wait().expect("waited for");
    total as f64 / start.elapsed().as_secs_f64() / 1e6
}

async fn run(
    executor: &ProcessExecutor,
    slot: usize,
    number: u64,
    script: &str,
    output: Arc<Counting>,
) {
    let request = PrepareRequest::new(
        AttemptId::from_bytes(u128::from(number).to_be_bytes()),
        slot,
        EnvironmentKind::Machine { image: None },
        "~/project",
    );
    let environment = executor.prepare(request).await.expect("prepared");
    let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    let request = ExecRequest {
        shell: SHELL.map(str::to_owned).to_vec(),
        script: script.to_owned(),
        environment: BTreeMap::from([path]),
        working_directory: environment.resolve("."),
    };
    let result = environment.exec(request, output).await.expect("executed");
    assert!(result.exit.success(), "{result:?}");
    tokio::time::timeout(Duration::from_secs(60), environment.cleanup())
        .await
        .expect("in time")
        .expect("cleaned up");
}
