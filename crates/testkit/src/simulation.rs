//! Seeded simulations: random pipelines, random faults, and what must hold all the same.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use outrider_model::{Outcome, PipelineId, Status, TaskId};
use outrider_service::Clock;
use outrider_store::{AttemptDetail, CancelTarget, EventSeq, EventSubject, Store, TaskDetail};

use crate::network::Faults;
use crate::world::World;

/// What a simulation did: to see that it did something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Pipelines that ran to their end.
    pub pipelines: usize,
    /// Tasks that ended.
    pub tasks: usize,
    /// Attempts that were made.
    pub attempts: usize,
    /// Attempts that ended before their first step, so that the task was queued again.
    pub requeued: usize,
    /// Tasks whose runner was lost while a step ran.
    pub lost: usize,
    /// Servers that were killed.
    pub server_kills: usize,
    /// Runners that were killed.
    pub runner_kills: usize,
    /// Pipelines that were canceled.
    pub cancels: usize,
    /// Jobs that were approved.
    pub approvals: usize,
}

/// Simulated time after which everything must have ended.
const PATIENCE: Duration = Duration::from_secs(6 * 3_600);

/// Runs one simulation on a paused clock. Panics where a promise is broken; the message names the
/// seed.
pub fn simulate(seed: u64) -> Summary {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut simulation = Simulation::new(seed).await;
        simulation.run().await;
        let summary = simulation.summary;
        simulation.world.end().await;
        summary
    })
}

struct Simulation {
    seed: u64,
    world: World,
    pipelines: Vec<PipelineId>,
    /// The jobs of the serial group.
    serial: HashSet<(PipelineId, String)>,
    /// The outcome of each task that was seen to have one.
    ended: HashMap<TaskId, Outcome>,
    server_up: bool,
    summary: Summary,
}

/// What a simulated step prints: so the whole log of a passed task is known.
const STEPS: [&str; 5] = [
    "print hello",
    "print one\nsleep 3s\nprint two",
    "bytes 200000",
    "sleep 40s",
    "print bad\nexit 3",
];

impl Simulation {
    async fn new(seed: u64) -> Self {
        let mut world = World::new(seed).await;
        for _ in 0..1 + world.random.below(3) {
            let slots = 1 + world.random.below(3) as usize;
            world.start_runner(slots);
        }
        Self {
            seed,
            world,
            pipelines: Vec::new(),
            serial: HashSet::new(),
            ended: HashMap::new(),
            server_up: true,
            summary: Summary::default(),
        }
    }

    async fn run(&mut self) {
        self.add_pipeline().await;
        for _ in 0..6 + self.world.random.below(10) {
            self.disturb().await;
            let pause = 1 + self.world.random.below(15_000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.check_finality().await;
        }
        self.calm_down();
        self.wait_for_the_end().await;
        self.check_everything().await;
    }

    /// One thing happens that nobody wished for, or that somebody did.
    async fn disturb(&mut self) {
        let runner = self.world.random.below(self.world.runner_count() as u64) as usize;
        match self.world.random.below(11) {
            0 | 1 => self.add_pipeline().await,
            2 if self.server_up => {
                self.world.kill_server().await;
                self.server_up = false;
                self.summary.server_kills += 1;
            }
            2 | 3 => self.server_back(),
            4 => {
                let slots = 1 + self.world.random.below(3) as usize;
                self.world.kill_and_restart_runner(runner, slots).await;
                self.summary.runner_kills += 1;
            }
            5 => self.world.runner(runner).link.set_cut(true),
            6 => self.world.runner(runner).link.set_cut(false),
            7 => self.cancel_one().await,
            10 => self.approve_all().await,
            8 => self
                .world
                .clock
                .jump(self.world.random.below(60_000) as i64 - 30_000),
            _ => {
                let faults = Faults {
                    request_lost: self.world.random.below(40) as u32,
                    answer_lost: self.world.random.below(40) as u32,
                    doubled: self.world.random.below(40) as u32,
                    delay: Duration::from_millis(self.world.random.below(3_000)),
                };
                self.world.runner(runner).link.set_faults(faults);
            }
        }
    }

    async fn add_pipeline(&mut self) {
        if !self.server_up {
            return;
        }
        let (config, serial) = self.config();
        let id = self.world.submit(&config).await;
        let id = id.unwrap_or_else(|error| panic!("seed {}: {error}\n{config}", self.seed));
        self.pipelines.push(id);
        self.serial
            .extend(serial.into_iter().map(|name| (id, name)));
    }

    /// One to three jobs, of which each may require the one before, and may run nothing, wait for a
    /// person or take turns with others. Gives the names of the latter too.
    fn config(&self) -> (String, Vec<String>) {
        let random = &self.world.random;
        let count = 1 + random.below(3);
        let mut jobs = String::new();
        let mut workflow = String::new();
        let mut serial = Vec::new();
        for job in 0..count {
            let parallelism = 1 + random.below(3);
            jobs.push_str(&format!(
                "  job{job}:\n    machine: true\n    parallelism: {parallelism}\n    steps:\n"
            ));
            for _ in 0..1 + random.below(2) {
                let step = STEPS[random.below(STEPS.len() as u64) as usize];
                jobs.push_str(&format!("      - run: {}\n", serde_json::Value::from(step)));
            }
            let kind = match random.below(10) {
                0 => "          type: approval\n",
                1 => "          type: no-op\n",
                2 | 3 => {
                    serial.push(format!("step{job}"));
                    "          serial-group: deploy\n"
                }
                _ => "",
            };
            // What has a type of its own is no job of `jobs`.
            let name = if kind.contains("type") { "gate" } else { "job" };
            workflow.push_str(&format!(
                "      - {name}{job}:\n          name: step{job}\n{kind}"
            ));
            if job > 0 && random.percent(60) {
                workflow.push_str(&format!("          requires: [step{}]\n", job - 1));
            }
        }
        let reruns = match random.below(4) {
            0 => "    max_auto_reruns: 2\n",
            _ => "",
        };
        let config = format!(
            "version: 2.1\njobs:\n{jobs}workflows:\n  main:\n{reruns}    jobs:\n{workflow}"
        );
        (config, serial)
    }

    async fn cancel_one(&mut self) {
        let at = self.world.random.below(self.pipelines.len() as u64) as usize;
        let Some(id) = self.pipelines.get(at).copied().filter(|_| self.server_up) else {
            return;
        };
        let canceled = self
            .world
            .core()
            .cancel(CancelTarget::Pipeline(id), "somebody")
            .await;
        canceled.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        self.summary.cancels += 1;
    }

    /// Somebody approves all that is on hold.
    async fn approve_all(&mut self) {
        if !self.server_up {
            return;
        }
        for task in self.tasks().await {
            if task.summary.status == Status::OnHold {
                let approved = self
                    .world
                    .core()
                    .approve(task.summary.job, "somebody")
                    .await;
                approved.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
                self.summary.approvals += 1;
            }
        }
    }

    fn server_back(&mut self) {
        if !self.server_up {
            self.world.start_server();
            self.server_up = true;
        }
    }

    fn calm_down(&mut self) {
        self.server_back();
        for number in 0..self.world.runner_count() {
            self.world.runner(number).link.set_cut(false);
            self.world.runner(number).link.set_faults(Faults::default());
        }
    }

    /// However much went wrong: once it no longer does, everything ends.
    async fn wait_for_the_end(&mut self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        for id in self.pipelines.clone() {
            while self.status(id).await.outcome().is_none() {
                if tokio::time::Instant::now() > deadline {
                    let detail = self.world.pipeline(id).await;
                    panic!("seed {}: a pipeline never ended: {detail:#?}", self.seed);
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.approve_all().await;
                self.check_finality().await;
            }
        }
    }

    async fn status(&self, id: PipelineId) -> Status {
        match self.world.pipeline(id).await {
            Ok(detail) => detail.summary.status,
            Err(error) => panic!("seed {}: {error}", self.seed),
        }
    }

    /// P2: what has ended stays as it ended. Only one job has its turn in a group.
    async fn check_finality(&mut self) {
        if !self.server_up {
            return;
        }
        self.check_turns().await;
        for task in self.tasks().await {
            let Some(outcome) = task.summary.status.outcome() else {
                continue;
            };
            let first = *self.ended.entry(task.summary.id).or_insert(outcome);
            assert_eq!(
                first, outcome,
                "seed {}: a terminal state changed: {task:#?}",
                self.seed
            );
        }
    }

    /// At most one job of the serial group is queued or runs, and who waits for it can tell so.
    async fn check_turns(&self) {
        let (mut turns, store) = (HashSet::new(), self.world.store());
        for task in self.tasks().await {
            let status = task.summary.status;
            if !self
                .serial
                .contains(&(task.pipeline, task.job_name.clone()))
            {
                continue;
            }
            if matches!(status, Status::Queued | Status::Running) {
                turns.insert(task.summary.job);
            }
            if status == Status::Blocked {
                let explained = store.explain(task.summary.id, self.world.clock.now()).await;
                let wait = explained.expect("a task can be explained").wait;
                assert!(wait.is_some(), "seed {}: {task:#?}", self.seed);
            }
        }
        assert!(turns.len() <= 1, "seed {}: two turns: {turns:?}", self.seed);
    }

    async fn tasks(&self) -> Vec<TaskDetail> {
        let store = self.world.store();
        let mut tasks = Vec::new();
        for id in &self.pipelines {
            let detail = store.pipeline(*id).await.expect("a pipeline stays");
            for job in detail.workflows.iter().flat_map(|workflow| &workflow.jobs) {
                for task in store.job(job.id).await.expect("a job stays").tasks {
                    tasks.push(store.task(task.id).await.expect("a task stays"));
                }
            }
        }
        tasks
    }

    async fn check_everything(&mut self) {
        let tasks = self.tasks().await;
        for task in &tasks {
            self.check_attempts(task);
            for attempt in &task.attempts {
                self.check_log(attempt).await;
            }
            self.summary.attempts += task.attempts.len();
            self.summary.requeued += task.attempts.len().saturating_sub(1);
            let lost = task.summary.status == Status::Finished(Outcome::Lost);
            self.summary.lost += usize::from(lost);
        }
        self.check_roll_up().await;
        self.check_events(&tasks).await;
        self.check_nothing_is_left().await;
        self.summary.tasks = tasks.len();
        self.summary.pipelines = self.pipelines.len();
    }

    /// P1 and P6: attempts follow each other, and one that had started is never tried again, unless
    /// it failed and its workflow says so.
    fn check_attempts(&self, task: &TaskDetail) {
        for pair in task.attempts.windows(2) {
            let ended = pair[0].ended_at;
            assert!(
                ended.is_some(),
                "seed {}: two live attempts: {task:#?}",
                self.seed
            );
            assert!(
                pair[0].started_at.is_none() || pair[0].outcome == Some(Outcome::Failed),
                "seed {}: started twice: {task:#?}",
                self.seed
            );
        }
        let last = task.attempts.last();
        // A job without a class passes without a runner.
        if task.summary.status == Status::Finished(Outcome::Passed) && task.class.is_some() {
            let passed = last.is_some_and(|attempt| attempt.outcome == Some(Outcome::Passed));
            assert!(
                passed,
                "seed {}: passed without an attempt: {task:#?}",
                self.seed
            );
        }
    }

    /// P4: a log is whole, or ends with a mark that says why it is not.
    async fn check_log(&self, attempt: &AttemptDetail) {
        let store = self.world.store();
        let read = store
            .read_log(attempt.id, 0, u32::MAX)
            .await
            .expect("a log is there");
        assert!(
            read.ended,
            "seed {}: a log never ended: {attempt:#?}",
            self.seed
        );
        assert_eq!(read.length, attempt.log_length, "seed {}", self.seed);
        let held = read.length - read.file_length;
        assert_eq!(
            read.bytes.len() as u64,
            held,
            "seed {}: a log has a hole",
            self.seed
        );
        if attempt.outcome == Some(Outcome::Lost) && attempt.started_at.is_some() {
            let said = read.mark.is_some() || attempt.reason.is_some();
            assert!(
                said,
                "seed {}: a log ends without a word: {attempt:#?}",
                self.seed
            );
        }
    }

    /// What is kept of the whole is what its parts add up to.
    async fn check_roll_up(&self) {
        use outrider_model::Tally;
        for id in &self.pipelines {
            let detail = self.world.pipeline(*id).await.expect("a pipeline stays");
            let mut workflows = Vec::new();
            for workflow in &detail.workflows {
                let mut jobs = Vec::new();
                for job in &workflow.jobs {
                    let tasks = self
                        .world
                        .store()
                        .job(job.id)
                        .await
                        .expect("a job stays")
                        .tasks;
                    let status = Tally::of(tasks.iter().map(|task| task.status)).status();
                    assert_eq!(job.status, status, "seed {}: {job:#?}", self.seed);
                    jobs.push(status);
                }
                assert_eq!(
                    workflow.status,
                    Tally::of(jobs).status(),
                    "seed {}",
                    self.seed
                );
                workflows.push(workflow.status);
            }
            assert_eq!(
                detail.summary.status,
                Tally::of(workflows).status(),
                "seed {}",
                self.seed
            );
        }
    }

    /// Whoever follows a pipeline learns of every end, once.
    async fn check_events(&self, tasks: &[TaskDetail]) {
        for id in &self.pipelines {
            let events = self
                .world
                .store()
                .events(*id, EventSeq(0), u32::MAX)
                .await
                .expect("events");
            let ends = |subject: fn(&EventSubject) -> bool| {
                events
                    .iter()
                    .filter(|e| subject(&e.subject) && e.status.outcome().is_some())
                    .count()
            };
            assert_eq!(
                ends(|s| *s == EventSubject::Pipeline),
                1,
                "seed {}",
                self.seed
            );
            let expected = tasks.iter().filter(|task| task.pipeline == *id).count();
            let seen = ends(|s| matches!(s, EventSubject::Task(..)));
            assert_eq!(seen, expected, "seed {}: {events:#?}", self.seed);
        }
    }

    /// No queue, no lease, no environment is left.
    async fn check_nothing_is_left(&self) {
        for depth in self.world.store().queue_depths().await.expect("depths") {
            assert_eq!(
                (depth.queued, depth.running),
                (0, 0),
                "seed {}: {depth:?}",
                self.seed
            );
        }
        // Runners clean up what they were told is stale or canceled.
        tokio::time::sleep(Duration::from_secs(120)).await;
        for number in 0..self.world.runner_count() {
            let executor = &self.world.runner(number).executor;
            assert!(
                executor.live_environments().is_empty(),
                "seed {}: runner {number}",
                self.seed
            );
            assert_eq!(
                executor.violations(),
                Vec::<String>::new(),
                "seed {}",
                self.seed
            );
        }
    }
}
