//! Secrets: who may see them, and how they are sealed anew.

use std::time::Duration;

use outrider_model::Outcome;
use outrider_model::plan::JobPlan;

use super::world::{World, job, payload, pipeline};
use crate::{
    MOST_CONTEXTS, RawClaimedTask, Resealed, Sealed, SealedSecret, SecretId, SecretKeyUse,
    SecretKind, SecretOwner, StoreError,
};

fn project(name: &str) -> SecretOwner {
    SecretOwner::Project(name.to_owned())
}

fn context(name: &str) -> SecretOwner {
    SecretOwner::Context(name.to_owned())
}

fn variable(owner: SecretOwner, name: &str, sealed: &[u8]) -> SealedSecret {
    SealedSecret {
        id: SecretId {
            owner,
            kind: SecretKind::Variable,
            name: name.to_owned(),
        },
        facts: None,
        sealed: Sealed {
            key_id: "k1".to_owned(),
            bytes: sealed.to_vec(),
        },
    }
}

fn ssh_key(owner: SecretOwner, name: &str) -> SealedSecret {
    let mut key = variable(owner, name, b"key");
    key.id.kind = SecretKind::SshKey;
    key.facts = Some("{\"host\":\"example.com\"}".to_owned());
    key
}

fn in_contexts(name: &str, contexts: &[&str]) -> JobPlan {
    JobPlan {
        contexts: contexts.iter().map(|name| (*name).to_owned()).collect(),
        ..job(name)
    }
}

impl World {
    async fn put_secret(&self, secret: SealedSecret) {
        self.store.put_secret(secret, self.now()).await.unwrap();
    }

    async fn make_context(&self, name: &str) {
        let name = name.to_owned();
        self.store.create_context(name, self.now()).await.unwrap();
    }

    /// Names and sealed bytes of what a task may see, and the contexts that it misses.
    async fn seen_by(&self, task: &RawClaimedTask) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
        let found = self.store.task_secrets(task.task, task.lease).await;
        let found = found.unwrap();
        let secrets = found.secrets.into_iter();
        let pairs = secrets.map(|secret| (secret.id.name, secret.sealed.bytes));
        (pairs.collect(), found.missing_contexts)
    }
}

pub async fn a_secret_is_kept_until_it_is_replaced_or_deleted(w: World) {
    let list = || async {
        let listed = w.store.secrets(project("acme/new"), SecretKind::Variable);
        listed.await.unwrap()
    };
    assert_eq!(list().await, [], "of a project that is not there");
    let created = w.now();
    w.put_secret(variable(project("acme/new"), "TOKEN", b"1"))
        .await;
    w.pass(Duration::from_secs(5));
    w.put_secret(variable(project("acme/new"), "TOKEN", b"2"))
        .await;
    w.put_secret(ssh_key(project("acme/new"), "SHA256:abc"))
        .await;
    let records = list().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].name, "TOKEN");
    assert_eq!(
        (records[0].created_at, records[0].updated_at),
        (created, w.now())
    );
    let keys = w.store.secrets(project("acme/new"), SecretKind::SshKey);
    let facts = keys.await.unwrap().remove(0).facts;
    assert_eq!(facts.as_deref(), Some("{\"host\":\"example.com\"}"));

    let id = variable(project("acme/new"), "TOKEN", b"").id;
    w.store.delete_secret(id.clone()).await.unwrap();
    let gone = w.store.delete_secret(id).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
    assert_eq!(list().await, []);
}

pub async fn a_context_goes_with_its_variables(w: World) {
    let lost = variable(context("deploy"), "TOKEN", b"1");
    let refused = w.store.put_secret(lost.clone(), w.now()).await;
    assert!(matches!(
        refused,
        Err(StoreError::NotFound {
            kind: "context",
            ..
        })
    ));
    w.make_context("deploy").await;
    w.make_context("deploy").await;
    w.make_context("beta").await;
    w.put_secret(lost).await;
    let contexts = w.store.contexts().await.unwrap();
    let contexts: Vec<_> = contexts
        .iter()
        .map(|it| (it.name.as_str(), it.variables))
        .collect();
    assert_eq!(contexts, [("beta", 0), ("deploy", 1)]);
    w.store.delete_context("deploy".to_owned()).await.unwrap();
    let gone = w.store.delete_context("deploy".to_owned()).await;
    assert!(matches!(
        gone,
        Err(StoreError::NotFound {
            kind: "context",
            ..
        })
    ));
    w.make_context("deploy").await;
    let listed = w.store.secrets(context("deploy"), SecretKind::Variable);
    assert_eq!(listed.await.unwrap(), []);
}

pub async fn there_are_bounds_on_secrets(w: World) {
    for number in 0..MOST_CONTEXTS {
        w.make_context(&format!("c{number}")).await;
    }
    let more = w.store.create_context("more".to_owned(), w.now()).await;
    assert!(matches!(more, Err(StoreError::Conflict(_))), "{more:?}");
    let owner = context("c0");
    for number in 0..owner.most_secrets() {
        w.put_secret(variable(owner.clone(), &format!("V{number}"), b"x"))
            .await;
    }
    let more = variable(owner.clone(), "MORE", b"x");
    let more = w.store.put_secret(more, w.now()).await;
    assert!(matches!(more, Err(StoreError::Conflict(_))), "{more:?}");
    // One that is there can still be replaced.
    w.put_secret(variable(owner.clone(), "V7", b"y")).await;
    let listed = w.store.secrets(owner, SecretKind::Variable).await.unwrap();
    assert_eq!(listed.len(), 100);
}

pub async fn a_task_sees_its_project_then_its_contexts(w: World) {
    for name in ["first", "second", "other"] {
        w.make_context(name).await;
        w.put_secret(variable(context(name), "WHO", name.as_bytes()))
            .await;
    }
    w.put_secret(variable(project("acme/shop"), "WHO", b"project"))
        .await;
    w.put_secret(variable(project("acme/else"), "ELSE", b"else"))
        .await;
    w.submit(vec![in_contexts("build", &["second", "gone", "first"])])
        .await;
    let task = w.claim_one().await;
    assert!(payload(&task).secrets);
    let (secrets, missing) = w.seen_by(&task).await;
    let who = ["project", "second", "first"].map(|who| ("WHO".to_owned(), who.into()));
    assert_eq!(secrets, who);
    assert_eq!(missing, ["gone"]);
}

pub async fn a_task_knows_whether_it_has_secrets(w: World) {
    w.submit(vec![job("none"), in_contexts("context", &["gone"])])
        .await;
    assert!(!payload(&w.claim_one().await).secrets);
    assert!(payload(&w.claim_one().await).secrets);
    w.put_secret(ssh_key(project("acme/shop"), "SHA256:abc"))
        .await;
    w.submit(vec![job("project")]).await;
    assert!(payload(&w.claim_one().await).secrets);
}

pub async fn what_is_not_trusted_sees_no_secret(w: World) {
    w.make_context("deploy").await;
    w.put_secret(variable(context("deploy"), "A", b"1")).await;
    w.put_secret(variable(project("acme/shop"), "B", b"2"))
        .await;
    let mut new = pipeline(vec![in_contexts("build", &["deploy", "gone"])]);
    new.trigger.untrusted = true;
    w.store.submit_pipeline(new, w.now()).await.unwrap();
    let task = w.claim_one().await;
    assert!(!payload(&task).secrets);
    assert_eq!(w.seen_by(&task).await, (vec![], vec![]));
}

pub async fn only_the_holder_of_a_lease_sees_secrets(w: World) {
    w.put_secret(variable(project("acme/shop"), "B", b"2"))
        .await;
    w.submit(vec![job("one"), job("two")]).await;
    let (one, two) = (w.claim_one().await, w.claim_one().await);
    let stale = |answer| matches!(answer, Err(StoreError::Illegal(_)));
    assert!(stale(w.store.task_secrets(one.task, two.lease).await));
    assert_eq!(w.seen_by(&one).await.0.len(), 1);
    w.end(&one, Outcome::Passed).await;
    assert!(stale(w.store.task_secrets(one.task, one.lease).await));
}

pub async fn secrets_are_sealed_anew_in_pages(w: World) {
    for number in 0..5 {
        w.put_secret(variable(
            project("acme/shop"),
            &format!("V{number}"),
            b"old",
        ))
        .await;
    }
    let page = |after| w.store.secrets_not_sealed_by("k2".to_owned(), after, 3);
    let first = page(0).await.unwrap();
    assert_eq!(first.len(), 3);
    // One is replaced while it is being sealed anew.
    w.put_secret(variable(project("acme/shop"), "V1", b"newer"))
        .await;
    let sealed = Sealed {
        key_id: "k2".to_owned(),
        bytes: b"new".to_vec(),
    };
    let last = first[2].row;
    let resealed = first.into_iter().map(|stored| Resealed {
        row: stored.row,
        old: stored.secret.sealed,
        new: sealed.clone(),
    });
    assert_eq!(w.store.reseal(resealed.collect()).await.unwrap(), 2);
    let names = |stored: Vec<crate::StoredSecret>| {
        let ids = stored.into_iter().map(|stored| stored.secret.id.name);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(names(page(last).await.unwrap()), ["V3", "V4"]);
    assert_eq!(names(page(0).await.unwrap()), ["V1", "V3", "V4"]);
    let used = |key_id: &str, secrets| SecretKeyUse {
        key_id: key_id.to_owned(),
        secrets,
    };
    let keys = w.store.secret_keys().await.unwrap();
    assert_eq!(keys, [used("k1", 3), used("k2", 2)]);
}
