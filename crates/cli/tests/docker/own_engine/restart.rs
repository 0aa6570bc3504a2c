//! Engines that end, and come back.

use super::*;

#[tokio::test]
async fn between_tasks_a_restart_is_not_noticed() {
    let mut rig = Rig::start().await;
    for how in [End::Terminated, End::Killed] {
        end(&rig.engine, how).await;
        rig.engine.run(CONTAINERS_GO_ON).await;
        rig.runs_a_task().await;
    }
}

#[tokio::test]
async fn an_engine_that_starts_later_is_found() {
    let mut engine = OwnEngine::not_started().await;
    let place = tempfile::tempdir().expect("a folder");
    let mut settings = settings(place.path());
    settings.engine = Some(engine.address());
    let executor = DockerExecutor::new(settings);
    let request = || PrepareRequest::new(new_attempt(), 0, kind("busybox"), "~/project");
    let error = executor.prepare(request()).await.err().expect("too early");
    names_the_engine(&error, &engine.address());
    engine.run(CONTAINERS_END).await;
    let image = Image::Busybox.provide_at(&engine.client()).await;
    let mut request = request();
    request.kind = kind(&image);
    runs_a_task(&executor, request).await;
}

#[tokio::test]
async fn a_step_is_over_when_its_engine_is_terminated() {
    a_step_is_over(End::Terminated, CONTAINERS_END).await;
}

#[tokio::test]
async fn a_step_is_over_when_its_engine_is_terminated_although_containers_go_on() {
    a_step_is_over(End::Terminated, CONTAINERS_GO_ON).await;
}

#[tokio::test]
async fn a_step_is_over_when_its_engine_is_killed() {
    a_step_is_over(End::Killed, CONTAINERS_END).await;
}

#[tokio::test]
async fn a_step_is_over_when_its_engine_is_killed_although_containers_go_on() {
    a_step_is_over(End::Killed, CONTAINERS_GO_ON).await;
}

/// The step is told why, and the environment is cleaned up although the Engine comes back only
/// while that is going on.
async fn a_step_is_over(how: End, arguments: &str) {
    let mut rig = Rig::at(OwnEngine::start_with(arguments).await).await;
    let request = rig.request_with(Image::Service).await;
    let environment = rig.executor.prepare(request).await.expect("prepare");
    let step = start_step(&environment).await;
    end(&rig.engine, how).await;
    let error = step.await.expect("no panic").expect_err("it is cut off");
    names_the_engine(&error, &rig.engine.address());
    let cleaning = TaskTracker::new().spawn(async move { environment.cleanup().await });
    rig.engine.run(arguments).await;
    cleaning.await.expect("no panic").expect("cleanup");
    rig.nothing_is_left().await;
    rig.runs_a_task().await;
}

/// If it stays away for longer, what is left is removed before the next task.
#[tokio::test]
async fn what_an_engine_has_kept_is_removed_when_it_is_back() {
    let mut rig = Rig::at(OwnEngine::start_with(CONTAINERS_GO_ON).await).await;
    let executor = DockerExecutor::new(rig.impatient());
    let request = rig.request_with(Image::Service).await;
    let attempt = request.attempt;
    let environment = executor.prepare(request).await.expect("prepare");
    rig.engine.kill().await;
    let error = environment.cleanup().await.expect_err("it is away");
    assert!(error.message.contains(&rig.engine.address()), "{error}");
    let error = executor.prepare(rig.request()).await.err().expect("away");
    names_the_engine(&error, &rig.engine.address());
    rig.engine.run(CONTAINERS_GO_ON).await;
    let left = containers_at(&rig.client(), attempt).await;
    assert_ne!(left, [""; 0], "the service runs on");
    runs_a_task(&executor, rig.request()).await;
    rig.nothing_is_left().await;
}
