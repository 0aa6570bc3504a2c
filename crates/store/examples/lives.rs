//! Whole lives of tasks, store only: submitted, claimed, started, one step, one line of log,
//! finished. Each call is its own; the store commits for many callers at once.
//!
//! ```text
//! cargo run --release -p outrider-store --example lives -- [callers=128] [lives=200000]
//!     [queued=0] [per-pipeline=1] [batch=1] [dir=DIR]
//! ```

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outrider_model::plan::{
    BuildPlan, EnvironmentKind, JobKind, JobPlan, JobSpec, Plan, Trigger, WorkflowPlan,
};
use outrider_model::report::{
    Exit, Finished, LogChunk, LogHash, LogSpan, Report, StepEnd, StepReport,
};
use outrider_model::{ClassName, Outcome, Random, RunnerId, Timestamp};
use outrider_store::sqlite::{SqliteOptions, SqliteStore};
use outrider_store::{Claim, NewPipeline, RawClaimedTask, Store};
use tokio::task::JoinSet;
use tokio::time::Instant;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Not secret, but different every time.
struct Mixed(AtomicU64);

impl Random for Mixed {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

struct Bench {
    store: SqliteStore,
    class: ClassName,
    started: Instant,
    lives: u64,
    per_pipeline: u32,
    batch: u32,
    submitted: AtomicU64,
    done: AtomicU64,
}

impl Bench {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000) + self.started.elapsed()
    }

    async fn submit(&self, tasks: u32) -> Fallible<()> {
        let spec = JobSpec {
            environment_kind: EnvironmentKind::Machine { image: None },
            shell: None,
            working_directory: "~/project".to_owned(),
            environment: Default::default(),
            steps: Vec::new(),
            resource_class: None,
            retry_when_lost: false,
            cache_retention_days: None,
        };
        let job = JobPlan {
            name: "build".to_owned(),
            requires: Vec::new(),
            contexts: Vec::new(),
            serial_group: None,
            kind: JobKind::Build(Box::new(BuildPlan {
                class: self.class.clone(),
                parallelism: tasks,
                spec,
            })),
        };
        let workflow = WorkflowPlan {
            name: "main".to_owned(),
            jobs: vec![job],
            max_auto_reruns: 0,
        };
        let new = NewPipeline {
            trigger: Trigger {
                project: "acme/shop".to_owned(),
                ..Trigger::default()
            },
            plan: Plan {
                workflows: vec![workflow],
                setup: false,
            },
            parameters: Default::default(),
            config: "version: 2.1".to_owned(),
            idempotency_key: None,
            reserved: None,
        };
        self.store.submit_pipeline(new, self.now()).await?;
        Ok(())
    }

    fn whole_life(&self, task: &RawClaimedTask) -> Report {
        let line = format!("hello from task {}\n", task.index).into_bytes();
        let end = StepEnd {
            outcome: Outcome::Passed,
            exit: Some(Exit::Code(0)),
            duration: Duration::from_millis(1),
            usage: None,
        };
        let step = StepReport {
            index: 0,
            name: "echo".to_owned(),
            started_at: self.now(),
            ended: Some(end),
        };
        Report {
            started: true,
            steps: vec![step],
            spans: vec![LogSpan { offset: 0, step: 0 }],
            finished: Some(Finished {
                outcome: Outcome::Passed,
                reason: None,
                log_length: line.len() as u64,
                log_hash: LogHash(blake3_of(&line)),
            }),
            log: Some(LogChunk {
                offset: 0,
                bytes: line,
            }),
            ..Report::empty(task.task, task.lease)
        }
    }

    async fn caller(self: Arc<Self>, number: u8) -> Fallible<()> {
        let claim = Claim {
            class: self.class.clone(),
            runner: RunnerId::from_bytes([number; 16]),
            runner_name: format!("runner-{number}"),
            slots: self.batch,
            lease: Duration::from_secs(20),
        };
        while self.done.load(Ordering::Relaxed) < self.lives {
            let wanted = u64::from(self.batch);
            while self.submitted.load(Ordering::Relaxed)
                < self.done.load(Ordering::Relaxed) + wanted * 128
            {
                self.submitted
                    .fetch_add(u64::from(self.per_pipeline), Ordering::Relaxed);
                self.submit(self.per_pipeline).await?;
                if self.per_pipeline == 1 && self.batch == 1 {
                    break;
                }
            }
            let tasks = self.store.claim(claim.clone(), self.now()).await?;
            let reports: Vec<_> = tasks.iter().map(|task| self.whole_life(task)).collect();
            let count = reports.len() as u64;
            let lease = Duration::from_secs(300);
            self.store.report(reports, lease, self.now()).await?;
            self.done.fetch_add(count, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn blake3_of(bytes: &[u8]) -> [u8; 32] {
    blake3::hash(bytes).into()
}

fn setting(name: &str, default: u64) -> u64 {
    let prefix = format!("{name}=");
    let given = std::env::args().find_map(|arg| arg.strip_prefix(&prefix).map(str::to_owned));
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Processor time of this process so far, in microseconds: steadier than the clock on a busy machine.
fn processor_time() -> Fallible<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? * 10_000)
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let given = std::env::args().find_map(|arg| arg.strip_prefix("dir=").map(str::to_owned));
    let folder = tempfile::tempdir()?;
    let path = given.map_or(folder.path().to_owned(), Into::into);
    let store = SqliteStore::open(path, SqliteOptions::new(Arc::new(Mixed(AtomicU64::new(7)))))?;
    let callers = setting("callers", 128);
    let bench = Arc::new(Bench {
        store,
        class: "acme/linux".parse()?,
        started: Instant::now(),
        lives: setting("lives", 200_000),
        per_pipeline: setting("per-pipeline", 1) as u32,
        batch: setting("batch", 1) as u32,
        submitted: AtomicU64::new(0),
        done: AtomicU64::new(0),
    });

    let queued = setting("queued", 0);
    let mut filling = JoinSet::new();
    for _ in 0..64 {
        let bench = bench.clone();
        filling.spawn(async move {
            for _ in 0..queued / 64 / u64::from(bench.per_pipeline) {
                bench.submit(bench.per_pipeline).await?;
            }
            Fallible::Ok(())
        });
    }
    while let Some(ended) = filling.join_next().await {
        ended??;
    }
    if queued > 0 {
        let seconds = bench.started.elapsed().as_secs_f64();
        println!(
            "queued {queued} tasks: {:.0} tasks/s",
            queued as f64 / seconds
        );
    }

    let (start, processor) = (Instant::now(), processor_time()?);
    let mut running = JoinSet::new();
    for number in 0..callers {
        running.spawn(bench.clone().caller(number as u8));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let (done, seconds) = (
        bench.done.load(Ordering::Relaxed),
        start.elapsed().as_secs_f64(),
    );
    let each = (processor_time()? - processor) / done.max(1);
    println!(
        "{done} lives, {callers} callers: {:.0} lives/s, {each} us of processor time each",
        done as f64 / seconds
    );
    Ok(())
}
