//! Real repositories, and tasks that check them out.

use std::path::Path;
use std::sync::Arc;

use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_model::plan::{CheckoutStep, Source, Step, Trigger};
use outrider_model::{Outcome, TaskId};
pub use outrider_testkit::git;

use super::rig::{Life, Rig, soon};
use super::tasks::{run, task_of};

/// A rig whose runner runs processes, and keeps mirrors.
pub fn rig() -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = ProcessSettings::new(directory.path().join("work"), "anna");
    settings.cgroups = false;
    let executor = Arc::new(ProcessExecutor::new(settings));
    let mut rig = Rig::with_executor(directory, Arc::default(), executor);
    rig.settings.mirrors = Some(rig.directory.path().join("mirrors"));
    rig
}

/// A runner at work.
pub struct Host {
    pub rig: Rig,
    life: Life,
}

impl Host {
    pub fn new() -> Self {
        Self::of(rig())
    }

    pub fn of(rig: Rig) -> Self {
        let life = rig.start();
        Self { rig, life }
    }

    /// Queues a task that checks out and then runs a script in the working directory.
    pub fn queue(&self, trigger: Trigger, step: CheckoutStep, script: &str) -> TaskId {
        self.queue_steps(trigger, vec![Step::Checkout(step), Step::Run(run(script))])
    }

    pub fn queue_steps(&self, trigger: Trigger, steps: Vec<Step>) -> TaskId {
        let mut work = task_of(steps);
        work.payload.trigger = trigger;
        work.payload.secrets = !self.rig.server.state().secrets.ssh_keys.is_empty();
        self.rig.server.queue(work)
    }

    /// How a task ends, and what it says.
    pub async fn ended(&self, task: TaskId) -> (Outcome, String) {
        let finished = soon(self.rig.server.finished(task)).await;
        (finished.outcome, self.rig.server.log(task))
    }

    pub async fn passed(&self, task: TaskId) -> String {
        let (outcome, log) = self.ended(task).await;
        assert_eq!(outcome, Outcome::Passed, "{log}");
        log
    }

    pub async fn failed(&self, task: TaskId) -> String {
        let (outcome, log) = self.ended(task).await;
        assert_eq!(outcome, Outcome::Failed, "{log}");
        log
    }

    /// A task with the usual checkout, which must pass.
    pub async fn passes(&self, trigger: Trigger, script: &str) -> String {
        let task = self.queue(trigger, CheckoutStep::default(), script);
        self.passed(task).await
    }

    /// The same, for one that must fail.
    pub async fn fails(&self, trigger: Trigger) -> String {
        let task = self.queue(trigger, CheckoutStep::default(), "true");
        self.failed(task).await
    }

    pub async fn end(self) {
        self.rig.end(self.life).await;
    }
}

pub fn write(directory: &Path, path: &str, content: &str) {
    let path = directory.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A repository with one commit on `main`.
pub fn origin(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    git(directory, &["init", "--quiet"]);
    // As code hosts have it.
    git(directory, &["config", "uploadpack.allowFilter", "true"]);
    git(
        directory,
        &["config", "uploadpack.allowAnySHA1InWant", "true"],
    );
    commit(directory, "kept", "committed");
}

/// One more commit, with one file. Tells its name.
pub fn commit(directory: &Path, file: &str, content: &str) -> String {
    write(directory, file, content);
    git(directory, &["add", "--", file]);
    git(directory, &["commit", "--quiet", "-m", file]);
    git(directory, &["rev-parse", "HEAD"])
}

/// The tip of a branch.
pub fn branch(url: impl Into<String>, name: &str) -> Trigger {
    Trigger {
        project: "acme/shop".to_owned(),
        source: Source::Git {
            url: url.into(),
            revision: None,
            reference: Some(name.to_owned()),
        },
        branch: Some(name.to_owned()),
        ..Trigger::default()
    }
}
