//! kill -9 at each point of a story: what was acknowledged is there, and nothing is half done.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outrider_model::plan::{BuildPlan, JobKind, JobPlan, Plan, Trigger, WorkflowPlan};
use outrider_model::report::{Finished, LogChunk, LogHash, Report};
use outrider_model::{BlobHash, Outcome, PipelineId, RunnerId, Timestamp};

use super::super::{Mode, SqliteOptions, SqliteStore};
use super::options;
use crate::{
    ArchiveRecord, CancelTarget, Claim, Continuation, DataStore, EventSeq, HeldLease, NewBlob,
    NewCache, NewPipeline, PipelineFilter, RawClaimedTask, RunnerContact, Store,
};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const LEASE: Duration = Duration::from_secs(20);
/// How many writes the story has.
const STEPS: usize = 15;

/// A story whose steps are one write each.
struct Story<'a> {
    store: &'a SqliteStore,
    pipeline: Option<PipelineId>,
    tasks: Vec<RawClaimedTask>,
}

impl Story<'_> {
    async fn step(&mut self, number: usize) {
        let runner = RunnerId::from_bytes([1; 16]);
        match number {
            0 => {
                let submitted = self.store.submit_pipeline(pipeline(), NOW).await.unwrap();
                self.pipeline = Some(submitted.pipeline);
            }
            1 => {
                let claim = Claim {
                    class: "acme/linux".parse().unwrap(),
                    runner,
                    runner_name: "runner-1".to_owned(),
                    slots: 2,
                    lease: LEASE,
                };
                self.tasks = self.store.claim(claim, NOW).await.unwrap();
            }
            2 => self.report(0, Some(b"hello"), None).await,
            3 => {
                self.report(0, None, Some((Outcome::Passed, b"hello")))
                    .await;
            }
            4 => {
                let contact = RunnerContact {
                    id: runner,
                    class: "acme/linux".parse().unwrap(),
                    name: "runner-1".to_owned(),
                    hostname: "host".to_owned(),
                    version: "0.1.0".to_owned(),
                    slots: 2,
                };
                self.store.see_runners(vec![contact], NOW).await.unwrap();
            }
            5 => self.report(1, Some(b"other"), None).await,
            6 => {
                let blobs = [1, 2].map(|byte| NewBlob {
                    hash: BlobHash([byte; 32]),
                    size: 100,
                });
                let announced = self.store.announce_blobs(self.held(), blobs.into(), NOW);
                announced.await.unwrap();
            }
            7 => {
                let stored = self.store.blobs_stored(self.held(), vec![1], NOW);
                stored.await.unwrap();
            }
            8 => {
                let saved = self.store.save_cache(self.held(), cache(), NOW);
                assert!(saved.await.unwrap());
            }
            9 => {
                let detail = self.store.pipeline(self.pipeline.unwrap()).await.unwrap();
                let hold = detail.workflows[0].jobs[1].id;
                self.store
                    .approve(hold, "ann".to_owned(), NOW)
                    .await
                    .unwrap();
            }
            10 => {
                let key = self.tasks[1].continuation_key.as_ref().unwrap().hash();
                let mut plan = pipeline().plan;
                plan.setup = false;
                let config = "more".to_owned();
                let more = Continuation { key, plan, config };
                self.store.continue_pipeline(more, NOW).await.unwrap();
            }
            11 => {
                let all = CancelTarget::Pipeline(self.pipeline.unwrap());
                self.store.cancel(all, "ann".to_owned(), NOW).await.unwrap();
            }
            12 => {
                self.report(1, None, Some((Outcome::Canceled, b"other")))
                    .await;
            }
            13 => drop(self.store.expire_data(NOW, 9).await.unwrap()),
            _ => self.store.garbage_gone(vec![2]).await.unwrap(),
        }
    }

    fn held(&self) -> HeldLease {
        HeldLease {
            task: self.tasks[1].task,
            lease: self.tasks[1].lease,
        }
    }

    async fn report(&self, task: usize, log: Option<&[u8]>, end: Option<(Outcome, &[u8])>) {
        let task = &self.tasks[task];
        let finished = end.map(|(outcome, log)| Finished {
            outcome,
            reason: None,
            log_length: log.len() as u64,
            log_hash: LogHash(blake3::hash(log).into()),
        });
        let log = log.map(|bytes| LogChunk {
            offset: 0,
            bytes: bytes.to_vec(),
        });
        let report = Report {
            started: true,
            log,
            finished,
            ..Report::empty(task.task, task.lease)
        };
        self.store.report(vec![report], LEASE, NOW).await.unwrap();
    }
}

fn cache() -> NewCache {
    NewCache {
        key: "deps".to_owned(),
        archive: ArchiveRecord {
            manifest: BlobHash([1; 32]),
            packs: Vec::new(),
            entries: 1,
            size: 7,
        },
        retention: LEASE,
    }
}

fn pipeline() -> NewPipeline {
    let spec = serde_json::from_value(serde_json::json!({
        "environment_kind": { "kind": "machine" }, "working_directory": "~", "steps": [],
    }));
    let job = JobPlan {
        name: "a".to_owned(),
        requires: Vec::new(),
        contexts: Vec::new(),
        serial_group: None,
        kind: JobKind::Build(Box::new(BuildPlan {
            class: "acme/linux".parse().unwrap(),
            parallelism: 3,
            spec: spec.unwrap(),
        })),
    };
    let hold = JobPlan {
        name: "hold".to_owned(),
        kind: JobKind::Approval,
        ..job.clone()
    };
    NewPipeline {
        trigger: Trigger {
            project: "acme/shop".to_owned(),
            ..Trigger::default()
        },
        plan: Plan {
            workflows: vec![WorkflowPlan {
                name: "main".to_owned(),
                jobs: vec![job, hold],
                max_auto_reruns: 0,
            }],
            setup: true,
        },
        parameters: Default::default(),
        config: String::new(),
        idempotency_key: Some("once".to_owned()),
        reserved: None,
    }
}

/// All that can be seen of a store. Ids are the same in each run.
async fn everything(store: &SqliteStore) -> String {
    let filter = PipelineFilter {
        project: None,
        before: None,
        limit: 99,
    };
    let mut seen = String::new();
    for summary in store.pipelines(filter).await.unwrap() {
        let detail = store.pipeline(summary.id).await.unwrap();
        let jobs = detail.workflows.iter().flat_map(|workflow| &workflow.jobs);
        for job in jobs {
            for task in store.job(job.id).await.unwrap().tasks {
                let task = store.task(task.id).await.unwrap();
                for attempt in &task.attempts {
                    seen += &format!("{:?}\n", store.read_log(attempt.id, 0, 99).await.unwrap());
                }
                seen += &format!("{task:?}\n");
            }
        }
        let events = store.events(summary.id, EventSeq(0), 999).await.unwrap();
        seen += &format!("{detail:?}\n{events:?}\n");
    }
    let (usage, garbage) = (store.data_usage().await, store.garbage(0, 9).await);
    let known = store.known_blobs(vec![1, 2]).await;
    seen += &format!(
        "{:?}\n{:?}\n{:?}\n",
        usage.unwrap(),
        garbage.unwrap(),
        known.unwrap()
    );
    let (depths, outbox) = (store.queue_depths().await, store.outbox(99).await);
    let runners = store.runners(None).await;
    seen + &format!(
        "{:?}\n{:?}\n{:?}",
        depths.unwrap(),
        outbox.unwrap(),
        runners.unwrap()
    )
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_at_every_point() {
    let memory = SqliteOptions {
        mode: Mode::Inline,
        ..options()
    };
    let store = SqliteStore::open(":memory:", memory).unwrap();
    let mut story = Story {
        store: &store,
        pipeline: None,
        tasks: Vec::new(),
    };
    let mut after = vec![everything(&store).await];
    for step in 0..STEPS {
        story.step(step).await;
        after.push(everything(&store).await);
    }
    assert!(
        after.windows(2).all(|pair| pair[0] != pair[1]),
        "each step can be seen"
    );

    for step in 0..STEPS {
        for (point, survives) in [("applied", step), ("committed", step + 1)] {
            let folder = tempfile::tempdir().unwrap();
            let acknowledged = run_and_kill(folder.path(), step, point);
            assert_eq!(acknowledged, step, "killed at {point} of step {step}");
            let store = SqliteStore::open(folder.path(), options()).unwrap();
            let found = everything(&store).await;
            assert_eq!(found, after[survives], "killed at {point} of step {step}");
            store.ready().await.unwrap();
        }
    }
}

/// Runs the story in another process and kills it at a point; how many steps it had seen done.
fn run_and_kill(folder: &Path, step: usize, point: &str) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "sqlite::tests::crash::child",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = child.stdin.take().unwrap();
    writeln!(orders, "{step} {point} {}", folder.display()).unwrap();
    let mut acknowledged = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.ends_with("@done") {
            acknowledged += 1;
        }
        if line.ends_with("@here") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged
}

/// Not a test: the process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "run by the test that kills it"]
async fn child() {
    let mut orders = String::new();
    std::io::stdin().read_line(&mut orders).unwrap();
    let mut words = orders.trim_end().splitn(3, ' ');
    let step: usize = words.next().unwrap().parse().unwrap();
    let point = format!(".{}", words.next().unwrap());
    let seen = AtomicUsize::new(0);
    let crash = move |name: &str| {
        if name.ends_with(&point) && seen.fetch_add(1, Ordering::Relaxed) == step {
            println!("@here");
            loop {
                std::thread::park();
            }
        }
    };
    let options = SqliteOptions {
        crash: Some(Arc::new(crash)),
        ..options()
    };
    let store = SqliteStore::open(words.next().unwrap(), options).unwrap();
    let mut story = Story {
        store: &store,
        pipeline: None,
        tasks: Vec::new(),
    };
    for step in 0..STEPS {
        story.step(step).await;
        println!("@done");
    }
}
