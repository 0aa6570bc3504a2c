//! Random lives: after each step everything must add up.

use std::time::Duration;

use outrider_model::plan::{JobKind, JobPlan};
use outrider_model::report::Report;
use outrider_model::status::Tally;
use outrider_model::{JobId, Outcome, PipelineId, Status};

use super::world::{
    CLAIMED, DURATIONS, RUNNING, World, accepts, build, chunk, empty, end, held, job, pipeline,
    requires, tasks,
};
use crate::{CancelTarget, EventSeq, EventSubject, LONGEST_TURN_WAIT, RawClaimedTask};

/// How many random worlds, and how many steps in each.
const WORLDS: u64 = 12;
const STEPS: u32 = 60;

/// A small generator (SplitMix64): the same seed, the same life.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap_or(0)
    }

    fn outcome(&mut self) -> Outcome {
        [
            Outcome::Passed,
            Outcome::Passed,
            Outcome::Failed,
            Outcome::TimedOut,
            Outcome::Canceled,
        ][self.roll(5)]
    }
}

pub async fn random_lives_add_up(w: World) {
    for seed in 0..WORLDS {
        let mut dice = Dice(seed);
        let (mut pipelines, mut held) = (Vec::new(), Vec::new());
        for _ in 0..STEPS {
            step(&w, &mut dice, &mut pipelines, &mut held).await;
        }
        for id in &pipelines {
            check(&w, *id, seed).await;
        }
        check_depths(&w, seed).await;
        finish(&w, seed).await;
    }
}

fn plan(dice: &mut Dice) -> Vec<JobPlan> {
    let mut jobs = vec![tasks("a", 1 + dice.roll(3) as u32), job("b")];
    jobs.push(requires("c", &["a", "b"]));
    jobs.push(accepts(
        "d",
        "c",
        &[Outcome::Failed, Outcome::NotRun, Outcome::Canceled],
    ));
    jobs.push(requires("e", &["d"]));
    for job in &mut jobs {
        build(job).spec.retry_when_lost = dice.roll(3) == 0;
        vary(job, dice);
    }
    jobs
}

/// Some jobs take turns, and some run nothing.
fn vary(job: &mut JobPlan, dice: &mut Dice) {
    let key = || "db".to_owned();
    match dice.roll(10) {
        0 | 1 => job.serial_group = Some("deploy".to_owned()),
        2 => job.kind = JobKind::Approval,
        3 => job.kind = JobKind::NoOp,
        4 => job.kind = JobKind::Lock { key: key() },
        5 => job.kind = JobKind::Unlock { key: key() },
        _ => {}
    }
}

async fn step(
    w: &World,
    dice: &mut Dice,
    pipelines: &mut Vec<PipelineId>,
    known: &mut Vec<RawClaimedTask>,
) {
    // Leases are kept after they ended, so that stale ones are used too.
    let any = (!known.is_empty()).then(|| known[dice.roll(known.len().max(1))].clone());
    match (dice.roll(11), any) {
        (0, _) => {
            let mut new = pipeline(plan(dice));
            new.plan.workflows[0].max_auto_reruns = dice.roll(3) as u32;
            let submitted = w.store.submit_pipeline(new, w.now()).await.unwrap();
            pipelines.push(submitted.pipeline);
        }
        (1 | 2, _) => known.extend(w.claim(1 + dice.roll(3) as u32).await),
        (3, Some(task)) => {
            w.report(Report {
                started: true,
                log: chunk(0, b"log"),
                ..empty(&task)
            })
            .await;
        }
        (4 | 5, Some(task)) => {
            let finished = Some(end(dice.outcome(), b"log"));
            let log = chunk(0, b"log");
            w.report(Report {
                started: true,
                log,
                finished,
                ..empty(&task)
            })
            .await;
        }
        (6, Some(task)) => {
            w.store.release(vec![held(&task)], w.now()).await.unwrap();
        }
        (7, Some(task)) => {
            let runner = outrider_model::RunnerId::from_bytes([9; 16]);
            w.store
                .renew_leases(runner, vec![held(&task)], DURATIONS, w.now())
                .await
                .unwrap();
        }
        (8, _) => {
            w.pass([Duration::from_secs(5), CLAIMED, RUNNING][dice.roll(3)]);
            w.store.expire_leases(w.now(), 3).await.unwrap();
        }
        (9, _) if !pipelines.is_empty() => approve_one(w, dice, pipelines).await,
        (10, _) if !pipelines.is_empty() && dice.roll(3) == 0 => {
            let id = pipelines[dice.roll(pipelines.len())];
            let name = ["a", "b", "c", "d", "e"][dice.roll(5)];
            let what = match dice.roll(3) {
                0 => CancelTarget::Pipeline(id),
                _ => CancelTarget::Job(w.job_id(id, name).await),
            };
            w.store
                .cancel(what, "ann".to_owned(), w.now())
                .await
                .unwrap();
        }
        _ => {}
    }
}

async fn approve_one(w: &World, dice: &mut Dice, pipelines: &[PipelineId]) {
    let id = pipelines[dice.roll(pipelines.len())];
    let name = ["a", "b", "c", "d", "e"][dice.roll(5)];
    let job = w.job_id(id, name).await;
    let on_hold = w.status(id, name).await == Status::OnHold;
    let approved = w.store.approve(job, "ann".to_owned(), w.now()).await;
    assert!(approved.is_ok() || !on_hold, "{approved:?}");
}

/// A pipeline's statuses are what its tasks add up to, and what its events said last.
async fn check(w: &World, id: PipelineId, seed: u64) {
    let detail = w.pipeline(id).await;
    let events = w.store.events(id, EventSeq(0), 9_999).await.unwrap();
    let last = |subject| {
        let mut of_it = events.iter().rev().filter(|event| event.subject == subject);
        of_it.next().map(|event| event.status)
    };
    let mut workflows = Vec::new();
    for workflow in &detail.workflows {
        for job in &workflow.jobs {
            let tasks = w.store.job(job.id).await.unwrap().tasks;
            let sum = Tally::of(tasks.iter().map(|task| task.status)).status();
            assert_eq!(job.status, sum, "seed {seed}, job {}", job.name);
            assert_eq!(
                last(EventSubject::Job(job.id)),
                Some(sum),
                "seed {seed}, job {}",
                job.name
            );
            assert_eq!(
                job.finished_at.is_some(),
                sum.outcome().is_some(),
                "seed {seed}"
            );
            check_tasks(w, job.id, seed).await;
        }
        let sum = Tally::of(workflow.jobs.iter().map(|job| job.status)).status();
        assert_eq!(workflow.status, sum, "seed {seed}");
        workflows.push(sum);
    }
    let sum = Tally::of(workflows).status();
    assert_eq!(detail.summary.status, sum, "seed {seed}");
    assert_eq!(last(EventSubject::Pipeline), Some(sum), "seed {seed}");
}

/// At most one attempt of a task is open, and only if the task is held.
async fn check_tasks(w: &World, job: JobId, seed: u64) {
    for task in w.store.job(job).await.unwrap().tasks {
        let detail = w.store.task(task.id).await.unwrap();
        let open = detail
            .attempts
            .iter()
            .filter(|attempt| attempt.ended_at.is_none())
            .count();
        assert_eq!(
            open,
            usize::from(task.status == Status::Running),
            "seed {seed}, {}",
            task.id
        );
        let newest = detail.attempts.last().map(|attempt| attempt.id);
        assert_eq!(task.attempt, newest, "seed {seed}");
        let explained = w.store.explain(task.id, w.now()).await.unwrap();
        assert_eq!(
            explained.wait.is_none(),
            task.status.outcome().is_some(),
            "seed {seed}"
        );
    }
}

async fn check_depths(w: &World, seed: u64) {
    let (mut queued, mut running) = (0, 0);
    let filter = crate::PipelineFilter {
        project: None,
        before: None,
        limit: 9_999,
    };
    for summary in w.store.pipelines(filter).await.unwrap() {
        for job in &w.pipeline(summary.id).await.workflows[0].jobs {
            for task in w.store.job(job.id).await.unwrap().tasks {
                queued += u64::from(task.status == Status::Queued);
                running += u64::from(task.status == Status::Running);
            }
        }
    }
    let depth = w
        .store
        .queue_depths()
        .await
        .unwrap()
        .pop()
        .map(|d| (d.queued, d.running));
    assert_eq!(depth.unwrap_or_default(), (queued, running), "seed {seed}");
}

/// Everything can come to an end.
async fn finish(w: &World, seed: u64) {
    let filter = || crate::PipelineFilter {
        project: None,
        before: None,
        limit: 9_999,
    };
    // A workflow that takes a lock twice waits for itself, for as long as a wait may take.
    for _ in 0..40 {
        w.pass(LONGEST_TURN_WAIT / 4);
        w.store.expire_leases(w.now(), 999).await.unwrap();
        w.store.end_long_waits(w.now(), 999).await.unwrap();
        w.run_all().await;
        for summary in w.store.pipelines(filter()).await.unwrap() {
            for job in &w.pipeline(summary.id).await.workflows[0].jobs {
                if job.status == Status::OnHold {
                    let by = "ann".to_owned();
                    w.store.approve(job.id, by, w.now()).await.unwrap();
                }
            }
        }
    }
    for summary in w.store.pipelines(filter()).await.unwrap() {
        assert!(
            summary.status.outcome().is_some(),
            "seed {seed}: {summary:?}"
        );
    }
}
