//! Renewing leases, and what happens when nobody does.

use std::time::Duration;

use outrider_model::reason::EndReason;
use outrider_model::report::{Report, ReportAnswer};
use outrider_model::{Outcome, RunnerId, Status};

use super::world::{
    CLAIMED, DURATIONS, RUNNING, World, build, chunk, class_name, empty, end, finished, held, job,
};
use crate::{LeaseAnswer, MAX_CLAIMS_WITHOUT_START, RawClaimedTask, StoreError};

const MILLISECOND: Duration = Duration::from_millis(1);

async fn renew(w: &World, task: &RawClaimedTask) -> LeaseAnswer {
    let runner = RunnerId::from_bytes([9; 16]);
    let leases = vec![held(task)];
    w.store
        .renew_leases(runner, leases, DURATIONS, w.now())
        .await
        .unwrap()[0]
}

pub async fn a_renewed_lease_does_not_expire(w: World) {
    w.submit(vec![job("a")]).await;
    let runner = w.runner(1).await;
    let task = w.claim_as(runner, "linux", 1).await.remove(0);
    for _ in 0..3 {
        w.pass(CLAIMED - MILLISECOND);
        let leases = vec![held(&task)];
        let answers = w
            .store
            .renew_leases(runner, leases, DURATIONS, w.now())
            .await
            .unwrap();
        assert_eq!(answers, [LeaseAnswer::Held]);
        assert_eq!(w.store.expire_leases(w.now(), 9).await.unwrap().requeued, 0);
    }
    assert_eq!(
        w.store.runners(None).await.unwrap()[0].last_contact,
        w.now()
    );
    w.start(&task).await;
    w.pass(RUNNING - MILLISECOND);
    assert_eq!(renew(&w, &task).await, LeaseAnswer::Held);
    w.pass(RUNNING - MILLISECOND);
    assert_eq!(w.store.expire_leases(w.now(), 9).await.unwrap().ended, 0);
    assert_eq!(renew(&w, &task).await, LeaseAnswer::Held);
    w.end(&task, Outcome::Passed).await;
    assert_eq!(renew(&w, &task).await, LeaseAnswer::Stale);
}

pub async fn a_lease_never_gets_shorter(w: World) {
    w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    w.start(&task).await;
    let late = w.now();
    w.pass(Duration::from_secs(60));
    renew(&w, &task).await;
    // A heartbeat that was overtaken.
    let runner = RunnerId::from_bytes([9; 16]);
    w.store
        .renew_leases(runner, vec![held(&task)], DURATIONS, late)
        .await
        .unwrap();
    let next = w.store.expire_leases(w.now(), 9).await.unwrap().next;
    assert_eq!(next, Some(w.now() + RUNNING));
}

pub async fn a_silent_claim_goes_back_to_the_queue(w: World) {
    let id = w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    w.pass(CLAIMED);
    let expired = w.store.expire_leases(w.now(), 9).await.unwrap();
    assert_eq!((expired.requeued, expired.ended), (1, 0));
    assert_eq!(expired.woken.0, [(class_name("linux"), 1)]);
    assert_eq!(expired.touched, [task.attempt]);
    assert_eq!(w.status(id, "a").await, Status::Queued);
    let attempt = w
        .store
        .task(task.task)
        .await
        .unwrap()
        .attempts
        .pop()
        .unwrap();
    assert_eq!((attempt.ended_at, attempt.outcome), (Some(w.now()), None));
    assert_eq!(w.run_all().await, ["a"]);
}

pub async fn a_task_that_never_starts_is_lost(w: World) {
    let id = w.submit(vec![job("a")]).await;
    for claims in 1..=MAX_CLAIMS_WITHOUT_START {
        w.claim_one().await;
        w.pass(CLAIMED);
        let ended = w.store.expire_leases(w.now(), 9).await.unwrap().ended;
        assert_eq!(ended, u32::from(claims == MAX_CLAIMS_WITHOUT_START));
    }
    let job = w.job(id, "a").await;
    assert_eq!(job.summary.status, finished(Outcome::Lost));
    let claims = MAX_CLAIMS_WITHOUT_START;
    assert_eq!(job.summary.reason, Some(EndReason::NeverStarted { claims }));
}

pub async fn a_silent_runner_loses_its_task(w: World) {
    let id = w.submit(vec![job("a")]).await;
    let runner = w.runner(1).await;
    let task = w.claim_as(runner, "linux", 1).await.remove(0);
    w.start(&task).await;
    w.accept(Report {
        log: chunk(0, b"half a li"),
        ..empty(&task)
    })
    .await;
    w.pass(Duration::from_secs(60));
    w.store
        .renew_leases(runner, vec![held(&task)], DURATIONS, w.now())
        .await
        .unwrap();
    let last_contact = w.now();
    w.pass(RUNNING);
    let expired = w.store.expire_leases(w.now(), 9).await.unwrap();
    assert_eq!((expired.requeued, expired.ended), (0, 1));
    let silent = EndReason::RunnerSilent {
        runner: "runner-1".to_owned(),
        last_contact,
    };
    assert_eq!(w.job(id, "a").await.summary.reason, Some(silent.clone()));
    let attempt = w
        .store
        .task(task.task)
        .await
        .unwrap()
        .attempts
        .pop()
        .unwrap();
    assert_eq!(
        (attempt.outcome, attempt.reason),
        (Some(Outcome::Lost), Some(silent))
    );
    let log = w.store.read_log(task.attempt, 0, 99).await.unwrap();
    assert_eq!((&log.bytes[..], log.ended), (&b"half a li"[..], true));
    let mark = log.mark.expect("a mark says that the log is not whole");
    assert!(
        mark.starts_with("[outrider] ") && mark.contains("runner-1"),
        "{mark}"
    );
}

pub async fn a_job_may_ask_for_another_try(w: World) {
    let mut retried = job("a");
    build(&mut retried).spec.retry_when_lost = true;
    let id = w.submit(vec![retried]).await;
    let first = w.claim_one().await;
    w.start(&first).await;
    w.pass(RUNNING);
    let expired = w.store.expire_leases(w.now(), 9).await.unwrap();
    assert_eq!((expired.requeued, expired.ended), (1, 0));
    let second = w.claim_one().await;
    assert_eq!(second.task, first.task);
    w.end(&second, Outcome::Passed).await;
    assert_eq!(w.status(id, "a").await, finished(Outcome::Passed));
    let attempts = w.store.task(first.task).await.unwrap().attempts;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Lost), Some(Outcome::Passed)]);
    assert!(
        w.store
            .read_log(first.attempt, 0, 9)
            .await
            .unwrap()
            .mark
            .is_some()
    );
    assert!(
        w.store
            .read_log(second.attempt, 0, 9)
            .await
            .unwrap()
            .mark
            .is_none()
    );
}

pub async fn a_stale_lease_may_write_nothing(w: World) {
    w.submit(vec![job("a")]).await;
    let old = w.claim_one().await;
    w.pass(CLAIMED);
    w.store.expire_leases(w.now(), 9).await.unwrap();
    refused(&w, &old).await; // while it is queued
    let new = w.claim_one().await;
    refused(&w, &old).await; // while another holds it
    w.start(&new).await;
    refused(&w, &old).await;
    w.end(&new, Outcome::Passed).await;
    refused(&w, &old).await;
    assert_eq!(w.log(new.attempt).await, b"");
}

/// Every write with this lease is refused and changes nothing.
async fn refused(w: &World, old: &RawClaimedTask) {
    let before = w.store.task(old.task).await.unwrap();
    let reports = [
        Report {
            started: true,
            ..empty(old)
        },
        Report {
            log: chunk(0, b"ghost"),
            ..empty(old)
        },
        Report {
            finished: Some(end(Outcome::Failed, b"")),
            ..empty(old)
        },
        empty(old),
    ];
    for report in reports {
        let answers = w.report(report).await.answers;
        assert!(
            matches!(answers[..], [ReportAnswer::Stale { .. }]),
            "{answers:?}"
        );
    }
    let stale = |answer| matches!(answer, ReportAnswer::Stale { .. });
    assert!(stale(w.store.log_reset(old.task, old.lease).await.unwrap()));
    assert!(stale(
        w.store
            .log_written(old.task, old.lease, 9, w.now())
            .await
            .unwrap()
    ));
    let position = w.store.log_position(old.task, old.lease).await;
    assert!(
        matches!(position, Err(StoreError::Illegal(_))),
        "{position:?}"
    );
    assert_eq!(renew(w, old).await, LeaseAnswer::Stale);
    w.store.release(vec![held(old)], w.now()).await.unwrap();
    assert_eq!(w.store.task(old.task).await.unwrap(), before);
}

pub async fn expiry_says_when_to_look_again(w: World) {
    w.submit(vec![job("a"), job("b"), job("c")]).await;
    assert_eq!(w.store.expire_leases(w.now(), 9).await.unwrap().next, None);
    let start = w.now();
    w.claim_one().await;
    w.pass(Duration::from_secs(1));
    w.claim(2).await;
    assert_eq!(
        w.store.expire_leases(w.now(), 9).await.unwrap().next,
        Some(start + CLAIMED)
    );
    w.pass(CLAIMED);
    let expired = w.store.expire_leases(w.now(), 2).await.unwrap();
    assert_eq!(expired.requeued, 2, "no more than the limit");
    assert_eq!(expired.next, Some(w.now()), "and the rest at once");
    let expired = w.store.expire_leases(w.now(), 2).await.unwrap();
    assert_eq!((expired.requeued, expired.next), (1, None));
}
