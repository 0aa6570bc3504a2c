//! Disks that are full, and then have room again.

use std::time::Duration;

use outrider_model::{Outcome, Status};

use crate::common::small_disk::SmallDisk;
use crate::common::{World, one_job, submission, wait_for};

/// Takes all the room there is.
fn fill(path: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [64 * 1024, 4096, 1] {
        let block = vec![0; size];
        while file.write_all(&block).is_ok() {}
    }
}

#[tokio::test]
async fn a_full_disk_under_the_server_refuses_and_loses_nothing() {
    let mut world = World::new();
    let Some(_disk) = SmallDisk::mount(world.path("server"), "8m") else {
        return;
    };
    let _server = world.start_server(&[]).await;
    let ready = world.path("ready");
    let gate = world.path("gate");
    let script = format!(
        "seq 1 1000\ntouch {}\nuntil [ -e {} ]; do sleep 0.05; done\nseq 1001 100000",
        ready.display(),
        gate.display()
    );
    let pipeline = world.submit(&one_job(&script)).await;
    let _runner = world.start_runner("runner", &[]).await;
    world.reaches(pipeline, &ready).await;
    let ballast = world.path("server").join("ballast");
    fill(&ballast);
    // What its files had room for already may still be taken; then it refuses.
    let refused = wait_for("a refusal", async || {
        let body = submission(&one_job(":"));
        world.admin().submit_pipeline(&body, None).await.err()
    })
    .await;
    assert!(refused.is_transient(), "{refused:?}");
    std::fs::write(&gate, "").unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let task = world.task(pipeline).await;
    let detail = world.attempts(task).await.unwrap();
    assert_eq!(detail.task.status, Status::Running);

    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
    let numbers = (1..=100_000).map(|n| format!("{n}\n")).collect::<String>();
    assert!(world.log(task).await == numbers.as_bytes());
}

#[tokio::test]
async fn a_full_disk_under_the_spool_holds_the_step_back() {
    let mut world = World::new();
    let Some(_disk) = SmallDisk::mount(world.path("runner").join("spool"), "24m") else {
        return;
    };
    let _server = world.start_server(&[]).await;
    let (ready, gate, wrote) = (world.path("ready"), world.path("gate"), world.path("wrote"));
    let script = format!(
        "touch {}\nuntil [ -e {} ]; do sleep 0.05; done\nseq 1 2000000\ntouch {}",
        ready.display(),
        gate.display(),
        wrote.display()
    );
    let pipeline = world.submit(&one_job(&script)).await;
    let _runner = world.start_runner("runner", &[]).await;
    world.reaches(pipeline, &ready).await;
    let task = world.task(pipeline).await;
    let ballast = world.path("runner").join("spool").join("ballast");
    fill(&ballast);
    std::fs::write(&gate, "").unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!wrote.exists(), "the step is held back");
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
    let numbers = (1..=2_000_000)
        .map(|n| format!("{n}\n"))
        .collect::<String>();
    assert!(world.log(task).await == numbers.as_bytes());
}
