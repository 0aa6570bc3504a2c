//! Engines whose disk is full.

use outrider_testkit::docker::Registry;

use super::*;

const MIB: u64 = 1 << 20;

async fn rig() -> Rig {
    Rig::at(OwnEngine::start_on_small_disk().await).await
}

#[tokio::test]
async fn a_step_that_fills_the_disk_fails_and_leaves_room() {
    let rig = rig().await;
    let environment = rig.executor.prepare(rig.request()).await.expect("prepare");
    rig.engine.leave_free(MIB);
    let (result, output) = exec(&*environment, "dd if=/dev/zero of=big bs=1M count=20").await;
    assert_ne!(result.expect("exec").exit, Exit::Code(0));
    assert!(output.contains("No space left"), "{output}");
    environment.cleanup().await.expect("cleanup");
    rig.runs_a_task().await;
}

#[tokio::test]
async fn no_container_is_made_on_a_full_disk() {
    let rig = rig().await;
    rig.engine.leave_free(0);
    let error = rig.executor.prepare(rig.request()).await.err();
    let error = error.expect("there is no room");
    names_the_engine(&error, &rig.engine.address());
    assert!(error.message.contains("disk"), "{error}");
    rig.nothing_is_left().await;
    rig.engine.leave_free(8 * MIB);
    rig.runs_a_task().await;
}

#[tokio::test]
async fn a_pull_that_does_not_fit_is_told() {
    let rig = rig().await;
    let registry = Registry::start();
    let debian = Image::Debian.provide().await;
    let image = registry.push(&debian, "acme/big:1").await.by_tag;
    rig.engine.leave_free(8 * MIB);
    let said = Recorder::new();
    let mut request = rig.request();
    request.kind = kind(&image);
    request.progress = Arc::clone(&said) as Arc<dyn Output>;
    let error = rig.executor.prepare(request.clone()).await.err();
    let error = error.expect("there is no room");
    assert_eq!(error.fault, Fault::Infrastructure, "{error}");
    assert!(error.message.contains("disk is full: free some"), "{error}");
    assert!(said.contains("removing images that nobody uses"));
    rig.runs_a_task().await;
    rig.engine.leave_free(400 * MIB);
    request.attempt = new_attempt();
    runs_a_task(&rig.executor, request).await;
    rig.nothing_is_left().await;
}
