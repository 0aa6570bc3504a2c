//! Secrets of tasks: when they are asked for, where they go, and what becomes of a task without.

use outrider_api::ErrorCode;
use outrider_api::data::SecretVariable;
use outrider_model::Outcome;
use outrider_model::claim::ClaimedTask;
use outrider_model::reason::EndReason;

use crate::support::rig::{Rig, soon};
use crate::support::server::State;
use crate::support::tasks::{run, task};

fn variable(context: Option<&str>, name: &str, value: &str) -> SecretVariable {
    SecretVariable {
        name: name.to_owned(),
        value: value.to_owned(),
        context: context.map(str::to_owned),
    }
}

fn with_secrets(mut task: ClaimedTask) -> ClaimedTask {
    task.payload.secrets = true;
    task
}

#[tokio::test]
async fn secrets_are_below_the_built_in_variables_and_contexts_above_the_project() {
    let mut rig = Rig::new();
    let inherited = &mut rig.settings.inherited_environment;
    inherited.insert("LANG".to_owned(), "runner".to_owned());
    rig.settings
        .extra_environment
        .insert("B".to_owned(), "extra".to_owned());
    let names = ["A", "B", "C", "CIRCLE_JOB", "LANG"];
    let of = |context: Option<&'static str>| {
        let value = context.unwrap_or("project");
        names.map(|name| variable(context, name, value))
    };
    rig.server.change(|state| {
        let all = [None, Some("first"), Some("second")];
        state.secrets.variables = all.into_iter().flat_map(of).collect();
    });
    let mut work = with_secrets(task([run("print x")]));
    let job = &mut work.payload.spec.environment;
    job.insert("C".to_owned(), "job".to_owned());
    let life = rig.start();
    let id = rig.server.queue(work);
    soon(rig.server.finished(id)).await;
    let seen = rig.world.with(|world| world.execs[0].environment.clone());
    let expected = [
        ("A", "second"),
        ("B", "extra"),
        ("C", "job"),
        ("CIRCLE_JOB", "build"),
        ("LANG", "second"),
    ];
    for (name, value) in expected {
        assert_eq!(seen[name], value, "{name}");
    }
    rig.end(life).await;
}

#[tokio::test]
async fn a_task_without_secrets_asks_for_none() {
    let rig = Rig::new();
    let life = rig.start();
    let id = rig.server.queue(task([run("print x")]));
    soon(rig.server.finished(id)).await;
    assert_eq!(rig.server.state().secret_calls, 0);
    rig.end(life).await;
}

#[tokio::test]
async fn secrets_are_masked_in_the_log() {
    let rig = Rig::new();
    rig.server.change(|state| {
        state.secrets.variables = vec![
            variable(None, "TOKEN", "hunter2-hunter2"),
            // Too short to hide anything, or empty.
            variable(None, "LEVEL", "3"),
            variable(None, "EMPTY", ""),
        ];
        state.secrets.missing_contexts = vec!["deploy".to_owned()];
    });
    let life = rig.start();
    let id = rig.server.queue(with_secrets(task([run(
        "print it is hunter2-hunter2 at 3",
    )])));
    soon(rig.server.finished(id)).await;
    let log = rig.server.log(id);
    assert!(log.contains("it is **** at 3"), "{log}");
    assert!(log.contains("There is no context \"deploy\""), "{log}");
    rig.end(life).await;
}

#[tokio::test]
async fn a_task_that_cannot_have_its_secrets_fails_and_says_why() {
    let rig = Rig::new();
    rig.server
        .change(|state| state.secrets_refused = Some(ErrorCode::SecretsUnusable));
    let life = rig.start();
    let id = rig.server.queue(with_secrets(task([run("print x")])));
    let finished = soon(rig.server.finished(id)).await;
    assert_eq!(finished.outcome, Outcome::Failed);
    assert!(
        matches!(finished.reason, Some(EndReason::NoSecrets { .. })),
        "{finished:?}"
    );
    assert!(rig.world.with(|world| world.execs.is_empty()));
    rig.end(life).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_for_its_secrets_while_the_server_is_away() {
    let rig = Rig::new();
    rig.server.change(|state| state.secrets_away = true);
    let life = rig.start();
    let id = rig.server.queue(with_secrets(task([run("print x")])));
    soon(rig.server.until(|state| state.secret_calls > 2)).await;
    assert!(rig.world.with(|world| world.execs.is_empty()));
    rig.server.change(|state| state.secrets_away = false);
    let finished = soon(rig.server.finished(id)).await;
    assert_eq!(finished.outcome, Outcome::Passed);
    rig.end(life).await;
}

#[tokio::test]
async fn a_task_that_waits_for_its_secrets_can_be_canceled() {
    let rig = Rig::new();
    rig.server.change(|state| state.secrets_away = true);
    let life = rig.start();
    let id = rig.server.queue(with_secrets(task([run("print x")])));
    soon(rig.server.until(|state| state.secret_calls > 0)).await;
    rig.server
        .change(|state| state.tasks.get_mut(&id).unwrap().stop = true);
    let finished = soon(rig.server.finished(id)).await;
    assert_eq!(finished.outcome, Outcome::Canceled);
    assert!(rig.world.with(|world| world.execs.is_empty()));
    rig.end(life).await;
}

#[tokio::test]
async fn a_task_whose_lease_is_lost_ends_without_its_secrets() {
    let rig = Rig::new();
    rig.server
        .change(|state| state.secrets_refused = Some(ErrorCode::StaleLease));
    let life = rig.start();
    let id = rig.server.queue(with_secrets(task([run("print x")])));
    rig.server
        .change(|state| state.tasks.get_mut(&id).unwrap().stale = true);
    // It learns of it from a heartbeat, or when it asks.
    let told = |state: &State| state.secret_calls > 0 || state.told_stale > 0;
    soon(rig.server.until(told)).await;
    rig.end(life).await;
    assert!(rig.world.with(|world| world.execs.is_empty()));
    assert!(rig.server.state().tasks[&id].finished.is_none());
}
