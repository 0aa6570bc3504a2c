//! Logs: by offset, whole, checked.

use outrider_model::Outcome;
use outrider_model::report::{Finished, LogHash, Report, ReportAnswer};

use super::world::{World, chunk, empty, end, finished, job};
use crate::{INLINE_LOG_MAX, LogPosition, RawClaimedTask, StoreError};

async fn running(w: &World) -> RawClaimedTask {
    w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    w.start(&task).await;
    task
}

async fn append(w: &World, task: &RawClaimedTask, offset: u64, bytes: &[u8]) -> ReportAnswer {
    w.report(Report {
        log: chunk(offset, bytes),
        ..empty(task)
    })
    .await
    .answers
    .remove(0)
}

fn length(log_length: u64) -> ReportAnswer {
    ReportAnswer::Accepted {
        log_length,
        stop: false,
    }
}

pub async fn a_log_is_appended_by_offset(w: World) {
    let task = running(&w).await;
    assert_eq!(append(&w, &task, 0, b"abc").await, length(3));
    assert_eq!(append(&w, &task, 0, b"abc").await, length(3), "repeated");
    assert_eq!(
        append(&w, &task, 1, b"bcde").await,
        length(5),
        "overlapping"
    );
    assert_eq!(append(&w, &task, 5, b"").await, length(5), "empty");
    assert_eq!(
        append(&w, &task, 5, b"\xff\0").await,
        length(7),
        "not UTF-8"
    );
    assert_eq!(w.log(task.attempt).await, b"abcde\xff\0");
    let part = w.store.read_log(task.attempt, 2, 2).await.unwrap();
    assert_eq!(
        (&part.bytes[..], part.length, part.ended),
        (&b"cd"[..], 7, false)
    );
    assert_eq!(
        w.store.read_log(task.attempt, 7, 9).await.unwrap().bytes,
        b""
    );
    assert_eq!(
        w.store.read_log(task.attempt, 99, 9).await.unwrap().bytes,
        b""
    );
}

pub async fn a_gap_is_refused(w: World) {
    let task = running(&w).await;
    append(&w, &task, 0, b"abc").await;
    let gap = ReportAnswer::LogGap { log_length: 3 };
    assert_eq!(append(&w, &task, 4, b"x").await, gap);
    assert_eq!(append(&w, &task, u64::MAX, b"x").await, gap);
    assert_eq!(w.log(task.attempt).await, b"abc");
}

pub async fn a_wrong_hash_resets_the_log(w: World) {
    let task = running(&w).await;
    append(&w, &task, 0, b"abc").await;
    let report = Report {
        finished: Some(end(Outcome::Passed, b"abx")),
        ..empty(&task)
    };
    let answer = w.report(report).await.answers.remove(0);
    assert_eq!(answer, ReportAnswer::LogMismatch {});
    assert_eq!(w.log(task.attempt).await, b"");
    let again = Report {
        log: chunk(0, b"abx"),
        finished: Some(end(Outcome::Passed, b"abx")),
        ..empty(&task)
    };
    w.accept(again).await;
    assert_eq!(w.log(task.attempt).await, b"abx");
    assert_eq!(w.task_status(task.task).await, finished(Outcome::Passed));
}

pub async fn a_short_log_is_not_accepted(w: World) {
    let task = running(&w).await;
    append(&w, &task, 0, b"abc").await;
    let report = Report {
        finished: Some(end(Outcome::Passed, b"abcdef")),
        ..empty(&task)
    };
    let answer = w.report(report).await.answers.remove(0);
    assert_eq!(
        answer,
        ReportAnswer::LogGap { log_length: 3 },
        "only the rest is missing"
    );
    let report = Report {
        finished: Some(end(Outcome::Passed, b"ab")),
        ..empty(&task)
    };
    let answer = w.report(report).await.answers.remove(0);
    assert_eq!(
        answer,
        ReportAnswer::LogMismatch {},
        "more is there than was sent"
    );
    assert_eq!(
        w.store.read_log(task.attempt, 0, 9).await.unwrap().length,
        0
    );
}

pub async fn a_reset_log_can_be_sent_again(w: World) {
    let task = running(&w).await;
    append(&w, &task, 0, b"abc").await;
    for _ in 0..2 {
        assert_eq!(
            w.store.log_reset(task.task, task.lease).await.unwrap(),
            length(0)
        );
    }
    assert_eq!(append(&w, &task, 0, b"xyz").await, length(3));
    assert_eq!(w.log(task.attempt).await, b"xyz");
}

pub async fn a_long_log_moves_to_a_file(w: World) {
    let task = running(&w).await;
    append(&w, &task, 0, b"abc").await;
    let position = async || w.store.log_position(task.task, task.lease).await.unwrap();
    let attempt = task.attempt;
    assert_eq!(
        position().await,
        LogPosition {
            attempt,
            file_length: 0,
            length: 3
        }
    );
    let written = async |length| {
        w.store
            .log_written(task.task, task.lease, length, w.now())
            .await
            .unwrap()
    };
    assert_eq!(
        written(2).await,
        length(3),
        "less than is known changes nothing"
    );
    assert_eq!(
        position().await,
        LogPosition {
            attempt,
            file_length: 0,
            length: 3
        }
    );
    assert_eq!(written(100_000).await, length(100_000));
    assert_eq!(written(100_000).await, length(100_000), "repeated");
    assert_eq!(written(50).await, length(100_000), "it never shrinks");
    let whole = LogPosition {
        attempt,
        file_length: 100_000,
        length: 100_000,
    };
    assert_eq!(position().await, whole);
    let read = w.store.read_log(attempt, 0, 99).await.unwrap();
    assert_eq!(
        (read.file_length, read.length, read.bytes.len()),
        (100_000, 100_000, 0)
    );
    // Its hash was checked by whoever can read the file.
    let finished = Finished {
        outcome: Outcome::Passed,
        reason: None,
        log_length: 100_000,
        log_hash: LogHash([1; 32]),
    };
    w.accept(Report {
        finished: Some(finished),
        ..empty(&task)
    })
    .await;
    assert_eq!(position().await, whole);
}

pub async fn a_log_too_long_for_the_store_is_refused(w: World) {
    let task = running(&w).await;
    let most = vec![b'x'; usize::try_from(INLINE_LOG_MAX).unwrap()];
    assert_eq!(append(&w, &task, 0, &most).await, length(INLINE_LOG_MAX));
    let more = Report {
        log: chunk(INLINE_LOG_MAX, b"y"),
        ..empty(&task)
    };
    let refused = w
        .store
        .report(vec![more], super::world::RUNNING, w.now())
        .await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    w.accept(Report {
        finished: Some(end(Outcome::Passed, &most)),
        ..empty(&task)
    })
    .await;
}

pub async fn a_log_of_many_pieces_reads_as_one(w: World) {
    let task = running(&w).await;
    let mut all = Vec::new();
    for piece in 0..50_u8 {
        append(&w, &task, all.len() as u64, &[piece; 37]).await;
        all.extend([piece; 37]);
    }
    for (offset, max) in [(0, 9999), (36, 2), (37, 37), (100, 500), (1849, 9)] {
        let read = w
            .store
            .read_log(task.attempt, offset as u64, max)
            .await
            .unwrap();
        let to = all.len().min(offset + max as usize);
        assert_eq!(read.bytes, all[offset..to], "{max} bytes from {offset}");
    }
    w.accept(Report {
        finished: Some(end(Outcome::Passed, &all)),
        ..empty(&task)
    })
    .await;
}
