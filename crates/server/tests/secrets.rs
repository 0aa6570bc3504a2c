//! Secrets over real sockets: what goes in, who gets it out, and who does not.

#[expect(dead_code, reason = "the other tests use the rest")]
mod common;

use common::{World, submission};
use outrider_api::ErrorCode;
use outrider_api::secrets::{
    AddSshKey, ContextName, KeyRole, OwnerQuery, ProjectQuery, RotateSecrets, SecretText,
    SetVariable, SshKeyQuery, VariableQuery,
};
use outrider_model::claim::ClaimedTask;
use outrider_server::{Keyring, new_key};
use outrider_store::{SealedSecret, SecretId, SecretKind, SecretOwner, SecretStore};

const CONFIG: &str = "
version: 2.1
jobs:
  build:
    machine: true
    resource_class: acme/linux
    steps:
      - run: echo hello
workflows:
  main:
    jobs:
      - build:
          context: [deploy, extra]
";

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACB_
-----END OPENSSH PRIVATE KEY-----
";

async fn set(world: &World, owner: &OwnerQuery, name: &str, value: &str) {
    let body = variable(name, value);
    world.admin.set_variable(owner, &body).await.unwrap();
}

fn variable(name: &str, value: &str) -> SetVariable {
    SetVariable {
        name: name.to_owned(),
        value: SecretText::new(value),
    }
}

async fn make_contexts(world: &World, names: &[&str]) {
    for name in names {
        let name = (*name).to_owned();
        world
            .admin
            .create_context(&ContextName { name })
            .await
            .unwrap();
    }
}

async fn values(world: &World, task: &ClaimedTask) -> Vec<(String, String)> {
    let secrets = world.runner.task_secrets(task.task, task.lease).await;
    let variables = secrets.unwrap().variables.into_iter();
    variables.map(|it| (it.name, it.value)).collect()
}

fn shop() -> OwnerQuery {
    OwnerQuery::project("acme/shop")
}

#[tokio::test]
async fn a_task_gets_its_project_and_its_contexts() {
    let world = World::start().await;
    make_contexts(&world, &["deploy", "extra"]).await;
    set(&world, &shop(), "A", "project").await;
    set(&world, &OwnerQuery::context("deploy"), "A", "deploy").await;
    set(&world, &OwnerQuery::context("extra"), "B", "line 1\nline 2").await;
    world.submit(CONFIG).await;
    let task = world.claim_one().await;
    assert!(task.payload.secrets);
    let expected = [("A", "project"), ("A", "deploy"), ("B", "line 1\nline 2")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(values(&world, &task).await, expected);
    let wrong = outrider_model::secret::LeaseToken::generate(&outrider_service::OsRandom::new());
    let refused = world
        .runner
        .task_secrets(task.task, wrong)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::StaleLease));
    let refused = world
        .admin
        .task_secrets(task.task, task.lease)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Forbidden));
    let refused = world.runner.variables(&shop()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Forbidden));
}

#[tokio::test]
async fn what_is_not_trusted_gets_nothing() {
    let world = World::start().await;
    make_contexts(&world, &["deploy", "extra"]).await;
    set(&world, &shop(), "A", "project").await;
    set(&world, &OwnerQuery::context("deploy"), "A", "deploy").await;
    let mut request = submission(CONFIG);
    request.untrusted = true;
    world.admin.submit_pipeline(&request, None).await.unwrap();
    let task = world.claim_one().await;
    assert!(!task.payload.secrets);
    let secrets = world.runner.task_secrets(task.task, task.lease).await;
    assert_eq!(secrets.unwrap(), outrider_api::data::TaskSecrets::default());
}

#[tokio::test]
async fn a_missing_context_is_said_by_its_name() {
    let world = World::start().await;
    make_contexts(&world, &["deploy"]).await;
    world.submit(CONFIG).await;
    let task = world.claim_one().await;
    let refused = world
        .runner
        .task_secrets(task.task, task.lease)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::SecretsUnusable));
    assert_eq!(refused.to_string(), "there is no context \"extra\"");
}

#[tokio::test]
async fn values_are_listed_by_nobody() {
    let world = World::start().await;
    set(&world, &shop(), "TOKEN", "hunter2-hunter2").await;
    let listed = world.admin.variables(&shop()).await.unwrap();
    assert_eq!(listed.items[0].name, "TOKEN");
    assert!(!format!("{listed:?}").contains("hunter2"), "{listed:?}");
    let query = VariableQuery {
        project: shop().project,
        context: None,
        name: "TOKEN".to_owned(),
    };
    world.admin.delete_variable(&query).await.unwrap();
    let gone = world.admin.delete_variable(&query).await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::NotFound));
}

#[tokio::test]
async fn what_makes_no_variable_is_refused_without_being_repeated() {
    let world = World::start().await;
    let refused = [
        (shop(), variable("1A", "hunter2"), ErrorCode::BadRequest),
        (shop(), variable("hunter2=x", "x"), ErrorCode::BadRequest),
        (shop(), variable("A", "hunter2\0"), ErrorCode::BadRequest),
        (
            shop(),
            variable("A", &"hunter2".repeat(10_000)),
            ErrorCode::TooLarge,
        ),
        (
            OwnerQuery::default(),
            variable("A", "hunter2"),
            ErrorCode::BadRequest,
        ),
        (
            OwnerQuery::context("none"),
            variable("A", "hunter2"),
            ErrorCode::NotFound,
        ),
        (
            OwnerQuery::project("a\nb"),
            variable("A", "hunter2"),
            ErrorCode::BadRequest,
        ),
    ];
    for (owner, body, code) in refused {
        let error = world.admin.set_variable(&owner, &body).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn an_ssh_key_goes_in_once_and_to_tasks_only() {
    let world = World::start().await;
    let query = ProjectQuery {
        project: "acme/shop".to_owned(),
    };
    let (private_key, public) = ssh_key();
    let add = |host: Option<&str>, key: &str| AddSshKey {
        private_key: SecretText::new(key),
        host: host.map(str::to_owned),
    };
    let added = world
        .admin
        .add_ssh_key(&query, &add(None, &private_key))
        .await;
    let added = added.unwrap();
    assert!(public.starts_with(&added.public_key), "{added:?}");
    let body = add(Some("example.com"), &private_key);
    world.admin.add_ssh_key(&query, &body).await.unwrap();
    let listed = world.admin.ssh_keys(&query).await.unwrap().items;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].host.as_deref(), Some("example.com"));

    for (host, key) in [(None, KEY), (Some("a b"), private_key.as_str())] {
        let refused = world.admin.add_ssh_key(&query, &add(host, key)).await;
        assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::BadRequest));
    }

    world.submit(common::CONFIG).await;
    let task = world.claim_one().await;
    let secrets = world
        .runner
        .task_secrets(task.task, task.lease)
        .await
        .unwrap();
    assert_eq!(secrets.ssh_keys[0].private_key, private_key);
    assert_eq!(secrets.ssh_keys[0].fingerprint, added.fingerprint);
    let fingerprint = added.fingerprint;
    let query = SshKeyQuery {
        project: query.project,
        fingerprint,
    };
    world.admin.delete_ssh_key(&query).await.unwrap();
    let secrets = world
        .runner
        .task_secrets(task.task, task.lease)
        .await
        .unwrap();
    assert_eq!(secrets.ssh_keys, []);
}

/// A new key, and its public half.
fn ssh_key() -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let mut keygen = std::process::Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f"])
        .arg(&path);
    assert!(keygen.status().unwrap().success());
    let read = |path| std::fs::read_to_string(path).unwrap();
    (read(path.clone()), read(path.with_extension("pub")))
}

#[tokio::test]
async fn a_row_that_was_moved_does_not_open() {
    let world = World::start().await;
    set(
        &world,
        &OwnerQuery::project("acme/other"),
        "TOKEN",
        "hunter2",
    )
    .await;
    // Somebody with the database, but without the key, gives it to another project.
    let page = world.store.secrets_not_sealed_by(String::new(), 0, 9);
    let stolen = page.await.unwrap().remove(0).secret;
    let id = SecretId {
        owner: SecretOwner::Project("acme/shop".to_owned()),
        kind: SecretKind::Variable,
        name: "TOKEN".to_owned(),
    };
    let moved = SealedSecret { id, ..stolen };
    let now = outrider_model::Timestamp::from_millis(0);
    world.store.put_secret(moved, now).await.unwrap();
    world.submit(common::CONFIG).await;
    let task = world.claim_one().await;
    let refused = world
        .runner
        .task_secrets(task.task, task.lease)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::SecretsUnusable));
    assert!(
        refused
            .to_string()
            .contains("the variable TOKEN of the project"),
        "{refused}"
    );
}

#[tokio::test]
async fn secrets_are_sealed_anew_by_the_newest_key() {
    let random = outrider_service::OsRandom::new();
    let (old, new) = (new_key(&random), new_key(&random));
    let (old, new) = (old.as_str(), new.as_str());
    let keyring = |text: &str| Keyring::parse(text).unwrap();
    let mut world = World::start().await;
    world.serve_again(keyring(old)).await;
    for number in 0..3 {
        set(
            &world,
            &shop(),
            &format!("V{number}"),
            &format!("value {number}"),
        )
        .await;
    }
    // With another key alone, nothing that was sealed before can be used.
    world.serve_again(keyring(new)).await;
    set(&world, &shop(), "V3", "value 3").await;
    world.submit(common::CONFIG).await;
    let task = world.claim_one().await;
    let refused = world
        .runner
        .task_secrets(task.task, task.lease)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::SecretsUnusable));
    assert!(
        refused.to_string().contains("V0 of the project"),
        "{refused}"
    );
    let roles = async |world: &World| {
        let keys = world.admin.sealing_keys().await.unwrap().items;
        keys.into_iter()
            .map(|key| (key.role, key.secrets))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        roles(&world).await,
        [(KeyRole::Seals, 1), (KeyRole::Lost, 3)]
    );
    let rotated = world
        .admin
        .rotate_secrets(RotateSecrets::default())
        .await
        .unwrap();
    assert_eq!((rotated.resealed, rotated.unusable), (0, 3));

    // With both, all is sealed anew; then the old one is not needed any more.
    world.serve_again(keyring(&format!("{new}\n{old}"))).await;
    assert_eq!(
        roles(&world).await,
        [(KeyRole::Seals, 1), (KeyRole::Opens, 3)]
    );
    let rotated = world
        .admin
        .rotate_secrets(RotateSecrets::default())
        .await
        .unwrap();
    assert_eq!((rotated.resealed, rotated.unusable), (3, 0));
    let after = rotated.next.expect("it says where to go on");
    let rotated = world
        .admin
        .rotate_secrets(RotateSecrets { after })
        .await
        .unwrap();
    assert_eq!((rotated.resealed, rotated.next), (0, None));
    world.serve_again(keyring(new)).await;
    assert_eq!(roles(&world).await, [(KeyRole::Seals, 4)]);
    let expected = [0, 1, 2, 3].map(|n| (format!("V{n}"), format!("value {n}")));
    assert_eq!(values(&world, &task).await, expected);
}
