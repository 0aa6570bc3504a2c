//! The API over real sockets: what runners and people see.

#[expect(dead_code, reason = "the other tests use the rest")]
mod common;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use common::{CONFIG, World, client, passed, submission};
use outrider_api::ErrorCode;
use outrider_api::jobs::{LogEnd, LogPiece, LogQuery};
use outrider_api::runner::{
    HeartbeatRequest, HeldLease, LeaseStanding, ReleaseRequest, ReportRequest,
};
use outrider_model::report::{LogChunk, Report, ReportAnswer};
use outrider_model::secret::Token;
use outrider_model::{JobId, Outcome, Status};

async fn report(world: &World, report: Report) -> ReportAnswer {
    let request = ReportRequest {
        reports: vec![report],
    };
    world
        .runner
        .report(&request)
        .await
        .unwrap()
        .answers
        .remove(0)
}

#[tokio::test]
async fn a_task_from_push_to_green() {
    let world = World::start().await;
    let submitted = world.submit(CONFIG).await;
    assert_eq!(submitted.number, 1);
    let task = world.claim_one().await;
    assert_eq!(task.payload.job_name, "build");
    let log = b"hello\n".to_vec();
    let all_at_once = Report {
        started: true,
        log: Some(LogChunk {
            offset: 0,
            bytes: log.clone(),
        }),
        ..passed(&task, &log)
    };
    assert_eq!(
        report(&world, all_at_once).await,
        ReportAnswer::Accepted {
            log_length: 6,
            stop: false
        }
    );
    let pipeline = world.admin.pipeline(submitted.id).await.unwrap();
    assert_eq!(pipeline.pipeline.status, Status::Finished(Outcome::Passed));
    let read = world
        .admin
        .log(task.task, &LogQuery::default())
        .await
        .unwrap();
    assert_eq!(read.bytes().await.unwrap(), log);
}

#[tokio::test]
async fn a_parked_claim_wakes_when_work_comes() {
    let world = World::start().await;
    let request = world.claim_request(60_000);
    let (claimed, submitted) = tokio::join!(world.runner.claim(&request), world.submit(CONFIG));
    assert_eq!(claimed.unwrap().tasks[0].payload.pipeline, submitted.id);
}

#[tokio::test]
async fn a_claim_without_work_ends_after_its_wait() {
    let world = World::start().await;
    assert_eq!(
        world
            .runner
            .claim(&world.claim_request(1))
            .await
            .unwrap()
            .tasks
            .len(),
        0
    );
}

#[tokio::test]
async fn a_long_log_goes_to_a_file_and_comes_back_byte_for_byte() {
    let world = World::start().await;
    world.submit(CONFIG).await;
    let task = world.claim_one().await;
    let log: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let (head, tail) = log.split_at(40_000);
    let first = Report {
        started: true,
        log: Some(LogChunk {
            offset: 0,
            bytes: head.to_vec(),
        }),
        ..Report::empty(task.task, task.lease)
    };
    report(&world, first).await;
    let send = |offset: usize, bytes: &[u8]| {
        let bytes = Bytes::copy_from_slice(bytes);
        world
            .runner
            .append_log(task.task, task.lease, offset as u64, bytes)
    };
    let gap = send(50_000, &tail[..100]).await.unwrap_err();
    assert_eq!(gap.code(), Some(ErrorCode::LogGap));
    let middle = 2_000_000;
    assert_eq!(
        send(40_000, &log[40_000..middle]).await.unwrap().log_length,
        middle as u64
    );
    // Once more, as after an answer that got lost; then a piece that overlaps.
    assert_eq!(
        send(40_000, &log[40_000..middle]).await.unwrap().log_length,
        middle as u64
    );
    assert_eq!(
        send(middle - 7, &log[middle - 7..])
            .await
            .unwrap()
            .log_length,
        log.len() as u64
    );

    let mut wrong = passed(&task, &log);
    wrong.finished.as_mut().unwrap().log_hash.0[0] ^= 1;
    assert_eq!(report(&world, wrong).await, ReportAnswer::LogMismatch {});
    for at in (0..log.len()).step_by(3_000_000) {
        send(at, &log[at..(at + 3_000_000).min(log.len())])
            .await
            .unwrap();
    }
    assert!(matches!(
        report(&world, passed(&task, &log)).await,
        ReportAnswer::Accepted { .. }
    ));
    let read = world
        .admin
        .log(task.task, &LogQuery::default())
        .await
        .unwrap();
    assert!(read.bytes().await.unwrap() == log);
    let query = LogQuery {
        attempt: Some(task.attempt),
        offset: Some(3_999_990),
    };
    let read = world.admin.log(task.task, &query).await.unwrap();
    assert_eq!(read.bytes().await.unwrap(), log[3_999_990..]);
}

#[tokio::test]
async fn a_follower_that_reconnects_misses_nothing_and_repeats_nothing() {
    let world = World::start().await;
    world.submit(CONFIG).await;
    let task = world.claim_one().await;
    let chunk = |offset: u64, text: &str| Report {
        log: Some(LogChunk {
            offset,
            bytes: text.as_bytes().to_vec(),
        }),
        ..Report::empty(task.task, task.lease)
    };
    report(&world, chunk(0, "one ")).await;
    let mut stream = world
        .admin
        .follow_log(task.task, &LogQuery::default())
        .await
        .unwrap();
    let event = stream.next().await.unwrap().unwrap();
    assert_eq!((event.event.as_str(), event.id.as_str()), ("log", "4"));
    drop(stream);
    report(&world, chunk(4, "two")).await;
    let query = LogQuery {
        attempt: None,
        offset: Some(4),
    };
    let mut stream = world.admin.follow_log(task.task, &query).await.unwrap();
    let event = stream.next().await.unwrap().unwrap();
    let piece: LogPiece = serde_json::from_str(&event.data).unwrap();
    assert_eq!(STANDARD.decode(piece.base64).unwrap(), b"two");
    report(&world, passed(&task, b"one two")).await;
    let event = stream.next().await.unwrap().unwrap();
    let end: LogEnd = serde_json::from_str(&event.data).unwrap();
    assert_eq!(
        (event.event.as_str(), end),
        (
            "end",
            LogEnd {
                length: 7,
                mark: None
            }
        )
    );
    assert_eq!(stream.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_heartbeat_tells_of_a_cancellation_at_once() {
    let world = World::start().await;
    let submitted = world.submit(CONFIG).await;
    let task = world.claim_one().await;
    report(
        &world,
        Report {
            started: true,
            ..Report::empty(task.task, task.lease)
        },
    )
    .await;
    let held = HeldLease {
        task: task.task,
        lease: task.lease,
    };
    let request = HeartbeatRequest {
        runner: world.id,
        leases: vec![held],
        wait_ms: 60_000,
    };
    let (heartbeat, canceled) = tokio::join!(
        world.runner.heartbeat(&request),
        world.admin.cancel_pipeline(submitted.id)
    );
    assert_eq!(canceled.unwrap().stopping, 1);
    assert_eq!(heartbeat.unwrap().leases, [LeaseStanding::Stop]);
    // Canceling again changes nothing, and is no error.
    world.admin.cancel_pipeline(submitted.id).await.unwrap();
}

#[tokio::test]
async fn a_silent_runner_loses_its_claim_and_every_write_of_it_is_refused() {
    let timings = outrider_server::Timings {
        claim_lease: Duration::from_millis(50),
        startup_grace: Duration::ZERO,
        ..outrider_server::Timings::default()
    };
    let world = World::start_with(timings).await;
    world.submit(CONFIG).await;
    let silent = world.claim_one().await;
    let second = world.claim_one().await;
    assert_eq!(second.task, silent.task);
    assert_ne!(second.attempt, silent.attempt);
    let answer = report(&world, passed(&silent, b"")).await;
    assert!(matches!(answer, ReportAnswer::Stale { .. }), "{answer:?}");
    let refused = world
        .runner
        .append_log(silent.task, silent.lease, 0, Bytes::from(vec![0; 100_000]))
        .await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::StaleLease));
}

#[tokio::test]
async fn released_work_goes_to_the_next_claim() {
    let world = World::start().await;
    world.submit(CONFIG).await;
    let task = world.claim_one().await;
    let leases = vec![HeldLease {
        task: task.task,
        lease: task.lease,
    }];
    world
        .runner
        .release(&ReleaseRequest { leases })
        .await
        .unwrap();
    assert_eq!(world.claim_one().await.task, task.task);
}

#[tokio::test]
async fn the_same_key_makes_one_pipeline() {
    let world = World::start().await;
    let request = submission(CONFIG);
    let first = world
        .admin
        .submit_pipeline(&request, Some("key"))
        .await
        .unwrap();
    let again = world
        .admin
        .submit_pipeline(&request, Some("key"))
        .await
        .unwrap();
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_config_can_name_its_pipeline() {
    let world = World::start().await;
    world.submit(CONFIG).await;
    let config = CONFIG.replace("echo hello", "echo << pipeline.number >> << pipeline.id >>");
    let submitted = world.submit(&config).await;
    assert_eq!(submitted.number, 2);
    let claimed = world
        .runner
        .claim(&world.claim_request(10_000))
        .await
        .unwrap();
    let task = claimed
        .tasks
        .iter()
        .find(|task| task.payload.pipeline == submitted.id)
        .unwrap();
    let outrider_model::plan::Step::Run(step) = &task.payload.spec.steps[0] else {
        panic!()
    };
    assert_eq!(step.command, format!("echo 2 {}", submitted.id));
}

#[tokio::test]
async fn a_config_that_does_not_compile_is_refused_with_the_lines() {
    let world = World::start().await;
    let config = CONFIG.replace("machine: true", "machin: true");
    let error = world
        .admin
        .submit_pipeline(&submission(&config), None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidConfig));
    let outrider_api::client::ClientError::Refused { status, detail } = error else {
        panic!()
    };
    assert_eq!(status, 422);
    assert!(
        detail
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.line == 5),
        "{detail:?}"
    );
    assert!(detail.rendered.unwrap().contains("machin: true"));
    assert!(detail.request_id.is_some());
}

#[tokio::test]
async fn wrong_tokens_and_wrong_scopes_are_refused_with_advice() {
    let world = World::start().await;
    let stranger = client(&world.url, Token::presented("outrider_admin_0000"));
    assert_eq!(
        stranger.queue().await.unwrap_err().code(),
        Some(ErrorCode::Unauthorized)
    );
    assert_eq!(
        world.runner.queue().await.unwrap_err().code(),
        Some(ErrorCode::Forbidden)
    );
    let claim = world
        .admin
        .claim(&world.claim_request(1))
        .await
        .unwrap_err();
    assert_eq!(claim.code(), Some(ErrorCode::Forbidden));

    let tokens = world.admin.tokens().await.unwrap();
    let class_token = tokens
        .items
        .iter()
        .find(|token| token.nickname.is_empty())
        .unwrap();
    world.runner.claim(&world.claim_request(1)).await.unwrap();
    world.admin.revoke_token(class_token.id).await.unwrap();
    let revoked = world
        .runner
        .claim(&world.claim_request(1))
        .await
        .unwrap_err();
    assert_eq!(revoked.code(), Some(ErrorCode::Unauthorized));
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_not_there() {
    let world = World::start().await;
    let missing = JobId::from_bytes([7; 16]);
    let error = world.admin.job(missing).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotFound));
    let http = reqwest::Client::new();
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/nothing", 404),
        ("/api/v1/openapi.json", 200),
    ] {
        let answer = http
            .get(format!("{}{path}", world.url))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert!(answer.headers().contains_key("x-request-id"), "{path}");
    }
    let broken = http.post(format!("{}/api/v1/tokens", world.url));
    let answer = broken.body("{").send().await.unwrap();
    assert_eq!(
        answer.status().as_u16(),
        401,
        "who is calling comes before what"
    );
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let world = World::start().await;
    world.submit(CONFIG).await;
    world.submit(CONFIG).await;
    let request = outrider_api::runner::ClaimRequest {
        slots: 1,
        ..world.claim_request(1_000)
    };
    world.runner.claim(&request).await.unwrap();
    let text = reqwest::get(format!("{}/metrics", world.url))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for line in [
        "outrider_claims_total 1",
        "outrider_queue_queued{class=\"acme/linux\"} 1",
        "outrider_queue_running{class=\"acme/linux\"} 1",
        "outrider_http_request_duration_seconds_count{route=\"/api/v1/runner/claim\",status=\"200\"} 1",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}

#[tokio::test]
async fn draining_answers_parked_calls_and_ends() {
    let world = World::start().await;
    let request = world.claim_request(60_000);
    let drain = async {
        while !reqwest::get(format!("{}/metrics", world.url))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("outrider_waiting_runners 1")
        {
            tokio::task::yield_now().await;
        }
        world.shutdown.drain();
    };
    let (claimed, ()) = tokio::join!(world.runner.claim(&request), drain);
    assert_eq!(claimed.unwrap().tasks.len(), 0);
    world.tasks.ended().await;
}
