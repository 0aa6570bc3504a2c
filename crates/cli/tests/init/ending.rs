//! Ends: of scripts, of the connection, of the init.

use std::sync::Arc;
use std::time::Duration;

use outrider_executor::{Discard, Fault};
use outrider_model::report::Exit;

use super::support::{Collected, Container, LONG, connect};

#[tokio::test]
async fn stop_ends_the_most_stubborn() {
    let container = Container::start().await;
    let output = Arc::new(Collected::default());
    let stubborn =
        "trap '' TERM; (trap '' TERM; setsid sleep 1000 & wait) & echo up; wait; sleep 1000";
    let held = container
        .client
        .exec(container.request(stubborn), output.clone());
    let stop = async {
        output.until("up").await;
        container.client.stop(Duration::from_millis(50)).await
    };
    let (ended, stopped) = tokio::join!(held, stop);
    stopped.expect("is stopped");
    assert_eq!(ended.expect("has ended").exit, Exit::Signal(9));
    let after = container
        .client
        .exec(container.request("true"), Arc::new(Discard))
        .await;
    assert!(
        after
            .expect_err("was stopped")
            .message
            .contains("was stopped")
    );
}

#[tokio::test]
async fn stop_first_asks() {
    let container = Container::start().await;
    let output = Arc::new(Collected::default());
    let script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05 || :; done";
    let held = container
        .client
        .exec(container.request(script), output.clone());
    let stop = async {
        output.until("up").await;
        container.client.stop(LONG).await
    };
    let (ended, stopped) = tokio::join!(held, stop);
    stopped.expect("is stopped");
    assert_eq!(ended.expect("has ended").exit, Exit::Code(3));
    // A shell may say that its `sleep` was ended, too.
    assert!(output.text().ends_with("bye\n"), "{}", output.text());
}

#[tokio::test]
async fn the_end_of_the_connection_ends_everything() {
    let mut container = Container::start().await;
    let output = Arc::new(Collected::default());
    let alive = container.home.path().join("alive");
    let script = format!(
        "trap '' TERM HUP; (setsid sh -c 'exec 9>{0}; flock 9; echo up; sleep 1000') & wait",
        alive.display()
    );
    let (client, request) = (container.client.clone(), container.request(&script));
    {
        let held = client.exec(request, output.clone());
        tokio::select! {
            _ = held => panic!("it should run"),
            () = output.until("up") => {}
        }
    }
    drop(client);
    drop(std::mem::replace(
        &mut container.client,
        Arc::new(connect().await.1),
    ));
    let ended = tokio::time::timeout(LONG, container.init.wait()).await;
    assert!(ended.expect("in time").expect("is waited for").success());
    let file = std::fs::File::open(alive).expect("is there");
    let free = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    free.expect("nobody is left");
}

#[tokio::test]
async fn a_lost_init_is_told_to_all_who_wait() {
    let mut container = Container::start().await;
    let output = Arc::new(Collected::default());
    let request = container.request("echo up; sleep 1000");
    let client = container.client.clone();
    let held = client.exec(request, output.clone());
    let kill = async {
        output.until("up").await;
        container.init.kill().await.expect("is killed");
    };
    let (ended, ()) = tokio::join!(held, kill);
    let error = ended.expect_err("the connection is lost");
    assert_eq!(error.fault, Fault::Infrastructure);
    assert!(
        client
            .lost()
            .await
            .message
            .starts_with("the connection to the container was lost")
    );
    assert!(client.listening().await.is_err());
}

#[tokio::test]
async fn closing_ends_the_init() {
    let mut container = Container::start().await;
    container.client.close().await;
    let ended = tokio::time::timeout(LONG, container.init.wait()).await;
    assert!(ended.expect("in time").expect("is waited for").success());
}
