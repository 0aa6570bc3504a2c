//! Runners that end abruptly beside another one, which lives on.

use outrider_executor::docker::Privileges;
use outrider_testkit::docker::Proxy;
use outrider_testkit::relay::Fate;

use super::*;

#[tokio::test]
async fn a_container_that_was_never_started_is_removed_by_a_runner_that_lives() {
    is_removed(("/start", Fate::Hold), 1).await;
}

/// Its primary container has ended when its stdin was closed.
#[tokio::test]
async fn a_service_that_was_never_started_is_removed_by_a_runner_that_lives() {
    let create = ("/containers/create HTTP", Fate::HoldAnswer(0));
    is_removed(create, 2).await;
}

/// The request that a runner makes last, and how many containers its task has by then.
async fn is_removed((request, fate): (&'static str, Fate), count: usize) {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.engine.address());
    proxy.break_at(request, fate);
    let request = rig.request_with(Image::Service).await;
    let attempt = request.attempt;
    let executor = DockerExecutor::new(DockerSettings {
        engine: Some(proxy.address()),
        privileges: Privileges {
            // Its containers have volumes.
            read_only_root: true,
            ..Privileges::default()
        },
        ..rig.impatient()
    });
    tokio::select! {
        _ = executor.prepare(request) => panic!("it is held"),
        () = proxy.met() => {}
    }
    assert_eq!(containers_at(&rig.client(), attempt).await.len(), count);
    drop(executor);
    rig.sweeps().await;
}
