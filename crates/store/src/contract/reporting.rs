//! What runners report.

use std::time::Duration;

use outrider_model::reason::EndReason;
use outrider_model::report::{LogSpan, Report, ReportAnswer, StepEnd, StepReport};
use outrider_model::secret::LeaseToken;
use outrider_model::{Outcome, TaskId, Timestamp};

use super::world::{RUNNING, World, chunk, empty, end, finished, job, tasks};

fn step(index: u32, ended: Option<Outcome>) -> StepReport {
    let end = |outcome| StepEnd {
        outcome,
        exit: None,
        duration: Duration::from_secs(1),
        usage: None,
    };
    StepReport {
        index,
        name: format!("step {index}"),
        started_at: Timestamp::from_millis(1),
        ended: ended.map(end),
    }
}

pub async fn a_report_has_parts_in_order(w: World) {
    w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    // The log has a gap, so the end is not taken; the start before it is.
    let answers = w
        .report(Report {
            started: true,
            log: chunk(5, b"x"),
            finished: Some(end(Outcome::Passed, b"12345x")),
            ..empty(&task)
        })
        .await;
    assert_eq!(answers.answers, [ReportAnswer::LogGap { log_length: 0 }]);
    let detail = w.store.task(task.task).await.unwrap();
    assert_eq!(detail.attempts[0].started_at, Some(w.now()));
    assert_eq!(detail.attempts[0].outcome, None);
    w.pass(RUNNING - Duration::from_millis(1));
    assert_eq!(
        w.store.expire_leases(w.now(), 9).await.unwrap().ended,
        0,
        "the lease is the long one"
    );
    w.accept(Report {
        log: chunk(0, b"12345x"),
        finished: Some(end(Outcome::Passed, b"12345x")),
        ..empty(&task)
    })
    .await;
    assert_eq!(w.task_status(task.task).await, finished(Outcome::Passed));
}

pub async fn reports_stand_for_themselves(w: World) {
    w.submit(vec![tasks("a", 3)]).await;
    let claimed = w.claim(3).await;
    let wrong = Report {
        lease: claimed[0].lease,
        ..empty(&claimed[1])
    };
    let unknown = Report::empty(TaskId::from_bytes([3; 16]), claimed[0].lease);
    let good = |n: usize| Report {
        finished: Some(end(Outcome::Passed, b"")),
        ..empty(&claimed[n])
    };
    let reports = vec![good(0), wrong, unknown, good(2)];
    let reported = w.store.report(reports, RUNNING, w.now()).await.unwrap();
    let kinds: Vec<_> = reported
        .answers
        .iter()
        .map(|answer| matches!(answer, ReportAnswer::Accepted { .. }))
        .collect();
    assert_eq!(kinds, [true, false, false, true]);
    assert!(matches!(&reported.answers[1], ReportAnswer::Stale { message } if !message.is_empty()));
    assert!(matches!(&reported.answers[2], ReportAnswer::Stale { message } if !message.is_empty()));
    assert_eq!(reported.edges.len(), 2);
}

pub async fn a_repeated_report_is_accepted_again(w: World) {
    let id = w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    let whole = Report {
        started: true,
        steps: vec![step(0, Some(Outcome::Passed))],
        spans: vec![LogSpan { offset: 0, step: 0 }],
        log: chunk(0, b"hello"),
        finished: Some(end(Outcome::Passed, b"hello")),
        ..empty(&task)
    };
    let first = w.accept(whole.clone()).await;
    let events = w
        .store
        .events(id, crate::EventSeq(0), 99)
        .await
        .unwrap()
        .len();
    let before = w.store.task(task.task).await.unwrap();
    w.pass(Duration::from_secs(9));
    let second = w.accept(whole.clone()).await;
    assert_eq!(first.answers, second.answers);
    assert!(second.edges.is_empty() && second.touched.is_empty());
    // A late copy of an earlier part is accepted too.
    w.accept(Report {
        finished: None,
        ..whole
    })
    .await;
    assert_eq!(w.store.task(task.task).await.unwrap(), before);
    assert_eq!(
        w.store
            .events(id, crate::EventSeq(0), 99)
            .await
            .unwrap()
            .len(),
        events
    );
    assert_eq!(w.log(task.attempt).await, b"hello");
}

pub async fn what_has_ended_does_not_change(w: World) {
    let id = w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    w.end(&task, Outcome::Passed).await;
    let (before, pipeline) = (w.store.task(task.task).await.unwrap(), w.pipeline(id).await);
    w.pass(Duration::from_secs(1_000_000));
    let other = Report {
        finished: Some(end(Outcome::Failed, b"")),
        ..empty(&task)
    };
    let more = Report {
        log: chunk(0, b"more"),
        ..empty(&task)
    };
    for report in [other, more] {
        let answer = w.report(report).await.answers;
        assert!(
            matches!(answer[..], [ReportAnswer::Stale { .. }]),
            "{answer:?}"
        );
    }
    for what in [
        crate::CancelTarget::Pipeline(id),
        crate::CancelTarget::Job(before.summary.job),
    ] {
        let canceled = w
            .store
            .cancel(what, "ann".to_owned(), w.now())
            .await
            .unwrap();
        assert_eq!(canceled, crate::Canceled::default());
    }
    assert_eq!(
        w.store.expire_leases(w.now(), 9).await.unwrap(),
        crate::Expired::default()
    );
    w.store
        .release(vec![super::world::held(&task)], w.now())
        .await
        .unwrap();
    let answer = w.store.log_reset(task.task, task.lease).await.unwrap();
    assert!(matches!(answer, ReportAnswer::Stale { .. }));
    let answer = w
        .store
        .log_written(task.task, task.lease, 99, w.now())
        .await
        .unwrap();
    assert!(matches!(answer, ReportAnswer::Stale { .. }));
    assert_eq!(w.store.task(task.task).await.unwrap(), before);
    assert_eq!(w.pipeline(id).await, pipeline);
}

pub async fn steps_and_spans_are_merged(w: World) {
    w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    let span = |offset, step| LogSpan { offset, step };
    let with = |steps, spans| Report {
        started: true,
        steps,
        spans,
        ..empty(&task)
    };
    w.accept(with(vec![step(0, None)], vec![span(0, 0)])).await;
    w.accept(with(
        vec![step(0, Some(Outcome::Passed)), step(1, None)],
        vec![span(7, 1)],
    ))
    .await;
    // Late and repeated parts undo nothing.
    w.accept(with(vec![step(0, None)], vec![span(0, 0), span(7, 1)]))
        .await;
    w.accept(with(
        vec![step(2, None), step(1, Some(Outcome::Failed))],
        vec![],
    ))
    .await;
    let attempt = w
        .store
        .task(task.task)
        .await
        .unwrap()
        .attempts
        .pop()
        .unwrap();
    let steps = [
        step(0, Some(Outcome::Passed)),
        step(1, Some(Outcome::Failed)),
        step(2, None),
    ];
    assert_eq!(attempt.steps, steps);
    assert_eq!(attempt.spans, [span(0, 0), span(7, 1)]);
}

pub async fn a_failure_keeps_its_reason(w: World) {
    let id = w.submit(vec![tasks("a", 2)]).await;
    let claimed = w.claim(2).await;
    w.end(&claimed[0], Outcome::Passed).await;
    assert_eq!(w.job(id, "a").await.summary.reason, None);
    w.end(&claimed[1], Outcome::Failed).await;
    let reason = w.job(id, "a").await.summary.reason;
    assert!(matches!(reason, Some(EndReason::StepFailed { .. })));
    let attempt = w
        .store
        .task(claimed[1].task)
        .await
        .unwrap()
        .attempts
        .pop()
        .unwrap();
    assert_eq!(attempt.reason, reason);
    assert_eq!(
        w.store.explain(claimed[1].task, w.now()).await.unwrap().end,
        reason
    );
    assert_eq!(
        w.store.explain(claimed[0].task, w.now()).await.unwrap().end,
        None
    );
    let guess = LeaseToken::generate(&Zeros);
    assert!(w.store.log_position(claimed[0].task, guess).await.is_err());
}

struct Zeros;
impl outrider_model::Random for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}
