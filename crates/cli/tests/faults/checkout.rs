//! Checkouts of git repositories while a runner dies or has no room.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use outrider_api::pipelines::SubmitPipeline;
use outrider_model::plan::Source;
use outrider_model::{Outcome, PipelineId};
use outrider_testkit::git;

use crate::common::small_disk::SmallDisk;
use crate::common::{World, submission};

/// A repository of 3 MB.
fn origin(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    git(directory, &["init", "--quiet"]);
    let mut noise = vec![0; 3_000_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    std::fs::write(directory.join("large"), noise).unwrap();
    git(directory, &["add", "."]);
    git(directory, &["commit", "--quiet", "-m", "large"]);
}

/// A pipeline that checks it out, with these settings for git.
async fn check_out(world: &World, repository: &Path, settings: &str) -> PipelineId {
    let config = format!(
        "version: 2.1\njobs:\n  build:\n    machine: true\n    \
         environment: {{ GIT_CONFIG_GLOBAL: \"{settings}\" }}\n    \
         steps: [checkout, {{ run: git fsck --strict && test -s large }}]\n"
    );
    let request = SubmitPipeline {
        source: Source::Git {
            url: repository.display().to_string(),
            revision: None,
            reference: Some("main".to_owned()),
        },
        branch: Some("main".to_owned()),
        ..submission(&config)
    };
    let submitted = world.admin().submit_pipeline(&request, None).await;
    submitted.unwrap().id
}

async fn log(world: &World, pipeline: PipelineId) -> String {
    let log = world.log(world.task(pipeline).await).await;
    String::from_utf8_lossy(&log).into_owned()
}

/// Settings for git that make servers stop in the middle of a pack.
fn stuck(world: &World, ready: &Path) -> String {
    let hook = world.path("hook");
    let script = format!("#!/bin/sh\ntouch {}\nsleep 1000\n", ready.display());
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    let settings = world.path("gitconfig");
    let text = format!("[uploadpack]\npackObjectsHook = {}\n", hook.display());
    std::fs::write(&settings, text).unwrap();
    settings.display().to_string()
}

#[tokio::test]
async fn a_runner_killed_while_it_fetches_leaves_a_mirror_that_works() {
    let mut world = World::new();
    let _server = world.start_server(&["--startup-grace", "0s"]).await;
    let repository = world.path("origin");
    origin(&repository);
    let ready = world.path("ready");
    let stuck = stuck(&world, &ready);
    let mut runner = world.start_runner("runner", &[]).await;
    let pipeline = check_out(&world, &repository, &stuck).await;
    world.reaches(pipeline, &ready).await;
    runner.kill9();
    let _runner = world.start_runner("runner", &[]).await;
    assert_eq!(world.outcome(pipeline).await, Outcome::Lost);
    let pipeline = check_out(&world, &repository, "/dev/null").await;
    let outcome = world.outcome(pipeline).await;
    let log = log(&world, pipeline).await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
    assert!(
        log.starts_with("Fetching ") && !log.contains("damaged"),
        "{log}"
    );
}

#[tokio::test]
async fn a_mirror_that_does_not_fit_is_done_without() {
    let mut world = World::new();
    let mirrors = world.path("runner/mirrors");
    let Some(_disk) = SmallDisk::mount(mirrors.clone(), "2m") else {
        return;
    };
    let _server = world.start_server(&[]).await;
    let _runner = world.start_runner("runner", &[]).await;
    let repository = world.path("origin");
    origin(&repository);
    let pipeline = check_out(&world, &repository, "/dev/null").await;
    let outcome = world.outcome(pipeline).await;
    let log = log(&world, pipeline).await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
    assert!(
        log.contains("Going on without the mirror of this runner"),
        "{log}"
    );
    let left = std::fs::read_dir(mirrors).unwrap().flatten();
    assert_eq!(left.filter(|item| item.path().is_dir()).count(), 0);
}
