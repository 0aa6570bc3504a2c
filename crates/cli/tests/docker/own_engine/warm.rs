//! Engines that end while containers wait for tasks.

use outrider_executor::conformance::until;
use outrider_executor::docker::Warm;
use outrider_testkit::docker::Proxy;
use outrider_testkit::relay::Fate;

use super::*;

/// How many wait.
const COUNT: usize = 2;

#[tokio::test]
async fn what_waited_is_for_nobody_once_the_engine_was_restarted() {
    is_for_nobody(CONTAINERS_END).await;
}

#[tokio::test]
async fn what_waited_is_for_nobody_although_containers_go_on() {
    is_for_nobody(CONTAINERS_GO_ON).await;
}

/// Tasks notice nothing once the Engine is back, and then others wait.
async fn is_for_nobody(arguments: &str) {
    let mut rig = Rig::at(OwnEngine::start_with(arguments).await).await;
    let executor = DockerExecutor::new(settings_of(&rig));
    executor.begin();
    for how in [End::Terminated, End::Killed] {
        let before = full(&executor, &[]).await;
        end(&rig.engine, how).await;
        let error = executor.prepare(rig.request()).await.err().expect("away");
        names_the_engine(&error, &rig.engine.address());
        rig.engine.run(arguments).await;
        // At once: nothing new may wait yet.
        runs_a_task(&executor, rig.request()).await;
        full(&executor, &before).await;
    }
    executor.end().await;
    drop(executor);
    // What an Engine that was killed cannot remove yet is left to the next runner.
    rig.sweeps().await;
}

/// One that nobody could remove when its making had failed is removed before the next task.
#[tokio::test]
async fn what_was_to_wait_and_is_left_is_removed_when_the_engine_answers() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.engine.address());
    let executor = DockerExecutor::new(DockerSettings {
        engine: Some(proxy.address()),
        ..settings_of(&rig)
    });
    // Whoever makes or removes it names it.
    proxy.break_at("outrider-warm", Fate::HoldAnswer(0));
    executor.begin();
    proxy.met().await;
    proxy.break_at("outrider-warm", Fate::CutRequest(0));
    proxy.met().await;
    let left = everything(&rig.client()).await;
    assert_eq!(left.len(), 1, "{left:?}");
    proxy.heal();
    runs_a_task(&executor, rig.request()).await;
    full(&executor, &[]).await;
    let there = everything(&rig.client()).await;
    assert!(!there.contains(&left[0]), "{there:?}");
    executor.end().await;
    rig.nothing_is_left().await;
}

fn settings_of(rig: &Rig) -> DockerSettings {
    DockerSettings {
        warm: Warm {
            containers: COUNT,
            images: vec![rig.image.clone()],
        },
        ..rig.impatient()
    }
}

/// Waits until all wait that should, and none of these among them.
async fn full(executor: &DockerExecutor, before: &[String]) -> Vec<String> {
    let mut waiting = Vec::new();
    until("containers wait", || {
        waiting = executor.waiting();
        waiting.len() == COUNT && !waiting.iter().any(|it| before.contains(it))
    })
    .await;
    waiting
}
