//! Every wait and every end has a reason.

use std::time::Duration;

use outrider_model::reason::{EndReason, RequiredJob, WaitReason};
use outrider_model::report::Report;
use outrider_model::{Outcome, Status, TaskId};

use super::world::{World, class_name, empty, end, job, requires, tasks};
use crate::CancelTarget;

async fn wait(w: &World, task: TaskId) -> WaitReason {
    let connected_since = w.now() - Duration::from_secs(30);
    w.store
        .explain(task, connected_since)
        .await
        .unwrap()
        .wait
        .expect("it waits")
}

pub async fn every_wait_has_a_reason(w: World) {
    let id = w.submit(vec![tasks("a", 2), requires("b", &["a"])]).await;
    let first = w.job(id, "a").await.tasks[0].id;
    let blocked = w.job(id, "b").await.tasks[0].id;
    let jobs = vec![RequiredJob {
        name: "a".to_owned(),
        status: Status::Queued,
    }];
    assert_eq!(wait(&w, blocked).await, WaitReason::Requires { jobs });

    let class = class_name("linux");
    let nobody = |last_contact| WaitReason::NoRunner {
        class: class_name("linux"),
        last_contact,
    };
    assert_eq!(wait(&w, first).await, nobody(None));
    let (runner, seen) = (w.runner(1).await, w.now());
    assert_eq!(
        wait(&w, first).await,
        WaitReason::AboutToStart {
            class: class.clone()
        }
    );
    w.pass(Duration::from_secs(60));
    assert_eq!(wait(&w, first).await, nobody(Some(seen)));
    w.store.forget_runner(runner).await.unwrap();
    assert_eq!(
        wait(&w, first).await,
        nobody(Some(seen)),
        "a goodbye is remembered"
    );

    let runner = w.runner(1).await;
    let claimed = w.claim_as(runner, "linux", 1).await.remove(0);
    let (since, name) = (w.now(), "runner-1".to_owned());
    assert_eq!(
        wait(&w, claimed.task).await,
        WaitReason::Preparing {
            runner: name.clone(),
            since
        }
    );
    let second = w.job(id, "a").await.tasks[1].id;
    let busy = WaitReason::Busy {
        class,
        runners: 1,
        running: 1,
        ahead: 0,
    };
    assert_eq!(wait(&w, second).await, busy);
    w.pass(Duration::from_secs(1));
    w.start(&claimed).await;
    let since = w.now();
    assert_eq!(
        wait(&w, claimed.task).await,
        WaitReason::Running {
            runner: name.clone(),
            since
        }
    );
    w.store
        .cancel(CancelTarget::Pipeline(id), "ann".to_owned(), w.now())
        .await
        .unwrap();
    assert_eq!(
        wait(&w, claimed.task).await,
        WaitReason::Stopping { runner: name }
    );
}

/// What a runner says is passed on as it is; what the store says itself is in the other stories.
pub async fn every_end_has_a_reason(w: World) {
    let name = || "test".to_owned();
    let limit = Duration::from_secs(600);
    let reasons = [
        (Outcome::Failed, EndReason::NotPrepared { message: name() }),
        (
            Outcome::Failed,
            EndReason::StepNotStarted {
                step: 1,
                name: name(),
                message: name(),
            },
        ),
        (
            Outcome::TimedOut,
            EndReason::NoOutput {
                step: 1,
                name: name(),
                limit,
            },
        ),
        (Outcome::TimedOut, EndReason::MaxRunTime { limit }),
        (Outcome::Lost, EndReason::RunnerRestarted { runner: name() }),
        (Outcome::Lost, EndReason::RunnerStopped { runner: name() }),
        (Outcome::Lost, EndReason::Infrastructure { message: name() }),
    ];
    for (outcome, reason) in reasons {
        let id = w.submit(vec![job("a")]).await;
        let task = w.claim_one().await;
        let mut ended = end(outcome, b"");
        ended.reason = Some(reason.clone());
        w.accept(Report {
            started: true,
            finished: Some(ended),
            ..empty(&task)
        })
        .await;
        let explained = w.store.explain(task.task, w.now()).await.unwrap();
        assert_eq!(
            (explained.wait, explained.end.as_ref()),
            (None, Some(&reason))
        );
        let job = w.job(id, "a").await.summary;
        assert_eq!(
            (job.status, job.reason),
            (Status::Finished(outcome), Some(reason))
        );
    }
}

pub async fn a_queued_task_knows_its_place(w: World) {
    w.runner(2).await;
    let id = w.submit(vec![tasks("a", 5)]).await;
    let all = w.job(id, "a").await.tasks;
    let class = class_name("linux");
    assert_eq!(
        wait(&w, all[1].id).await,
        WaitReason::AboutToStart {
            class: class.clone()
        }
    );
    let busy = WaitReason::Busy {
        class,
        runners: 1,
        running: 0,
        ahead: 4,
    };
    assert_eq!(wait(&w, all[4].id).await, busy);
}
