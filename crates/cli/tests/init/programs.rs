//! Programs beside the steps.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outrider_executor::init::ProgramRequest;
use outrider_model::report::Exit;

use super::support::{Collected, Container, LONG, MIB, user_fault};

fn program(container: &Container, words: &[&str]) -> ProgramRequest {
    ProgramRequest {
        words: words.iter().map(|&word| word.to_owned()).collect(),
        environment: container.ready.variables.clone(),
        working_directory: PathBuf::from("/"),
    }
}

fn shell(container: &Container, script: &str) -> ProgramRequest {
    program(container, &["sh", "-c", script])
}

#[tokio::test]
async fn a_program_runs_beside_the_steps() {
    let container = Container::start().await;
    let client = &container.client;
    let script = "pwd; echo $OUTRIDER_ATTEMPT >&2; until [ -e ~/go ]; do sleep 0.02; done; exit 3";
    let started = client.start_program(shell(&container, script)).await;
    let output = Arc::new(Collected::default());
    let following = client.follow_program(started.expect("it runs"), output.clone());
    let text = format!("/\n{}\n", container.attempt);
    let step = async {
        output.until(&text).await;
        container.exec("touch ~/go").await
    };
    let (ended, (exit, _)) = tokio::join!(following, step);
    assert_eq!(ended.expect("it ends").exit, Exit::Code(3));
    assert_eq!((exit, output.text()), (Exit::Code(0), text));
}

#[tokio::test]
async fn one_that_nobody_follows_holds_nobody_up() {
    let container = Container::start().await;
    let client = &container.client;
    let script = format!("head -c {} /dev/zero; touch ~/written", 4 * MIB);
    let held = client.start_program(shell(&container, &script)).await;
    let held = held.expect("it runs");
    assert_eq!(container.exec("test ! -e ~/written").await.0, Exit::Code(0));
    // What it has to say is dropped from now on.
    drop(held);
    let wait = "until [ -e ~/written ]; do sleep 0.02; done";
    let waited = tokio::time::timeout(LONG, container.exec(wait)).await;
    assert_eq!(waited.expect("in time").0, Exit::Code(0));
}

#[tokio::test]
async fn it_ends_with_the_task() {
    let container = Container::start().await;
    let client = &container.client;
    let script = "trap '' TERM; echo up; while :; do sleep 1; done";
    let started = client.start_program(shell(&container, script)).await;
    let output = Arc::new(Collected::default());
    let following = client.follow_program(started.expect("it runs"), output.clone());
    let stop = async {
        output.until("up").await;
        client.stop(Duration::ZERO).await
    };
    let (ended, stopped) = tokio::join!(following, stop);
    stopped.expect("all are ended");
    assert_eq!(ended.expect("it ends").exit, Exit::Signal(9));
    let late = client.start_program(shell(&container, "true")).await;
    assert!(late.is_err(), "nothing starts after a stop");
}

#[tokio::test]
async fn what_cannot_be_started_is_the_users_fault() {
    let container = Container::start().await;
    let client = &container.client;
    let words: [&[&str]; 3] = [
        &["/no/such/program"],
        &["no-such-program"],
        &["/etc/passwd"],
    ];
    for words in words {
        let started = client.start_program(program(&container, words)).await;
        let message = user_fault(started);
        assert!(
            message.contains(words[0]) && message.contains("entrypoint"),
            "{message}"
        );
    }
    let nowhere = ProgramRequest {
        working_directory: Path::new("/no/such/folder").into(),
        ..program(&container, &["true"])
    };
    let message = user_fault(client.start_program(nowhere).await);
    assert!(message.contains("/no/such/folder"), "{message}");
    assert_eq!(container.exec("exit 2").await.0, Exit::Code(2));
}
