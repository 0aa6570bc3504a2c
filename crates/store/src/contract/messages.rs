//! Events, the outbox, tokens, runners.

use std::time::Duration;

use outrider_model::secret::TokenHash;
use outrider_model::{Outcome, PipelineId, Status, TokenId};

use super::world::{World, class_name, contact, finished, job, requires};
use crate::{Event, EventSeq, EventSubject, NewToken, TokenScope};

async fn events(w: &World, id: PipelineId, after: u64, limit: u32) -> Vec<Event> {
    w.store.events(id, EventSeq(after), limit).await.unwrap()
}

pub async fn events_tell_every_change_in_order(w: World) {
    let id = w.submit(vec![job("a"), requires("b", &["a"])]).await;
    let (a, b) = (w.job_id(id, "a").await, w.job_id(id, "b").await);
    w.submit(vec![job("of another pipeline")]).await;
    let start = events(&w, id, 0, 99)
        .await
        .last()
        .map_or(0, |event| event.seq.0);
    let first = w.claim_one().await;
    w.end(&first, Outcome::Failed).await;
    let seen: Vec<_> = events(&w, id, start, 99)
        .await
        .iter()
        .map(|event| (event.subject, event.status))
        .collect();
    let second = w.job(id, "b").await.tasks[0].id;
    let (failed, not_run) = (finished(Outcome::Failed), finished(Outcome::NotRun));
    let expected = [
        (EventSubject::Task(a, first.task), Status::Running),
        (EventSubject::Job(a), Status::Running),
        (EventSubject::Pipeline, Status::Running),
        (EventSubject::Task(a, first.task), failed),
        (EventSubject::Job(a), failed),
        (EventSubject::Task(b, second), not_run),
        (EventSubject::Job(b), not_run),
        (EventSubject::Pipeline, failed),
    ];
    assert_eq!(seen, expected);
}

pub async fn events_page_without_loss(w: World) {
    let id = w.submit(vec![job("a"), job("b")]).await;
    w.run_all().await;
    let all = events(&w, id, 0, 99).await;
    assert!(all.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    for size in 1..5 {
        let (mut paged, mut after) = (Vec::new(), 0);
        loop {
            let page = events(&w, id, after, size).await;
            let Some(last) = page.last() else { break };
            after = last.seq.0;
            paged.extend(page);
        }
        assert_eq!(paged, all, "{size} at a time");
    }
    assert_eq!(events(&w, id, u64::MAX, 9).await, []);
}

pub async fn the_outbox_tells_each_end_once(w: World) {
    let id = w.submit(vec![job("a"), requires("b", &["a"])]).await;
    assert_eq!(w.store.outbox(9).await.unwrap(), []);
    w.end(&w.claim_one().await, Outcome::Failed).await;
    let messages = w.store.outbox(9).await.unwrap();
    let topics: Vec<_> = messages
        .iter()
        .map(|message| message.topic.as_str())
        .collect();
    assert_eq!(
        topics,
        ["job-completed", "job-completed", "pipeline-completed"]
    );
    let body: serde_json::Value = serde_json::from_str(&messages[0].body).unwrap();
    assert_eq!(body["job"]["name"], "a");
    assert_eq!(body["job"]["status"], "failed");
    assert_eq!(body["pipeline"]["id"], id.to_string());
    assert_eq!(body["job"]["finished_at"], w.now().to_string());
    let body: serde_json::Value = serde_json::from_str(&messages[2].body).unwrap();
    assert_eq!(body["pipeline"]["status"], "failed");
    assert_eq!(body["workflows"][0]["jobs"][1]["status"], "not_run");
    let done: Vec<_> = messages[..2].iter().map(|message| message.id).collect();
    for _ in 0..2 {
        w.store.outbox_done(done.clone()).await.unwrap();
        assert_eq!(w.store.outbox(9).await.unwrap(), messages[2..]);
    }
    w.store.outbox_done(vec![messages[2].id]).await.unwrap();
    w.submit(vec![job("c")]).await;
    w.run_all().await;
    // A late repetition hits nothing new.
    w.store
        .outbox_done(messages.iter().map(|message| message.id).collect())
        .await
        .unwrap();
    assert_eq!(w.store.outbox(9).await.unwrap().len(), 2);
    assert_eq!(w.store.outbox(1).await.unwrap().len(), 1);
}

pub async fn tokens_are_found_until_revoked(w: World) {
    let token = |byte, scope| NewToken {
        scope,
        nickname: format!("token {byte}"),
        hash: TokenHash::from_bytes([byte; 32]),
        hint: "outrider_class_12ab".to_owned(),
    };
    let scope = TokenScope::Class {
        class: class_name("linux"),
    };
    let admin = w
        .store
        .create_token(token(1, TokenScope::Admin), w.now())
        .await
        .unwrap();
    let class = w
        .store
        .create_token(token(2, scope.clone()), w.now())
        .await
        .unwrap();
    let again = w
        .store
        .create_token(token(2, scope.clone()), w.now())
        .await
        .unwrap();
    assert_eq!(class, again);
    let find = async |byte| {
        w.store
            .find_token(TokenHash::from_bytes([byte; 32]))
            .await
            .unwrap()
    };
    let found = find(2).await.unwrap();
    assert_eq!(
        (found.id, found.scope, found.created_at),
        (class, scope, w.now())
    );
    assert_eq!(find(1).await.unwrap().scope, TokenScope::Admin);
    assert_eq!(find(3).await, None);
    let depths = w.store.queue_depths().await.unwrap();
    assert_eq!(depths[0].class, class_name("linux"), "the class exists");
    let revoked_at = w.now();
    w.store.revoke_token(class, revoked_at).await.unwrap();
    w.pass(Duration::from_secs(1));
    w.store.revoke_token(class, w.now()).await.unwrap();
    assert_eq!(find(2).await, None);
    let all = w.store.tokens().await.unwrap();
    let seen: Vec<(TokenId, _)> = all
        .iter()
        .map(|token| (token.id, token.revoked_at))
        .collect();
    assert_eq!(seen, [(class, Some(revoked_at)), (admin, None)]);
}

pub async fn runners_come_and_go(w: World) {
    let (first, second) = (contact(1, 2), contact(2, 4));
    let start = w.now();
    w.store
        .see_runners(vec![first.clone(), second.clone()], w.now())
        .await
        .unwrap();
    w.pass(Duration::from_secs(60));
    let renamed = crate::RunnerContact {
        version: "0.2.0".to_owned(),
        ..first.clone()
    };
    w.store
        .see_runners(vec![renamed.clone()], w.now())
        .await
        .unwrap();
    w.submit(vec![job("a")]).await;
    let claimed = w.claim_as(first.id, "linux", 1).await;
    let list = w.store.runners(Some(class_name("linux"))).await.unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!((&list[0].contact, list[0].running), (&renamed, 1));
    assert_eq!(
        (list[0].first_contact, list[0].last_contact),
        (start, w.now())
    );
    assert_eq!((list[1].last_contact, list[1].running), (start, 0));
    assert_eq!(w.store.runners(Some(class_name("mac"))).await.unwrap(), []);
    assert_eq!(w.store.forget_runners(w.now()).await.unwrap(), 1);
    w.end(&claimed[0], Outcome::Passed).await;
    let list = w.store.runners(None).await.unwrap();
    assert_eq!((list.len(), list[0].running), (1, 0));
    for _ in 0..2 {
        w.store.forget_runner(first.id).await.unwrap();
    }
    assert_eq!(w.store.runners(None).await.unwrap(), []);
}

pub async fn a_store_is_ready(w: World) {
    w.store.ready().await.unwrap();
}
